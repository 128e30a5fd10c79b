"""Quality of a gradient estimator with intervals, bootstrapped over its draws."""

from dataclasses import dataclass

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.errors import InputError
from nphash.teaching.study.estimators import moments


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """Quality of an estimator, relative to the size of the exact gradient."""

    bias: Estimate  # ||E[g] - exact|| / ||exact||
    variance: Estimate  # E||g - E[g]||^2 / ||exact||^2
    mean_squared_error: Estimate  # E||g - exact||^2 / ||exact||^2, which is bias^2 + variance
    cosine: Estimate  # mean, between one estimate and the exact gradient
    cosine_of_mean: Estimate  # between the mean estimate and the exact gradient: what many draws would reach


def assess(estimates: Array, exact: Array, rng: Rng, resamples: int = 200) -> Quality:
    """Compare S >= 2 independent estimates (S, L) with the exact gradient (L,), which is not zero.

    Intervals are bootstrapped, from so many resamples. Source: Efron (1979).
    """
    if len(estimates) < 2 or not np.any(exact):
        raise InputError(
            f"{len(estimates)} estimates and a gradient of norm {np.linalg.norm(exact):g} cannot be compared",
            "give at least 2 estimates and a gradient that is not zero",
        )
    figures = _figures(estimates, exact)
    draws = rng.integers(0, len(estimates), (resamples, len(estimates)))
    spread = np.array([_figures(estimates[rows], exact, True) for rows in draws])  # (resamples, 5)
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    return Quality(*(Estimate(*map(float, row)) for row in zip(figures, low, high, strict=True)))


def _figures(estimates: Array, exact: Array, resampled: bool = False) -> Array:
    square = float(exact @ exact)
    squared_bias, variance, cosine, cosine_of_mean = moments(estimates, exact)
    if resampled:  # a bootstrap sample lies as far again from the sample as that from the expectation
        squared_bias -= variance / len(estimates)
    bias = np.sqrt(max(0.0, squared_bias))
    error = (squared_bias + variance) / square
    return np.array([bias / np.sqrt(square), variance / square, error, cosine, cosine_of_mean])
