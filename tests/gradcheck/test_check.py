"""What is compared, and how it is judged."""

import numpy as np
import pytest

from nphash import gradcheck
from nphash.gradcheck import Settings
from nphash.nn import gumbel, ops


def only(reports):
    (report,) = reports
    return report


def scaled(factor):
    """y = x^2 with the gradient times a factor, an array or a number."""
    return lambda x: (x * x, lambda dy: 2 * x * dy * factor)


def test_worst_entry_and_its_figures():
    factor = np.ones((3, 4))
    factor[1, 2] = 1.5
    report = only(gradcheck.check(scaled(factor), np.arange(1.0, 13).reshape(3, 4)))
    assert report.verdict == "wrong"
    assert report.worst == (1, 2)
    assert report.ratio == pytest.approx(1.5)
    assert report.analytic == pytest.approx(1.5 * report.numeric)
    assert report.relative_error == pytest.approx(1 / 3)
    assert (report.shape, report.entries, report.skipped) == ((3, 4), 12, 0)


@pytest.mark.parametrize("error", [1e-6, -1e-6, 1e-3])
def test_small_errors_are_found(rng, error):
    factor = np.ones(5)
    factor[3] += error
    assert only(gradcheck.check(scaled(factor), rng.normal(size=5) + 3)).verdict == "wrong"


def test_seed_repeats_a_report(rng):
    x = rng.normal(size=(4, 4))
    first, again, other = (
        only(gradcheck.check(scaled(1.1), x, settings=Settings(seed=seed))) for seed in (7, 7, 8)
    )
    assert first == again
    assert first.sweep != other.sweep


def test_sweep_shows_the_v_of_a_right_gradient_and_the_flat_line_of_a_wrong_one(rng):
    f = lambda factor: lambda x: (np.exp(x), lambda dy: np.exp(x) * dy * factor)  # noqa: E731
    right = only(gradcheck.check(f(1.0), rng.normal(size=3)))
    steps, errors = np.array(right.sweep).T
    assert np.log10(errors[0] / errors[2]) == pytest.approx(4, abs=0.2)  # two decades of step, slope 2
    assert errors[-1] > errors.min() * 10  # rounding takes over
    wrong = only(gradcheck.check(f(1.1), rng.normal(size=3)))
    assert np.ptp([error for _, error in wrong.sweep[2:]]) < 1e-4
    assert gradcheck.format_curve(right).count("\n") == len(steps) - 1


def test_strong_curvature_needs_no_help(rng):
    noise = gumbel.logistic_noise(rng, (4, 5))
    reports = gradcheck.check(gumbel.relaxed_bits, rng.normal(size=(4, 5)), noise, 0.05, constants=("noise",))
    assert gradcheck.passed(reports)


# --- kinks


def test_entry_on_a_kink_is_left_out():
    report = only(gradcheck.check(ops.relu, np.array([0.0, 1.0, -1.0])))
    assert (report.verdict, report.entries, report.skipped) == ("ok", 2, 1)


def test_entry_near_a_kink_is_checked_with_a_smaller_step():
    report = only(gradcheck.check(ops.relu, np.array([5e-5, 1.0, -5e-5])))
    assert (report.verdict, report.entries, report.skipped) == ("ok", 3, 0)


def test_a_wrong_gradient_is_not_taken_for_a_kink():
    wrong = lambda x: (np.abs(x), lambda dy: 1.01 * np.where(x >= 0, 1, -1) * dy)  # noqa: E731
    report = only(gradcheck.check(wrong, np.array([0.0, 1.0, -1.0])))
    assert (report.verdict, report.skipped) == ("wrong", 1)
    assert report.worst in {(1,), (2,)}


def test_nothing_but_kinks():
    report = only(gradcheck.check(lambda x: (np.abs(x), lambda dy: dy), np.zeros(3)))
    assert (report.verdict, report.entries, report.skipped) == ("kinks only", 0, 3)


# --- large parameters


def test_large_parameters_are_sampled(rng):
    report = only(gradcheck.check(scaled(1.0), rng.normal(size=(50, 40))))
    assert report.verdict == "ok"
    assert 0 < report.entries <= 24


