"""The generated parts of README.rst: equations, studies, command help. Nothing there is typed by hand.

python -m cogapp -I . -r README.rst          # write them anew
python -m cogapp -I . --check README.rst     # fail if they are out of date
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from benchmarks import estimators, gradients, records, samplers

ROOT = Path(__file__).parent.parent

__all__ = [
    "command_help",
    "command_names",
    "equation_rows",
    "equations",
    "estimator_answer",
    "gradient_checks",
    "lesson_of",
    "sample_comparison",
    "simple_table",
    "waiting",
]


def simple_table(rows: list[list[str]]) -> str:
    """Return rows as a reStructuredText table, the first as its header.

    Examples
    --------
    >>> print(simple_table([["a", "b"], ["1", "22"]]))
    =  ==
    a  b
    =  ==
    1  22
    =  ==
    """
    cells = [[cell or "\\" for cell in row] for row in rows]  # an empty first cell would join two rows
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def equation_rows(package: Path = ROOT / "nphash") -> list[tuple[str, str, str]]:
    """Return (number, function, formula) of every docstring that starts with ``Eq. (n)``, in order."""
    found = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                match = re.match(r"Eq\. \((\d+)\)\s+(.+)", ast.get_docstring(node) or "")
                if match:
                    found.append((match[1], f"{module}.{node.name}", match[2].rstrip(".")))
    return sorted(found, key=lambda row: int(row[0]))


def equations() -> str:
    """Return the table of the paper's equations: the function that holds each, the lesson that derives it."""
    rows = [
        [f"({number})", f"``{function}``", lesson_of(int(number)), f"``{formula}``"]
        for number, function, formula in equation_rows()
    ]
    return simple_table([["Eq.", "function", "lesson", "formula"], *rows])


def lesson_of(equation: int) -> str:
    """Return the number of the lesson that derives an equation.

    Examples
    --------
    >>> lesson_of(1)
    '1'
    """
    from nphash.teaching.lessons import LESSONS

    return ", ".join(str(lesson.number) for lesson in LESSONS if equation in lesson.equations)


def gradient_checks() -> str:
    """Return what the gradient checker finds, from the results of `benchmarks.gradients`."""
    results = records.read(gradients.RESULT)
    return f"{simple_table(gradients.rows(results))}\n\n{gradients.sentence(results)}"


def estimator_answer() -> str:
    """Return what the study of `benchmarks.estimators` makes of the paper's sentence, as a literal block."""
    from nphash.teaching.study import answer

    lines = answer(records.read(estimators.RESULT)["problems"]).splitlines()
    return "::\n\n" + "\n".join(f"   {line}".rstrip() for line in lines)


def sample_comparison() -> str:
    """Return what the sample does to the codes when nothing else differs (`benchmarks.samplers`)."""
    return simple_table(samplers.rows(records.read(samplers.RESULT)["runs"]))


def waiting() -> str:
    """Return what a user waits for, from the results of `benchmarks.journey`."""
    result = records.read(records.RESULTS / "journey.json")
    arxiv = result.pop("arxiv-0")
    named = {name: times for name, times in result.items() if isinstance(times, dict)}
    named |= {f"{name} (50,000 abstracts)": times for name, times in arxiv.items() if name != "documents"}
    rows = [
        [name, f"{times['median']:.2f}", f"{times['least']:.2f} to {times['most']:.2f}"]
        for name, times in named.items()
    ]
    return simple_table([["what", "median, s", "spread, s"], *rows])


def command_names() -> list[str]:
    """Return all commands in the order of ``nphash --help``, for a group its subcommands.

    Examples
    --------
    >>> "fit" in command_names(), "study estimators" in command_names()
    (True, True)
    """
    import click

    from nphash.cli import COMMANDS, cli

    context, names = click.Context(cli), []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        subcommands = list(command.commands) if isinstance(command, click.Group) else []
        names += [f"{name} {subcommand}" for subcommand in subcommands] or [name]
    return names


def command_help(*commands: str) -> str:
    """Return what ``nphash COMMAND --help`` prints, as literal blocks."""
    from click.testing import CliRunner

    from nphash.cli import cli

    parts = []
    for command in commands:
        words = [*command.split(), "--help"]
        result = CliRunner().invoke(cli, words, prog_name="nphash", terminal_width=100, color=False)
        lines = "\n".join(f"   {line}".rstrip() for line in result.output.rstrip().splitlines())
        parts.append(f"``nphash {' '.join(words)}``::\n\n{lines}")
    return "\n\n".join(parts)
