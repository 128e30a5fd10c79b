"""A check as one file to keep or to hand in: an HTML page that needs nothing beside itself, or a picture.

Matplotlib draws (the extra ``plot``) how far each gradient is off, operation by operation, and how the error
of central differences depends on their step.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from nphash._version import __version__
from nphash.errors import InputError, NphashError
from nphash.gradcheck.report import HEADER, STRAIGHT_THROUGH, Report, cells, fold, remarks, summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Distinguished by the colour-blind, too.
COLOURS = {"ok": "#0072b2", "straight-through": "#009e73", "kinks only": "#999999"}
COLOURS |= {"wrong": "#d55e00", "invalid": "#d55e00"}
_LEAST = 1e-17  # errors below are drawn here: zero has no logarithm
_NAMED = 8  # curves with a legend; more of them would hide each other's names

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } summary { cursor: pointer; padding: .2rem 0; }
summary b { font-weight: 600; } code { background: #f4f4f4; padding: 0 .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e5e5e5; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
details { border-top: 1px solid #ccc; } img { max-width: 100%; height: auto; }
.cause { margin: .3rem 0; } .note { color: #555; margin: .3rem 0; }
"""

# Nothing is loaded and nothing runs, whatever stands in the texts.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def check_target(path: Path) -> None:
    """Raise an error if no page can be written under this name, before time is spent on a check."""
    if path.suffix.lower() not in (".html", ".png"):
        raise InputError(f"{path} is neither a page nor a picture", "name a file .html or .png")
    require_matplotlib()


def write_page(reports: Sequence[Report], path: Path | str) -> None:
    """Write the page or picture of a check; the suffix says which.

    Parameters
    ----------
    reports
        What `nphash.gradcheck.check`, `check_model` or `run` returned.
    path
        A file ``.html`` or ``.png``; what is there is replaced.

    Raises
    ------
    NphashError
        As `check_target`.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    check_target(path)
    if path.suffix.lower() == ".png":
        overview(reports).savefig(path, dpi=110)
    else:
        path.write_text(format_html(reports), encoding="utf-8", newline="\n")


def format_html(reports: Sequence[Report]) -> str:
    """Return the page of a check: outcome, overview, and each operation with its table and curves."""
    sections = [
        _section(title, list(group)) for title, group in groupby(reports, lambda each: each.operation)
    ]
    through = any(report.verdict == "straight-through" for report in reports)
    colours = "".join(f".{_name(verdict)} {{ color: {colour}; }}\n" for verdict, colour in COLOURS.items())
    head = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Gradient check</title>
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<style>{_STYLE}{colours}</style></head><body>
<h1>Gradient check</h1><p><b>{escape(summary(list(reports)))}</b> (nphash {__version__})</p>
<p>Every hand-written gradient against central differences, in backward order: operations first, then whole
losses. The curves show the error against the step. Of a right gradient it falls with the square of the step
until rounding takes over, which draws a V; where the output is linear or quadratic along the direction, there
is no error to fall, and rounding alone rises as the step shrinks. The curve of a wrong gradient levels off at
its error.</p>
{f"<p>{escape(STRAIGHT_THROUGH)}.</p>" if through else ""}"""
    image = _image(svg(overview(reports)), "relative errors, and errors against step, of all operations")
    return "\n".join([head, image, *sections, "</body></html>\n"])


def _section(operation: str, reports: list[Report]) -> str:
    passed = all(report.passed for report in reports)
    special = [report.verdict for report in reports if report.verdict != "ok"]
    verdict = next((report.verdict for report in reports if report.wrong), (*special, "ok")[0])
    equation = f" Eq. {reports[0].equation}" if reports[0].equation else ""
    formula = f" <code>{escape(reports[0].formula)}</code>" if reports[0].formula else ""
    title = f"<b>{escape(operation)}{equation}</b>{formula}"
    texts = [
        f'<p class="{"cause wrong" if report.wrong else "note"}">{escape(f"{report.parameter}: {text}")}</p>'
        for report in reports
        for text in remarks(report)
    ]
    head = f'<summary><span class="{_name(verdict)}">{escape(verdict)}</span> {title}</summary>'
    image = _image(curves_svg(reports), f"error against step of {operation}")
    opened = "<details>" if passed else "<details open>"
    return "\n".join([opened, head, _table(reports), *texts, image, "</details>"])


