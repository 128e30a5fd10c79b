"""Grades for one function of an exercise: its value against a reference, its gradients against differences.

What is compared first names the mistake best: does it run, does it give the same twice, is it of the right
form, is the value right; and only then the gradients, which `nphash.gradcheck` judges. The reference is the
model solution, and known mistakes are pieces of its text replaced: a student's function that returns what one
of them returns has made it.

A value is a number, an array (lists of numbers count as one), or a tuple, list or dictionary of such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.gradcheck import Model, Report, Settings, check, check_model
from nphash.gradcheck.numeric import distinct
from nphash.gradcheck.problem import Cause, argument_names
from nphash.teaching.lessons import solution_text
from nphash.teaching.student import own_output, where

Function = Callable[..., Any]
DrawArguments = Callable[[Rng], tuple[Any, ...]]
Changes = tuple[str, ...]

CLOSE, CLOSE_IN_FLOAT32 = 1e-9, 1e-5  # largest relative differences of values that count as the same


class Mistake(NamedTuple):
    """What to call a mistake, a function that makes it, and what makes the function of the solution."""

    cause: str
    function: Function
    changes: Changes = ()  # pieces of its text: old, new, old, new ...


@dataclass(frozen=True)
class Question:
    """One function that a student writes, with reference and known mistakes."""

    name: str
    reference: Function  # does it right
    draws: tuple[DrawArguments, ...]  # of arguments: each is tried
    mistakes: tuple[Mistake, ...] = ()
    also: tuple[Function, ...] = ()  # values that are right, too
    gradient: bool = False  # they return (out, back)
    constants: tuple[str, ...] = ()  # floating-point arrays without gradient
    relaxed: Function | None = None  # of a straight-through sample: the function whose gradient it borrows
    model: Callable[[Function, tuple[Any, ...]], Model] | None = None  # where gradients are a dictionary
    advice: Mapping[str, str] = field(default_factory=dict)  # what to look at, by cause


def question(
    number: int,
    name: str,
    draws: tuple[DrawArguments, ...],
    mistakes: Iterable[Changes],
    also: Iterable[Changes] = (),
    **more: Any,
) -> Question:
    """Return the question for a function of exercise ``number``: its solution is the reference.

    Each of ``mistakes`` is what to call it, and the changes that make it; each of ``also``, changes that are
    right.
    """

    def changed(*changes: str) -> Function:
        return lambda *args: solved(number, name, changes)(*args)

    known = tuple(Mistake(cause, changed(*changes), tuple(changes)) for cause, *changes in mistakes)
    others = tuple(changed(*changes) for changes in also)
    return Question(name, solved(number, name), draws, known, others, **more)


@cache
def solved(number: int, name: str, changes: Changes = ()) -> Function:
    """Return a function of the model solution of an exercise, with pieces replaced."""
    module: dict[str, Any] = {}
    code = compile(changed_solution(number, name, changes), f"solution of exercise {number}", "exec")
    exec(code, module)
    function: Function = module[name]
    return function


def changed_solution(number: int, name: str, changes: Changes) -> str:
    """Return the model solution with pieces (old, new, old, new ...) of one function replaced."""
    text = solution_text(number)
    begin = text.index('"""\n', text.index(f"def {name}("))  # behind the docstring, which is no code
    head, body = text[:begin], text[begin:]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in body, f"the solution of exercise {number} has changed: {old}"
        body = body.replace(old, new, 1)
    return head + body


@dataclass(frozen=True)
class Grade:
    """What is to be said of one function."""

    function: str
    verdict: str  # right, wrong or not done
    cause: str = ""  # the likely mistake
    evidence: str = ""  # what was seen of it
    advice: str = ""  # what to look at
    reports: tuple[Report, ...] = ()  # of the gradient checker, where it came to that
    place: str = ""  # of the function in the file, such as "line 7"
    seconds: float = field(default=0.0, compare=False)  # that grading took

    @property
    def passed(self) -> bool:
        """Whether the function is written and right."""
        return self.verdict == "right"


def grade_question(question: Question, function: Function, path: Path, seed: int = 0) -> Grade:
    """Grade a student's function, which came from the file ``path``."""
    try:
        with np.errstate(all="ignore"), own_output():
            return _grade(question, function, path, seed)
    except SystemExit:
        return _wrong(question, "the function raises", "it ends the program: leave sys.exit() and exit() out")


