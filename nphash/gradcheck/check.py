"""The check itself: run forward and backward, compare with numeric derivatives, judge."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.typing import Array, Params
from nphash.gradcheck.diagnose import NOT_RECOGNISED, Evidence, diagnose
from nphash.gradcheck.numeric import Derivative, central_difference, derivative, entry_derivative, line_of
from nphash.gradcheck.problem import Cause, Evaluate, Problem, Settings, wrong_sample
from nphash.gradcheck.report import Report

_STEPS = tuple(10.0**-power for power in range(1, 10))
_FLOOR = 1e-3  # entries below this part of the largest one are measured against it


def check_problem(problem: Problem, settings: Settings) -> list[Report]:
    """Check every parameter of a problem; a function that cannot be run gives a report and no exception."""
    with np.errstate(all="ignore"):  # what is not finite is reported, not warned about
        trial = try_out(problem, settings.seed)
        if isinstance(trial, Report):
            return [trial]
        reports = [_check_parameter(problem, trial, name, settings) for name in problem.params]
    right = ", ".join(report.parameter for report in reports if report.passed)
    if not right:
        return reports
    seen = f"; the gradients of {right} are right"
    return [
        replace(report, evidence=report.evidence + seen) if report.cause == NOT_RECOGNISED else report
        for report in reports
    ]


# ---------------------------------------------------------------------- the trial run


@dataclass(frozen=True)
class Trial:
    """One run forward and backward; ``complaint`` is what two such runs already show to be wrong."""

    out: Array
    dout: Array
    grads: Params
    complaint: Cause | None


def try_out(problem: Problem, seed: int) -> Trial | Report:
    """Run a problem forward and backward, twice; return a report if that is not possible."""
    names = ", ".join(problem.params)
    invalid = Report(problem.name, names, "invalid", problem.equation, problem.formula, seed=seed)
    params = {name: value.copy() for name, value in problem.params.items()}
    stage = "forward"
    try:
        raw, back = problem.evaluate(params)
        out = np.array(raw, copy=True)
        if problem.relaxed is not None and out.dtype.kind in "iu":  # a sample written in whole numbers
            out = out.astype(np.float64)
        complaint = _check_output(out)
        if complaint:
            return replace(invalid, cause=complaint[0], evidence=complaint[1])
        dout = _upstream(out, seed)
        stage = "backward"
        upstream = _like(out, dout)
        given = np.array(upstream, copy=True)
        grads = {name: np.array(grad, copy=True) for name, grad in back(upstream).items()}
        before, after = {**problem.params, "dout": given}, {**params, "dout": np.asarray(upstream)}
        changed = [key for key in before if not np.array_equal(before[key], after[key], equal_nan=True)]
        if changed:
            complaint = "an argument is changed in place", f"{changed[0]!r} is not the same after the run"
        else:
            complaint = _repeat(problem, out, dout, grads, back)
    except Exception as error:  # whatever a user's function raises is a finding, not a crash
        cause = "the gradients cannot be used" if isinstance(error, TypeError) else "the function raises"
        return replace(invalid, cause=cause, evidence=f"{stage}{_described(error)}")
    out = out.astype(np.float64)
    return Trial(out, dout, grads, complaint or wrong_sample(problem, out))


def _described(error: Exception) -> str:
    """Return an exception with the line of the checked function that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = [frame for frame in frames if Path(frame.filename).parent != Path(__file__).parent]
    own = [frame for frame in foreign if frame.filename == foreign[0].filename]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{place}: {type(error).__name__}: {error}"


def _check_output(out: Array) -> Cause | None:
    if not np.issubdtype(out.dtype, np.floating):
        return "the output is not floating-point", f"it is {out.dtype} of shape {out.shape}"
    unbounded = np.count_nonzero(~np.isfinite(out))
    return ("not finite", f"the output holds {unbounded} values that are not finite") if unbounded else None


def _upstream(out: Array, seed: int) -> Array:
    rng = np.random.default_rng((seed, out.size))
    if out.ndim == 0:  # not 1, or a back that ignores its argument would go unnoticed
        return np.asarray(0.5 + rng.random())
    return rng.normal(size=out.shape)


