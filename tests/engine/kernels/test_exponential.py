"""The polynomial exponential against NumPy's in float64."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.engine.kernels.exponential import exponentials


def exponential_of(values, shift=0.0):
    row = np.array(values, dtype=np.float32)
    exponentials(row, np.zeros_like(row), np.float32(shift))
    return row


def test_relative_error_over_the_whole_range():
    x = np.linspace(-87, 80, 200_001).astype(np.float32)
    np.testing.assert_allclose(exponential_of(x), np.exp(x.astype(np.float64)), rtol=1.5e-7)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-300, 80, width=32), min_size=1, max_size=70), st.floats(-5, 5, width=32))
def test_it_is_the_exponential_of_the_difference(values, shift):
    x = np.array(values, dtype=np.float32) - np.float32(shift)
    expected = np.exp(np.clip(x, -87, 80).astype(np.float64))
    np.testing.assert_allclose(exponential_of(values, shift), expected, rtol=2e-7)


def test_far_below_zero_is_nothing_and_nan_stays():
    assert exponential_of([-1e30, -np.inf, -88]).max() < 2e-38
    with np.errstate(invalid="ignore"):  # Python tells of NaN in a cast, compiled code does not
        assert np.isnan(exponential_of([1, np.nan])).tolist() == [False, True]


def test_far_above_zero_is_large_but_finite():
    assert exponential_of([80, 81, 1e30, np.inf]).tolist() == [exponential_of([80])[0]] * 4


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=70), st.floats(-5, 5, width=32))
def test_bias(values, shift):
    row = np.array(values, dtype=np.float32)
    bias = np.linspace(-1, 1, row.size, dtype=np.float32)
    expected = np.exp(row.astype(np.float64) + bias - shift)
    exponentials(row, bias, np.float32(shift))
    np.testing.assert_allclose(row, expected, rtol=2e-5)  # sums of 50 are rounded by 4e-6
