"""The trial run: whether the function works at all, twice alike, and leaves its arguments alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.problem import Problem
from nphash.gradcheck.report import Report

__all__ = ["Trial", "try_out"]


@dataclass(frozen=True)
class Trial:
    """One run forward and backward.

    ``complaint`` is (cause, evidence) where the two runs already show what is wrong.
    """

    out: Array
    dout: Array
    grads: dict[str, Any]
    complaint: tuple[str, str] | None


def try_out(problem: Problem, seed: int) -> Trial | Report:
    """Run a problem forward and backward, twice; a report if that is not possible."""
    names = ", ".join(problem.params)
    invalid = Report(problem.name, names, "invalid", problem.equation, problem.formula, seed=seed)
    params = {name: value.copy() for name, value in problem.params.items()}
    stage = "forward"
    try:
        raw, back = problem.evaluate(params)
        out = np.array(raw, copy=True)
        complaint = _check_output(out)
        if complaint:
            return _with(invalid, *complaint)
        dout = _upstream(out, seed)
        stage = "backward"
        upstream = _like(raw, dout.astype(out.dtype))
        given = np.array(upstream, copy=True)
        grads = {name: np.array(grad, copy=True) for name, grad in back(upstream).items()}
        changed = _changed({**problem.params, "dout": given}, {**params, "dout": np.asarray(upstream)})
        complaint = changed or _repeat(problem, raw, out, dout, grads, back)
    except Exception as error:  # whatever a user's function raises is a finding, not a crash
        cause = "the gradients cannot be used" if isinstance(error, TypeError) else "the function raises"
        return _with(invalid, cause, f"{stage}: {type(error).__name__}: {error}")
    return Trial(out.astype(np.float64), dout, grads, complaint)


def _with(report: Report, cause: str, evidence: str) -> Report:
    return replace(report, cause=cause, evidence=evidence)


def _check_output(out: Array) -> tuple[str, str] | None:
    if not np.issubdtype(out.dtype, np.floating):
        return "the output is not floating-point", f"it is {out.dtype} of shape {out.shape}"
    if not np.isfinite(out).all():
        return "not finite", f"the output holds {int((~np.isfinite(out)).sum())} values that are not finite"
    return None


def _upstream(out: Array, seed: int) -> Array:
    rng = np.random.default_rng((seed, out.size))
    if out.ndim == 0:  # not 1, or a back that ignores its argument would go unnoticed
        return np.asarray(0.5 + rng.random())
    return rng.normal(size=out.shape)


def _like(raw: Any, dout: Array) -> Any:
    return dout.copy() if isinstance(raw, np.ndarray) and raw.ndim else float(dout)


def _changed(before: dict[str, Array], after: dict[str, Array]) -> tuple[str, str] | None:
    for name, value in before.items():
        if not np.array_equal(value, after[name], equal_nan=True):
            return "an argument is changed in place", f"{name!r} is not the same after the run"
    return None


def _repeat(
    problem: Problem, raw: Any, out: Array, dout: Array, grads: dict[str, Any], back: Any
) -> tuple[str, str] | None:
    """Compare with a second run, a second call of ``back`` and one with twice the upstream gradient."""
    upstream = dout.astype(out.dtype)
    again, back_again = problem.evaluate({name: value.copy() for name, value in problem.params.items()})
    if not np.array_equal(out, np.asarray(again)):
        gap = float(np.abs(out - np.asarray(again)).max())
        return (
            "noise redrawn",
            f"two runs on the same arguments differ by up to {gap:.3g}: make the noise an argument",
        )
    for name, grad in back_again(_like(raw, upstream)).items():
        if not _same(grad, grads[name]):
            return "noise redrawn", f"the gradients of {name!r} differ between two runs on the same arguments"
    second = back(_like(raw, upstream))
    for name, grad in second.items():
        if _same(grad, grads[name]):
            continue
        if _same(grad, 2 * grads[name]):
            return "gradients accumulate", f"a second call of back returns twice the gradient of {name!r}"
        return "back is not repeatable", f"a second call of back gives another gradient of {name!r}"
    return _linear(grads, back(_like(raw, 2 * upstream)))


def _linear(grads: dict[str, Any], doubled: dict[str, Any]) -> tuple[str, str] | None:
    for name, grad in doubled.items():
        if np.isfinite(grads[name]).all() and np.any(grads[name]) and _same(grad, grads[name]):
            return "upstream gradient ignored", f"back gives the same gradient of {name!r} for twice the dout"
    return None


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True)
