"""Diagnosis: from the pattern of a wrong gradient to its likely cause, with what was seen of it.

Every suspicion is a function that looks at the evidence and returns a cause or None. They are asked in the
order of how much a match would prove: an exact relation between all analytic and numeric derivatives comes
before a pattern in where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from nphash.core.typing import Array, Params
from nphash.gradcheck.numeric import entry_derivative
from nphash.gradcheck.problem import Cause, Evaluate, Problem, variants

Axes = tuple[int, ...]

EXACT = 1e-5  # largest relative residual of a relation that counts as exact


@dataclass(frozen=True)
class Evidence:
    """One parameter's wrong gradient, whole and at the entries ``chosen``."""

    problem: Problem
    out: Array
    dout: Array  # the upstream gradient
    name: str
    analytic: Array  # the whole gradient
    chosen: Array  # flat numbers of the entries that the rest belongs to
    numeric: Array
    kept: Array
    wrong: Array
    terms: Params  # numeric derivatives of a model's terms

    @property
    def a(self) -> Array:
        """Analytic derivatives at the kept entries."""
        return self.at(self.analytic)

    @property
    def n(self) -> Array:
        """Numeric derivatives at the kept entries."""
        return np.asarray(self.numeric[self.kept])

    @property
    def value(self) -> Array:
        """The parameter, in float64."""
        return np.asarray(self.problem.params[self.name], dtype=np.float64)

    @property
    def full(self) -> Array | None:
        """The numeric gradient in the parameter's shape, where every entry is known."""
        return self.numeric.reshape(self.analytic.shape) if len(self.n) == self.analytic.size else None

    def at(self, whole: Array) -> Array:
        """Return the kept entries of an array of the parameter's shape."""
        return np.asarray(np.ravel(whole)[self.chosen[self.kept]], dtype=np.float64)

    def numeric_of(self, path: Evaluate, name: str = "") -> Array:
        """Return numeric derivatives of another function, or by another parameter, at the kept entries."""
        where = self.problem.in_float64().params, name or self.name
        entries = map(int, self.chosen[self.kept])
        return np.array([entry_derivative(path, *where, entry, self.dout).value for entry in entries])


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays agree but for numeric error, and are not both zero."""
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return bool(np.linalg.norm(a - b) <= EXACT * size)


def multiple(a: Array, b: Array) -> float:
    """Return c with a = c b, or NaN if there is none."""
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if np.isfinite(c) and c and same(a, c * b) else float("nan")


def sizes(problem: Problem, out: Array) -> Iterator[tuple[int, str]]:
    """Yield the sizes over which a mean may be taken: the batch first."""
    arrays = {**problem.params, "out": out, **problem.constants}
    shapes = {name: value.shape for name, value in arrays.items() if hasattr(value, "shape")}
    found: dict[int, str] = {}
    for axis, word in enumerate(("rows", "columns", "categories")):
        for name, shape in shapes.items():
            if axis < len(shape):
                found.setdefault(shape[axis], f"the number of {word} of {name}")
    for name, value in problem.params.items():
        found.setdefault(value.size, f"the number of entries of {name}")
    yield from ((size, what) for size, what in found.items() if size != 1)


def numbers(problem: Problem, dout: Array) -> Iterator[tuple[float, str]]:
    """Yield the constants by name, and the upstream gradient where it is a number."""
    for name, value in problem.constants.items():
        if isinstance(value, float) and value not in (0, 1, -1):
            yield value, name
    if dout.ndim == 0:
        yield float(dout), "the upstream gradient"


def _softmax(x: Array, axes: Axes) -> Array:
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    result: Array = e / e.sum(axis=axes, keepdims=True)
    return result


def factors(problem: Problem, out: Array, name: str) -> Iterator[tuple[str, Array, bool]]:
    """Yield (name, array, whether it is the whole derivative of an activation), of the parameter's shape."""
    x, y = np.asarray(problem.params[name], dtype=np.float64), out
    for other, value in {**problem.constants, **problem.params}.items():
        if other != name and isinstance(value, np.ndarray) and value.shape == x.shape:
            yield other, value.astype(np.float64), False
    e = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    yield f"[{name} > 0]", (x > 0).astype(float), True
    yield f"sigmoid'({name})", e / (1 + e) ** 2, True
    yield f"tanh'({name})", 1 - np.tanh(x) ** 2, True
    if x.ndim:
        yield f"softmax({name})", _softmax(x, (-1,)), True
    if y.shape == x.shape:
        yield from (("y (1 - y)", y * (1 - y), True), ("1 - y^2", 1 - y * y, True))
        yield from (("y", y, False), ("(1 - y)", 1 - y, False), ("(1 + y)", 1 + y, False))
    yield from ((f"sigmoid({name})", sigmoid, False), (f"(1 - sigmoid({name}))", 1 - sigmoid, False))
    yield from ((f"exp({name})", np.exp(x), False), (f"exp({name} / 2)", np.exp(x / 2), False))
    yield name, x, False


