"""Suspicions that rest on an exact relation between all analytic and numeric derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.factors import factors, floats, sizes
from nphash.gradcheck.findings import EXACT, Findings, Suspicion, multiple, same
from nphash.gradcheck.samples import other_values

__all__ = [
    "another_constant",
    "another_function",
    "constant_ratio",
    "factor_of_entries",
    "linear_layer",
    "nothing_arrives",
    "surplus_array",
    "swapped",
    "terms_of_the_loss",
    "transposed",
    "weight_decay",
]


def nothing_arrives(f: Findings) -> Suspicion:
    """Suspect a lost or a surplus branch: one of the two gradients is zero throughout."""
    if not f.analytic.any():
        return "branch not propagated", "the gradient is zero everywhere, the numeric one is not"
    if not f.n.any():
        return "stop-gradient forgotten", (
            "the loss does not move with this argument, yet a gradient is passed to it "
            "(for a straight-through estimator name its relaxed form)"
        )
    return None


def constant_ratio(f: Findings) -> Suspicion:
    """Suspect one factor in every entry: a size, a named constant, a sign."""
    ratio = multiple(f.a, f.n)
    if np.isnan(ratio):
        return None
    seen = f"analytic / numeric = {ratio:.6g} in every entry"
    if abs(ratio + 1) < EXACT:
        return "sign", seen
    for value, what in floats(f.problem, f.trial):
        for power in (1, -1, 2, -2):
            if abs(ratio / value**power - 1) < EXACT:
                written = what if power == 1 else f"{what}**{power}"
                return f"{what} not applied the same way", f"{seen}: {written} = {ratio:.6g}"
    for size, what in sizes(f.problem, f.trial):
        if abs(ratio / size - 1) < EXACT:
            return "sum instead of mean", f"{seen}: {what}"
        if abs(ratio * size - 1) < EXACT:
            return "divided twice", f"{seen}: 1 / {what}"
    for (up, over), (down, under) in permutations(sizes(f.problem, f.trial), 2):
        if abs(ratio * down / up - 1) < EXACT:
            return "mean over the wrong axis", f"{seen}: {over} by {under}, {up} / {down}"
    for name, value in f.problem.constants.items():
        if isinstance(value, np.ndarray) and value.any() and same(value[value != 0], np.full(1, ratio)):
            return f"{name} not applied the same way", f"{seen}: the value of {name} where it is not 0"
    return "constant factor", seen


def terms_of_the_loss(f: Findings) -> Suspicion:
    """Suspect the weights: the gradient is a sum of the terms' gradients, but not with those of the loss."""
    parts = {name: part[f.kept] for name, part in f.terms.items() if part[f.kept].any()}
    if len(parts) < 2 or len(parts) >= len(f.a):
        return None
    basis = np.stack(list(parts.values()), axis=1)
    wanted, *_ = np.linalg.lstsq(basis, f.n, rcond=None)
    weights, *_ = np.linalg.lstsq(basis, f.a, rcond=None)
    if not (same(basis @ weights, f.a) and same(basis @ wanted, f.n)) or (np.abs(wanted) < 1e-6).any():
        return None
    off = [(name, float(w)) for name, w in zip(parts, weights / wanted, strict=True) if abs(w - 1) > 1e-4]
    names = " and ".join(name for name, _ in off)
    if all(abs(w) < 1e-4 for _, w in off):
        decay = any("decay" in name or "l2" in name for name, _ in off)
        cause = "weight decay missing" if decay else "branch not propagated"
        return cause, f"the gradient lacks the term {names}"
    if all(abs(w + 1) < 1e-4 for _, w in off):
        return "sign", f"the gradient has the term {names} subtracted"
    seen = ", ".join(f"{w:.4g} times {name}" for name, w in off)
    return f"{names} not applied the same way", f"the gradient holds {seen} of what the loss holds"


def transposed(f: Findings) -> Suspicion:
    """Suspect a missing or surplus transposition, of the gradient or of a square weight."""
    shape, dout = f.analytic.shape, f.trial.dout
    if len(shape) == 2 and shape[0] == shape[1] and same(f.at(f.analytic.T), f.n):
        return "transposed", "the transpose of the gradient is right"
    for name, M in f.problem.params.items():
        if M.ndim != 2 or M.shape[0] != M.shape[1] or dout.ndim != 2 or dout.shape != shape:
            continue
        if dout.shape[1] == M.shape[0] and same(f.at(dout @ M), f.a) and same(f.at(dout @ M.T), f.n):
            return "transposed", f"the gradient is dout @ {name} where dout @ {name}.T is right"
    return None


