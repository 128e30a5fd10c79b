"""Loops over rows against the array operations they stand for."""

import numpy as np
import pytest

from nphash.engine.kernels.relu import (
    add_row,
    add_scaled,
    copy_row,
    pass_positive,
    rectify,
    scale_row,
    set_scaled,
)

OPERATIONS = [
    (copy_row, lambda row, other: other, ()),
    (add_row, lambda row, other: row + other, ()),
    (add_scaled, lambda row, other: row + 3 * other, (3.0,)),
    (set_scaled, lambda row, other: 3 * other, (3.0,)),
]


@pytest.mark.parametrize(("kernel", "operation", "factor"), OPERATIONS)
@pytest.mark.parametrize("size", [0, 1, 37])
def test_they_are_array_operations(rng, kernel, operation, factor, size):
    row, other = rng.standard_normal((2, size))
    expected, before = operation(row, other), other.copy()
    kernel(row, other, *factor)
    np.testing.assert_allclose(row, expected, rtol=1e-14)
    assert np.array_equal(other, before)


def test_scale_row(rng):
    row = rng.standard_normal(9)
    expected = row * 0.3
    scale_row(row, 0.3)
    assert np.array_equal(row, expected)


def test_small_sums_are_added_to_a_longer_total():
    total, row = np.full(3, 1e8), np.full(3, 0.25, np.float32)
    add_scaled(total, row, np.float32(0.5))
    assert total.tolist() == [1e8 + 0.125] * 3


def test_rectifying():
    row, out = np.array([-1.0, 0.0, 2.0, np.nan, -np.inf]), np.full(5, 7.0)
    rectify(row, out)
    np.testing.assert_array_equal(out, [0, 0, 2, np.nan, 0])
    pass_positive(np.arange(5.0) + 1, row, out)
    assert out.tolist() == [0, 0, 3, 0, 0]