def diagnose(evidence: Evidence) -> Cause:
    """Return the likely cause of a wrong gradient and what was seen of it."""
    for suspicion in _SUSPICIONS:
        if found := suspicion(evidence):
            return found
    wrong = evidence.wrong[evidence.kept]
    a, n = evidence.a[wrong], evidence.n[wrong]
    ratios = a[n != 0] / n[n != 0]
    spread = f", analytic / numeric from {ratios.min():.4g} to {ratios.max():.4g}" if len(ratios) else ""
    return "only located", f"{len(a)} of {len(evidence.n)} entries are wrong{spread}"


# ---------------------------------------------------------------------- an exact relation between all entries


def _nothing_arrives(f: Evidence) -> Cause | None:
    """Suspect a lost or a surplus branch: one of the two gradients is zero throughout."""
    if not f.analytic.any():
        return "branch not propagated", "the gradient is zero everywhere, the numeric one is not"
    if not f.n.any():
        seen = "the loss does not move with this argument, yet a gradient is passed to it"
        return "stop-gradient forgotten", f"{seen} (for a straight-through estimator name its relaxed form)"
    return None


def _constant_ratio(f: Evidence) -> Cause | None:
    """Suspect one factor in every entry: a size, a named constant, a sign."""
    ratio = multiple(f.a, f.n)
    if np.isnan(ratio):
        return None
    seen = f"analytic / numeric = {ratio:.6g} in every entry"
    if abs(ratio + 1) < EXACT:
        return "sign", seen
    for value, what in numbers(f.problem, f.dout):
        for power in (1, -1, 2, -2):
            if abs(ratio / value**power - 1) < EXACT:
                written = what if power == 1 else f"{what}**{power}"
                return f"{what} not applied the same way", f"{seen}: {written} = {ratio:.6g}"
    known = list(sizes(f.problem, f.out))
    for size, what in known:
        if abs(ratio / size - 1) < EXACT:
            return "sum instead of mean", f"{seen}: {what}"
        if abs(ratio * size - 1) < EXACT:
            return "divided twice", f"{seen}: 1 / {what}"
    for (up, over), (down, under) in permutations(known, 2):
        if abs(ratio * down / up - 1) < EXACT:
            return "mean over the wrong axis", f"{seen}: {over} by {under}, {up} / {down}"
    for name, value in f.problem.constants.items():
        if isinstance(value, np.ndarray) and value.any() and same(value[value != 0], np.full(1, ratio)):
            return f"{name} not applied the same way", f"{seen}: the value of {name} where it is not 0"
    return "constant factor", seen


def _terms_of_the_loss(f: Evidence) -> Cause | None:
    """Suspect the weights: the gradient is a sum of the terms' gradients, but not with those of the loss."""
    parts = {name: part[f.kept] for name, part in f.terms.items() if part[f.kept].any()}
    if len(parts) < 2 or len(parts) >= len(f.a):
        return None
    basis = np.stack(list(parts.values()), axis=1)
    wanted, *_ = np.linalg.lstsq(basis, f.n, rcond=None)
    weights, *_ = np.linalg.lstsq(basis, f.a, rcond=None)
    if not (same(basis @ weights, f.a) and same(basis @ wanted, f.n)) or (np.abs(wanted) < 1e-6).any():
        return None
    off = {name: w for name, w in zip(parts, weights / wanted, strict=True) if abs(w - 1) > 1e-4}
    names = " and ".join(off)
    if all(abs(w) < 1e-4 for w in off.values()):
        decay = any("decay" in name or "l2" in name for name in off)
        cause = "weight decay missing" if decay else "branch not propagated"
        return cause, f"the gradient lacks the term {names}"
    if all(abs(w + 1) < 1e-4 for w in off.values()):
        return "sign", f"the gradient has the term {names} subtracted"
    seen = ", ".join(f"{w:.4g} times {name}" for name, w in off.items())
    return f"{names} not applied the same way", f"the gradient holds {seen} of what the loss holds"


