"""Exercise 6: Adam's step, and clipping. No gradients here: values are compared.

Shapes: L entries of a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.nn import optim as adam
from nphash.teaching.grading import Mistake, Part

__all__ = ["PARTS"]


L = 4


def _adam_step(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
    return adam.adam_step(w, g, m, v, t, learning_rate)


def _adam_with(
    *,
    unbias: Callable[[float, int], float] = lambda beta, t: 1 - beta**t,
    step: Callable[[Array, Array], Array] = lambda m, v: m / (np.sqrt(v) + 1e-8),
    second: Callable[[Array], Array] = np.square,
    betas: tuple[float, float] = (0.9, 0.999),
    shares: tuple[float, float] = (0.1, 0.001),
    sign: int = -1,
) -> Callable[..., tuple[Any, ...]]:
    """Return Adam's step with one piece replaced."""

    def adam_step(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
        m = betas[0] * m + shares[0] * g
        v = betas[1] * v + shares[1] * second(g)
        mhat, vhat = m / unbias(betas[0], t), v / unbias(betas[1], t)
        return w + sign * learning_rate * step(mhat, vhat), m, v

    return adam_step


def _epsilon_outside(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
    _, m, v = _adam_step(w, g, m, v, t, learning_rate)
    mhat, vhat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return w - learning_rate * mhat / np.sqrt(vhat) + 1e-8, m, v


def _moments_corrected(*args: Any) -> tuple[Any, ...]:
    w, m, v = _adam_step(*args)
    return w, m / (1 - 0.9 ** args[4]), v / (1 - 0.999 ** args[4])


def _beta_of_m(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
    _, m, v = _adam_step(w, g, m, v, t, learning_rate)
    unbias = 1 - 0.9**t
    return w - learning_rate * (m / unbias) / (np.sqrt(v / unbias) + 1e-8), m, v


def _first_step(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=L), rng.normal(size=L), np.zeros(L), np.zeros(L), 1, 0.01


def _later_step(rng: Rng) -> tuple[Any, ...]:
    g = 1e-5 * rng.normal(size=L)  # so small that the place of epsilon matters
    return rng.normal(size=L), g, 1e-5 * rng.normal(size=L), 1e-10 * rng.random(L), 7, 0.01


def _norm(gradients: list[Array]) -> float:
    return float(np.sqrt(sum(float((g * g).sum()) for g in gradients)))


def _clip(gradients: list[Array], max_norm: float) -> list[Array]:
    scale = min(1.0, max_norm / _norm(gradients))
    return [scale * g for g in gradients]


def _always_scaled(gradients: list[Array], max_norm: float) -> list[Array]:
    return [g * max_norm / _norm(gradients) for g in gradients]


def _each_alone(gradients: list[Array], max_norm: float) -> list[Array]:
    return [_clip([g], max_norm)[0] for g in gradients]


def _sum_of_norms(gradients: list[Array], max_norm: float) -> list[Array]:
    total = sum(float(np.linalg.norm(g)) for g in gradients)
    return [min(1.0, max_norm / total) * g for g in gradients]


def _square_of_norm(gradients: list[Array], max_norm: float) -> list[Array]:
    return [min(1.0, max_norm / _norm(gradients) ** 2) * g for g in gradients]


def _mean_of_squares(gradients: list[Array], max_norm: float) -> list[Array]:
    norm = float(np.sqrt(sum(float((g * g).mean()) for g in gradients)))
    return [min(1.0, max_norm / norm) * g for g in gradients]


def _largest_entry(gradients: list[Array], max_norm: float) -> list[Array]:
    largest = max(float(np.abs(g).max()) for g in gradients)
    return [min(1.0, max_norm / largest) * g for g in gradients]


def _by_value(gradients: list[Array], max_norm: float) -> list[Array]:
    return [np.clip(g, -max_norm, max_norm) for g in gradients]


def _two_gradients(scale: float) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: ([scale * rng.normal(size=(3, 2)), scale * rng.normal(size=4)], 1.5)


_CORRECTION = "m and v start at zero: after t steps they hold the share 1 - beta^t of a full average"

_EXERCISE_6 = (
    Part(
        "adam_step",
        _adam_step,
        (_later_step, _first_step),
        (
            Mistake("bias not corrected", _adam_with(unbias=lambda beta, t: 1.0)),
            Mistake("bias corrected by beta, not beta^t", _adam_with(unbias=lambda beta, t: 1 - beta)),
            Mistake("steps counted from 0 or from 2", _adam_with(unbias=lambda beta, t: 1 - beta ** (t + 1))),
            Mistake("steps counted from 0 or from 2", _adam_with(unbias=lambda beta, t: 1 - beta ** (t - 1))),
            Mistake("bias corrected by beta t, not beta^t", _adam_with(unbias=lambda beta, t: 1 - beta * t)),
            Mistake("v corrected by the beta of m", _beta_of_m),
            Mistake("corrected moments returned", _moments_corrected),
            Mistake("epsilon outside the fraction", _epsilon_outside),
            Mistake("epsilon inside the root", _adam_with(step=lambda m, v: m / np.sqrt(v + 1e-8))),
            Mistake("epsilon missing", _adam_with(step=lambda m, v: m / np.sqrt(v))),
            Mistake("root missing", _adam_with(step=lambda m, v: m / (v + 1e-8))),
            Mistake("gradient not squared", _adam_with(second=lambda g: g)),
            Mistake("gradient not squared", _adam_with(second=np.abs)),
            Mistake("betas exchanged", _adam_with(betas=(0.999, 0.9), shares=(0.001, 0.1))),
            Mistake("1 - beta missing", _adam_with(shares=(1.0, 1.0))),
            Mistake("1 - beta missing", _adam_with(shares=(1.0, 0.001))),
            Mistake("1 - beta missing", _adam_with(shares=(0.1, 1.0))),
            Mistake("uphill", _adam_with(sign=1)),
        ),
        advice={
            "bias not corrected": _CORRECTION,
            "bias corrected by beta, not beta^t": _CORRECTION,
            "epsilon inside the root": "sqrt(vhat) + epsilon: inside, 1e-8 becomes 1e-4 after the root",
            "corrected moments returned": "the next step goes on from m and v, not from mhat and vhat",
            "epsilon missing": "where a gradient was always zero, 0 / 0 would be NaN",
            "uphill": "the loss is to become smaller: subtract",
            "1 - beta missing": "an average: the shares of the old and the new value add up to 1",
        },
    ),
    Part(
        "clip",
        _clip,
        (_two_gradients(2.0), _two_gradients(0.01)),
        (
            Mistake("scaled up as well", _always_scaled),
            Mistake("each gradient by its own norm", _each_alone),
            Mistake("sum of the norms, not norm of all", _sum_of_norms),
            Mistake("root of the norm missing", _square_of_norm),
            Mistake("mean of the squares, not their sum", _mean_of_squares),
            Mistake("largest entry, not the norm", _largest_entry),
            Mistake("entries clipped, not the norm", _by_value),
        ),
        advice={
            "scaled up as well": "gradients that are small enough stay as they are: min(1, ...)",
            "each gradient by its own norm": "one factor for all keeps the direction of the step",
        },
    ),
)

PARTS: dict[int, tuple[Part, ...]] = {6: _EXERCISE_6}
