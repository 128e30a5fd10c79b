"""Where the wrong entries lie, and what softmax leaves behind."""

import numpy as np
import pytest

from nphash import gradcheck


def spoiled(change):
    """y = x^2 with a gradient that ``change`` spoils in place."""

    def function(x):
        def back(dy):
            dx = 2 * x * dy
            change(dx)
            return dx

        return x * x, back

    return function


def only(reports):
    (report,) = reports
    return report


def set_row(dx):
    dx[1] *= 3.3


def set_column(dx):
    dx[:, 2] += 1


def set_last_axis(dx):
    dx[..., 0] = 0


def set_sign(dx):
    dx[0, 1] *= -1
    dx[2, 0] *= -1


@pytest.mark.parametrize(
    ("shape", "change", "cause", "said"),
    [
        ((4, 5), set_row, "one row or column wrong", "row 1"),
        ((4, 5), set_column, "one row or column wrong", "column 2"),
        ((2, 3, 4), set_last_axis, "one row or column wrong", "slice of axis 2 0"),
        ((5,), set_row, "one row or column wrong", "entry 1"),
        ((4, 5), set_sign, "sign", "2 of 20"),
    ],
)
def test_place_of_the_mistake(rng, shape, change, cause, said):
    report = only(gradcheck.check(spoiled(change), rng.normal(size=shape)))
    assert report.cause == cause
    assert said in report.evidence


def a_softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def entropy(axis, own_sum=True):
    """Negative entropy of softmax over the last axis, with the gradient of softmax over another."""

    def loss(x):
        p = a_softmax(x, -1)
        q = a_softmax(x, axis)
        total = (q * np.log(q)).sum(axis=axis, keepdims=True) * own_sum
        return float((p * np.log(p)).sum()), lambda d: d * q * (np.log(q) - total)

    return loss


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (entropy(-1), ""),
        (entropy(0), "softmax over the wrong axis"),
        (entropy((0, 1)), "softmax over the wrong axis"),
        (entropy(-1, own_sum=False), "sum over the categories wrong"),
    ],
)
def test_softmax_in_a_loss(rng, shape, function, cause):
    assert only(gradcheck.check(function, rng.normal(size=shape))).cause == cause


@pytest.mark.parametrize("mass", [True, False])
def test_target_mass(rng, mass):
    t = rng.random((4, 6))

    def loss(x, target):
        p = a_softmax(x, -1)
        weight = target.sum(axis=1, keepdims=True) if mass else 1
        return float(-(target * np.log(p)).sum()), lambda d: d * (weight * p - target)

    report = only(gradcheck.check(loss, rng.normal(size=(4, 6)), t, constants=("target",)))
    assert report.cause == ("" if mass else "target mass forgotten")


def test_an_elementwise_function_with_the_wrong_derivative(rng):
    report = only(
        gradcheck.check(lambda x: (np.sin(x), lambda dy: dy * np.cos(x) ** 2), rng.normal(size=(3, 4)))
    )
    assert report.cause == "activation derivative wrong"
    assert "each output depends on one entry" in report.evidence


def test_a_mistake_that_nothing_explains_is_only_located(rng):
    wild = np.random.default_rng(1).normal(size=(3, 4))
    function = lambda x: (np.cumsum(x), lambda dy: wild * dy.sum())  # noqa: E731
    report = only(gradcheck.check(function, rng.normal(size=(3, 4))))
    assert report.cause == "only located"
    assert "12 of 12 entries" in report.evidence