def _transposed(f: Evidence) -> Cause | None:
    """Suspect a missing or surplus transposition, of the gradient or of a square weight."""
    shape, dout = f.analytic.shape, f.dout
    if len(shape) == 2 and shape[0] == shape[1] and same(f.at(f.analytic.T), f.n):
        return "transposed", "the transpose of the gradient is right"
    for name, M in f.problem.params.items() if dout.ndim == 2 and dout.shape == shape else ():
        square = M.ndim == 2 and M.shape[0] == M.shape[1] == dout.shape[1]
        if square and same(f.at(dout @ M), f.a) and same(f.at(dout @ M.T), f.n):
            return "transposed", f"the gradient is dout @ {name} where dout @ {name}.T is right"
    return None


def _swapped(f: Evidence) -> Cause | None:
    """Suspect the order of the gradients: this one belongs to another parameter of the same shape."""
    path = f.problem.relaxed or f.problem.evaluate
    for name, value in f.problem.params.items():
        if name != f.name and value.shape == f.analytic.shape and same(f.numeric_of(path, name), f.a):
            return "gradients swapped", f"this is the gradient of {name}: back returns them in another order"
    return None


def _surplus_array(f: Evidence) -> Cause | None:
    """Suspect weight decay or a constant: what is missing or surplus is a multiple of one array."""
    for what, array in _arrays(f) if len(f.a) > 1 else ():
        c = multiple(f.a - f.n, f.at(array))
        if np.isnan(c):
            continue
        if what == f.name:
            cause = "weight decay missing" if c < 0 else "weight decay not in the loss"
            return cause, f"numeric - analytic = {-c:.6g} * {f.name}"
        cause = "constant term wrong" if what == "1" else f"{what} not applied the same way"
        return cause, f"analytic - numeric = {c:.6g} * {what}"
    return None


def _arrays(f: Evidence) -> Iterator[tuple[str, Array]]:
    shape = f.analytic.shape
    yield f.name, f.value
    for name, value in f.problem.constants.items():
        if hasattr(value, "toarray"):
            value = value.toarray()
        if not isinstance(value, np.ndarray):
            continue
        if value.shape == shape:
            yield name, value.astype(np.float64)
        elif len(shape) == 2 and value.shape == shape[:1] and np.issubdtype(value.dtype, np.integer):
            yield name, (value[:, None] == np.arange(shape[1])).astype(np.float64)  # class labels, one-hot
    yield "1", np.ones(shape)


def _factor_of_entries(f: Evidence) -> Cause | None:
    """Suspect an activation or a mask: the ratio of each entry is a known function of it."""
    if len(f.a) < 2:
        return None
    untouched = f.dout.shape == f.analytic.shape and not np.isnan(multiple(f.a, f.at(f.dout)))
    for what, factor, whole in factors(f.problem, f.out, f.name):
        missing = not np.isnan(multiple(f.n, f.a * f.at(factor)))
        if not missing and np.isnan(multiple(f.a, f.n * f.at(factor))):
            continue
        seen = f"numeric = analytic * {what}" if missing else f"analytic = numeric * {what}"
        if what in f.problem.constants:
            return f"{what} not applied the same way", seen
        if missing and untouched:
            return "activation derivative missing", f"{seen}: back returns dout"
        word = ("missing" if missing else "twice") if whole else "wrong"
        return f"activation derivative {word}", seen
    return None


