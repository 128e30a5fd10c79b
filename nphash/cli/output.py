"""Results on standard output: a table for people, JSON lines or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click

from nphash.cli.display import table, use_color
from nphash.errors import InputError

__all__ = [
    "FORMATS",
    "Writer",
    "chosen_format",
    "echo_table",
    "format_option",
    "many",
    "note",
    "note_wordless",
    "output_file",
    "refuse_existing",
]

FORMATS = ("table", "jsonl", "csv")


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format`` to a command."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        help="Form of the results.  [default: table on a terminal, jsonl in a pipe]",
    )(function)


def chosen_format(given: str | None) -> str:
    """Return the form asked for, or the one that suits where standard output goes."""
    return given or ("table" if sys.stdout.isatty() else "jsonl")


def note(message: str, quiet: bool = False) -> None:
    """Tell something on standard error."""
    if not quiet:
        click.echo(message, err=True)


def many(number: int, noun: str) -> str:
    """Return the number and what is counted.

    Examples
    --------
    >>> many(1, "document"), many(2000, "document")
    ('1 document', '2,000 documents')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def note_wordless(number: int, quiet: bool = False, of_them: bool = False) -> None:
    """Tell how many documents have codes that mean nothing, if there are any."""
    if number:
        hold, codes = ("holds", "its code says") if number == 1 else ("hold", "their codes say")
        what = f"{number:,} of them" if of_them else many(number, "document")
        note(f"{what} {hold} no word of the vocabulary: {codes} nothing", quiet)


def output_file(given: Path | None) -> Path | None:
    """Return the file to write, None for standard output: ``-`` is that too."""
    return None if given == Path("-") else given


def refuse_existing(output: Path, force: bool) -> None:
    """Raise `InputError` for a file that is there, unless it may be overwritten."""
    if output.exists() and not force:
        raise InputError(f"{output} exists already", "choose another file, or overwrite it with --force")


class Writer:
    """Write records as JSON lines or CSV, one at a time so that a pipe gets them as they come.

    Parameters
    ----------
    form
        ``"jsonl"`` or ``"csv"``.
    fields
        The columns of CSV.
    file
        None for standard output.
    """

    def __init__(self, form: str, fields: Sequence[str], file: IO[str] | None = None) -> None:
        self.form = form
        self.file = file
        self.fields = list(fields)
        if form == "csv":
            self._row(self.fields)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record."""
        if self.form == "jsonl":
            plain = {name: _finite(value) for name, value in record.items()}
            click.echo(json.dumps(plain, ensure_ascii=False, allow_nan=False), self.file)
        else:
            self._row([_cell(record.get(name)) for name in self.fields])

    def _row(self, cells: Sequence[Any]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        click.echo(line.getvalue(), self.file, nl=False)


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "" if value is None or _finite(value) is None else value


def echo_table(rows: Iterable[Sequence[str]], right: Sequence[bool], header: bool = True) -> None:
    """Write aligned columns, the first row as a heading."""
    for number, line in enumerate(table(list(rows), right)):
        click.echo(f"\x1b[2m{line}\x1b[0m" if header and number == 0 and use_color() else line)