def _like(out: Array, dout: Array) -> Any:
    """Return a fresh upstream gradient in the output's type: an array, or a number."""
    fresh = dout.astype(out.dtype)
    return fresh if out.ndim else float(fresh)


def _repeat(
    problem: Problem, out: Array, dout: Array, grads: Params, back: Callable[..., Params]
) -> Cause | None:
    """Compare with a second run, a second call of ``back`` and one with twice the upstream gradient."""
    again, back_again = problem.evaluate({name: value.copy() for name, value in problem.params.items()})
    if not np.array_equal(out, np.asarray(again)):
        gap = float(np.abs(out - np.asarray(again)).max())
        seen = f"two runs on the same arguments differ by up to {gap:.3g}: make the noise an argument"
        return "noise redrawn", seen
    for name, grad in back_again(_like(out, dout)).items():
        if not _same(grad, grads[name]):
            return "noise redrawn", f"the gradients of {name!r} differ between two runs on the same arguments"
    for name, grad in back(_like(out, dout)).items():
        if _same(grad, grads[name]):
            continue
        if _same(grad, 2 * grads[name]):
            return "gradients accumulate", f"a second call of back returns twice the gradient of {name!r}"
        return "back is not repeatable", f"a second call of back gives another gradient of {name!r}"
    for name, grad in back(_like(out, 2 * dout)).items():
        if np.isfinite(grads[name]).all() and np.any(grads[name]) and _same(grad, grads[name]):
            return "upstream gradient ignored", f"back gives the same gradient of {name!r} for twice the dout"
    return None


def _same(grad: Array, other: Array) -> bool:
    grad = np.asarray(grad)
    return grad.shape == other.shape and np.allclose(grad, other, rtol=1e-6, atol=0, equal_nan=True)


# ---------------------------------------------------------------------- one parameter


def _check_parameter(problem: Problem, trial: Trial, name: str, settings: Settings) -> Report:
    value, analytic, seed = problem.params[name], trial.grads[name], settings.seed
    report = Report(problem.name, name, "ok", problem.equation, problem.formula, value.shape, seed=seed)
    if complaint := trial.complaint or _swapped(problem, trial, name) or _complaint(analytic, value):
        return replace(report, verdict="wrong", cause=complaint[0], evidence=complaint[1])
    single = np.float32 in (value.dtype, analytic.dtype)
    try:
        return _Comparison(problem.in_float64(), trial, name, settings).report(report, single)
    except Exception as error:  # the function failed beside the point where it worked
        evidence = f"beside the given point{_described(error)}"
        return replace(report, verdict="invalid", cause="the function raises", evidence=evidence)


def _swapped(problem: Problem, trial: Trial, name: str) -> Cause | None:
    """Suspect the order of the gradients where each of two has the shape of the other's parameter."""
    params, grads = problem.params, trial.grads
    for other, value in params.items():
        shapes = grads[name].shape, grads[other].shape
        if shapes[0] != shapes[1] and shapes == (value.shape, params[name].shape):
            seen = f"the gradient has the shape of {other}, and that of {other} the shape of {name}"
            return "gradients swapped", f"{seen}: back returns them in another order"
    return None


def _complaint(analytic: Array, value: Array) -> Cause | None:
    got, wanted = analytic.shape, value.shape
    seen = f"the gradient has shape {got}, its parameter {wanted}"
    if got == wanted and not np.isfinite(analytic).all():
        index = _index(int(np.flatnonzero(~np.isfinite(analytic))[0]), wanted)
        return "not finite", f"the gradient at {index} is {analytic[index]}"
    if got == wanted:
        return None
    if got == wanted[::-1]:
        return "transposed", seen
    if len(got) > len(wanted) and got[len(got) - len(wanted) :] == wanted:
        return "sum over the batch missing", f"{seen}: add up the leading axes"
    return "wrong shape", seen


