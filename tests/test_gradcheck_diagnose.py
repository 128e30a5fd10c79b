"""Planted bugs: every one must be found, and at least four in five called by their name."""

import numpy as np
import planted
import pytest

from nphash import gradcheck
from nphash.gradcheck.check import check_problem
from nphash.gradcheck.findings import multiple, same

FAST = gradcheck.Settings(sweep=False)


def causes(reports):
    return {report.cause for report in reports if not report.passed}


@pytest.mark.parametrize(("title", "text", "mistake", "cause"), planted.PLANTED)
def test_planted_bug_is_found_and_named(title, text, mistake, cause):
    reports = planted.find(title, text, mistake)
    assert not gradcheck.passed(reports)
    for report in reports:
        assert report.passed or report.evidence
    if cause is not None:
        assert causes(reports) == {cause}


def test_the_table_of_planted_bugs_is_long_and_mostly_named():
    assert len({(title, mistake) for title, _, mistake, _ in planted.PLANTED}) == len(planted.PLANTED) >= 40
    named = sum(cause is not None for *_, cause in planted.PLANTED)
    assert named / len(planted.PLANTED) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_other_draws_give_the_same_answers(seed):
    found = [planted.find(*bug[:3], seed=seed) for bug in planted.PLANTED]
    assert not any(gradcheck.passed(reports) for reports in found)
    named = [
        causes(reports) == {bug[3]} for reports, bug in zip(found, planted.PLANTED, strict=True) if bug[3]
    ]
    assert np.mean(named) >= 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_false_alarm(dtype):
    for seed in range(2):
        for case in gradcheck.operations():
            assert gradcheck.passed(check_problem(case.problem(seed, dtype), FAST)), case.title


@pytest.mark.slow
def test_no_false_alarm_in_a_thousand_cases():
    n = 0
    for seed in range(2, 40):
        for case in gradcheck.operations():
            reports = check_problem(case.problem(seed), gradcheck.Settings(seed=seed, sweep=False))
            assert gradcheck.passed(reports), (case.title, seed, reports)
            n += 1
    assert n >= 1000


# Mistakes in functions of one's own, where the checker knows nothing of the formula.


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


def test_relations_are_told_from_accidents():
    a = np.array([1.0, 2.0, 3.0])
    assert same(a, a * (1 + 1e-8))
    assert not same(a, a * (1 + 1e-3))
    assert multiple(2 * a, a) == pytest.approx(2)
    assert np.isnan(multiple(a, np.zeros(3)))
    assert np.isnan(multiple(np.zeros(3), a))
    assert np.isnan(multiple(a, a[::-1]))
