"""Figures of a check, for those who have matplotlib (the extra ``plot``).

Two pictures tell most: how far each gradient is off, operation by operation, and how the error of
central differences depends on their step. A right gradient draws a V there: the error falls with the
square of the step until rounding takes over. A wrong one stays where it is.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from nphash.errors import NphashError
from nphash.gradcheck.format import fold, summary
from nphash.gradcheck.report import Report

__all__ = ["COLOURS", "curves_svg", "overview", "require_matplotlib", "svg"]

# Told apart by the colour-blind, too.
COLOURS = {
    "ok": "#0072b2",
    "straight-through": "#009e73",
    "kinks only": "#999999",
    "wrong": "#d55e00",
    "invalid": "#d55e00",
}
_LEAST = 1e-17  # errors below are drawn here: zero has no logarithm
_NAMED = 8  # curves with a legend; more of them would hide each other's names


def require_matplotlib() -> None:
    """Raise an error that says what to install, if matplotlib is not there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NphashError(
            "figures need matplotlib, which is not installed", "pip install 'nphash[plot]'"
        ) from None


def overview(reports: Sequence[Report]) -> Any:
    """Return a figure of a whole check: errors of all operations, and the curves of error against step.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved with ``savefig``.
    """
    from matplotlib.figure import Figure

    rows = fold(reports)
    figure = Figure(figsize=(13, max(4.0, 1.2 + 0.2 * len(rows))), layout="constrained")
    errors, curves = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(summary(list(reports)), fontsize=10)
    _draw_errors(errors, rows)
    _draw_curves(curves, reports, named=[report for report in reports if not report.passed][:_NAMED])
    return figure


def curves_svg(reports: Sequence[Report]) -> str:
    """Return the curves of one operation's parameters as an SVG document; empty where there are none."""
    from matplotlib.figure import Figure

    if not any(report.sweep for report in reports):
        return ""
    figure = Figure(figsize=(5, 3))
    figure.subplots_adjust(left=0.15, right=0.98, bottom=0.17, top=0.97)
    _draw_curves(figure.subplots(), reports, named=reports if len(reports) <= _NAMED else [])
    return svg(figure)


def svg(figure: Any) -> str:
    """Return a figure as an SVG document, the same bytes for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "nphash", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _draw_errors(axes: Any, rows: Sequence[Report]) -> None:
    for y, report in enumerate(rows):
        x = _positive(report.relative_error if math.isfinite(report.relative_error) else 1.0)
        axes.plot(x, y, "o" if report.passed else "X", color=COLOURS[report.verdict], markersize=5)
        if math.isfinite(report.tolerance):
            axes.plot(report.tolerance, y, "|", color="#666666", markersize=8)
    axes.set_yticks(range(len(rows)), [_row(report) for report in rows], fontsize=7)
    for label, report in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(COLOURS["wrong"] if report.wrong else "black")
    axes.set_ylim(len(rows) - 0.5, -0.5)  # backward order from the top
    axes.set(xscale="log", xlim=(_LEAST / 3, 30), xlabel="relative error (| tolerance)")
    _powers(axes.xaxis, range(-16, 1, 2))
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for verdict in dict.fromkeys(report.verdict for report in rows):
        axes.plot([], [], "o", color=COLOURS[verdict], label=verdict)
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))


def _row(report: Report) -> str:
    cause = f": {report.cause}" if report.cause else ""
    return _plain(f"{report.operation}  {report.parameter}{cause}")


def _draw_curves(axes: Any, reports: Sequence[Report], named: Sequence[Report]) -> None:
    dashes = ("-", "--", ":", "-.")
    several = len({report.operation for report in reports}) > 1
    for number, report in enumerate(sorted(reports, key=lambda report: not report.passed)):
        steps = [step for step, _ in report.sweep]
        errors = [_positive(error) for _, error in report.sweep]
        name = f"{report.operation} {report.parameter}" if several else report.parameter
        label = _plain(name) if report in named else None
        style = dashes[number % len(dashes)] if report in named else "-"
        weight = (
            {"linewidth": 1.5} if report in named or not report.passed else {"linewidth": 0.6, "alpha": 0.6}
        )
        axes.plot(steps, errors, style, color=COLOURS[report.verdict], label=label, **weight)
    axes.set(xscale="log", yscale="log", xlabel="step of the central difference", ylabel="relative error")
    _powers(axes.xaxis, range(-9, 0))
    _powers(axes.yaxis, range(-16, 3, 2))
    axes.spines[["top", "right"]].set_visible(False)
    if named:
        axes.legend(frameon=False, fontsize=7)


def _powers(axis: Any, exponents: Iterable[int]) -> None:
    """Label powers of ten as numbers are typed: as formulas they take longer to set than all the rest."""
    exponents = list(exponents)
    axis.set_ticks([10.0**e for e in exponents], [f"1e{e}" for e in exponents], fontsize=7)
    axis.set_ticks([], minor=True)


def _positive(error: float) -> float:
    return max(error, _LEAST) if math.isfinite(error) else float("nan")


def _plain(text: str) -> str:
    """Return text of which matplotlib makes no formula."""
    return text.replace("$", r"\$")
