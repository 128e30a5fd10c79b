"""From the pattern of a wrong gradient to its likely cause, each with the evidence for it.

Every suspicion is a function that looks at the findings and returns (cause, evidence) or None.
They are asked in the order of how much a match would prove: an exact relation between all
analytic and numeric entries comes before a pattern in where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nphash.gradcheck.factors import factors, floats, sizes
from nphash.gradcheck.numeric import Array
from nphash.gradcheck.problem import Problem
from nphash.gradcheck.trial import Trial

__all__ = ["Findings", "diagnose"]

Suspicion = tuple[str, str] | None

_EXACT = 1e-5  # largest relative residual of a relation that counts as exact


@dataclass(frozen=True)
class Findings:
    """All that is known of one parameter's wrong gradient.

    ``analytic`` is the whole gradient; ``numeric``, ``kept`` and ``wrong`` belong to the entries
    ``chosen`` (flat numbers), ``terms`` are numeric derivatives of a model's terms at the same entries.
    """

    problem: Problem
    trial: Trial
    name: str
    analytic: Array
    chosen: Array
    numeric: Array
    kept: Array
    wrong: Array
    terms: dict[str, Array]

    @property
    def a(self) -> Array:
        """Analytic derivatives at the kept entries."""
        return self.at(self.analytic)

    @property
    def n(self) -> Array:
        """Numeric derivatives at the kept entries."""
        found: Array = self.numeric[self.kept]
        return found

    def at(self, whole: Array) -> Array:
        """Return the kept entries of an array of the parameter's shape."""
        found: Array = np.asarray(whole, dtype=np.float64).reshape(-1)[self.chosen[self.kept]]
        return found

    @property
    def full(self) -> Array | None:
        """The numeric gradient in the parameter's shape, where every entry is known."""
        return self.numeric.reshape(self.analytic.shape) if len(self.n) == self.analytic.size else None


def diagnose(findings: Findings) -> tuple[str, str]:
    """Return the likely cause of a wrong gradient and the evidence for it."""
    for suspicion in _SUSPICIONS:
        found = suspicion(findings)
        if found:
            return found
    where = f"{int(findings.wrong.sum())} of {len(findings.n)} entries are wrong"
    ratios = (findings.a / np.where(findings.n == 0, np.nan, findings.n))[findings.wrong[findings.kept]]
    ratios = ratios[np.isfinite(ratios)]
    spread = f", analytic / numeric from {ratios.min():.4g} to {ratios.max():.4g}" if len(ratios) else ""
    return "only located", where + spread


def _same(a: Array, b: Array) -> bool:
    return bool(np.linalg.norm(a - b) <= _EXACT * max(np.linalg.norm(a), np.linalg.norm(b)))


def _multiple(a: Array, b: Array) -> float:
    """Return c with a = c b, or NaN."""
    square = float(b @ b)
    c = float(a @ b) / square if square else np.nan
    return c if np.isfinite(c) and c and _same(a, c * b) else np.nan


def _nothing_arrives(f: Findings) -> Suspicion:
    if not f.analytic.any():
        return "branch not propagated", "the gradient is zero everywhere, the numeric one is not"
    if not f.n.any():
        return "stop-gradient forgotten", (
            "the loss does not move with this argument, yet a gradient is passed to it "
            "(for a straight-through estimator name its relaxed form)"
        )
    return None


def _constant_ratio(f: Findings) -> Suspicion:
    ratio = _multiple(f.a, f.n)
    if np.isnan(ratio):
        return None
    seen = f"analytic / numeric = {ratio:.6g} in every entry"
    if abs(ratio + 1) < _EXACT:
        return "sign", seen
    for size, what in sizes(f.problem, f.trial):
        if abs(ratio / size - 1) < _EXACT:
            return "sum instead of mean", f"{seen}: {what}"
        if abs(ratio * size - 1) < _EXACT:
            return "divided twice", f"{seen}: 1 / {what}"
    for value, what in floats(f.problem, f.trial):
        for power in (1, -1, 2, -2):
            if abs(ratio / value**power - 1) < _EXACT:
                return "weight not applied the same way", f"{seen}: {what}" + (
                    "" if power == 1 else f" ** {power}"
                )
    return "constant factor", seen


