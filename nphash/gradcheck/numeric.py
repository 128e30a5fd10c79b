"""Numeric derivatives: extrapolated central differences that know their own error and see kinks.

Two differences, at h and h / 2, of order h^2 combine into one of order h^4 (Richardson), so that h can stay
large enough for rounding not to matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nphash.core.typing import Array, Params

Axes = tuple[int, ...]
EXACT = 1e-5  # largest relative residual of a relation that counts as exact
_SMALLEST = 1e-9  # numbers nearer to zero are not moved in proportion to their size


@dataclass(frozen=True)
class Derivative:
    """A numeric derivative."""

    value: float
    noise: float  # how far rounding may have moved it
    kink: float  # 0 for a smooth function; about the jump of the slope where a kink lies within the step
    step: float = 0.0


def derivative(
    line: Callable[[float], Array],
    weights: Array,
    scale: float,
    first_step: float | None = None,
    size: float = 1.0,
) -> Derivative:
    """Differentiate ``sum(weights * line(t))`` at t = 0.

    The step shrinks by ten, as a rule at most twice, while the differences at h and h / 2 disagree: that is
    a kink to be stepped around, or a curvature too strong for the step. What is much larger or smaller
    than 1 is also moved in proportion to its size: 1e12 + 2e-4 is 1e12, and log(1e-6 - 2e-4) is no number.

    Derivatives much smaller than ``scale`` need not be exact. ``first_step`` is for numbers of about 1: 2e-4
    in float64 if None, where the h^4 error and rounding are about equal; ``size`` is of the number moved.
    """
    middle = line(0.0)
    eps = float(np.finfo(middle.dtype).eps)
    first_step = eps**0.2 / 4 if first_step is None else first_step
    step, last = first_step * max(1.0, size), first_step / 100
    if _SMALLEST < size < 1e-2:
        last = first_step * size
    best, least = Derivative(np.nan, 0.0, 0.0), np.inf

    def around(h: float) -> tuple[float, float, float]:
        """Return first and second difference, and the size of the outputs that move."""
        ahead, behind = line(h), line(-h)
        second = _sum(weights, (ahead - middle) - (middle - behind))
        moved = _sum(np.abs(weights), np.abs(middle) * (ahead != behind))
        return _sum(weights, ahead - behind), second, moved

    while step >= 0.99 * last:
        (first, second, moved), (near_first, near_second, _) = around(step), around(step / 2)
        far, near = first / (2 * step), near_first / step
        value, gap = (4 * near - far) / 3, abs(far - near)
        # Each output is taken to be right to about three units in the last place.
        noise = 10 * eps * moved / step
        # For a smooth function the second difference is proportional to the step: bend = 0.
        bend = abs(second - 4 * near_second) / step
        if gap > noise + 1e-7 * max(abs(value), 1e-3 * scale):
            # A kink at a third of the step has bend 0 too, and an error of a ninth of the jump: half the step
            # sees it.
            bend = max(bend, abs(near_second - 4 * around(step / 4)[1]) / (step / 2))
        if not gap + noise >= least:  # also for NaN, which the caller reports
            best, least = Derivative(value, noise, bend, step), gap + noise
        if gap <= 3e-5 * max(abs(value), scale):
            break
        step /= 10
    return best


def line_of(
    evaluate: Callable[[Params], tuple[Array, object]], params: Params, name: str, direction: Array
) -> Callable[[float], Array]:
    """Return the output as a function of how far one parameter is moved along a direction."""

    def line(t: float) -> Array:
        values = {key: value.copy() for key, value in params.items()}
        values[name] = params[name] + t * direction
        out = np.array(evaluate(values)[0], copy=True)
        return out if out.dtype.kind == "f" else out.astype(np.float64)  # a sample in whole numbers

    return line


def entry_derivative(
    evaluate: Callable[[Params], tuple[Array, object]],
    params: Params,
    name: str,
    entry: int,
    weights: Array,
    scale: float = 0.0,
    first_step: float | None = None,
) -> Derivative:
    """Differentiate ``sum(weights * evaluate(params)[0])`` by one entry, a flat number, of a parameter."""
    direction = np.zeros(params[name].shape)
    direction.flat[entry] = 1.0
    size = abs(float(params[name].flat[entry])) if first_step is None else 1.0
    return derivative(line_of(evaluate, params, name, direction), weights, scale, first_step, size)


def central_difference(line: Callable[[float], Array], weights: Array, step: float) -> float:
    """Return the plain central difference of ``sum(weights * line(t))`` at t = 0, for step sweeps."""
    return _sum(weights, line(step) - line(-step)) / (2 * step)


def _sum(weights: Array, values: Array) -> float:
    return float(np.sum(weights * values, dtype=np.float64))


# ---------------------------------------------------------------------- relations between arrays


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays agree but for numeric error, and are not both zero."""
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return bool(np.linalg.norm(a - b) <= EXACT * size)


def multiple(a: Array, b: Array) -> float:
    """Return c with a = c b, or NaN if there is none."""
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if np.isfinite(c) and c and same(a, c * b) else float("nan")


def distinct(a: float, b: float) -> tuple[str, str]:
    """Return two different numbers as texts that differ, with as few digits as that takes."""
    shown = [(f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in (6, 9, 12, 17)]
    return next((pair for pair in shown if pair[0] != pair[1]), shown[-1])


def axes_of(shape: tuple[int, ...]) -> Iterator[Axes]:
    """Yield axes along which something may be summed: each alone, then two that follow each other."""
    ndim = len(shape)
    yield from ((axis,) for axis in range(ndim - 1, -1, -1) if shape[axis] > 1)
    yield from ((axis, axis + 1) for axis in range(ndim - 2, -1, -1))


def vanishes(grad: Array, axes: Axes) -> bool:
    """Return whether all sums along axes are zero but for numeric error."""
    return bool(np.abs(grad.sum(axis=axes)).max() <= EXACT * np.abs(grad).sum(axis=axes).max())


def constant_along(values: Array, axis: int) -> bool:
    """Return whether values that are not all zero do not change along an axis."""
    if values.shape[axis] < 2 or not np.isfinite(values).all() or np.abs(values).max() < EXACT:
        return False
    return same(values, np.broadcast_to(values.mean(axis=axis, keepdims=True), values.shape))
