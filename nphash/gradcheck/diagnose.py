"""Diagnosis: from the pattern of a wrong gradient to its likely cause, with what was seen of it.

Every suspicion is a function that looks at the evidence and returns a cause or None. They are asked in the
order of how much a match would prove: an exact relation between all analytic and numeric derivatives comes
before a pattern in where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations
from math import isqrt

import numpy as np

from nphash.core.typing import Array, Params
from nphash.gradcheck.numeric import (
    EXACT,
    axes_of,
    constant_along,
    distinct,
    entry_derivative,
    multiple,
    same,
    vanishes,
)
from nphash.gradcheck.problem import Cause, Evaluate, Problem, factors, numbers, sizes, softmax, variants


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


NOT_RECOGNISED = "not recognised"


def diagnose(evidence: Evidence) -> Cause:
    """Return the likely cause of a wrong gradient and what was seen of it."""
    for suspicion in _SUSPICIONS:
        if found := suspicion(evidence):
            return found
    wrong = evidence.wrong[evidence.kept]
    a, n, first = evidence.a[wrong], evidence.n[wrong], int(evidence.chosen[evidence.wrong][0])
    place = ", ".join(map(str, np.unravel_index(first, evidence.analytic.shape)))
    given, right = distinct(a[0], n[0])
    seen = f"first wrong entry ({place}): {given} where {right} is right"
    return NOT_RECOGNISED, f"{seen}; {len(a)} of {len(evidence.n)} entries are wrong"


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
    seen = f"analytic / numeric = {distinct(ratio, 1.0)[0]} in every entry"
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
    for size, what in known:
        root = abs(ratio**2 / size - 1) < EXACT or abs(ratio**2 * size - 1) < EXACT
        if root and isqrt(size) ** 2 != size:  # 2 is the root of 4, and most often a 2
            return "square root of a size", f"{seen}: the root of {size}, {what}"
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
    """Suspect a square weight that is transposed, or should be."""
    shape, dout = f.analytic.shape, f.dout
    for name, M in f.problem.params.items() if dout.ndim == 2 and dout.shape == shape else ():
        square = M.ndim == 2 and M.shape[0] == M.shape[1] == dout.shape[1]
        if square and same(f.at(dout @ M), f.a) and same(f.at(dout @ M.T), f.n):
            return "transposed", f"the gradient is dout @ {name} where dout @ {name}.T is right"
    return None


def _moved(f: Evidence) -> Cause | None:
    """Suspect the order of entries: axes exchanged, flipped, or all entries shifted by one."""
    if f.full is None:
        return None
    given, right, axes = f.analytic, f.full, [axis for axis, size in enumerate(f.full.shape) if size > 1]
    for i, j in combinations(axes, 2):
        if given.shape[i] == given.shape[j] and same(given, right.swapaxes(i, j)):
            which = f", axes {i} and {j}," if given.ndim > 2 else ""
            return "transposed", f"the transpose of the gradient{which} is right"
    for flipped in (flip for count in range(1, len(axes) + 1) for flip in combinations(axes, count)):
        if same(given, np.flip(right, flipped)):
            return "flipped", f"the gradient is right but flipped along axis {', '.join(map(str, flipped))}"
    for axis, step in ((axis, step) for axis in axes for step in (1, -1) if right.shape[axis] > 2):
        one, other = (np.delete(given, min(step, 0), axis), np.delete(right, -max(step, 0), axis))
        if one.any() and same(one, other):
            return "shifted", f"the gradient is right but shifted by {step} along axis {axis}"
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
        if what == "dout":
            cause = "branch counted twice" if c > 0 else "branch not propagated"
            return cause, f"analytic - numeric = {c:.6g} * dout: the branch that passes {f.name} on as it is"
        cause = "constant term wrong" if what == "1" else f"{what} not applied the same way"
        return cause, f"analytic - numeric = {c:.6g} * {what}"
    return None


def _arrays(f: Evidence) -> Iterator[tuple[str, Array]]:
    shape = f.analytic.shape
    yield f.name, f.value
    if f.dout.shape == shape and f.dout.ndim:
        yield "dout", f.dout
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
        if what.startswith("exp(") and "var" in f.name:
            return "log-variance taken for variance", seen
        if missing and untouched:
            return "activation derivative missing", f"{seen}: back returns dout"
        again = not what.startswith("[")  # once more or not, [x > 0] is the same
        word = "missing" if whole and missing else "twice" if whole and again else "wrong"
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
    """Suspect a constant or another argument: the gradient is right for another value of it."""
    for name, what, _, path in (*variants(f.problem), *_other_arguments(f)) if len(f.a) > 1 else ():
        with suppress(Exception):  # a value the function cannot take cannot be the cause
            found = f.numeric_of(path)
            if np.isfinite(found).all() and same(found, f.a):
                cause = "flipped" if what == "itself flipped" else f"{name} not applied the same way"
                return cause, f"the gradient is right for {name} = {what}"
    return None


def _other_arguments(f: Evidence) -> Iterator[tuple[str, str, Array, Evaluate]]:
    """Yield the function with another argument at another value: no scale, or a kernel flipped."""
    path = f.problem.relaxed or f.problem.evaluate

    def at(name: str, other: Array, values: Params) -> tuple[object, object]:
        return path({**values, name: other})

    for name, value in f.problem.params.items():
        if name != f.name and value.ndim > 0 and value.size <= 512:
            others = {"1": np.ones(value.shape)} if value.ndim == 1 else {}
            if value.ndim != 2:
                others["itself flipped"] = np.flip(value, tuple(range(value.ndim))[-2:])
            for what, other in others.items():
                yield name, what, other, partial(at, name, other)


# ---------------------------------------------------------------------- where and how entries differ


def _one_slice(f: Evidence) -> Cause | None:
    """Suspect one row, column or other slice, or a block of them: all wrong entries lie there, alone."""
    shape, kept = f.analytic.shape, f.kept & ~f.wrong
    wrong = np.array(np.unravel_index(f.chosen[f.wrong], shape))  # (ndim, n_wrong)
    right = np.array(np.unravel_index(f.chosen[kept][f.numeric[kept] != 0], shape))
    if not wrong.size or not right.size:
        return None
    for axis, size in enumerate(shape):
        lines, others = np.unique(wrong[axis]), np.unique(right[axis])
        first, last = int(lines[0]), int(lines[-1])
        if len(lines) != last - first + 1 or (len(lines) > 1 and np.isin(lines, others).any()):
            continue
        if first == last and size > 1 and (others != first).any():
            word = "entry" if f.analytic.ndim == 1 else ("row", "column", "slice of axis 2")[min(axis, 2)]
            return "one row or column wrong", f"all wrong entries lie in {word} {first}, the rest is right"
        if first < last and f.analytic.ndim > 2 and axis == 0 and list(others) == [size - 1]:
            return "backward pass through the steps wrong", f"of {size} steps only the last one is right"
        if first < last and len(others) > 1:
            seen = f"all wrong entries lie in {first} to {last} of axis {axis}, the rest is right"
            return "one block of rows or columns wrong", seen
    return None


def _repeated_rows(f: Evidence) -> Cause | None:
    """Suspect indices: wrong are the rows that are named more than once, or the entries that are named."""
    shape, wrong = f.analytic.shape, np.array(np.unravel_index(f.chosen[f.wrong], f.analytic.shape))
    for name, value in f.problem.constants.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or not wrong.size:
            continue
        rows, counts = np.unique(value, return_counts=True)
        several = rows[counts > 1]
        if len(several) < len(rows) and np.array_equal(np.unique(wrong[0]), several):
            seen = f"wrong are rows {', '.join(map(str, several))} alone, those more than once in {name}"
            return "rows overwritten, not added", seen
        labels = len(shape) == 2 and value.shape == shape[:1] and len(np.unique(wrong[0])) > 1
        if labels and (wrong[1] == value[wrong[0]]).all():
            return f"{name} not applied the same way", f"only the entries that {name} names are wrong"
    return None


def _mask(f: Evidence) -> Cause | None:
    """Suspect a mask: given and right gradient are zero at different entries, and agree elsewhere."""
    given, right = f.a != 0, f.n != 0
    both = given & right
    if f.full is not None and f.full.ndim > 1 and f.full.shape[-1] == f.full.shape[-2]:
        above = np.triu(np.ones(f.full.shape[-2:], dtype=bool), 1)
        if not f.full[..., above].any() and f.analytic[..., above].all():
            seen = "entries above the diagonal have a gradient; it is zero there"
            return "causal mask missing in back", seen
    if not (given & ~right).any() or not both.any() or np.isnan(c := multiple(f.a[both], f.n[both])):
        return None
    seen = f"{(given != right).sum()} entries are zero in one of the two alone; the others agree"
    seen += "" if abs(c - 1) < EXACT else f" but for a factor, {c:.6g}"
    return ("another mask in back" if (right & ~given).any() else "mask missing in back"), seen


def _right_size_wrong_sign(f: Evidence) -> Cause | None:
    """Suspect a sign in some entries, not all."""
    wrong = f.wrong[f.kept]
    if not same(f.a[wrong], -f.n[wrong]):
        return None
    return "sign", f"{int(wrong.sum())} of {len(wrong)} entries have the right size and the wrong sign"


def _normalisation(f: Evidence) -> Cause | None:
    """Suspect a statistic of a normalisation: what is missing is a number for each row, times 1 or x."""
    if f.full is None or f.full.ndim < 2:
        return None
    gap, x = f.analytic - f.full, f.value
    for axes in axes_of(gap.shape):
        if np.prod([gap.shape[axis] for axis in axes]) < 3:
            continue
        centred = x - x.mean(axis=axes, keepdims=True)
        mean, share = gap.mean(axis=axes, keepdims=True), (gap * centred).sum(axis=axes, keepdims=True)
        share /= (centred**2).sum(axis=axes, keepdims=True)
        along = (gap * x).sum(axis=axes, keepdims=True) / (x * x).sum(axis=axes, keepdims=True)
        guesses = {"mean": 0 * x + mean, "norm": along * x, "variance": share * centred}
        guesses["mean and variance"] = mean + guesses["variance"]
        times = {"mean": "a number", "variance": f"a multiple of {f.name} less its mean"}
        for what, guess in guesses.items():
            if same(gap, guess):
                seen = times.get(what, f"a multiple of {f.name}" + ", and a number" * (what != "norm"))
                where = f"in every slice along axis {', '.join(map(str, axes))}"
                return f"{what} path of a normalisation wrong", f"analytic - numeric is {seen} {where}"
    return None


def _factor_of_slices(f: Evidence) -> Cause | None:
    """Suspect a vector or lengths: the ratio is the same throughout each row, or each column."""
    if f.full is None or f.full.ndim < 2:
        return None
    for axis, size in enumerate(f.full.shape):
        others = tuple(other for other in range(f.full.ndim) if other != axis)
        square = (f.full**2).sum(axis=others)
        if size < 2 or not square.all():
            continue
        ratio = (f.analytic * f.full).sum(axis=others) / square  # (size,)
        if not same(f.analytic, np.expand_dims(ratio, others) * f.full):
            continue
        seen = f"analytic / numeric is one number for each index of axis {axis}"
        for name, value in {**f.problem.params, **f.problem.constants}.items():
            if getattr(value, "shape", None) != ratio.shape:
                continue
            products = multiple(ratio, 1.0 * value), multiple(ratio * value, np.ones(size))
            if not np.isnan(products).all():
                lengths = np.issubdtype(value.dtype, np.integer)
                cause = "mean over the padded length" if lengths else f"{name} not applied the same way"
                return cause, f"{seen}, that of {name}"
        return "one factor for each row or column", f"{seen}, from {ratio.min():.4g} to {ratio.max():.4g}"
    return None


def _softmax_axis(f: Evidence) -> Cause | None:
    """Suspect the axis of a softmax: gradients through it add up to zero along its axis."""
    numeric, x, out = f.full, f.value, f.out
    if numeric is None or numeric.ndim < 2 or not vanishes(numeric, (-1,)) or vanishes(f.analytic, (-1,)):
        return None
    last = numeric.ndim - 1
    for axes in axes_of(numeric.shape):
        if vanishes(f.analytic, axes) and axes != (last,):
            where = ", ".join(map(str, axes))
            seen = f"the gradient adds up to zero along axis {where}, the numeric one along axis {last}"
            return "softmax over the wrong axis", seen
    right = softmax(x, (last,))
    for axis in range(last):
        seen = f"softmax over axis {axis} stands in the gradient, over axis {last} in the function"
        with np.errstate(all="ignore"):
            shares = (f.analytic - numeric) / (softmax(x, (axis,)) - right)
            if out.shape == x.shape:
                found = [f.dout - f.analytic / out, (f.dout - f.analytic) / right]
                if any(constant_along(share, axis) and not constant_along(share, last) for share in found):
                    return "softmax over the wrong axis", seen
        if constant_along(shares, last):
            return "softmax over the wrong axis", seen
    return None


def _softmax_sum(f: Evidence) -> Cause | None:
    """Suspect the sum in a softmax: what is missing is softmax times a number for each row."""
    numeric = f.full
    if numeric is None or numeric.ndim < 2:
        return None
    for axes in axes_of(numeric.shape):
        if not vanishes(numeric, axes) or vanishes(f.analytic, axes):
            continue
        share = (f.analytic - numeric) / softmax(f.value, axes)
        if not all(constant_along(share, axis) for axis in axes):
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


_SUSPICIONS = (
    *(_nothing_arrives, _constant_ratio, _terms_of_the_loss, _transposed, _moved, _swapped, _surplus_array),
    *(_right_size_wrong_sign, _repeated_rows, _one_slice),
    *(_factor_of_entries, _linear_layer, _softmax_axis, _softmax_sum, _mask, _normalisation),
    *(_another_constant, _factor_of_slices, _elementwise),
)
