"""Lessons and exercises as notebooks (nbformat 4.5), made of the scripts, and the code of a notebook.

In a text cell of a script, an indented block is one of formulas, which a notebook sets in LaTeX
(`nphash.teaching.lessons.formulas`); commands, and what stands between lines of three backticks, stay.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator

from nphash.teaching.lessons import formulas

_UNDERLINE = {"=": "# ", "-": "## "}
_HEADING = re.compile(r"^(.+)\n([=-])\2+$", re.M)
_FILE = re.compile(r"\b(exercise_\d_\w+)\.py\b")
_MAGIC = re.compile(r"^(\s*)[%!].*", re.M)


def from_lesson(script: str) -> str:
    """Return the notebook of a script of cells, as JSON."""
    cells = []
    for cell in re.split(r"^# %%", _FILE.sub(r"\1.ipynb", script), flags=re.M)[1:]:
        kind, _, text = cell.partition("\n")
        if kind.strip() == "[markdown]":
            cells.append(("markdown", _markdown(re.sub(r"^# ?", "", text, flags=re.M))))
        else:
            cells.append(("code", re.sub(r"  # noqa: \w+$", "", text, flags=re.M)))
    return _notebook(cells)


def from_exercise(script: str) -> str:
    """Return the notebook of an exercise or its solution, a cell for each function, as JSON."""
    _, docstring, code = _FILE.sub(r"\1.ipynb", script).split('"""', 2)
    return _notebook([("markdown", _markdown(docstring)), *(("code", part) for part in code.split("\n\n\n"))])


def code_of(notebook: str) -> Iterator[tuple[str, str]]:
    """Yield ``"cell 3"`` and the code of each code cell; what only IPython understands becomes ``pass``.

    Raise `ValueError` if it is no notebook.
    """
    try:
        cells = [
            (number, cell["cell_type"], "".join(cell["source"]))
            for number, cell in enumerate(json.loads(notebook)["cells"], start=1)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has no cells ({error})") from None
    for number, kind, source in cells:
        if kind == "code":
            yield f"cell {number}", "" if source.startswith("%%") else _MAGIC.sub(r"\1pass", source)


def _notebook(cells: list[tuple[str, str]]) -> str:
    found: list[dict[str, object]] = []
    for number, (kind, text) in enumerate(cells, start=1):
        cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        cell |= {"source": text.strip("\n").splitlines(keepends=True)}
        found.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _markdown(text: str) -> str:
    """Return a text cell as Markdown: headings, formulas, paragraphs each in one line."""
    text = _HEADING.sub(lambda found: f"\n{_UNDERLINE[found[2]]}{found[1]}\n", text)
    parts = re.split(r"^(```\n.*?^```)$", text, flags=re.M | re.S)
    blocks = [
        block
        for number, part in enumerate(parts)
        for block in ([part] if number % 2 else re.split(r"\n\s*\n", part))
    ]
    return "\n\n".join(_block(block.strip("\n")) for block in blocks if block.strip())


def _block(block: str) -> str:
    if block.startswith(("#", "```")):
        return block
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        command = lines[0].split()[0] in ("nphash", "python")
        return f"```sh\n{textwrap.dedent(block)}\n```" if command else formulas.display(lines)
    items = re.split(r"\n(?=\* )", block)
    return "\n".join(_item(" ".join(line.strip() for line in item.splitlines())) for item in items)


def _item(text: str) -> str:
    return f"* {formulas.inline(text[2:])}" if text.startswith("* ") else formulas.inline(text)
