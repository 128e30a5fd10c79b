"""``nphash lessons``, ``nphash lesson``, ``nphash study``: the course, and claims of the paper measured."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Literal

import click

import nphash
from nphash.cli import output as out
from nphash.cli.options import Whole, force_option, quiet_option, seed_option
from nphash.core.disk import replace_text
from nphash.errors import InputError
from nphash.teaching import lessons

LESSONS = """List the lessons that come with nphash.

Nine scripts lead from counting words to a searchable code, each with the derivations, cells to run and
an exercise. 'nphash lesson N -o FOLDER' copies one out.
"""

LESSON = """Copy lesson NUMBER, or all of them, with the exercise into a folder.

Run a script with 'python FILE', or cell by cell in an editor that knows '# %%'; open a notebook in Jupyter.
Fill in the exercise and grade it with 'nphash gradcheck --exercise FILE'.
"""

GRADE = """Grade the exercises of a class.

FOLDER holds a folder for each student, or files with the student's name in front of 'exercise'; scripts and
notebooks. Each is run as a Python program in a process of its own: grade only what you would run. Of several
files of one exercise by one student, the best counts. A file that cannot be graded, or a student's folder
without an exercise, gets no points and the reason, and is named in a warning.

The output is a table (.csv), records (.json), or what Gradescope's autograder reads (a name that ends in
gradescope.json). Beside it, in a folder of the same name, are a page for each student and index.html for the
class. What is graded is kept there: after an interruption the same command goes on, and with --force only
files that are new or changed are graded.
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
    fields = ["lesson", *names][: 3 if form == "table" else None]  # 80 columns
    out.write_records(records, form, fields, [True, False, True])
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


@click.command(help=GRADE)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write grades into this file (.csv, .json or ...gradescope.json).",
)
@seed_option("Draws the arguments that functions are tried on.")
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="For each function.",
)
@click.option(
    "--jobs", type=Whole(min=1), help="Files to grade at a time.  [default: one for each processor]"
)
@force_option
@quiet_option
def grade(
    folder: Path, output: Path, seed: int, time_limit: float, jobs: int | None, force: bool, quiet: bool
) -> None:
    """Run ``nphash grade``."""
    from nphash.teaching import classroom, exercises

    if output.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"{output} is neither a table nor records", "name a file .csv or .json")
    out.refuse_existing(output, force)
    pages = output.with_suffix("")
    out.note(f"limits: {exercises.limits(time_limit)}", quiet)

    def done(result: classroom.Result, number: int, most: int) -> None:
        what = result.problem or f"{result.points} of {result.most} right"
        out.note(f"{number}/{most}  {result.student}  {result.name}: {what}", quiet)

    results = classroom.grade_class(folder, pages / classroom.JOURNAL, seed, time_limit, jobs, done)
    if output.suffix.lower() == ".csv":
        with io.StringIO() as text:
            writer = out.Writer("csv", classroom.FIELDS, text)
            for record in classroom.records(results):
                writer.write(record)
            replace_text(output, text.getvalue())
    else:
        for_gradescope = output.name.lower().endswith("gradescope.json")
        found = classroom.gradescope(results) if for_gradescope else list(classroom.records(results))
        replace_text(output, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    index = classroom.write_pages(results, pages)
    for remark in classroom.remarks(results):
        out.note(remark, quiet)
    out.note(f"written: {output}, {index}", quiet)


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
