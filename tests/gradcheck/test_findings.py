import numpy as np
import pytest

from nphash.gradcheck.findings import multiple, same


def test_relations_are_told_from_accidents():
    a = np.array([1.0, 2.0, 3.0])
    assert same(a, a * (1 + 1e-8))
    assert not same(a, a * (1 + 1e-3))
    assert multiple(2 * a, a) == pytest.approx(2)
    assert np.isnan(multiple(a, np.zeros(3)))
    assert np.isnan(multiple(np.zeros(3), a))
    assert np.isnan(multiple(a, a[::-1]))


def test_zero_is_like_zero_only():
    assert same(np.zeros(2), np.zeros(2))
    assert not same(np.zeros(2), np.array([0.0, 1e-9]))
