"""The check itself: run both ways, compare, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.diagnose import diagnose
from nphash.gradcheck.findings import Findings
from nphash.gradcheck.numeric import Derivative, central_difference, derivative
from nphash.gradcheck.problem import Evaluate, Problem, Settings
from nphash.gradcheck.report import Report
from nphash.gradcheck.samples import wrong_sample
from nphash.gradcheck.trial import Trial, try_out

__all__ = ["check_problem"]

_STEPS = tuple(10.0**-power for power in range(1, 10))
_FLOOR = 1e-3  # entries below this part of the largest one are measured against it


def check_problem(problem: Problem, settings: Settings) -> list[Report]:
    """Check every parameter of a problem, in the order of its arguments.

    A function that cannot be run, or not twice with the same result, gives a report and no exception.
    """
    with np.errstate(all="ignore"):  # what is not finite is reported, not warned about
        trial = try_out(problem, settings.seed)
        if isinstance(trial, Report):
            return [trial]
        if not trial.complaint:
            trial = replace(trial, complaint=wrong_sample(problem, trial.out))
        return [_check_parameter(problem, trial, name, settings) for name in problem.params]


def _check_parameter(problem: Problem, trial: Trial, name: str, settings: Settings) -> Report:
    value = problem.params[name]
    report = Report(problem.name, name, "ok", problem.equation, problem.formula, value.shape)
    report = replace(report, seed=settings.seed)
    analytic = np.asarray(trial.grads[name])
    complaint = trial.complaint or _complaint(analytic, value)
    if complaint:
        return replace(report, verdict="wrong", cause=complaint[0], evidence=complaint[1])
    wide = problem.in_float64()
    try:
        return _Comparison(wide, trial, name, settings).report(report, value.dtype)
    except Exception as error:  # the function failed beside the point where it worked
        evidence = f"beside the given point: {type(error).__name__}: {error}"
        return replace(report, verdict="invalid", cause="the function raises", evidence=evidence)


def _complaint(analytic: Array, value: Array) -> tuple[str, str] | None:
    if analytic.shape != value.shape:
        return _shape_cause(analytic.shape, value.shape)
    if not np.isfinite(analytic).all():
        index = _index(int(np.flatnonzero(~np.isfinite(analytic))[0]), value.shape)
        return "not finite", f"the gradient at {index} is {analytic[index]}"
    return None


def _shape_cause(got: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[str, str]:
    evidence = f"the gradient has shape {got}, its parameter {wanted}"
    if got == wanted[::-1]:
        return "transposed", evidence
    if len(got) > len(wanted) and got[len(got) - len(wanted) :] == wanted:
        return "sum over the batch missing", evidence + ": add up the leading axes"
    return "wrong shape", evidence


class _Comparison:
    """Analytic against numeric derivatives of one parameter."""

    def __init__(self, problem: Problem, trial: Trial, name: str, settings: Settings) -> None:
        self.problem, self.trial, self.name, self.settings = problem, trial, name, settings
        self.analytic = np.asarray(trial.grads[name], dtype=np.float64)
        self.scale = float(np.abs(self.analytic).max(initial=0.0)) * 1e-2
        self.path = problem.relaxed or problem.evaluate
        self.rng = np.random.default_rng((settings.seed, len(name), self.analytic.size))

    def report(self, report: Report, dtype: np.dtype[Any]) -> Report:
        """Fill a report with figures and verdict."""
        tolerance = self.settings.tolerance or (1e-4 if dtype == np.float32 else 1e-7)
        if self.analytic.size == 0:
            return replace(report, note="the parameter has no entries", tolerance=tolerance)
        direction = self.rng.normal(size=self.analytic.shape)
        along = derivative(self._line(self.path, direction), self.trial.dout, self.scale)
        slope = float(np.sum(self.analytic * direction))
        # What no random direction moves, and has no gradient, plays no part here: one entry shows it.
        inert = not self.analytic.any() and along.value == 0 == along.noise
        chosen = self._choose()[: 1 if inert else None]
        judged = self._judge(chosen, tolerance, dtype == np.float32)
        error, missed = _judge_direction(slope, along, tolerance, self.analytic)
        worst = int(judged.order[0])
        report = replace(
            report,
            entries=int(judged.kept.sum()),
            skipped=int((~judged.kept).sum()),
            worst=_index(int(chosen[worst]), self.analytic.shape),
            analytic=float(judged.analytic[worst]),
            numeric=float(judged.numeric[worst]),
            relative_error=float(judged.errors[worst]),
            ratio=_ratio(float(judged.analytic[worst]), float(judged.numeric[worst])),
            direction_error=error,
            tolerance=float(judged.tolerances[worst]),
            sweep=self._sweep(direction, slope) if self.settings.sweep else (),
        )
        missed = missed and len(chosen) < self.analytic.size
        report = replace(report, **self._verdict(chosen, judged, missed))
        return self._against_the_step(report, direction, slope)

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
            return {
                "verdict": "invalid",
                "cause": "not finite",
                "evidence": "the output is, beside the given point",
            }
        if judged.wrong.any():
            cause, evidence = diagnose(self._findings(chosen, judged))
            return {"verdict": "wrong", "cause": cause, "evidence": evidence}
        if missed:
            evidence = (
                f"the {len(chosen)} entries tried agree, the derivative along a random direction does not"
            )
            return {"verdict": "wrong", "cause": "only located", "evidence": evidence}
        if not judged.kept.any():
            return {"verdict": "kinks only"}
        return {"verdict": "ok"}

    def _choose(self) -> Array:
        size, settings = self.analytic.size, self.settings
        if size <= settings.all_below:
            return np.arange(size)
        order = np.argsort(-np.abs(self.analytic), axis=None)
        largest, others = np.split(order, [settings.entries // 4])
        return np.sort([*largest, *self.rng.choice(others, settings.entries - len(largest), replace=False)])

    def _line(self, path: Evaluate, direction: Array) -> Callable[[float], Array]:
        params = self.problem.params
        start = params[self.name]

        def line(t: float) -> Array:
            values = {key: value.copy() for key, value in params.items()}
            values[self.name] = start + t * direction
            return np.array(path(values)[0], copy=True)

        return line

    def _entry(self, path: Evaluate, entry: int, first_step: float | None = None) -> Derivative:
        direction = np.zeros(self.analytic.shape)
        direction.flat[entry] = 1.0
        return derivative(self._line(path, direction), self.trial.dout, self.scale, first_step)

    def _sweep(self, direction: Array, slope: float) -> tuple[tuple[float, float], ...]:
        line = self._line(self.path, direction)
        scale = max(abs(slope), np.finfo(np.float64).tiny)
        return tuple(
            (step, abs(central_difference(line, self.trial.dout, step) - slope) / scale) for step in _STEPS
        )

    def _against_the_step(self, report: Report, direction: Array, slope: float) -> Report:
        """Say what a straight-through function does by itself, where that differs from what back returns."""
        if not self.problem.relaxed:
            return report
        hard = derivative(self._line(self.problem.evaluate, direction), self.trial.dout, self.scale)
        if abs(hard.value - slope) <= 1e-4 * abs(slope) + 10 * hard.noise:
            return report  # this parameter does not act through the sample
        note = (
            "no numeric gradient by construction: along a random direction "
            f"{hard.value:.4g} as it is, {slope:.4g} by back"
        )
        return replace(report, verdict="straight-through" if report.passed else report.verdict, note=note)

    def _findings(self, chosen: Array, judged: _Judgement) -> Findings:
        terms = {}
        for term, path in self.problem.terms.items():
            terms[term] = np.array([self._entry(path, entry).value for entry in chosen])
        return Findings(
            problem=self.problem,
            trial=self.trial,
            name=self.name,
            analytic=self.analytic,
            chosen=chosen,
            numeric=judged.numeric,
            kept=judged.kept,
            wrong=judged.wrong,
            terms=terms,
        )


class _Judgement:
    """Entries compared: relative errors and tolerances, which were kept, which of these are wrong."""

    def __init__(self, analytic: Array, found: list[Derivative], tolerance: float, single: bool) -> None:
        numeric = np.array([each.value for each in found])
        self.analytic, self.numeric = analytic, numeric
        noise = np.array([each.noise for each in found])
        kinks = np.array([each.kink for each in found])
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


def _judge_direction(
    slope: float, along: Derivative, tolerance: float, analytic: Array
) -> tuple[float, bool]:
    scale = max(abs(slope), abs(along.value), _FLOOR * float(np.linalg.norm(analytic)), 1e-300)
    difference = abs(slope - along.value)
    allowed = tolerance + 10 * along.noise / scale
    missed = difference / scale > allowed and along.kink < 0.2 * difference
    return difference / scale, missed


def _index(entry: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(entry, shape))


def _ratio(analytic: float, numeric: float) -> float:
    return analytic / numeric if numeric else float("nan")
