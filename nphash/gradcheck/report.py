"""Reports of a gradient check, one for every parameter: as a table to read and as JSON lines to process."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Literal

Verdict = Literal["ok", "straight-through", "kinks only", "wrong", "invalid"]

HEADER = ("", "operation", "parameter", "shape", "entries", "worst at", "analytic", "numeric", "error")

STRAIGHT_THROUGH = (
    "straight-through: the sample is a step, whose numeric gradient is zero or not defined; what back agrees "
    "with is the differentiable path it belongs to: the relaxed sample y or, in a whole model, z0 + y - y0 "
    "with z0 and y0 held fixed"
)

NOT_JUDGED = "no entry could be judged, as each lies at a kink or bends too strongly: choose other arguments"

_MANY = 3  # parameters: more than an operation has


@dataclass(frozen=True)
class Report:
    """One parameter of one operation or model, checked against numeric derivatives.

    Attributes
    ----------
    operation, equation, formula, parameter, shape
        What was checked; ``equation`` is the tag of the docstring, such as ``"(4)"``, or empty, and
        ``formula`` what stands beside it.
    verdict
        ``ok``; ``straight-through`` (no numeric gradient exists, and the relaxed path is right);
        ``kinks only`` (no entry could be judged); ``wrong``; ``invalid`` (could not be run).
    entries, skipped
        Entries compared, and entries skipped because a step crosses a kink.
    worst, analytic, numeric, relative_error, ratio
        The entry with the largest relative error, its two derivatives, and analytic / numeric.
    direction_error
        Relative error of the derivative along one random direction, which involves all entries.
    tolerance
        Largest relative error allowed, beyond the rounding of the numeric derivative itself.
    cause, evidence
        The likely cause of a wrong gradient and the observation behind it.
    first
        True for the first wrong operation in backward order: mend this one before the others.
    sweep
        (step, relative error) of plain central differences along the random direction.
    seed
        The seed that draws the same arrays, directions and entries again.
    note
        What a reader has to know beside the figures.
    """

    operation: str
    parameter: str
    verdict: Verdict
    equation: str = ""
    formula: str = ""
    shape: tuple[int, ...] = ()
    entries: int = 0
    skipped: int = 0
    worst: tuple[int, ...] = ()
    analytic: float = float("nan")
    numeric: float = float("nan")
    relative_error: float = float("nan")
    ratio: float = float("nan")
    direction_error: float = float("nan")
    tolerance: float = float("nan")
    cause: str = ""
    evidence: str = ""
    first: bool = False
    sweep: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    seed: int = 0
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether entries were compared and agree."""
        return not self.wrong and self.judged

    @property
    def wrong(self) -> bool:
        """Whether something speaks against this gradient."""
        return self.verdict in ("wrong", "invalid")

    @property
    def judged(self) -> bool:
        """Whether any entry could be compared: at a kink there is no derivative that could agree."""
        return self.verdict != "kinks only"


def passed(reports: Iterable[Report]) -> bool:
    """Return whether every gradient was compared and found right.

    Examples
    --------
    >>> passed([Report("relu", "x", "ok"), Report("dense", "W", "wrong")])
    False
    """
    return all(report.passed for report in reports)


def fold(reports: Iterable[Report]) -> list[Report]:
    """Return one report in place of many: of a model whose gradients are all right, the worst parameter."""
    found: list[Report] = []
    for _, group in groupby(reports, lambda report: report.operation):
        members = list(group)
        if len(members) <= _MANY or not passed(members):
            found += members
            continue
        worst = max(members, key=lambda report: report.relative_error)
        through = next((report for report in members if report.verdict == "straight-through"), None)
        totals = {name: sum(getattr(each, name) for each in members) for name in ("entries", "skipped")}
        verdict, note = (through.verdict, f"{through.parameter}: {through.note}") if through else ("ok", "")
        named = f"{len(members)} parameters"
        found.append(
            replace(worst, verdict=verdict, note=note, parameter=named, shape=(), worst=(), **totals)
        )
    return found