def test_one_wrong_entry_among_many_is_found_by_the_random_direction(rng):
    factor = np.ones(2000)
    factor[1234] = 1.5
    x = rng.uniform(1, 2, size=2000)
    report = only(gradcheck.check(scaled(factor), x))
    assert report.verdict == "wrong"
    assert report.direction_error > 1e-7


def test_settings_choose_the_entries(rng):
    settings = Settings(all_below=10, entries=4, sweep=False)
    report = only(gradcheck.check(scaled(1.0), rng.normal(size=11), settings=settings))
    assert report.entries == 4
    assert report.sweep == ()


def test_empty_arrays_pass():
    assert only(gradcheck.check(scaled(1.0), np.zeros((0, 3)))).passed


# --- float32


def test_float32_gradients_are_judged_by_their_own_tolerance(rng):
    x = rng.normal(size=(6, 5)).astype(np.float32)
    assert only(gradcheck.check(ops.log_softmax, x)).verdict == "ok"
    report = only(gradcheck.check(scaled(np.float32(1.001)), x))
    assert report.verdict == "wrong"
    assert report.tolerance == pytest.approx(1e-4, rel=0.1)


def test_a_function_that_computes_in_float32_whatever_it_is_given(rng):
    def single(x):
        x = x.astype(np.float32)
        return x * x, lambda dy: (2 * x * dy).astype(np.float64)

    assert only(gradcheck.check(single, rng.uniform(1, 2, size=5))).verdict == "ok"


def test_a_jump_in_the_curvature_is_no_mistake():
    """max(x, 0)^2 has the slope 0 at 0, but differences come near it only as fast as their step."""

    def bowl(x, factor=1.0):
        y = np.maximum(x, 0)
        return y * y, lambda dy: 2 * factor * y * dy

    x = np.array([0.0, 0.5, -0.5])
    report = only(gradcheck.check(bowl, x))
    assert (report.verdict, report.entries, report.skipped) == ("ok", 2, 1)
    assert only(gradcheck.check(lambda x: bowl(x, 1.1), x)).verdict == "wrong"


def test_a_parameter_that_plays_no_part_takes_one_entry():
    def first(x, y):
        return x * x, lambda dz: (2 * x * dz, np.zeros_like(y))

    reports = gradcheck.check(first, np.ones(5), np.ones(5))
    assert [(report.verdict, report.entries) for report in reports] == [("ok", 5), ("ok", 1)]


# --- functions that misbehave: a report, never an exception


def drawing(x):
    noise = np.random.default_rng().normal(size=x.shape)
    return x * noise, lambda dy: dy * noise


def drawing_back(x):
    return x * 1.0, lambda dy: dy * np.random.default_rng().normal(size=x.shape)


def changing(x):
    x *= 2
    return x.copy(), lambda dy: 2 * dy


def changing_dout(x):
    def back(dy):
        dy *= 2
        return dy

    return 2 * x, back


def accumulating(x):
    total = np.zeros_like(x)

    def back(dy):
        total[:] += 2 * x * dy
        return total

    return x * x, back


def failing_beside(x):
    if x[0] != 1.0:
        raise ZeroDivisionError("only here")
    return x, lambda dy: dy


@pytest.mark.parametrize(
    ("function", "verdict", "said"),
    [
        (drawing, "wrong", "noise redrawn"),
        (drawing_back, "wrong", "noise redrawn"),
        (changing, "wrong", "changed in place"),
        (changing_dout, "wrong", "changed in place"),
        (accumulating, "wrong", "accumulate"),
        (lambda x: (2 * x, lambda dy: np.full(3, 2.0)), "wrong", "upstream gradient ignored"),
        (lambda x: (2 * x, lambda dy: np.full(3, np.nan)), "wrong", "not finite"),
        (lambda x: (2 * x, lambda dy: dy[:2]), "wrong", "wrong shape"),
        (lambda x: (2 * x, lambda dy: np.ones((4, 3)) * dy), "wrong", "sum over the batch missing"),
        (lambda x: (x / 0, lambda dy: dy), "invalid", "not finite"),
        (lambda x: (np.sign(x).astype(int), lambda dy: dy), "invalid", "not floating-point"),
        (lambda x: 2 * x, "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: (dy, dy)), "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: dy @ np.ones((7, 7))), "invalid", "raises"),
        (lambda x: 1 / 0, "invalid", "raises"),
        (failing_beside, "invalid", "raises"),
    ],
)
def test_misbehaviour_is_reported(function, verdict, said):
    report = only(gradcheck.check(function, np.array([1.0, 2.0, 3.0])))
    assert report.verdict == verdict
    assert said in report.cause
    assert report.evidence
    assert not gradcheck.passed([report])
    assert said in gradcheck.format_text([report])


