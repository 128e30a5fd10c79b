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
