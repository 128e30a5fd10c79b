"""A check as one file to keep or to hand in: an HTML page that needs nothing beside itself, or a picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from nphash._version import __version__
from nphash.errors import InputError
from nphash.gradcheck.figures import COLOURS, curves_svg, overview, require_matplotlib, svg
from nphash.gradcheck.format import HEADER, STRAIGHT_THROUGH, cells, remarks, summary
from nphash.gradcheck.report import Report

__all__ = ["check_target", "format_html", "write_page"]

SUFFIXES = (".html", ".png")

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
    """Raise an error if no page can be written under this name, before time is spent on a check.

    Raises
    ------
    InputError
        For another suffix than those of a page or picture.
    NphashError
        If matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is neither a page nor a picture", f"name a file {' or '.join(SUFFIXES)}")
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
        _section(title, list(group)) for title, group in groupby(reports, lambda report: report.operation)
    ]
    through = any(report.verdict == "straight-through" for report in reports)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><title>Gradient check</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}{_colours()}</style></head><body>",
            f"<h1>Gradient check</h1><p><b>{escape(summary(list(reports)))}</b> (nphash {__version__})</p>",
            "<p>Every hand-written gradient against central differences, in backward order: operations "
            "first, then whole losses. A right gradient draws a V, the error falling with the square of the "
            "step until rounding takes over; the curve of a wrong one is flat.</p>",
            f"<p>{escape(STRAIGHT_THROUGH)}.</p>" if through else "",
            _image(svg(overview(reports)), "relative errors, and errors against step, of all operations"),
            *sections,
            "</body></html>\n",
        ]
    )


def _colours() -> str:
    return "".join(f".{verdict.replace(' ', '-')} {{ color: {c}; }}\n" for verdict, c in COLOURS.items())


def _section(operation: str, reports: list[Report]) -> str:
    passed = all(report.passed for report in reports)
    telling = [report.verdict for report in reports if report.verdict != "ok"]
    verdict = next((report.verdict for report in reports if report.wrong), (*telling, "ok")[0])
    equation = f" Eq. {reports[0].equation}" if reports[0].equation else ""
    formula = f" <code>{escape(reports[0].formula)}</code>" if reports[0].formula else ""
    title = f"<b>{escape(operation)}{equation}</b>{formula}"
    return "\n".join(
        [
            f"<details{'' if passed else ' open'}>",
            f'<summary><span class="{_name(verdict)}">{escape(verdict)}</span> {title}</summary>',
            _table(reports),
            *_texts(reports),
            _image(curves_svg(reports), f"error against step of {operation}"),
            "</details>",
        ]
    )


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


def _texts(reports: list[Report]) -> list[str]:
    texts = []
    for report in reports:
        kind = "cause wrong" if report.wrong else "note"
        texts += [
            f'<p class="{kind}">{escape(f"{report.parameter}: {text}")}</p>' for text in remarks(report)
        ]
    return texts


def _image(drawing: str, about: str) -> str:
    """Return an SVG document as an image inside the page: its names cannot clash with another's."""
    if not drawing:
        return ""
    data = base64.b64encode(drawing.encode()).decode()
    return f'<img alt="{escape(about)}" src="data:image/svg+xml;base64,{data}">'
