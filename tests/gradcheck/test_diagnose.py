"""Planted bugs: every one must be found, and at least four in five called by their name."""

import re

import numpy as np
import pytest

from benchmarks.foreign_planted import FOREIGN, find_foreign, named
from helpers import planted
from nphash import gradcheck
from nphash.gradcheck.check import check_problem, try_out
from nphash.gradcheck.diagnose import factors, multiple, numbers, same, sizes
from nphash.gradcheck.problem import from_function

FAST = gradcheck.Settings(sweep=False)


def causes(reports):
    return {report.cause for report in reports if not report.passed}


def only(reports):
    (report,) = reports
    return report


@pytest.mark.parametrize(("title", "text", "mistake", "cause"), planted.PLANTED)
def test_planted_bug_is_found_and_named(title, text, mistake, cause):
    reports = planted.find(title, text, mistake)
    assert not gradcheck.passed(reports)
    for report in reports:
        assert report.passed or report.evidence
    if cause is not None:
        assert causes(reports) == {cause}


FIRST = {cause: (name, text, mistake, cause) for name, text, mistake, cause in reversed(FOREIGN)}
UNNAMED = {("residual", " * (self.h > 0)")}  # an honest exception


@pytest.mark.parametrize(
    ("name", "text", "mistake", "cause"),
    # One for each cause; the others are slow together.
    [pytest.param(*each, marks=[pytest.mark.slow] * (each not in FIRST.values())) for each in FOREIGN],
)
def test_a_mistake_in_others_operations_is_found_and_named(name, text, mistake, cause):
    reports = find_foreign(name, text, mistake)
    assert not gradcheck.passed(reports)
    if cause is not None:
        assert named(reports, cause) != ((name, text) in UNNAMED)


def test_what_is_not_recognised_says_where_it_begins_and_what_is_right():
    (wrong,) = (r for r in find_foreign("gru", "dh = dh + drh * self.r", "pass") if not r.passed)
    assert wrong.cause == "not recognised"
    assert re.match(r"first wrong entry \(0, 0\): -?\d.* where -?\d.* is right; 12 of 12", wrong.evidence)
    assert wrong.evidence.endswith("the gradients of x, W, U, b are right")


def test_repeated_rows_are_listed():
    report = only(find_foreign("embedding", "np.add.at(dW, ids, dout)", "dW[ids] = dout"))
    assert "rows 2, 5 alone" in report.evidence


def test_sizes_whose_root_is_a_factor_are_said():
    reports = find_foreign("attention", "return dS @ K / np.sqrt(d)", "return dS @ K")
    (wrong,) = (report for report in reports if not report.passed)
    assert wrong.parameter == "Q" and "the root of 5" in wrong.evidence


def test_gradients_in_a_dictionary():
    def f(a, b):
        return a * b, lambda d: {"b": d * a, "a": d * b}

    assert gradcheck.passed(gradcheck.check(f, np.ones(3), np.full(3, 2.0)))
    wrong = gradcheck.check(lambda a: (a, lambda d: {"c": d}), np.ones(3))
    assert not gradcheck.passed(wrong)


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


# --- mistakes in functions of one's own, where the checker knows nothing of the formula


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


# --- where the wrong entries lie, and what softmax leaves behind


def spoiled(change):
    """y = x^2 with a gradient that ``change`` spoils in place."""

    def function(x):
        def back(dy):
            dx = 2 * x * dy
            change(dx)
            return dx

        return x * x, back

    return function


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
    assert report.cause == "not recognised"
    assert "12 of 12 entries" in report.evidence


# ---------------------------------------------------------------------- relations and known factors


def test_relations_are_distinguished_from_accidents():
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


def problem(rng):
    def function(x, W, mask, rate, flag):
        return float((x @ W * rate).sum()), lambda d: (x, W)

    args = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.random((5, 3)), 0.3, True
    return from_function(function, args, constants=("mask",))


def test_batch_comes_first_among_the_sizes(rng):
    found = problem(rng)
    listed = list(sizes(found, try_out(found, 0).out))
    assert listed[0] == (5, "the number of rows of x")
    assert {size for size, _ in listed} == {5, 3, 4, 15, 12}
    assert len({size for size, _ in listed}) == len(listed)


def test_numbers_by_name(rng):
    found = problem(rng)
    trial = try_out(found, 0)
    assert list(numbers(found, trial.dout)) == [(0.3, "rate"), (float(trial.dout), "the upstream gradient")]


def test_arrays_of_the_same_shape_come_before_known_functions(rng):
    found = problem(rng)
    listed = list(factors(found, try_out(found, 0).out, "x"))
    assert listed[0][0] == "mask"
    assert {array.shape for _, array, _ in listed} == {(5, 3)}
    names = [name for name, _, _ in listed]
    assert {"[x > 0]", "sigmoid'(x)", "tanh'(x)", "softmax(x)"} <= set(names)
    whole = {name for name, _, is_whole in listed if is_whole}
    assert whole == {"[x > 0]", "sigmoid'(x)", "tanh'(x)", "softmax(x)"}


def test_known_functions_are_what_they_are_called(rng):
    found = problem(rng)
    x = found.params["x"]
    known = {name: array for name, array, _ in factors(found, try_out(found, 0).out, "x")}
    step = 1e-6
    for name, function in {"sigmoid'(x)": lambda t: 1 / (1 + np.exp(-t)), "tanh'(x)": np.tanh}.items():
        np.testing.assert_allclose(
            known[name], (function(x + step) - function(x - step)) / (2 * step), rtol=1e-6
        )
    np.testing.assert_allclose(known["sigmoid(x)"] + known["(1 - sigmoid(x))"], 1)


@pytest.mark.parametrize(
    "back", [lambda x, d: 2.000003 * x * d, lambda x, d: (2 + 3e-6 * np.sin(9 * x)) * x * d]
)
def test_a_small_mistake_does_not_read_like_what_is_right(back):
    report = only(gradcheck.check(lambda x: (x * x, lambda d: back(x, d)), np.array([0.7, 1.1, 1.9])))
    assert report.cause == "constant factor" or " where " in report.evidence or "varies" in report.evidence
    numbers = re.findall(r"\d+\.\d+|= 1 ", report.evidence)
    assert "= 1 " not in numbers and len(set(numbers)) == len(numbers)
