"""Loops over rows against the array operations they stand for."""

import numpy as np
import pytest

from nphash.kernels.rows import add_row, add_scaled, copy_row, scale_row, set_scaled

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