def _transposed(f: Findings) -> Suspicion:
    shape = f.analytic.shape
    if len(shape) == 2 and shape[0] == shape[1] and _same(f.at(f.analytic.T), f.n):
        return "transposed", "the transpose of the gradient is right"
    dout = f.trial.dout
    for name, M in f.problem.params.items():
        if M.ndim != 2 or M.shape[0] != M.shape[1] or dout.ndim != 2 or dout.shape != shape:
            continue
        if dout.shape[1] == M.shape[0] and _same(f.at(dout @ M), f.a) and _same(f.at(dout @ M.T), f.n):
            return "transposed", f"the gradient is dout @ {name} where dout @ {name}.T is right"
    return None


def _one_slice(f: Findings) -> Suspicion:
    wrong = np.array(np.unravel_index(f.chosen[f.wrong], f.analytic.shape))  # (ndim, n_wrong)
    right = np.array(np.unravel_index(f.chosen[f.kept & ~f.wrong], f.analytic.shape))
    informative = np.abs(f.numeric[f.kept & ~f.wrong]) > 0
    if not wrong.size or not informative.any():
        return None
    for axis, size in enumerate(f.analytic.shape):
        if size > 1 and len(set(wrong[axis])) == 1 and (right[axis][informative] != wrong[axis][0]).any():
            kind = {1: "entry", 2: ("row", "column")[axis] if axis < 2 else ""}.get(
                f.analytic.ndim, f"axis {axis}"
            )
            return (
                "one row or column wrong",
                f"all wrong entries lie in {kind} {int(wrong[axis][0])}, the rest is right",
            )
    return None


def _weight_decay(f: Findings) -> Suspicion:
    if len(f.a) < 2:
        return None
    c = _multiple(f.n - f.a, f.at(f.problem.params[f.name]))
    if np.isnan(c):
        return None
    word = "weight decay missing" if c > 0 else "weight decay not in the loss"
    return word, f"numeric - analytic = {c:.6g} * {f.name}"


def _terms(f: Findings) -> Suspicion:
    if len(f.terms) < 2:
        return None
    parts = [part[f.kept] for part in f.terms.values()]
    columns = [part for part in parts if part.any()]
    names = [name for name, part in zip(f.terms, parts, strict=True) if part.any()]
    if not columns or len(columns) >= len(f.a):
        return None
    basis = np.stack(columns, axis=1)
    weights, *_ = np.linalg.lstsq(basis, f.a, rcond=None)
    if not _same(basis @ weights, f.a):
        return None
    off = [(name, float(w)) for name, w in zip(names, weights, strict=True) if abs(w - 1) > 1e-4]
    seen = ", ".join(f"{w:.4g} x {name}" for name, w in off)
    if all(abs(w) < 1e-4 for _, w in off):
        return "branch not propagated", f"the gradient lacks the term {' and '.join(name for name, _ in off)}"
    if all(abs(w + 1) < 1e-4 for _, w in off):
        return "sign", f"the gradient has the term {' and '.join(name for name, _ in off)} subtracted"
    return "weight not applied the same way", f"the gradient holds {seen}, the loss each term once"


def _activation(f: Findings) -> Suspicion:
    for what, factor in factors(f.problem, f.trial, f.name):
        values = f.at(factor)
        if _same(values, np.full_like(values, values.mean())):
            continue  # constant: nothing that a ratio would not have shown
        for missing, (a, b) in {True: (f.n, f.a), False: (f.a, f.n)}.items():
            c = _multiple(a, b * values)
            if np.isnan(c):
                continue
            also = "" if abs(c - 1) < 1e-4 else f" (and a factor {c:.4g})"
            if missing:
                return "activation derivative missing", f"numeric = analytic * {what}{also}"
            return "activation derivative twice", f"analytic = numeric * {what}{also}"
    return None


