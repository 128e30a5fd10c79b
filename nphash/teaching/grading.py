"""Grade one function of an exercise: its value against a reference, its gradients against differences.

What is compared first names the mistake best: does it run, does it give the same twice, is it of the right
form, is the value right; and only then the gradients, which `nphash.gradcheck` judges. Known mistakes stand
beside the reference: a student's function that returns what one of them returns has made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from nphash.gradcheck import Model, Report, Settings, check, check_model
from nphash.teaching.comparing import (
    CLOSE,
    copy_of,
    equal,
    first_difference,
    flat,
    form,
    kind_of,
    ratio_of,
    same,
)
from nphash.teaching.student import own_output, where

__all__ = ["ADVICE", "Grade", "Mistake", "Part", "grade_part"]

Function = Callable[..., Any]
Draw = Callable[[np.random.Generator], tuple[Any, ...]]
Finding = tuple[str, str]


@dataclass(frozen=True)
class Mistake:
    """A typical mistake: what to call it, and a function that makes it."""

    cause: str
    function: Function


@dataclass(frozen=True)
class Part:
    """One function that a student writes.

    Parameters
    ----------
    name
        Of the function.
    reference
        Does it right. Where ``gradient`` is set it returns ``(out, back)``.
    draws
        Make arguments from a random generator; each is tried.
    mistakes
        Typical ones. Those of gradients return ``(out, back)`` too, or ``(out, None)`` where the
        value alone tells them.
    gradient
        Whether the function returns ``(out, back)``.
    constants
        Names of floating-point arrays without gradient.
    relaxed
        For straight-through samples, the function whose gradient they borrow.
    model
        Makes a `Model` of the function and its arguments, if its gradients are a dictionary.
    advice
        What to look at, by cause.
    """

    name: str
    reference: Function
    draws: tuple[Draw, ...]
    mistakes: tuple[Mistake, ...] = ()
    gradient: bool = False
    constants: tuple[str, ...] = ()
    relaxed: Function | None = None
    model: Callable[[Function, tuple[Any, ...]], Model] | None = None
    advice: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grade:
    """What is to be said of one part.

    Attributes
    ----------
    part
        Name of the function.
    verdict
        ``right``, ``wrong`` or ``not done``.
    cause, evidence
        The likely mistake and what was seen of it.
    advice
        What to look at.
    reports
        Of the gradient checker, where it came to that.
    """

    part: str
    verdict: str
    cause: str = ""
    evidence: str = ""
    advice: str = ""
    reports: tuple[Report, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the part is done and right."""
        return self.verdict == "right"


def grade_part(part: Part, function: Function, path: Path, seed: int = 0) -> Grade:
    """Grade a student's function, which came from the file ``path``."""
    try:
        with np.errstate(all="ignore"), own_output():
            return _grade(part, function, path, seed)
    except SystemExit:
        return _wrong(part, "the function raises", "it ends the program: leave sys.exit() and exit() out")


def _grade(part: Part, function: Function, path: Path, seed: int) -> Grade:
    for number, draw in enumerate(part.draws):
        args = draw(np.random.default_rng([seed, number]))
        found = _values(part, function, args, path)
        if found:
            return _wrong(part, *found)
    reports: tuple[Report, ...] = ()
    if part.gradient:
        args = part.draws[0](np.random.default_rng([seed, 0]))
        known = _known_gradient(part, function, args)
        reports = tuple(_gradients(part, function, args))
        for report in reports:
            if not report.passed:
                of = f"gradient of {report.parameter}: {report.evidence or report.verdict}"
                return _wrong(part, known or report.cause or "not judged", of, reports)
        if known:  # what the checker does not see
            return _wrong(part, known, "right for dloss = 1, but not for another number", reports)
    return Grade(part.name, "right", reports=reports)


def _wrong(part: Part, cause: str, evidence: str, reports: tuple[Report, ...] = ()) -> Grade:
    advice = part.advice.get(cause, ADVICE.get(cause, ""))
    return Grade(part.name, "wrong", cause, evidence, advice, reports)