def swapped(f: Findings) -> Suspicion:
    """Suspect the order of the gradients: this one belongs to another parameter of the same shape."""
    path = f.problem.relaxed or f.problem.evaluate
    for name, value in f.problem.params.items():
        if name != f.name and value.shape == f.analytic.shape and same(f.numeric_of(path, name), f.a):
            return "gradients swapped", f"this is the gradient of {name}: back returns them in another order"
    return None


def weight_decay(f: Findings) -> Suspicion:
    """Suspect weight decay: what is missing is a multiple of the parameter itself."""
    c = multiple(f.n - f.a, f.at(f.value)) if len(f.a) > 1 else np.nan
    if np.isnan(c):
        return None
    cause = "weight decay missing" if c > 0 else "weight decay not in the loss"
    return cause, f"numeric - analytic = {c:.6g} * {f.name}"


def surplus_array(f: Findings) -> Suspicion:
    """Suspect a constant array: what is missing or surplus is a multiple of it, or of ones."""
    if len(f.a) < 2:
        return None
    for what, array in {**dict(_arrays(f)), "1": np.ones(f.analytic.shape)}.items():
        c = multiple(f.a - f.n, f.at(array))
        if not np.isnan(c):
            cause = "constant term wrong" if what == "1" else f"{what} not applied the same way"
            return cause, f"analytic - numeric = {c:.6g} * {what}"
    return None


def _arrays(f: Findings) -> Iterator[tuple[str, Array]]:
    shape = f.analytic.shape
    for name, value in f.problem.constants.items():
        if hasattr(value, "toarray"):
            value = value.toarray()
        if not isinstance(value, np.ndarray):
            continue
        if value.shape == shape:
            yield name, value.astype(np.float64)
        elif len(shape) == 2 and value.shape == shape[:1] and np.issubdtype(value.dtype, np.integer):
            yield name, (value[:, None] == np.arange(shape[1])).astype(np.float64)  # class labels, one-hot


def factor_of_entries(f: Findings) -> Suspicion:
    """Suspect an activation or a mask: the ratio of each entry is a known function of it."""
    if len(f.a) < 2:
        return None
    untouched = f.trial.dout.shape == f.analytic.shape and not np.isnan(multiple(f.a, f.at(f.trial.dout)))
    for what, factor, whole in factors(f.problem, f.trial, f.name):
        values = f.at(factor)
        constant = what in f.problem.constants
        if not np.isnan(multiple(f.n, f.a * values)):
            if constant:
                return f"{what} not applied the same way", f"numeric = analytic * {what}"
            missing = whole or untouched
            cause = "activation derivative missing" if missing else "activation derivative wrong"
            return cause, f"numeric = analytic * {what}" + (": back returns dout" if untouched else "")
        if not np.isnan(multiple(f.a, f.n * values)):
            if constant:
                return f"{what} not applied the same way", f"analytic = numeric * {what}"
            cause = "activation derivative twice" if whole else "activation derivative wrong"
            return cause, f"analytic = numeric * {what}"
    return None


def linear_layer(f: Findings) -> Suspicion:
    """Suspect a forgotten activation: the gradient is that of the layer below alone."""
    dout, shape = f.trial.dout, f.analytic.shape
    if dout.ndim != 2 or len(shape) > 2:
        return None
    guesses = {"the sum of dout": dout.sum(axis=0)}
    for name, M in f.problem.params.items():
        if M.ndim == 2 and name != f.name:
            guesses |= {f"{name}.T @ dout": _product(M.T, dout), f"dout @ {name}.T": _product(dout, M.T)}
    for what, guess in guesses.items():
        if guess.shape == shape and same(f.at(guess), f.a):
            return "activation derivative missing", f"the gradient is {what}, as if no activation followed"
    return None


def _product(left: Array, right: Array) -> Array:
    return left @ right if left.shape[1] == right.shape[0] else np.empty(0)


def another_constant(f: Findings) -> Suspicion:
    """Suspect a constant: the gradient is right for another value of it (no noise, a uniform prior ...)."""
    if f.problem.vary is None or len(f.a) < 2:
        return None
    for name, value in f.problem.constants.items():
        for what, other in other_values(value):
            try:
                found = f.numeric_of(f.problem.vary(name, other))
            except Exception:  # a value the function cannot take cannot be the cause
                continue
            if np.isfinite(found).all() and same(found, f.a):
                return f"{name} not applied the same way", f"the gradient is right for {name} = {what}"
    return None


def another_function(f: Findings) -> Suspicion:
    """Suspect the identity where a straight-through sample borrows another gradient."""
    if f.problem.relaxed is None or f.problem.vary is None or f.trial.dout.shape != f.analytic.shape:
        return None
    if not np.isnan(multiple(f.a, f.at(f.trial.dout))):
        return (
            "activation derivative missing",
            "back returns dout: the identity in place of the relaxed sample",
        )
    return None
