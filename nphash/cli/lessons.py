"""``nphash lessons`` and ``nphash lesson``: what can be learned offline, listed and copied out."""

from __future__ import annotations

from pathlib import Path

import click

from nphash.cli.output import chosen_format, echo, format_option, note, write_records
from nphash.teaching import lessons

__all__ = ["command", "lesson"]

LESSONS = """List the lessons that come with nphash.

Nine scripts lead from counting words to a searchable code, each with the derivations, cells to run and
an exercise. 'nphash lesson N -o FOLDER' copies one out.
"""

LESSON = """Copy lesson NUMBER and its exercise into a folder.

Run the lesson with 'python FILE', or cell by cell in an editor that knows '# %%'. Fill in the exercise
and grade it with 'nphash gradcheck --exercise FILE'.
"""


@click.command(help=LESSONS)
@format_option
def command(output_format: str | None) -> None:
    """Run ``nphash lessons``."""
    form = chosen_format(output_format)
    records = [
        {
            "lesson": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "file": lesson.file,
            "exercise": lesson.exercise,
        }
        for lesson in lessons.LESSONS
    ]
    fields = list(records[0])[: 4 if form == "table" else None]
    write_records(records, form, fields, [True, False, True, False])
    if form == "table":
        note("nphash lesson 1 -o FOLDER copies the first one out, with its exercise")


@click.command(help=LESSON)
@click.argument("number", type=int)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    default=".",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy into this folder; it is made if need be.  [default: where you are]",
)
@click.option("--force", is_flag=True, help="Replace files that are there, also a solved exercise.")
def lesson(number: int, output: Path, force: bool) -> None:
    """Run ``nphash lesson``."""
    copied, exercise = lessons.copy_lesson(number, output, force=force)
    echo(f"{copied}\n{exercise}")
    note(f"run:   python {copied}\ngrade: nphash gradcheck --exercise {exercise}")
