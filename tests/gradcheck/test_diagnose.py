"""Planted bugs: every one must be found, and at least four in five called by their name."""

import numpy as np
import pytest

from helpers import planted
from nphash import gradcheck
from nphash.gradcheck.check import check_problem

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
