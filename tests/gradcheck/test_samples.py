"""A straight-through sample has to be the hard form of the relaxed one whose gradient it borrows."""

import numpy as np
import pytest

from helpers.planted import CASES, find
from nphash import gradcheck
from nphash.gradcheck.samples import other_values, wrong_sample

STEPS = ["straight_through_gumbel", "straight_through_bits", "straight_through_bernoulli"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_as_they_are(name, seed, dtype):
    problem = CASES[f"gumbel.{name}"].problem(seed, dtype)
    assert wrong_sample(problem, problem.evaluate(problem.params)[0]) is None


@pytest.mark.parametrize(
    ("name", "text", "mistake", "cause"),
    [
        ("straight_through_bits", "logits + noise > 0", "logits - noise > 0", "noise not applied"),
        ("straight_through_bits", "logits + noise > 0", "noise > 0", "disagree"),
        ("straight_through_bernoulli", "p > uniform", "p < uniform", "turned round"),
        ("straight_through_gumbel", "max_one_hot(logits, noise)", "max_one_hot(logits, -noise)", "noise not"),
        ("straight_through_gumbel", "max_one_hot(logits, noise)", "max_one_hot(noise, noise)", "disagree"),
    ],
)
def test_a_comparison_turned_round_is_found(name, text, mistake, cause):
    for seed in range(3):
        (report,) = find(f"gumbel.{name}", text, mistake, seed)
        assert report.verdict == "wrong" and cause in report.cause, report
        assert "relaxed one is" in report.evidence


def test_a_sample_of_another_shape():
    problem = CASES["gumbel.straight_through_bits"].problem(0)
    assert wrong_sample(problem, np.zeros(3))[0] == "wrong shape"


def test_what_borrows_no_gradient_is_no_sample():
    problem = CASES["ops.relu"].problem(0)
    assert wrong_sample(problem, np.zeros(3)) is None


def test_a_sample_of_ones_own_needs_no_hard_form(rng):
    step = lambda x: ((x > 0).astype(float), lambda dy: dy)  # noqa: E731
    (report,) = gradcheck.check(step, rng.normal(size=4), relaxed=lambda x: (x, lambda dy: dy))
    assert report.verdict == "straight-through"


def test_other_values_of_integers_and_text():
    assert list(other_values(3)) == [] == list(other_values("x"))