def test_an_exception_is_reported_with_its_line():
    def forward(x):
        return x.nothing

    def backward(x):
        return 2 * x, lambda dy: dy @ np.ones((7, 7))

    for function, where in ((forward, forward), (backward, backward)):
        report = only(gradcheck.check(function, np.ones(3)))
        line = where.__code__.co_firstlineno + 1
        assert f"(test_check.py, line {line}): " in report.evidence, report.evidence


def test_the_line_is_that_of_the_function_and_not_of_what_it_calls():
    report = only(gradcheck.check(lambda x: (2 * x, lambda dy: ops.dense(dy, 0, 0)), np.ones(3)))
    assert report.evidence.startswith("backward (test_check.py, line ")


# --- very large and very small numbers, other precisions


@pytest.mark.parametrize("x", [[1e12, 3.0], [-4e9, 1e-3], [1e20, -1e6]])
def test_large_numbers_raise_no_false_alarm(x):
    square = lambda factor: lambda x: (x * x, lambda dy: 2 * factor * x * dy)  # noqa: E731
    x = np.array(x)
    assert only(gradcheck.check(square(1.0), x)).verdict == "ok"
    report = only(gradcheck.check(square(1.01), x))
    assert (report.verdict, report.cause) == ("wrong", "constant factor")


SMALL_FUNCTIONS = {
    "log": (np.log, lambda x: 1 / x),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "x log x": (lambda x: x * np.log(x), lambda x: 1 + np.log(x)),
}


@pytest.mark.parametrize("name", SMALL_FUNCTIONS)
@pytest.mark.parametrize("x", [[1e-6, 1.0, 3e-4], [1e-6], [2e-6, 1e-8, 5e-5]])
def test_functions_of_positive_numbers_are_checked_near_zero(name, x):
    f, slope = SMALL_FUNCTIONS[name]
    for factor, verdict in ((1.0, "ok"), (1.01, "wrong")):
        report = only(gradcheck.check(lambda x, k=factor: (f(x), lambda dy: k * slope(x) * dy), np.array(x)))
        assert report.verdict == verdict, report
        assert report.entries == len(x)


def test_a_float32_gradient_of_float64_arguments_has_the_tolerance_of_float32(rng):
    right = lambda x: (x**3, lambda dy: (3 * x * x * dy).astype(np.float32))  # noqa: E731
    wrong = lambda x: (x**3, lambda dy: (3.01 * x * x * dy).astype(np.float32))  # noqa: E731
    x = rng.normal(size=(3, 4))
    assert only(gradcheck.check(right, x)).verdict == "ok"
    assert only(gradcheck.check(wrong, x)).verdict == "wrong"


@pytest.mark.parametrize("x", [np.ones(3), np.ones((2, 3))])
def test_lists_count_as_arrays(x):
    def square(x, factor=2):
        return (x * x).tolist(), lambda dy: (factor * x * dy).tolist()

    assert only(gradcheck.check(square, x)).verdict == "ok"
    assert only(gradcheck.check(lambda x: square(x, 2.2), x)).cause == "constant factor"


def test_one_gradient_in_a_list_is_taken_out_of_it(rng):
    assert only(gradcheck.check(lambda x: (2 * x, lambda dy: [2 * dy]), rng.normal(size=(2, 3)))).passed