def format_text(reports: Sequence[Report], brief: bool = False, width: int = 80) -> str:
    """Return a table with one line for every parameter, and the causes below the wrong ones.

    Where a line would be longer than ``width``, numbers have four digits, and if that is not enough the
    operations stand above their parameters. With ``brief`` a model whose gradients are all right takes one
    line.

    Examples
    --------
    >>> print(format_text([Report("dense", "b", "wrong", cause="sign", evidence="ratio -1", shape=(2,))]))
           operation  parameter  shape  entries  worst at  analytic  numeric  error
    WRONG  dense      b          2            0         -         -        -      -
           likely cause: sign (ratio -1)
    1 of 1 gradients wrong; rerun with seed 0
    """
    shown = fold(reports) if brief else reports
    rows = [HEADER, *(cells(report) for report in shown)]
    if _table_width(rows) > width:
        rows = [_shortened(HEADER), *(_shortened(cells(report, 4)) for report in shown)]
    grouped = _table_width(rows) > width
    if grouped:
        rows = [(verdict, *others) for verdict, _, *others in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    indent = " " * (widths[0] + 2)
    lines = [_line(rows[0], widths)]
    for i, (report, row) in enumerate(zip(shown, rows[1:], strict=True)):
        if grouped and (i == 0 or report.operation != shown[i - 1].operation):
            lines.append(_title(report))
        lines.append(_line(row, widths))
        for text in remarks(report):
            lines += textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
    if any(report.verdict == "straight-through" for report in reports):
        lines += textwrap.wrap(STRAIGHT_THROUGH, width)
    return "\n".join([*lines, *textwrap.wrap(summary(reports), width)])


def format_jsonl(reports: Iterable[Report]) -> str:
    """Return one JSON object a line; numbers that are not finite become null.

    Examples
    --------
    >>> format_jsonl([Report("dense", "b", "ok", shape=(2,))])[:62]
    '{"operation": "dense", "parameter": "b", "verdict": "ok", "equ'
    """
    return "\n".join(json.dumps(_plain(asdict(report)), ensure_ascii=False) for report in reports)


def format_curve(report: Report, width: int = 40) -> str:
    """Return the error of central differences against their step as a bar chart in text.

    A right gradient shows a V: the error falls with the square of the step until rounding takes over; where
    the output is linear or quadratic along the direction, rounding alone is seen, which rises as the step
    shrinks. A wrong one shows a flat line.

    Examples
    --------
    >>> print(format_curve(Report("f", "x", "ok", sweep=((0.1, 1e-2), (0.01, 1e-4))), width=8))
    step 1e-01  error 1.0e-02  #######
    step 1e-02  error 1.0e-04  ######
    """
    lines = []
    for step, error in report.sweep:
        decades = max(0.0, 16 + math.log10(error)) if error > 0 and math.isfinite(error) else 0.0
        bar = "#" * min(width, round(decades / 16 * width) or 0)
        lines.append(f"step {step:.0e}  error {error:.1e}  {bar}".rstrip())
    return "\n".join(lines)


def cells(report: Report, digits: int = 6) -> tuple[str, ...]:
    """Return a report as texts in the order of `HEADER`."""
    verdict = report.verdict.upper() if not report.passed else report.verdict
    shape = " x ".join(map(str, report.shape)) or ("scalar" if report.entries == 1 else "")
    worst = ",".join(map(str, report.worst)) or "-"
    figures = (
        (report.analytic, f".{digits}g"),
        (report.numeric, f".{digits}g"),
        (report.relative_error, ".1e"),
    )
    numbers = (format(value, form) if math.isfinite(value) else "-" for value, form in figures)
    entries = f"{report.entries}" + (f"-{report.skipped}" if report.skipped else "")
    return (verdict, _title(report), report.parameter, shape, entries, worst, *numbers)


def _title(report: Report) -> str:
    return f"{report.operation} {report.equation}".strip()


def remarks(report: Report) -> list[str]:
    """Return what is to be said of a report beside its figures."""
    if not report.judged:
        return [NOT_JUDGED]
    text = [f"likely cause: {report.cause} ({report.evidence})"] if report.cause else []
    text += [report.note] if report.note else []
    if report.first:
        text.append("this is the first wrong operation in backward order: mend it before the others")
    return text


def summary(reports: Sequence[Report]) -> str:
    """Return the outcome in one sentence, with the seed that gives the same again."""
    n, seed = len(reports), reports[0].seed if reports else 0
    wrong = sum(report.wrong for report in reports)
    open_ = sum(not report.judged for report in reports)
    unknown = f", {open_} could not be judged" if open_ else ""
    if wrong:
        return f"{wrong} of {n} gradients wrong{unknown}; rerun with seed {seed}"
    if n and open_ == n:
        return f"no gradient could be judged (seed {seed})"
    right = f"{n - open_} of {n} gradients" if open_ else f"all {n} gradients" if n != 1 else "the gradient"
    verb = "agrees" if n - open_ == 1 else "agree"
    return f"{right} {verb} with central differences{unknown} (seed {seed})"


def _table_width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2


def _shortened(row: tuple[str, ...]) -> tuple[str, ...]:
    verdict, title, parameter, shape, entries, worst, *numbers = row
    shape, worst = shape.replace(" x ", "x"), worst.removesuffix(" at")
    return (verdict.removeprefix("straight-"), title, parameter, shape, entries, worst, *numbers)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:-5], widths, strict=False)]
    right = [cell.rjust(width) for cell, width in zip(row[-5:], widths[-5:], strict=True)]  # numbers
    return "  ".join([*left, *right]).rstrip()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