class _Comparison:
    """Analytic against numeric derivatives of one parameter."""

    def __init__(self, problem: Problem, trial: Trial, name: str, settings: Settings) -> None:
        self.problem, self.trial, self.name, self.settings = problem, trial, name, settings
        self.analytic = np.asarray(trial.grads[name], dtype=np.float64)
        self.value = problem.params[name]
        self.scale = float(np.abs(self.analytic).max(initial=0.0)) * 1e-2
        self.path = problem.relaxed or problem.evaluate
        self.rng = np.random.default_rng((settings.seed, len(name), self.analytic.size))

    def report(self, report: Report, single: bool) -> Report:
        """Fill a report with figures and verdict."""
        tolerance = self.settings.tolerance or (1e-4 if single else 1e-7)
        if self.analytic.size == 0:
            return replace(report, note="the parameter has no entries", tolerance=tolerance)
        direction, along = self._random_direction()
        slope = float(np.sum(self.analytic * direction))
        # What no random direction moves, and has no gradient, plays no part here: one entry shows it.
        inert = not self.analytic.any() and along.value == 0 == along.noise
        chosen = self._choose()[: 1 if inert else None]
        judged = self._judge(chosen, tolerance, single)
        error, missed = self._judge_direction(slope, along, tolerance)
        worst = int(judged.order[0])
        analytic, numeric = float(judged.analytic[worst]), float(judged.numeric[worst])
        report = replace(
            report,
            entries=int(judged.kept.sum()),
            skipped=int((~judged.kept).sum()),
            worst=_index(int(chosen[worst]), self.analytic.shape),
            analytic=analytic,
            numeric=numeric,
            relative_error=float(judged.errors[worst]),
            ratio=analytic / numeric if numeric else float("nan"),
            direction_error=error,
            tolerance=float(judged.tolerances[worst]),
            sweep=self._sweep(direction, slope) if self.settings.sweep else (),
        )
        missed = missed and len(chosen) < self.analytic.size
        report = replace(report, **self._verdict(chosen, judged, missed))
        return self._against_the_step(report, direction, slope)

    def _random_direction(self) -> tuple[Array, Derivative]:
        """Draw a direction and differentiate along it; entries keep their sign where they have to."""
        noise, size = self.rng.normal(size=self.analytic.shape), np.abs(self.value)
        direction = noise * np.maximum(size, 1.0)
        along = self._along(self.path, direction)
        if np.isfinite(along.value):
            return direction, along
        return noise * size, self._along(self.path, noise * size)

    def _along(self, path: Evaluate, direction: Array) -> Derivative:
        return derivative(self._line(path, direction), self.trial.dout, self.scale)

    def _judge_direction(self, slope: float, along: Derivative, tolerance: float) -> tuple[float, bool]:
        """Return the relative error along the random direction, and whether it is too large."""
        floor = _FLOOR * float(np.linalg.norm(self.analytic * np.maximum(np.abs(self.value), 1.0)))
        scale, difference = max(abs(slope), abs(along.value), floor, 1e-300), abs(slope - along.value)
        missed = difference > tolerance * scale + 10 * along.noise and along.kink < 0.2 * difference
        return difference / scale, missed

    def _judge(self, chosen: Array, tolerance: float, single: bool) -> _Judgement:
        """Compare the entries; one whose difference shrinks with the step has a jump in the curvature there.

        A loss with a flat minimum behind a kink is an example, such as KL(ReLU(x)) at x = 0: the slope is
        continuous, but differences near their limit only as fast as their step.
        """
        analytic = self.analytic.flat[chosen]
        found = [self._entry(self.path, entry) for entry in chosen]
        judged = _Judgement(analytic, found, tolerance, single)
        for i in np.flatnonzero(judged.wrong):
            finer = self._entry(self.path, chosen[i], found[i].step / 10)
            if abs(finer.value - analytic[i]) < 0.3 * abs(found[i].value - analytic[i]):
                found[i] = replace(found[i], kink=np.inf)
        return _Judgement(analytic, found, tolerance, single) if judged.wrong.any() else judged

    def _verdict(self, chosen: Array, judged: _Judgement, missed: bool) -> dict[str, Any]:
        if not np.isfinite(judged.numeric).all():
            evidence = "the output is, beside the given point"
            return {"verdict": "invalid", "cause": "not finite", "evidence": evidence}
        if judged.wrong.any():
            cause, evidence = diagnose(self._evidence(chosen, judged))
            return {"verdict": "wrong", "cause": cause, "evidence": evidence}
        if missed:
            tried = f"the {len(chosen)} entries tried agree"
            evidence = f"{tried}, the derivative along a random direction does not"
            return {"verdict": "wrong", "cause": NOT_RECOGNISED, "evidence": evidence}
        return {"verdict": "ok" if judged.kept.any() else "kinks only"}

    def _choose(self) -> Array:
        settings = self.settings
        if self.analytic.size <= settings.all_below:
            return np.arange(self.analytic.size)
        order = np.argsort(-np.abs(self.analytic), axis=None)
        largest, others = np.split(order, [settings.entries // 4])
        return np.sort([*largest, *self.rng.choice(others, settings.entries - len(largest), replace=False)])

    def _line(self, path: Evaluate, direction: Array) -> Callable[[float], Array]:
        return line_of(path, self.problem.params, self.name, direction)

    def _entry(self, path: Evaluate, entry: int, first_step: float | None = None) -> Derivative:
        where = self.problem.params, self.name, entry, self.trial.dout
        return entry_derivative(path, *where, self.scale, first_step)

    def _sweep(self, direction: Array, slope: float) -> tuple[tuple[float, float], ...]:
        line, scale = self._line(self.path, direction), max(abs(slope), np.finfo(np.float64).tiny)
        found = [central_difference(line, self.trial.dout, step) for step in _STEPS]
        return tuple((step, abs(each - slope) / scale) for step, each in zip(_STEPS, found, strict=True))

    def _against_the_step(self, report: Report, direction: Array, slope: float) -> Report:
        """Say what a straight-through function does by itself, where that differs from what back returns."""
        if not self.problem.relaxed:
            return report
        hard = self._along(self.problem.evaluate, direction)
        if abs(hard.value - slope) <= 1e-4 * abs(slope) + 10 * hard.noise:
            return report  # this parameter does not act through the sample
        slopes = f"{hard.value:.4g} as it is, {slope:.4g} by back"
        note = f"no numeric gradient by construction: along a random direction {slopes}"
        return replace(report, verdict="straight-through" if report.passed else report.verdict, note=note)

    def _evidence(self, chosen: Array, judged: _Judgement) -> Evidence:
        terms = {
            term: np.array([self._entry(path, entry).value for entry in chosen])
            for term, path in self.problem.terms.items()
        }
        own = self.problem, self.trial.out, self.trial.dout, self.name, self.analytic
        return Evidence(*own, chosen, judged.numeric, judged.kept, judged.wrong, terms)


class _Judgement:
    """Entries compared: relative errors and tolerances, which were kept, which of these are wrong."""

    def __init__(self, analytic: Array, found: list[Derivative], tolerance: float, single: bool) -> None:
        numeric, noise, kinks = np.array([(each.value, each.noise, each.kink) for each in found]).T
        self.analytic, self.numeric = analytic, numeric
        largest = np.abs(np.concatenate([analytic, numeric])).max()
        floor = largest if single else _FLOOR * np.abs(numeric).max()
        tiny = np.finfo(np.float64).tiny
        scales = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), max(floor, tiny))
        differences = np.abs(analytic - numeric)
        self.errors = differences / scales
        self.tolerances = tolerance + noise / scales
        failed = ~(self.errors <= self.tolerances)
        self.kept = ~(failed & (kinks >= 0.2 * differences))
        self.wrong = failed & self.kept
        badness = np.where(self.kept, self.errors / self.tolerances, -1.0)
        self.order = np.argsort(-np.nan_to_num(badness, nan=np.inf), kind="stable")


def _index(entry: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(entry, shape))
