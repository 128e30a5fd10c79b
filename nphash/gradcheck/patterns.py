"""Suspicions that rest on where and how the wrong entries differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.findings import EXACT, Findings, Suspicion, multiple, same

__all__ = ["elementwise", "one_slice", "right_size_wrong_sign", "softmax_axis", "softmax_sum"]

Axes = tuple[int, ...]


def one_slice(f: Findings) -> Suspicion:
    """Suspect one row, column or other slice: all wrong entries lie in it, and the rest is right."""
    wrong = np.array(np.unravel_index(f.chosen[f.wrong], f.analytic.shape))  # (ndim, n_wrong)
    right = f.chosen[f.kept & ~f.wrong]
    right = np.array(np.unravel_index(right[f.numeric[f.kept & ~f.wrong] != 0], f.analytic.shape))
    if not wrong.size or not right.size:
        return None
    for axis, size in enumerate(f.analytic.shape):
        first = wrong[axis][0]
        if size > 1 and (wrong[axis] == first).all() and (right[axis] != first).any():
            word = "entry" if f.analytic.ndim == 1 else ("row", "column", "slice of axis 2")[min(axis, 2)]
            return (
                "one row or column wrong",
                f"all wrong entries lie in {word} {int(first)}, the rest is right",
            )
    return None


def right_size_wrong_sign(f: Findings) -> Suspicion:
    """Suspect a sign in some entries, not all."""
    wrong = f.wrong[f.kept]
    if not same(f.a[wrong], -f.n[wrong]):
        return None
    return "sign", f"{int(wrong.sum())} of {len(wrong)} entries have the right size and the wrong sign"


def softmax_axis(f: Findings) -> Suspicion:
    """Suspect the axis of a softmax: gradients through it add up to zero along its axis."""
    numeric, x, out = f.full, f.value, f.trial.out
    if numeric is None or numeric.ndim < 2 or not _vanishes(numeric, (-1,)) or _vanishes(f.analytic, (-1,)):
        return None
    last = numeric.ndim - 1
    for axes in _axes(numeric.shape):
        if _vanishes(f.analytic, axes) and axes != (last,):
            where = ", ".join(map(str, axes))
            seen = f"the gradient adds up to zero along axis {where}, the numeric one along axis {last}"
            return "softmax over the wrong axis", seen
    right = _softmax(x, (last,))
    for axis in range(last):
        seen = f"softmax over axis {axis} stands in the gradient, over axis {last} in the function"
        with np.errstate(all="ignore"):
            shares = (f.analytic - numeric) / (_softmax(x, (axis,)) - right)
            if out.shape == x.shape:
                found = [f.trial.dout - f.analytic / out, (f.trial.dout - f.analytic) / right]
                if any(_constant_along(share, axis) and not _constant_along(share, last) for share in found):
                    return "softmax over the wrong axis", seen
        if _constant_along(shares, last):
            return "softmax over the wrong axis", seen
    return None


def softmax_sum(f: Findings) -> Suspicion:
    """Suspect the sum in a softmax: what is missing is softmax times a number for each row."""
    numeric = f.full
    if numeric is None or numeric.ndim < 2:
        return None
    for axes in _axes(numeric.shape):
        if not _vanishes(numeric, axes) or _vanishes(f.analytic, axes):
            continue
        share = (f.analytic - numeric) / _softmax(f.value, axes)
        if not all(_constant_along(share, axis) for axis in axes):
            continue
        per_row = share.mean(axis=axes)
        for what, mass in _masses(f):
            if mass.shape == per_row.shape and not np.isnan(multiple(per_row, 1 - mass)):
                seen = f"softmax has weight 1 in place of the sum of the {what}, {mass[0]:.4g} in row 0"
                return "target mass forgotten", seen
        return "sum over the categories wrong", "analytic - numeric is a multiple of softmax in every row"
    return None


def elementwise(f: Findings) -> Suspicion:
    """Suspect the derivative itself where each output depends on one entry only."""
    if f.trial.out.shape != f.analytic.shape or f.analytic.size < 2:
        return None
    path = f.problem.relaxed or f.problem.evaluate
    params = {key: np.array(value, dtype=np.float64) for key, value in f.problem.params.items()}
    start = np.array(path(params)[0], copy=True)
    for entry in (0, f.analytic.size - 1):
        moved = f.value.copy()
        moved.flat[entry] += 0.5
        changed = np.flatnonzero(np.asarray(path({**params, f.name: moved})[0]) != start)
        if any(other != entry for other in changed):
            return None
    return (
        "activation derivative wrong",
        "each output depends on one entry, and the ratio varies between entries",
    )


def _axes(shape: tuple[int, ...]) -> Iterator[Axes]:
    ndim = len(shape)
    yield from ((axis,) for axis in range(ndim - 1, -1, -1) if shape[axis] > 1)
    yield from ((axis, axis + 1) for axis in range(ndim - 2, -1, -1))


def _vanishes(grad: Array, axes: Axes) -> bool:
    return bool(np.abs(grad.sum(axis=axes)).max() <= EXACT * np.abs(grad).sum(axis=axes).max())


def _constant_along(values: Array, axis: int) -> bool:
    if values.shape[axis] < 2 or not np.isfinite(values).all() or np.abs(values).max() < EXACT:
        return False
    return same(values, np.broadcast_to(values.mean(axis=axis, keepdims=True), values.shape))


def _softmax(x: Array, axes: Axes) -> Array:
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    result: Array = e / e.sum(axis=axes, keepdims=True)
    return result


def _masses(f: Findings) -> Iterator[tuple[str, Array]]:
    for name, value in f.problem.constants.items():
        if getattr(value, "ndim", 0) == 2 and hasattr(value, "sum"):
            yield name, np.asarray(value.sum(axis=1), dtype=np.float64).reshape(-1)
