"""Check hand-written gradients against numeric derivatives, and name the likely mistake.

`check` takes any function ``(out, back) = f(*arrays)``, `check_model` any loss of a dictionary of
parameters, `run` all operations of this package; each returns a list of `Report`.
`assert_gradients` is the same as an assertion for tests of one's own operations, and `write_page` keeps
reports as a page or a picture.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nphash.errors import InputError
from nphash.gradcheck.cases import Case, operations
from nphash.gradcheck.check import check_problem
from nphash.gradcheck.page import write_page
from nphash.gradcheck.problem import (
    Model,
    Operation,
    Settings,
    equation_of,
    from_function,
    from_model,
    straight_through_surrogate,
)
from nphash.gradcheck.report import Report, Verdict, format_curve, format_jsonl, format_text, passed

__all__ = [
    "Case",
    "Model",
    "Report",
    "Settings",
    "Verdict",
    "assert_gradients",
    "check",
    "check_model",
    "equation_of",
    "format_curve",
    "format_jsonl",
    "format_text",
    "operations",
    "passed",
    "run",
    "straight_through_surrogate",
    "write_page",
]


def check(
    function: Operation,
    *args: object,
    constants: Sequence[str] = (),
    relaxed: Operation | None = None,
    name: str = "",
    settings: Settings | None = None,
) -> list[Report]:
    """Check ``(out, back) = function(*args)``.

    Parameters
    ----------
    function
        Returns its output (an array or a number) and a function that turns the gradient of the
        output into those of the arguments, in their order.
    args
        Its arguments. Floating-point arrays need a gradient, everything else is constant.
    constants
        Names of floating-point arrays that are constants too.
    relaxed
        For a straight-through estimator, the differentiable function whose gradient it borrows.
    name
        What to call it in reports.
    settings
        How thoroughly to check.

    Returns
    -------
    list of Report
        One for every argument with a gradient.

    Raises
    ------
    InputError
        If no argument is a floating-point array. Whatever the function itself does wrong is reported.

    Examples
    --------
    >>> import numpy as np
    >>> def cube(x):
    ...     return x**3, lambda dy: 2 * x**2 * dy
    >>> report, = check(cube, np.array([1.0, 2.0]))
    >>> report.verdict, report.cause, round(report.ratio, 3)
    ('wrong', 'constant factor', 0.667)
    """
    problem = from_function(function, args, constants, name, relaxed)
    return check_problem(problem, settings or Settings())


def check_model(model: Model, settings: Settings | None = None) -> list[Report]:
    """Check a model's terms one by one, then its whole loss, each for every parameter.

    Examples
    --------
    >>> import numpy as np
    >>> def loss(params):
    ...     w = params["w"]
    ...     return float(w @ w), lambda dloss=1.0: {"w": 2 * dloss * w}
    >>> [report.verdict for report in check_model(Model("square", {"w": np.ones(2)}, loss))]
    ['ok']
    """
    chosen = settings or Settings()
    return [report for problem in from_model(model) for report in check_problem(problem, chosen)]


def run(
    names: Iterable[str] | None = None,
    seed: int = 0,
    models: Sequence[Model] = (),
    cases: Sequence[Case] | None = None,
) -> list[Report]:
    """Check operations in backward order, each alone, then whole models.

    Parameters
    ----------
    names
        Operations (``losses.reconstruction`` or ``reconstruction``), modules (``gumbel``) or models by
        name, which brings along the operations the model is made of; everything if None.
    seed
        Draws arguments, directions and entries.
    models
        Whole losses of hashers.
    cases
        The operations, in forward order; those of ops, gumbel and losses if None.

    Returns
    -------
    list of Report
        The first wrong one has ``first`` set.

    Raises
    ------
    InputError
        For a name that is neither.

    Examples
    --------
    >>> [report.verdict for report in run(["dense"])][:3]
    ['ok', 'ok', 'ok']
    """
    cases = operations() if cases is None else cases
    settings = Settings(seed=seed)
    if names is not None:
        cases, models = _chosen(list(names), cases, models)
    reports: list[Report] = []
    for case in reversed(cases):
        reports += check_problem(case.problem(seed), settings)
    for model in models:
        reports += check_model(model, settings)
    first = next((report for report in reports if report.wrong), None)
    return [replace(report, first=True) if report is first else report for report in reports]


def assert_gradients(
    function: Operation,
    *args: object,
    constants: Sequence[str] = (),
    relaxed: Operation | None = None,
    settings: Settings | None = None,
) -> None:
    """Assert that the gradients of ``(out, back) = function(*args)`` are right; arguments as in `check`.

    Raises
    ------
    AssertionError
        With the table of reports; also if of some argument no entry could be judged.

    Examples
    --------
    >>> import numpy as np
    >>> assert_gradients(lambda x: (2 * x, lambda dy: 2 * dy), np.ones(3))
    """
    reports = check(function, *args, constants=constants, relaxed=relaxed, settings=settings)
    if not passed(reports):
        raise AssertionError("\n" + format_text(reports))


def _chosen(
    names: list[str], cases: Sequence[Case], models: Sequence[Model]
) -> tuple[list[Case], list[Model]]:
    """Return the cases and models that are meant by names."""
    aliases = {case.title: _aliases(case.title) for case in cases}
    known = set().union(*aliases.values(), *(_aliases(model.name) for model in models))
    for name in names:
        if name not in known:
            near = " or ".join(difflib.get_close_matches(name, sorted(known), n=3))
            listed = "'nphash gradcheck --list' prints what there is"
            hint = f"did you mean {near}? {listed}" if near else listed
            raise InputError(f"there is no operation or model {name!r} to check", hint)
    chosen = [model for model in models if _aliases(model.name) & set(names)]
    within = {title for model in chosen for title in model.operations}
    return [case for case in cases if case.title in within or aliases[case.title] & set(names)], chosen


def _aliases(title: str) -> set[str]:
    plain = title.partition(" (")[0]
    module, _, function = plain.rpartition(".")
    return {title, plain, function} | ({module} if module else set())
