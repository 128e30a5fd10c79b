import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nphash.gradcheck.numeric import central_difference, derivative, distinct

FUNCTIONS = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "sharp": (lambda x: np.tanh(x / 0.05), lambda x: (1 - np.tanh(x / 0.05) ** 2) / 0.05),
    "reciprocal": (lambda x: 1 / (3 + x), lambda x: -1 / (3 + x) ** 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(deadline=None, max_examples=30)
@given(st.floats(-2, 2))
def test_smooth_functions(name, x):
    f, slope = FUNCTIONS[name]
    found = derivative(lambda t: np.array([f(x + t)]), np.ones(1), scale=0.01)
    assert abs(found.value - slope(x)) <= 1e-8 * max(abs(slope(x)), 0.01) + found.noise
    assert found.kink <= 1e-3 * max(abs(slope(x)), 0.01) + 10 * found.noise


@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1), st.floats(-2, 2), st.floats(-2, 2))
@example(distance=0.625, left=1e-05, right=0.0)  # about a third of the step, in a slope far below the scale
@example(distance=0.6168, left=1.0, right=1.00005)  # the same, where the differences agree to 1e-5
@example(distance=-0.6168, left=1.00005, right=1.0)
def test_a_kink_explains_its_own_error(distance, left, right):
    """Wherever a kink lies, the derivative is right or the kink is at least a fifth of the error."""
    at = distance * 1e-4
    slope = right if at <= 0 else left  # at t = 0

    def line(t):
        return np.array([(right if t > at else left) * (t - at)])

    found = derivative(line, np.ones(1), scale=1.0)
    error = abs(found.value - slope)
    assert error <= 1e-7 * max(abs(slope), 1e-3) + found.noise or found.kink >= 0.2 * error


def test_weights_choose_the_outputs():
    found = derivative(lambda t: np.array([[t, 5 * t]]), np.array([[2.0, -1.0]]), scale=1.0)
    assert found.value == pytest.approx(-3, rel=1e-10)


def test_outputs_that_do_not_move_add_no_noise():
    quiet = derivative(lambda t: np.array([t, 1e12]), np.ones(2), scale=1.0)
    assert quiet.value == pytest.approx(1, rel=1e-9)
    assert quiet.noise < 1e-6


def test_single_precision_takes_a_larger_step():
    found = derivative(lambda t: np.array([np.exp(t)], dtype=np.float32), np.ones(1), scale=1.0)
    assert abs(found.value - 1) <= 1e-4
    assert found.noise >= 1e-6


def test_undefined_values_are_handed_on():
    assert np.isnan(derivative(lambda t: np.array([np.nan]), np.ones(1), scale=1.0).value)


def test_central_difference_has_the_error_of_its_order():
    errors = [
        abs(central_difference(lambda t: np.array([np.exp(t)]), np.ones(1), h) - 1) for h in (1e-1, 1e-2)
    ]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(
    ("a", "b", "texts"),
    [
        (1.5, 2.5, ("1.5", "2.5")),
        (1.000001, 1.0, ("1.000001", "1")),
        (0.1 + 0.2, 0.3, ("0.30000000000000004", "0.29999999999999999")),
        (np.nan, 1.0, ("nan", "1")),
    ],
)
def test_different_numbers_read_differently(a, b, texts):
    assert distinct(a, b) == texts
