"""Reports as a table to read and as JSON lines to process."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict
from typing import Any

from nphash.gradcheck.report import Report

__all__ = ["format_curve", "format_jsonl", "format_text"]

_WIDTH = 118  # of remarks below the table's lines
_HEADER = ("", "operation", "parameter", "shape", "entries", "worst at", "analytic", "numeric", "error")


def format_text(reports: list[Report]) -> str:
    """Return a table with one line for every parameter, and the causes below the wrong ones.

    Examples
    --------
    >>> print(format_text([Report("dense", "b", "wrong", cause="sign", evidence="ratio -1", shape=(2,))]))
           operation  parameter  shape  entries  worst at  analytic  numeric  error
    WRONG  dense      b          2            0         -         -        -      -
           likely cause: sign (ratio -1)
    1 of 1 gradients wrong; rerun with seed 0
    """
    rows = [_HEADER, *(_cells(report) for report in reports)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = [_line(_HEADER, widths)]
    for report, row in zip(reports, rows[1:], strict=True):
        lines.append(_line(row, widths))
        indent = " " * (widths[0] + 2)
        for text in _remarks(report):
            lines += textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return "\n".join([*lines, _summary(reports)])


def format_jsonl(reports: list[Report]) -> str:
    """Return one JSON object a line; numbers that are not finite become null.

    Examples
    --------
    >>> format_jsonl([Report("dense", "b", "ok", shape=(2,))])[:62]
    '{"operation": "dense", "parameter": "b", "verdict": "ok", "equ'
    """
    return "\n".join(json.dumps(_plain(asdict(report)), ensure_ascii=False) for report in reports)


def format_curve(report: Report, width: int = 40) -> str:
    """Return the error of central differences against their step as a bar chart in text.

    A right gradient shows a V: the error falls with the square of the step until rounding takes
    over. A wrong one shows a flat line.

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


def _cells(report: Report) -> tuple[str, ...]:
    verdict = report.verdict.upper() if not report.passed else report.verdict
    operation = f"{report.operation} {report.equation}".strip()
    shape = " x ".join(map(str, report.shape)) or "scalar"
    worst = ",".join(map(str, report.worst)) or "-"
    numbers = (_number(report.analytic, "{:.6g}"), _number(report.numeric, "{:.6g}"))
    error = _number(report.relative_error, "{:.1e}")
    entries = f"{report.entries}" + (f"-{report.skipped}" if report.skipped else "")
    return (verdict, operation, report.parameter, shape, entries, worst, *numbers, error)


def _remarks(report: Report) -> list[str]:
    if report.passed:
        return [report.note] if report.note else []
    text = [f"likely cause: {report.cause} ({report.evidence})"]
    if report.note:
        text.append(report.note)
    if report.first:
        text.append("this is the first wrong operation in backward order: mend it before the others")
    return text


def _summary(reports: list[Report]) -> str:
    wrong = sum(not report.passed for report in reports)
    seed = reports[0].seed if reports else 0
    if wrong:
        return f"{wrong} of {len(reports)} gradients wrong; rerun with seed {seed}"
    return f"all {len(reports)} gradients agree with central differences (seed {seed})"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left, right = row[:4], row[4:]
    cells = [cell.ljust(width) for cell, width in zip(left, widths, strict=False)]
    cells += [cell.rjust(width) for cell, width in zip(right, widths[4:], strict=True)]
    return "  ".join(cells).rstrip()


def _number(value: float, pattern: str) -> str:
    return pattern.format(value) if math.isfinite(value) else "-"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
