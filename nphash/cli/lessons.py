"""``nphash lessons``: what can be learned offline."""

from __future__ import annotations

import click

from nphash.cli.output import Writer, chosen_format, echo_table, format_option, note

__all__ = ["command"]


@click.command()
@format_option
def command(output_format: str | None) -> None:
    """List the lessons that come with nphash.

    Nine scripts lead from counting words to a searchable code, each with the derivations, cells to run and
    an exercise. 'nphash lesson N -o FOLDER' copies one out.
    """
    from nphash.teaching.lessons import LESSONS

    form = chosen_format(output_format)
    records = [
        {
            "lesson": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "file": lesson.file,
            "exercise": lesson.exercise,
        }
        for lesson in LESSONS
    ]
    if form != "table":
        writer = Writer(form, list(records[0]))
        for record in records:
            writer.write(record)
        return
    shown = ("lesson", "title", "minutes", "file")
    rows = [shown, *(tuple(str(record[name]) for name in shown) for record in records)]
    echo_table(rows, [True, False, True, False])
    note("nphash lesson 1 -o FOLDER copies the first one out, with its exercise")