def _values(part: Part, function: Function, args: tuple[Any, ...], path: Path) -> Finding | None:
    """Run the function twice and compare its value with the reference."""
    given = copy_of(args)
    try:
        result = function(*given)
        again = function(*copy_of(args))
    except Exception as error:  # whatever a student's function raises is a finding
        return "the function raises", f"{path.name}{where(error, path)}: {type(error).__name__}: {error}"
    for name, before, after in zip(signature(part.reference).parameters, args, given, strict=False):
        if not equal(before, after):
            return "an argument is changed in place", f"{name} is not the same after the call"
    wanted = part.reference(*args)
    if part.gradient:
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            return (
                "wrong form",
                f"it returns {kind_of(result)}, but (out, back) with a function back is needed",
            )
        again = again[0] if isinstance(again, tuple) and again else None
        result, wanted = result[0], wanted[0]
    found = form(result, wanted)
    if found:
        return found
    if not equal(result, again):
        return "noise redrawn", "two calls with the same arguments differ: noise has to be an argument"
    return _difference(part, result, wanted, args)


def _difference(part: Part, result: Any, wanted: Any, args: tuple[Any, ...]) -> Finding | None:
    if same(result, wanted):
        return None
    seen = first_difference(result, wanted)
    for mistake in part.mistakes:
        value = mistake.function(*copy_of(args))
        if part.gradient:
            value = value[0]
        if form(value, wanted) is None and not same(value, wanted) and same(result, value):
            return mistake.cause, seen
    if not all(np.isfinite(array).all() for array in flat(result)):
        return "not finite", seen
    ratio = ratio_of(result, wanted)
    if abs(ratio + 1) < CLOSE:
        return "sign", f"{seen}: every value is minus the right one"
    for array in flat(args):
        if array.ndim and len(array) > 1:
            if abs(ratio / len(array) - 1) < CLOSE:
                return "sum instead of mean", f"{seen}: {len(array)} times the right value"
            if abs(ratio * len(array) - 1) < CLOSE:
                return "divided twice", f"{seen}: 1 / {len(array)} of the right value"
    if np.isnan(ratio) or sum(array.size for array in flat(wanted)) == 1:  # one number always has a ratio
        return "only located", seen
    return "constant factor", f"{seen}: {ratio:.6g} times the right value everywhere"


def _known_gradient(part: Part, function: Function, args: tuple[Any, ...]) -> str:
    """Return the cause of the known mistake whose gradients the function returns, if any.

    The checker asks a model's back for the gradients of the loss itself; here they are those of 0.7 times
    the loss, so that a back which ignores its argument is found.
    """
    out, back = part.reference(*args)
    upstream = np.random.default_rng(0).normal(size=np.shape(out)) if np.ndim(out) else 0.7
    right = back(upstream)
    try:
        result = function(*copy_of(args))[1](upstream)
    except Exception:  # the gradient checker says so at length
        return ""
    if same(result, right):
        return ""
    for mistake in part.mistakes:
        value, wrong_back = mistake.function(*copy_of(args))
        if wrong_back is None or not same(value, out):
            continue
        wrong = wrong_back(upstream)
        if not same(wrong, right) and form(result, wrong) is None and same(result, wrong):
            return mistake.cause
    return "upstream gradient ignored" if _right_for_one(function, part, args) else ""


def _right_for_one(function: Function, part: Part, args: tuple[Any, ...]) -> bool:
    if part.model is None:  # the checker tries every upstream gradient itself
        return False
    return same(function(*copy_of(args))[1](1.0), part.reference(*args)[1](1.0))


def _gradients(part: Part, function: Function, args: tuple[Any, ...]) -> list[Report]:
    settings = Settings(sweep=False)  # a grade shows no curve
    if part.model is not None:
        return check_model(part.model(function, args), settings)
    return check(
        function, *args, constants=part.constants, relaxed=part.relaxed, name=part.name, settings=settings
    )


ADVICE = {
    "sign": "a loss is minus the log-likelihood; a step goes against the gradient",
    "sum instead of mean": "the mean over the documents of a batch is taken once, in the value and in back",
    "divided twice": "the mean over the documents of a batch is taken once, in the value and in back",
    "transposed": "write the shape of each factor below the product: the inner ones have to meet",
    "branch not propagated": "what is used twice receives a gradient from both uses: add them",
    "noise redrawn": "draw the noise outside and pass it in, else nothing can be checked or repeated",
    "activation derivative missing": "the chain rule has a factor for each function: which one is left out?",
    "upstream gradient ignored": "back receives the gradient of the loss by the output: multiply by it",
    "an argument is changed in place": "x += 1 and x[...] = 0 change the caller's array: make a new one",
    "sum over the batch missing": "a bias is used by every row: its gradient is the sum over the rows",
    "the output is not floating-point": "zeros and ones as numbers: .astype(float)",
    "the function does not end": "a loop whose condition stays true, or one over what it makes longer",
    "the program dies": "os._exit(), or more memory than there is",
    "not finite": "an exp of a large number, a log of zero or a division by zero",
}
