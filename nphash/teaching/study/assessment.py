"""How good estimates of a gradient are: bias, variance and direction beside the exact one.

Shapes: S estimates, L bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nphash.core.typing import Array
from nphash.errors import InputError

__all__ = ["Estimate", "Quality", "assess", "moments"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """How good an estimator is, relative to the size of the exact gradient.

    Attributes
    ----------
    bias
        ||E[g] - exact|| / ||exact||.
    variance
        E||g - E[g]||^2 / ||exact||^2.
    mean_squared_error
        E||g - exact||^2 / ||exact||^2, which is bias^2 + variance.
    cosine
        Mean cosine between one estimate and the exact gradient.
    cosine_of_mean
        Cosine between the mean estimate and the exact gradient: what many draws would reach.
    """

    bias: Estimate
    variance: Estimate
    mean_squared_error: Estimate
    cosine: Estimate
    cosine_of_mean: Estimate


def assess(estimates: Array, exact: Array, rng: np.random.Generator, resamples: int = 200) -> Quality:
    """Compare estimates with the exact gradient, with bootstrap confidence intervals.

    Parameters
    ----------
    estimates
        Independent estimates, shape (S, L), S at least 2.
    exact
        The exact gradient, shape (L,), not zero.
    rng
        Draws the bootstrap samples.
    resamples
        How many of them.

    Returns
    -------
    Quality
        Its figures, each with its interval.

    Raises
    ------
    InputError
        For fewer than 2 estimates, or an exact gradient of zero.

    References
    ----------
    Efron (1979), Bootstrap Methods: Another Look at the Jackknife.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> quality = assess(np.array([1.0, 0.0]) + rng.normal(size=(4000, 2)), np.array([1.0, 0.0]), rng)
    >>> quality.bias.low < 0.05, round(quality.variance.value)
    (True, 2)
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


def moments(estimates: Array, exact: Array) -> tuple[float, float, float, float]:
    """Return squared bias, variance, mean cosine and cosine of the mean, not relative to anything.

    The mean of S draws lies variance / S (squared) beside the expectation. This is subtracted, so
    that the squared bias is right on average, and may be negative for an unbiased estimator.

    Parameters
    ----------
    estimates, exact
        As for `assess`.

    Returns
    -------
    tuple of float
        Squared bias, variance, mean cosine, cosine of the mean.

    Examples
    --------
    >>> moments(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([1.0, 0.0]))
    (0.0, 2.0, 1.0, 1.0)
    """
    mean = estimates.mean(axis=0)  # (L,)
    variance = float(((estimates - mean) ** 2).sum()) / (len(estimates) - 1)
    squared_bias = float(((mean - exact) ** 2).sum()) - variance / len(estimates)
    size, tiny = float(np.linalg.norm(exact)), float(np.finfo(np.float64).tiny)
    cosine = float(np.mean(estimates @ exact / np.maximum(np.linalg.norm(estimates, axis=1) * size, tiny)))
    return squared_bias, variance, cosine, float(mean @ exact) / max(float(np.linalg.norm(mean)) * size, tiny)


def _figures(estimates: Array, exact: Array, resampled: bool = False) -> Array:
    square = float(exact @ exact)
    squared_bias, variance, cosine, cosine_of_mean = moments(estimates, exact)
    if resampled:  # a bootstrap sample lies as far again from the sample as that from the expectation
        squared_bias -= variance / len(estimates)
    bias = np.sqrt(max(0.0, squared_bias))
    error = (squared_bias + variance) / square
    return np.array([bias / np.sqrt(square), variance / square, error, cosine, cosine_of_mean])