def _grade(question: Question, function: Function, path: Path, seed: int) -> Grade:
    for number, draw in enumerate(question.draws):
        args = draw(np.random.default_rng([seed, number]))
        if found := _wrong_value(question, function, args, path):
            return _wrong(question, *found)
    reports: tuple[Report, ...] = ()
    if question.gradient:
        args = question.draws[0](np.random.default_rng([seed, 0]))
        known = _known_gradient(question, function, args)
        reports = tuple(_gradients(question, function, args))
        for report in reports:
            if not report.passed:
                of = f"gradient of {report.parameter}: {report.evidence or report.verdict}"
                return _wrong(question, known or report.cause or "not judged", of, reports)
        if known:  # what the checker does not see
            return _wrong(question, known, "right for dloss = 1, but not for another number", reports)
    return Grade(question.name, "right", reports=reports)


def _wrong(question: Question, cause: str, evidence: str, reports: tuple[Report, ...] = ()) -> Grade:
    advice = question.advice.get(cause, ADVICE.get(cause, ""))
    return Grade(question.name, "wrong", cause, evidence, advice, reports)


def _wrong_value(question: Question, function: Function, args: tuple[Any, ...], path: Path) -> Cause | None:
    """Run the function twice and compare its value with the reference."""
    given = copy_of(args)
    try:
        result = function(*given)
        again = function(*copy_of(args))
    except Exception as error:  # whatever a student's function raises is a finding
        return "the function raises", f"{path.name}{where(error, path)}: {type(error).__name__}: {error}"
    for name, before, after in zip(signature(question.reference).parameters, args, given, strict=False):
        if not equal(before, after):
            return "an argument is changed in place", f"{name} is not the same after the call"
    wanted = question.reference(*args)
    if question.gradient:
        if not (isinstance(result, (tuple, list)) and len(result) == 2 and callable(result[1])):
            needed = "(out, back) with a function back is needed"
            return "wrong form", f"it returns {kind_of(result)}, but {needed}"
        again = again[0] if isinstance(again, (tuple, list)) and again else None
        result, wanted = result[0], wanted[0]
    if found := form(result, wanted):
        return found
    if not equal(result, again):
        return "noise redrawn", "two calls with the same arguments differ: noise has to be an argument"
    if any(same(result, value) for value in (wanted, *(also(*copy_of(args)) for also in question.also))):
        return None
    return _difference(question, result, wanted, args)


def _difference(question: Question, result: object, wanted: object, args: tuple[Any, ...]) -> Cause:
    seen = first_difference(result, wanted)
    for cause, mistaken, *_ in question.mistakes:
        value = mistaken(*copy_of(args))
        value = value[0] if question.gradient else value
        if same(result, value) and not same(value, wanted):
            return cause, seen
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
        return "not recognised", seen
    return "constant factor", f"{seen}: {ratio:.6g} times the right value everywhere"


def _known_gradient(question: Question, function: Function, args: tuple[Any, ...]) -> str:
    """Return the cause of the known mistake whose gradients the function returns, if any.

    The checker asks a model's back for the gradients of the loss itself; here they are those of 0.7 times
    the loss, so that a back which ignores its argument is found.
    """
    out, back = question.reference(*args)
    upstream = np.random.default_rng(0).normal(size=np.shape(out)) if np.ndim(out) else 0.7
    right = back(upstream)
    try:
        result = function(*copy_of(args))[1](upstream)
    except Exception:  # the gradient checker says so at length
        return ""
    if same(result, right):
        return ""
    for cause, mistaken, *_ in question.mistakes:
        value, wrong_back = mistaken(*copy_of(args))
        if same(value, out) and same(result, wrong := wrong_back(upstream)) and not same(wrong, right):
            return cause
    # Of what is no model, the checker tries every upstream gradient itself.
    if question.model is not None and same(function(*copy_of(args))[1](1.0), back(1.0)):
        return "upstream gradient ignored"
    return ""


def _gradients(question: Question, function: Function, args: tuple[Any, ...]) -> list[Report]:
    settings = Settings(sweep=False)  # a grade shows no curve
    if question.model is not None:
        return check_model(question.model(function, args), settings)
    names = argument_names(function, len(args))  # a student may have other ones
    named = zip(signature(question.reference).parameters, names, strict=True)
    constants = [name for wanted, name in named if wanted in question.constants]
    relaxed, name = question.relaxed, question.name
    return check(function, *args, constants=constants, relaxed=relaxed, name=name, settings=settings)


# ---------------------------------------------------------------------- comparing values


