"""Bias, variance and direction of each estimator, over the instances of a problem, with intervals.

Bias and variance are means over the instances, relative to the mean square of the exact gradient, with 95 %
bootstrap intervals over the instances; of saturated codes, whose gradients are tiny, this makes little.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nphash.core.typing import Array
from nphash.nn.gumbel import logistic_noise
from nphash.teaching.study import estimators
from nphash.teaching.study.problems import Instance, StudySettings, problems

__all__ = ["FIGURES", "RIVAL", "UNBIASED", "Findings", "Row", "methods", "run"]

FIGURES = (
    "bias",
    "variance",
    "mean_squared_error",
    "cosine",
    "cosine_of_mean",
    "variance_ratio",  # to that of ARM
    "error_ratio",  # to that of straight-through, on the same instances
)
UNBIASED = "ARM"
RIVAL = "straight-through, stochastic"
RESAMPLES = 1000

Interval = list[float]  # value, low, high
Row = dict[str, Interval]  # by figure
Findings = dict[str, dict[str, Row]]  # by problem and estimator
Draw = Callable[[Instance, np.random.Generator], Array]


def methods(settings: StudySettings) -> dict[str, Draw]:
    """Return every estimator as a function that draws its own noise."""
    shape = (settings.draws, settings.bits)

    def straight_through(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.straight_through(one.logits, one.objective, rng.random(shape))

    def deterministic(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.straight_through(one.logits, one.objective, np.full(shape, 0.5))

    def reinforce(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.reinforce(one.logits, one.objective, rng.random(shape))

    def with_baseline(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.reinforce(one.logits, one.objective, rng.random(shape), baseline=one.value)

    def arm(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.arm(one.logits, one.objective, rng.random(shape))

    def tempered(
        estimator: Callable[..., Array], tau: float, one: Instance, rng: np.random.Generator
    ) -> Array:
        return estimator(one.logits, one.objective, logistic_noise(rng, shape), tau)

    found: dict[str, Draw] = {
        "straight-through, deterministic": deterministic,
        RIVAL: straight_through,
        "REINFORCE": reinforce,
        "REINFORCE, exact mean as baseline": with_baseline,
        UNBIASED: arm,
    }
    families = {
        "Gumbel-softmax": estimators.gumbel_softmax,
        "straight-through Gumbel": estimators.straight_through_gumbel,
    }
    for family, estimator in families.items():
        for tau in settings.temperatures:
            found[f"{family}, tau {tau:g}"] = partial(tempered, estimator, tau)
    return found


def run(
    settings: StudySettings | None = None, seed: int = 0, callback: Callable[[str], None] | None = None
) -> Findings:
    """Measure every estimator on every problem.

    Parameters
    ----------
    settings
        How large the study is.
    seed
        Draws toys, weights, documents, noise and bootstrap samples.
    callback
        Is told the name of each problem when it is done.

    Returns
    -------
    dict
        By problem and estimator: each of `FIGURES` as [value, low, high].

    Raises
    ------
    InputError
        For settings that cannot be.

    Examples
    --------
    >>> sizes = {"bits": 3, "draws": 50, "instances": 3, "words": 40}
    >>> found = run(StudySettings(**sizes, snapshots=(0,), corpus="docstrings:click"))
    >>> list(found)
    ['toy: squared distance to 0.45', 'toy: random decoder', 'model after 0 steps']
    >>> value, low, high = found["toy: random decoder"]["ARM"]["variance"]
    >>> low <= value <= high
    True
    """
    settings = StudySettings() if settings is None else settings
    settings.check()
    found: Findings = {}
    for name, instances in problems(settings, seed):
        found[name] = measure(instances, methods(settings), seed + 1)
        if callback is not None:
            callback(name)
    return found


def measure(instances: list[Instance], draws: dict[str, Draw], seed: int) -> dict[str, Row]:
    """Return the figures of every estimator over the instances of one problem."""
    moments = np.array(
        [_moments(instances, draw, seed) for draw in draws.values()]
    )  # (methods, instances, 5)
    n = len(instances)
    rows = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    names = list(draws)
    value = _figures(moments.mean(axis=1), names)  # (methods, 7)
    resampled = _figures(moments[:, rows].mean(axis=2).swapaxes(0, 1), names)  # (resamples, methods, 7)
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return {
        name: {
            figure: [float(value[i, j]), float(low[i, j]), float(high[i, j])]
            for j, figure in enumerate(FIGURES)
        }
        for i, name in enumerate(names)
    }


def _moments(instances: list[Instance], draw: Draw, seed: int) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    return [
        (float(one.exact @ one.exact), *estimators.moments(draw(one, rng), one.exact)) for one in instances
    ]


def _figures(means: Array, names: list[str]) -> Array:
    """Turn mean moments (..., methods, 5) into the figures (..., methods, 7)."""
    square, bias, variance, cosine, cosine_of_mean = np.moveaxis(means, -1, 0)
    error = np.maximum(bias, 0) + variance
    return np.stack(
        [
            np.sqrt(np.maximum(bias, 0) / square),
            variance / square,
            error / square,
            cosine,
            cosine_of_mean,
            variance / variance[..., [names.index(UNBIASED)]],
            error / error[..., [names.index(RIVAL)]],
        ],
        axis=-1,
    )
