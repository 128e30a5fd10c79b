"""How good estimates of a gradient are."""

import numpy as np
import pytest

from nphash.errors import InputError
from nphash.teaching.study.assessment import assess


def test_assessment_recovers_a_known_bias_and_variance(rng):
    exact = np.array([3.0, 4.0])
    estimates = exact + np.array([0.0, 2.5]) + rng.normal(size=(20_000, 2)) * 2
    quality = assess(estimates, exact, rng)
    assert quality.bias.low <= 0.5 <= quality.bias.high
    assert quality.variance.low <= 8 / 25 <= quality.variance.high
    assert quality.mean_squared_error.value == pytest.approx(
        quality.bias.value**2 + quality.variance.value, rel=0.01
    )
    assert quality.cosine_of_mean.value == pytest.approx(
        np.dot([3, 6.5], exact) / (5 * np.linalg.norm([3, 6.5])), abs=0.01
    )


def test_intervals_cover_the_truth_most_of_the_time():
    rng = np.random.default_rng(0)
    exact, covered = np.array([1.0, 1.0]), 0
    for _ in range(60):
        quality = assess(exact * 1.2 + rng.normal(size=(200, 2)) * 0.5, exact, rng, resamples=100)
        covered += quality.bias.low <= 0.2 <= quality.bias.high
    assert covered >= 48  # 95 % nominal


@pytest.mark.parametrize(
    ("estimates", "exact"), [(np.ones((1, 2)), np.ones(2)), (np.ones((5, 2)), np.zeros(2))]
)
def test_assessment_needs_something_to_compare(rng, estimates, exact):
    with pytest.raises(InputError, match="cannot be compared"):
        assess(estimates, exact, rng)