def _linear_layer(f: Evidence) -> Cause | None:
    """Suspect a forgotten activation: the gradient is that of the layer below alone."""
    dout, shape = f.dout, f.analytic.shape
    straight = f.problem.relaxed is not None and f.problem.vary is not None and dout.shape == shape
    if straight and not np.isnan(multiple(f.a, f.at(dout))):
        return (
            "activation derivative missing",
            "back returns dout: the identity in place of the relaxed sample",
        )
    if dout.ndim != 2 or len(shape) > 2:
        return None
    guesses = {"the sum of dout": dout.sum(axis=0)}
    for name, M in f.problem.params.items():
        if M.ndim == 2 and name != f.name and len(M) == len(dout):
            guesses[f"{name}.T @ dout"] = M.T @ dout
        if M.ndim == 2 and name != f.name and M.shape[1] == dout.shape[1]:
            guesses[f"dout @ {name}.T"] = dout @ M.T
    for what, guess in guesses.items():
        if guess.shape == shape and same(f.at(guess), f.a):
            return "activation derivative missing", f"the gradient is {what}, as if no activation followed"
    return None


def _another_constant(f: Evidence) -> Cause | None:
    """Suspect a constant: the gradient is right for another value of it (no noise, a uniform prior ...)."""
    for name, what, _, path in variants(f.problem) if len(f.a) > 1 else ():
        with suppress(Exception):  # a value the function cannot take cannot be the cause
            found = f.numeric_of(path)
            if np.isfinite(found).all() and same(found, f.a):
                return f"{name} not applied the same way", f"the gradient is right for {name} = {what}"
    return None


# ---------------------------------------------------------------------- where and how entries differ


def _one_slice(f: Evidence) -> Cause | None:
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
            seen = f"all wrong entries lie in {word} {int(first)}, the rest is right"
            return "one row or column wrong", seen
    return None


def _right_size_wrong_sign(f: Evidence) -> Cause | None:
    """Suspect a sign in some entries, not all."""
    wrong = f.wrong[f.kept]
    if not same(f.a[wrong], -f.n[wrong]):
        return None
    return "sign", f"{int(wrong.sum())} of {len(wrong)} entries have the right size and the wrong sign"


def _softmax_axis(f: Evidence) -> Cause | None:
    """Suspect the axis of a softmax: gradients through it add up to zero along its axis."""
    numeric, x, out = f.full, f.value, f.out
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
                found = [f.dout - f.analytic / out, (f.dout - f.analytic) / right]
                if any(_constant_along(share, axis) and not _constant_along(share, last) for share in found):
                    return "softmax over the wrong axis", seen
        if _constant_along(shares, last):
            return "softmax over the wrong axis", seen
    return None


def _softmax_sum(f: Evidence) -> Cause | None:
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
        for what, value in f.problem.constants.items():
            if getattr(value, "ndim", 0) != 2:
                continue
            mass = np.asarray(value.sum(axis=1), dtype=np.float64).reshape(-1)
            if mass.shape == per_row.shape and not np.isnan(multiple(per_row, 1 - mass)):
                seen = f"softmax has weight 1 in place of the sum of the {what}, {mass[0]:.4g} in row 0"
                return "target mass forgotten", seen
        return "sum over the categories wrong", "analytic - numeric is a multiple of softmax in every row"
    return None


def _elementwise(f: Evidence) -> Cause | None:
    """Suspect the derivative itself where each output depends on one entry only."""
    if f.out.shape != f.analytic.shape or f.analytic.size < 2:
        return None
    path, params = f.problem.relaxed or f.problem.evaluate, f.problem.in_float64().params
    start = np.array(path(params)[0], copy=True)
    for entry in (0, f.analytic.size - 1):
        moved = f.value.copy()
        moved.flat[entry] += 0.5
        changed = np.flatnonzero(np.asarray(path({**params, f.name: moved})[0]) != start)
        if (changed != entry).any():
            return None
    seen = "each output depends on one entry, and the ratio varies between entries"
    return "activation derivative wrong", seen


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


_SUSPICIONS = (
    *(_nothing_arrives, _constant_ratio, _terms_of_the_loss, _transposed, _swapped, _surplus_array),
    *(_right_size_wrong_sign, _one_slice),
    *(_factor_of_entries, _linear_layer, _softmax_axis, _softmax_sum, _another_constant, _elementwise),
)