def form(result: object, wanted: object) -> Cause | None:
    """Compare kinds, numbers of outputs, names and shapes; return the cause where they differ."""
    if result is None:
        return "wrong form", "it returns nothing: is a return missing?"
    named = [("it", result, wanted)]
    if isinstance(wanted, Mapping):
        if not isinstance(result, Mapping) or set(result) != set(wanted):
            needed = f"a dictionary of {', '.join(wanted)} is needed"
            return "wrong form", f"it returns {kind_of(result)}, but {needed}"
        named = [(name, result[name], wanted[name]) for name in wanted]
    elif isinstance(wanted, (tuple, list)):
        if not isinstance(result, (tuple, list)) or len(result) != len(wanted):
            return "wrong form", f"it returns {kind_of(result)}, but {len(wanted)} values are needed"
        named = [(f"value {i + 1}", a, b) for i, (a, b) in enumerate(zip(result, wanted, strict=True))]
    for name, got, right in named:
        try:
            array, wish = np.asarray(got), np.asarray(right)
        except ValueError:  # a list of lists of different lengths
            return "wrong form", f"{name} is {kind_of(got)} of different lengths, but an array is needed"
        if array.dtype.kind not in "bifu":
            return "wrong form", f"{name} is {kind_of(got)}, but numbers are needed"
        if array.shape != wish.shape:
            cause = "transposed" if array.shape == wish.shape[::-1] else "wrong shape"
            return cause, f"{name} has shape {array.shape}, but {wish.shape} is needed"
    return None


def flat(value: Any, like: Any = None) -> list[Array]:
    """Return all arrays and numbers in a value, as arrays; of a dictionary in the order of its names.

    A list counts as one array, unless a value that it should be like has several there.
    """
    like = value if like is None else like
    if isinstance(like, Mapping):
        names = sorted(like)
        value, like = [value[name] for name in names], [like[name] for name in names]
    if isinstance(like, (tuple, list)):
        return [array for pair in zip(value, like, strict=True) for array in flat(*pair)]
    return [np.asarray(value)]


def copy_of(value: Any) -> Any:
    """Return a value with copies of its arrays."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {name: copy_of(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(copy_of(item) for item in value)
    return value


def equal(a: object, b: object) -> bool:
    """Return whether two values are the same to the last bit."""

    def bits(x: Array, y: Array) -> bool:
        return np.array_equal(x, y, equal_nan=x.dtype.kind == y.dtype.kind == "f")

    return len(flat(a)) == len(flat(b)) and all(map(bits, flat(a), flat(b)))


def same(result: object, wanted: object) -> bool:
    """Return whether a value is as wanted but for rounding; whole numbers and booleans exactly."""
    return form(result, wanted) is None and all(map(_close, flat(result, wanted), flat(wanted)))


def _close(x: Array, y: Array) -> bool:
    if y.dtype.kind in "bui":
        return bool(np.array_equal(x, y))
    close = CLOSE_IN_FLOAT32 if x.dtype == np.float32 else CLOSE
    scale = float(np.abs(y[np.isfinite(y)]).max(initial=0.0))
    return bool(np.allclose(x, y, rtol=close, atol=close * scale, equal_nan=True))


def first_difference(result: object, wanted: object) -> str:
    """Return where and by how much a value is wrong, in words; both have one form."""
    several = isinstance(wanted, (tuple, list, Mapping))
    for number, (x, y) in enumerate(zip(flat(result, wanted), flat(wanted), strict=True), start=1):
        if _close(x, y):
            continue
        name = f"value {number}" if several else "the value"
        with np.errstate(invalid="ignore"):  # infinite on both sides
            gap = np.where(x == y, 0.0, np.abs(x.astype(float) - y.astype(float)))
        index = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), x.shape)
        at = f" at {tuple(map(int, index))}" if x.ndim else ""
        got, right = distinct(x[index], y[index])
        return f"{name}{at} is {got}, {right} is right"
    return ""


def ratio_of(result: object, wanted: object) -> float:
    """Return c if every number is c times the right one; NaN if there is none."""
    a, b = (
        np.concatenate([array.ravel().astype(float) for array in flat(value, wanted)])
        for value in (result, wanted)
    )
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if c and np.allclose(a, c * b, rtol=CLOSE, atol=CLOSE * np.abs(b).max()) else float("nan")


def kind_of(value: object) -> str:
    """Return what a value is, in words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"{len(value)} values"
    if isinstance(value, Mapping):
        return f"a dictionary of {', '.join(map(str, value)) or 'nothing'}"
    return "nothing" if value is None else f"a {type(value).__name__}"


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