def _name(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _table(reports: list[Report]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in (*HEADER, "ratio", "tolerance"))
    rows = []
    for report in reports:
        shown = (*cells(report), f"{report.ratio:.6g}", f"{report.tolerance:.1e}")
        row = "".join(f"<td>{escape(cell)}</td>" for cell in shown)
        rows.append(f'<tr class="{_name(report.verdict)}">{row}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _image(drawing: str, about: str) -> str:
    """Return an SVG document as an image inside the page: its names cannot clash with another's."""
    if not drawing:
        return ""
    data = base64.b64encode(drawing.encode()).decode()
    return f'<img alt="{escape(about)}" src="data:image/svg+xml;base64,{data}">'


# ---------------------------------------------------------------------- figures


def require_matplotlib() -> None:
    """Raise an error that says what to install, if matplotlib is not there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        missing = "figures need matplotlib, which is not installed"
        raise NphashError(missing, "pip install matplotlib") from None


def overview(reports: Sequence[Report]) -> Figure:
    """Return a figure of a whole check: errors of all operations, and the curves of error against step."""
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


def svg(figure: Figure) -> str:
    """Return a figure as an SVG document, the same bytes for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "nphash", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _draw_errors(axes: Axes, rows: Sequence[Report]) -> None:
    for y, report in enumerate(rows):
        x = _positive(report.relative_error if math.isfinite(report.relative_error) else 1.0)
        axes.plot(x, y, "o" if report.passed else "X", color=COLOURS[report.verdict], markersize=5)
        if math.isfinite(report.tolerance):
            axes.plot(report.tolerance, y, "|", color="#666666", markersize=8)
    causes = [f": {row.cause}" if row.cause else "" for row in rows]
    names = [f"{row.operation}  {row.parameter}{cause}" for row, cause in zip(rows, causes, strict=True)]
    axes.set_yticks(range(len(rows)), [_plain(name) for name in names], fontsize=7)
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


def _draw_curves(axes: Axes, reports: Sequence[Report], named: Sequence[Report]) -> None:
    dashes = ("-", "--", ":", "-.")
    several = len({report.operation for report in reports}) > 1
    for number, report in enumerate(sorted(reports, key=lambda report: not report.passed)):
        steps = [step for step, _ in report.sweep]
        errors = [_positive(error) for _, error in report.sweep]
        name = f"{report.operation} {report.parameter}" if several else report.parameter
        label = _plain(name) if report in named else None
        style = dashes[number % len(dashes)] if report in named else "-"
        width, alpha = (1.5, 1.0) if report in named or not report.passed else (0.6, 0.6)
        colour = COLOURS[report.verdict]
        axes.plot(steps, errors, style, color=colour, label=label, linewidth=width, alpha=alpha)
    axes.set(xscale="log", yscale="log", xlabel="step of the central difference", ylabel="relative error")
    _powers(axes.xaxis, range(-9, 0))
    _powers(axes.yaxis, range(-16, 3, 2))
    axes.spines[["top", "right"]].set_visible(False)
    if named:
        axes.legend(frameon=False, fontsize=7)


def _powers(axis: Axis, exponents: Iterable[int]) -> None:
    """Label powers of ten as numbers are typed: as formulas they take longer to set than all the rest."""
    exponents = list(exponents)
    axis.set_ticks([10.0**e for e in exponents], [f"1e{e}" for e in exponents], fontsize=7)
    axis.set_ticks([], minor=True)


def _positive(error: float) -> float:
    return max(error, _LEAST) if math.isfinite(error) else float("nan")


def _plain(text: str) -> str:
    """Return text of which matplotlib makes no formula."""
    return text.replace("$", r"\$")
