"""``nphash lessons`` and ``nphash lesson``: what can be learned offline, and a copy of it."""

from __future__ import annotations

from pathlib import Path

import click

from nphash.cli.output import Writer, chosen_format, echo_table, format_option, note

__all__ = ["command", "lesson"]


@click.command()
@format_option
def command(output_format: str | None) -> None:
    """List the lessons that come with nphash.

    Nine scripts lead from counting words to a searchable code, each with the derivations, cells to run and
    an exercise. 'nphash lesson N -o FOLDER' copies one out.
    """
    from nphash.teaching.lessons import LESSONS

    names = ("lesson", "title", "minutes", "file", "exercise")
    rows = [(each.number, each.title, each.minutes, each.file, each.exercise) for each in LESSONS]
    form = chosen_format(output_format)
    if form != "table":
        writer = Writer(form, list(names))
        for row in rows:
            writer.write(dict(zip(names, row, strict=True)))
        return
    echo_table([names[:4], *(tuple(map(str, row[:4])) for row in rows)], [True, False, True, False])
    note("nphash lesson 1 -o FOLDER copies the first one out, with its exercise")


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
def lesson(number: int, output: Path, force: bool) -> None:
    """Copy lesson NUMBER and its exercise into a folder.

    Run the lesson with 'python FILE', or cell by cell in an editor that knows '# %%'. Fill in the exercise
    and grade it with 'nphash gradcheck --exercise FILE'.
    """
    from nphash.teaching.lessons import copy_lesson

    script, exercise = copy_lesson(number, output, force=force)
    click.echo(f"{script}\n{exercise}")
    note(f"run:   python {script}\ngrade: nphash gradcheck --exercise {exercise}")
