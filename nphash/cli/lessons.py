"""``nphash lessons``, ``nphash lesson``, ``nphash study``: the course, and claims of the paper measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import click

import nphash
from nphash.cli import output as out
from nphash.cli.options import Whole, force_option, quiet_option, seed_option
from nphash.errors import InputError
from nphash.teaching import lessons

LESSONS = """List the lessons that come with nphash.

Nine scripts lead from counting words to a searchable code, each with the derivations, cells to run and
an exercise. 'nphash lesson N -o FOLDER' copies one out.
"""

LESSON = """Copy lesson NUMBER, or all lessons, with the exercise into a folder.

Run a script with 'python FILE', or cell by cell in an editor that knows '# %%'; open a notebook in Jupyter.
Fill in the exercise and grade it with 'nphash gradcheck --exercise FILE'.
"""

ESTIMATORS = """Compare gradient estimators with the exact gradient.

Straight-through, Gumbel-softmax, straight-through Gumbel, REINFORCE and ARM on two toys and on a
small Doc2hash, fitted on NumPy's documentation strings, at three points of its training. The exact
gradient is a sum over all codes. Bias and variance are relative to its size, with 95 % intervals;
what they say about the paper's sentence stands below. It takes less than a minute.
"""


@click.command(help=LESSONS)
@out.format_option
def command(output_format: str | None) -> None:
    """Run ``nphash lessons``."""
    form = out.chosen_format(output_format)
    names = ["title", "minutes", "file", "exercise"]
    records = [
        {"lesson": lesson.number, **{name: getattr(lesson, name) for name in names}}
        for lesson in lessons.LESSONS
    ]
    fields = ["lesson", *names][: 4 if form == "table" else None]
    out.write_records(records, form, fields, [True, False, True, False])
    if form == "table":
        out.note("nphash lesson 1 -o FOLDER copies the first one out, with its exercise")


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """Return the numbers of the lessons that are meant."""
    if value == "all":
        return [lesson.number for lesson in lessons.LESSONS]
    try:
        return [int(value)]
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither the number of a lesson nor 'all'.") from None


@click.command(help=LESSON)
@click.argument("numbers", metavar="NUMBER|all", callback=_numbers)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    default=".",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy into this folder; it is made if need be.  [default: where you are]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["py", "ipynb"]),
    default="py",
    help="Scripts (py), the default, or notebooks (ipynb).",
)
@click.option("--solution", is_flag=True, help="Also write the model solution, for teachers.")
@click.option("--force", is_flag=True, help="Replace files that are there, also a solved exercise.")
def lesson(
    numbers: list[int], output: Path, form: Literal["py", "ipynb"], solution: bool, force: bool
) -> None:
    """Run ``nphash lesson``."""
    files = lessons.copy_lessons(numbers, output, force, form, solution)
    out.write_line("\n".join(map(str, files)))
    copied, exercise = files[:2]
    run = "python" if form == "py" else "jupyter lab"
    out.note(f"run:   {run} {copied}\ngrade: nphash gradcheck --exercise {exercise}")


@click.group(help="Measure what the paper claims of gradient estimators.")
def study() -> None:
    """Run ``nphash study``."""


@study.command(help=ESTIMATORS)
@click.option("--bits", type=Whole(min=1, max=14), default=8, show_default=True, help="Length of the codes.")
@seed_option("Draws everything random.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw variance against bias into this file (.png, .svg, .pdf); needs matplotlib.",
)
@force_option
@out.format_option
@quiet_option
def estimators(
    bits: int, seed: int, output: Path | None, force: bool, output_format: str | None, quiet: bool
) -> None:
    """Run ``nphash study estimators``."""
    from nphash.teaching import study as studies

    if output is not None:
        _refuse(output, force)
    start = time.monotonic()

    def done(problem: str) -> None:
        out.note(f"{time.monotonic() - start:5.1f} s  {problem}", quiet)

    found = studies.run(studies.StudySettings(bits=bits), seed, done)
    form = out.chosen_format(output_format)
    if form == "table":
        click.echo(studies.format_table(found))
        click.echo(f"\n{studies.answer(found)}")
    else:
        out.write_records(studies.records(found), form, ["problem", "estimator", *studies.FIGURES])
    if output is not None:
        studies.draw(found, output)
        out.note(f"written: {output}", quiet)


def _refuse(output: Path, force: bool) -> None:
    if output.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{output} is no picture", "name a file .png, .svg or .pdf")
    nphash.gradcheck.page.require_matplotlib()
    out.refuse_existing(output, force)
