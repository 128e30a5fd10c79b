"""Generated parts of README.rst and docs/: tables, figures, command help, code, the picture of the rooms.

python -m benchmarks.tables            # write all of them anew
python -m benchmarks.tables --check    # fail if one is out of date

Nothing in these parts is typed by hand: each stands between marks of cogapp, below the lines that make it.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType, ModuleType

import click

from benchmarks import estimators, gradients, records, rooms, samplers

ROOT = Path(__file__).parent.parent

__all__ = [
    "code",
    "command_help",
    "command_names",
    "equation_rows",
    "equations",
    "estimator_answer",
    "generated_pages",
    "gradient_checks",
    "gradient_of_the_model",
    "lesson_of",
    "lessons",
    "main",
    "methods",
    "mistakes",
    "public_names",
    "public_summary",
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


def code(path: str, *names: str) -> str:
    """Return functions of a file as they stand there, without their docstrings, as one block of code.

    Parameters
    ----------
    path
        Of the file, from the root of the repository.
    names
        Functions by name, methods as ``Class.method``.

    Raises
    ------
    LookupError
        If there is no such function.

    Examples
    --------
    >>> print(code("nphash/nn/ops.py", "relu"))  # doctest: +ELLIPSIS
    .. code-block:: python
    <BLANKLINE>
       def relu(x: Array) -> tuple[Array, Back]:
       ...
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    functions = [_without_docstring(text, _find(ast.parse(text), name)) for name in names]
    return ".. code-block:: python\n\n" + textwrap.indent("\n\n".join(functions), "   ")


def _find(tree: ast.AST, name: str) -> ast.FunctionDef:
    """Return the definition of ``function`` or ``Class.method`` in a module."""
    for part in name.split("."):
        found = [node for node in getattr(tree, "body", []) if getattr(node, "name", None) == part]
        if not found:
            raise LookupError(f"there is no {name}")
        tree = found[0]
    assert isinstance(tree, ast.FunctionDef), f"{name} is no function"
    return tree


def _without_docstring(text: str, function: ast.FunctionDef) -> str:
    lines = text.splitlines()
    assert function.end_lineno is not None
    kept = list(range(function.lineno, function.end_lineno + 1))
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        kept = [number for number in kept if not first.lineno <= number <= first.end_lineno]
    return textwrap.dedent("\n".join(lines[number - 1] for number in kept))


# The functions that hold the model's forward and backward pass, for the page of equations and the README.
MODEL = {"nphash/hashers/doc2hash.py": ["model"]}


def gradient_of_the_model() -> str:
    """Return the forward and backward pass of Doc2hash as they stand in the package."""
    return "\n\n".join(code(path, *names) for path, names in MODEL.items())


def methods() -> str:
    """Return a table of all methods: name, class, what it is, and what it needs."""
    from nphash.hashers import METHODS, create, describe

    rows = [["method", "class", "what it is", "labels", "out of core"]]
    for name in METHODS:
        hasher = create(name, n_bits=8)
        marks = ["yes" if mark else "" for mark in (hasher.supervised, hasher.out_of_core)]
        rows.append([f"``{name}``", f"`nphash.hashers.{type(hasher).__name__}`", describe(name), *marks])
    return simple_table(rows)


# Modules whose ``__all__`` is public, in the order of a fit and a search; after them those of `nphash.nn`.
PUBLIC = [
    "nphash",
    "nphash.text",
    "nphash.corpus",
    "nphash.corpus.protocol",
    "nphash.hashers",
    "nphash.codes",
    "nphash.search",
    "nphash.collection",
    "nphash.dask",
    "nphash.metrics",
    "nphash.gradcheck",
    "nphash.errors",
]


def public_names() -> dict[str, list[str]]:
    """Return what each public module offers; what several offer stands under the first of them.

    Examples
    --------
    >>> names = public_names()
    >>> "Vectorizer" in names["nphash"], "Vectorizer" in names.get("nphash.text", [])
    (True, False)
    """
    seen: set[int] = set()
    found: dict[str, list[str]] = {}
    equations = [name for _, name, _ in iter_modules(import_module("nphash.nn").__path__, "nphash.nn.")]
    for module_name in [*PUBLIC, *equations]:
        module = import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if id(thing) not in seen and f"{module_name}.{name}" not in sys.modules and name != "__version__":
                seen.add(id(thing))
                found.setdefault(module_name, []).append(name)
    return found


def public_summary() -> str:
    """Return for each public module a table of its names, with a page for every function and class."""
    parts = []
    for name, names in public_names().items():
        module = import_module(name)
        parts += [f"{name}\n{'~' * len(name)}", _first_paragraph(module)]
        documented = [each for each in names if _has_a_page(getattr(module, each))]
        if documented:
            rows = "\n".join(f"   {name}.{each}" for each in documented)
            parts.append(f".. autosummary::\n   :toctree: api\n   :nosignatures:\n\n{rows}")
        others = ", ".join(f"``{name}.{each}``" for each in names if each not in documented)
        parts += [f"Constants and types: {others}."] if others else []
    return "\n\n".join(parts)


def _first_paragraph(module: ModuleType) -> str:
    return " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())


def _has_a_page(thing: object) -> bool:
    """Return whether its documentation is its own: a constant has that of its type."""
    return isinstance(thing, (type, FunctionType))


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


def lessons() -> str:
    """Return the table of the lessons: what each is about, how long it takes, and its equations."""
    from nphash.teaching.lessons import LESSONS

    rows = [["lesson", "about", "minutes", "equations"]]
    for lesson in LESSONS:
        numbers = ", ".join(map(str, lesson.equations))
        rows.append([str(lesson.number), lesson.title, str(lesson.minutes), numbers])
    return simple_table(rows)


def mistakes(number: int) -> str:
    """Return the typical mistakes of an exercise, each with what is said of it when it is graded."""
    from nphash.teaching.exercises import questions_of
    from nphash.teaching.grading import grade_question, solved

    lines = []
    for question in questions_of(number):
        lines += ["", f"``{question.name}``", ""]
        for cause, _, changes in question.mistakes:
            mistaken = solved(number, question.name, changes)
            grade = grade_question(question, mistaken, Path("exercise.py"))
            assert grade.cause == cause, f"{question.name}: {grade.cause}, not {cause}"
            pieces = [" ".join(piece.split()) for piece in changes]
            written = ", ".join(
                f"``{new}`` for ``{old}``" if new else f"``{old}`` left out"
                for old, new in zip(pieces[::2], pieces[1::2], strict=True)
            )
            advice = f" *{grade.advice.replace('*', '')}*" if grade.advice else ""
            evidence = re.sub(r"([*_`|])", r"\\\1", grade.evidence)
            said = f"* {written}: **{cause}** ({evidence}).{advice}"
            lines += textwrap.wrap(said, 110, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


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


def generated_pages() -> list[Path]:
    """Return README.rst and the pages of docs/ that have generated parts."""
    pages = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
    return [page for page in pages if "[[[cog" in page.read_text(encoding="utf-8")]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 5 if something is out of date.")
def main(check: bool) -> None:
    """Write the generated parts of README.rst and docs/ anew."""
    import cogapp

    pages = [str(page) for page in generated_pages()]
    status = cogapp.Cog().main(["cog", "-I", str(ROOT), *(["--check"] if check else ["-r"]), *pages])
    if check:
        status = status or (0 if rooms.is_current() else 5)
    else:
        rooms.write()
    sys.exit(status)


if __name__ == "__main__":
    main()
