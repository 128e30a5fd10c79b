"""``nphash lesson``: copy one lesson and its exercise out of the package."""

from __future__ import annotations

from pathlib import Path

import click

from nphash.cli.output import note

__all__ = ["command"]


@click.command()
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
def command(number: int, output: Path, force: bool) -> None:
    """Copy lesson NUMBER and its exercise into a folder.

    Run the lesson with 'python FILE', or cell by cell in an editor that knows '# %%'. Fill in the exercise
    and grade it with 'nphash gradcheck --exercise FILE'.
    """
    from nphash.teaching.lessons import copy_lesson

    lesson, exercise = copy_lesson(number, output, force=force)
    click.echo(str(lesson))
    click.echo(str(exercise))
    note(f"run:   python {lesson}\ngrade: nphash gradcheck --exercise {exercise}")
