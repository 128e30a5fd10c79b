"""Mistakes in functions of one's own, where the checker knows nothing of the formula."""

import numpy as np
import pytest

from nphash import gradcheck


def causes(reports):
    return {report.cause for report in reports if not report.passed}


def fused(dW):
    """A layer with rectifier in one function; ``dW`` is its gradient of W."""

    def layer(x, W, b):
        a = x @ W + b
        y = np.maximum(a, 0)
        return y, lambda dy: ((dy * (a > 0)) @ W.T, dW(x, W, dy, a > 0), (dy * (a > 0)).sum(axis=0))

    return layer


@pytest.mark.parametrize(
    ("dW", "cause"),
    [
        (lambda x, W, dy, on: x.T @ (dy * on), None),
        (lambda x, W, dy, on: x.T @ dy, "activation derivative missing"),
        (lambda x, W, dy, on: x.T @ (dy * on) + 0.1 * W, "weight decay not in the loss"),
        (lambda x, W, dy, on: x.T @ (dy * on) * 5, "sum instead of mean"),
    ],
)
def test_causes_in_a_fused_layer(rng, dW, cause):
    args = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    _, W, _ = reports = gradcheck.check(fused(dW), *args)
    assert causes(reports) == ({cause} if cause else set())
    assert W.cause == (cause or "")


def test_weight_decay_missing_in_a_function(rng):
    x = rng.normal(size=(6, 4))

    def loss(W):
        return float(
            (x @ W).sum() + 0.15 * (W**2).sum()
        ), lambda d: d * x.sum(axis=0)[:, None] * np.ones_like(W)

    (report,) = gradcheck.check(loss, rng.normal(size=(4, 3)))
    assert report.cause == "weight decay missing"
    assert "* W" in report.evidence


def test_a_teacher_that_should_stand_still(rng):
    """The target is computed from the parameter and frozen: no gradient may flow through it."""

    def rounded(x):
        return np.round(x), lambda dy: dy

    (report,) = gradcheck.check(rounded, rng.normal(size=(3, 4)) * 3)
    assert report.cause == "stop-gradient forgotten"
    assert "straight-through" in report.evidence


def right(x, W):
    return x @ W, lambda dy: (dy @ W.T, x.T @ dy)


@pytest.mark.parametrize(
    ("dx", "dW", "cause"),
    [
        (lambda x, W, dy: dy @ W, lambda x, W, dy: x.T @ dy, "transposed"),
        (lambda x, W, dy: dy @ W.T, lambda x, W, dy: dy.T @ x, "transposed"),
        (lambda x, W, dy: dy @ W.T, lambda x, W, dy: np.zeros_like(W), "branch not propagated"),
        (lambda x, W, dy: dy @ W.T, lambda x, W, dy: -1.7 * x.T @ dy, "constant factor"),
        (lambda x, W, dy: dy @ W.T, lambda x, W, dy: x.T @ dy + 1, "constant term wrong"),
        (lambda x, W, dy: dy @ W.T, lambda x, W, dy: x.T @ dy + 0.3 * W, "weight decay not in the loss"),
        (lambda x, W, dy: dy @ W.T / 16, lambda x, W, dy: x.T @ dy, "constant factor"),
    ],
)
def test_causes_in_a_square_layer(rng, dx, dW, cause):
    x, W = rng.normal(size=(5, 3)), rng.normal(size=(3, 3))
    assert gradcheck.passed(gradcheck.check(right, x, W))
    reports = gradcheck.check(lambda x, W: (x @ W, lambda dy: (dx(x, W, dy), dW(x, W, dy))), x, W)
    assert causes(reports) == {cause}


@pytest.mark.parametrize("power", [1, -1, 2, -2])
def test_named_constants_are_recognised_in_a_ratio(rng, power):
    def loss(x, gamma):
        return float(x.sum()), lambda d: d * gamma**power * np.ones_like(x)

    (report,) = gradcheck.check(loss, rng.normal(size=4), 0.37)
    assert report.cause == "gamma not applied the same way"
    assert f"{0.37**power:.4g}"[:4] in report.evidence


def test_the_upstream_gradient_taken_twice(rng):
    (report,) = gradcheck.check(
        lambda x: (float(x.sum()), lambda d: d * d * np.ones_like(x)), rng.normal(size=4)
    )
    assert report.cause == "the upstream gradient not applied the same way"


def test_a_constant_with_another_value_in_back(rng):
    def loss(x, shift):
        y = np.tanh(x + shift)
        return float(y.sum()), lambda d: d * (1 - np.tanh(x) ** 2)

    (report,) = gradcheck.check(loss, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), constants=("shift",))
    assert report.cause == "shift not applied the same way"
    assert "shift = 0" in report.evidence


def test_gradients_in_the_wrong_order(rng):
    def difference(x, y):
        return x * x - 3 * y, lambda d: (-3 * d, 2 * x * d)

    reports = gradcheck.check(difference, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)))
    assert causes(reports) == {"gradients swapped"}
    assert "of y" in reports[0].evidence


def test_a_mean_over_words_in_place_of_documents(rng):
    def loss(x):
        return float(x.sum()) / len(x), lambda d: np.full_like(x, d / x.shape[1])

    (report,) = gradcheck.check(loss, rng.normal(size=(3, 7)))
    assert report.cause == "mean over the wrong axis"
    assert "3 / 7" in report.evidence