def _linear_layer(f: Findings) -> Suspicion:
    dout, shape = f.trial.dout, f.analytic.shape
    if dout.ndim != 2 or len(shape) > 2:
        return None
    guesses = {"the sum of dout": dout.sum(axis=0)}
    for name, M in f.problem.params.items():
        if M.ndim == 2 and name != f.name:
            guesses |= {f"{name}.T @ dout": _product(M.T, dout), f"dout @ {name}.T": _product(dout, M.T)}
    for what, guess in guesses.items():
        if guess.shape == shape and _same(f.at(guess), f.a):
            return "activation derivative missing", f"the gradient is {what}, as if no activation followed"
    return None


def _product(left: Array, right: Array) -> Array:
    return left @ right if left.shape[1] == right.shape[0] else np.empty(0)


def _axes(f: Findings) -> Iterator[tuple[int, ...]]:
    ndim = f.analytic.ndim
    yield from ((axis,) for axis in range(ndim - 1, -1, -1) if f.analytic.shape[axis] > 1)
    yield from ((axis, axis + 1) for axis in range(ndim - 1))


def _vanishes(grad: Array, axes: tuple[int, ...]) -> bool:
    total = np.abs(grad.sum(axis=axes)).max()
    return bool(total <= _EXACT * np.abs(grad).sum(axis=axes).max())


def _softmax(f: Findings) -> Suspicion:
    """Gradients through a softmax add up to zero along its axis."""
    numeric = f.full
    if numeric is None or numeric.ndim < 2 or not _vanishes(numeric, (-1,)):
        return None
    if _vanishes(f.analytic, (-1,)):
        return None
    for axes in _axes(f):
        if axes != (numeric.ndim - 1,) and _vanishes(f.analytic, axes):
            return "softmax over the wrong axis", (
                f"the gradient adds up to zero along axis {', '.join(map(str, axes))}, "
                f"the numeric one along axis {numeric.ndim - 1}"
            )
    x = f.problem.params[f.name]
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    share = (f.analytic - numeric) / (e / e.sum(axis=-1, keepdims=True))
    if not _same(share, np.broadcast_to(share.mean(axis=-1, keepdims=True), share.shape)):
        return None
    per_row = share.mean(axis=-1)
    for what, mass in _masses(f):
        if mass.shape == per_row.shape and not np.isnan(_multiple(per_row, 1 - mass)):
            return (
                "target mass forgotten",
                f"softmax has weight 1 instead of the sum of {what}, {mass[0]:.4g} in row 0",
            )
    return "sum over the categories wrong", "analytic - numeric is a multiple of softmax in every row"


def _masses(f: Findings) -> Iterator[tuple[str, Array]]:
    for name, value in f.problem.constants.items():
        if hasattr(value, "sum") and getattr(value, "ndim", 0) == 2:
            yield name, np.asarray(value.sum(axis=1), dtype=np.float64).reshape(-1)


def _elementwise(f: Findings) -> Suspicion:
    value = f.problem.params[f.name]
    if f.trial.out.shape != value.shape or value.size < 2:
        return None
    moved = {key: np.array(other, dtype=np.float64) for key, other in f.problem.params.items()}
    moved[f.name].flat[0] += 0.5
    path = f.problem.relaxed or f.problem.evaluate
    start = np.asarray(path({key: np.array(p, dtype=np.float64) for key, p in f.problem.params.items()})[0])
    changed = np.flatnonzero(np.asarray(path(moved)[0]) != start)
    if list(changed) not in ([], [0]):
        return None
    return (
        "activation derivative wrong",
        "each output depends on its own entry only, and the ratio varies with it",
    )


def _two_signs(f: Findings) -> Suspicion:
    wrong = f.wrong[f.kept]
    if wrong.any() and _same(f.a[wrong], -f.n[wrong]):
        return "sign", f"{int(wrong.sum())} of {len(wrong)} entries have the right size and the wrong sign"
    return None


_SUSPICIONS: tuple[Callable[[Findings], Suspicion], ...] = (
    _nothing_arrives,
    _constant_ratio,
    _terms,
    _transposed,
    _weight_decay,
    _activation,
    _softmax,
    _linear_layer,
    _two_signs,
    _one_slice,
    _elementwise,
)
