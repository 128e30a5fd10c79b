"""Text and records for people and programs: one place through which everything foreign reaches a terminal.

Ids, labels, texts, names of fields and files, versions in manifests and messages of exceptions are a
stranger's: control characters among them would move the cursor, change the title or turn the direction.
`printable` shows them as escapes, `clean` drops them; tables, notes and records go through one of the two.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from nphash.errors import InputError, UsageError

FORMATS = ("table", "jsonl", "csv")
RAW_CSV = "raw csv"
ELLIPSIS = "\u2026"
UNSPACED = "\u3005"  # what begins with this character or a later one is written without spaces
LONGEST = 100_000  # characters of a document that are looked at for a snippet

# C0 but for line end and tab, DEL, C1, marks of direction, invisible ones, surrogates
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what begins a formula where a table is opened as a spreadsheet


# ---------------------------------------------------------------------- foreign text


def printable(text: str) -> str:
    """Return `text` with control characters, but for line ends and tabs, as visible escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def clean(text: str) -> str:
    """Return `text` on one line without control characters: a document must not drive the terminal."""
    line = " ".join(text.split())
    if line.isprintable():  # as nearly all is: ten times as quick
        return line
    spaced = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    kept = "".join(
        char for char in spaced if unicodedata.category(char) not in {"Cf", "Cs"} or char == "\u200d"
    )
    return " ".join(kept.split())


def write_line(text: str, err: bool = False) -> None:
    """Write text that may hold something foreign."""
    click.echo(printable(text), err=err)


def note(message: str, quiet: bool = False) -> None:
    """Say something on standard error."""
    if not quiet:
        write_line(message, err=True)


def begin_line() -> None:
    """Go to the beginning of the line, where a count may stand on the terminal."""
    if sys.stderr.isatty():
        click.echo("\r", err=True, nl=False)


def many(number: int, noun: str) -> str:
    """Return the number and what is counted."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def note_wordless(number: int, quiet: bool = False, of_them: bool = False) -> None:
    """Say how many documents have codes that mean nothing, if there are any."""
    if number:
        hold, codes = ("holds", "its code says") if number == 1 else ("hold", "their codes say")
        what = f"{number:,} of them" if of_them else many(number, "document")
        note(f"{what} {hold} no word of the vocabulary: {codes} nothing", quiet)


# ---------------------------------------------------------------------- width


def terminal_width() -> int:
    """Return the number of columns, 100 where there is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def use_color() -> bool:
    """Return whether standard output is a terminal that wants colours (``NO_COLOR`` is respected)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def bold(text: str, code: int = 1) -> str:
    """Return text in bold (1), or dim (2), where standard output wants colours."""
    return f"\x1b[{code}m{text}\x1b[0m" if use_color() else text


def width(text: str) -> int:
    """Return how many columns a terminal needs for `text`."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def fit_width(text: str, columns: int, keep_end: bool = False) -> str:
    """Shorten `text` to at most `columns`, marking the cut by an ellipsis; `keep_end` cuts at the front."""
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for char in reversed(text) if keep_end else text:
        used += _char_width(char)
        if used > columns:
            break
        kept.append(char)
    if keep_end:
        return ELLIPSIS + "".join(reversed(kept))
    return "".join(kept).rstrip() + ELLIPSIS


def snippet(text: str, words: Iterable[str], columns: int) -> str:
    """Return a piece of `text` of at most `columns`: that with most of `words`, else its beginning."""
    text = clean(text[:LONGEST])
    if width(text) <= columns:
        return text
    pattern = _pattern(words)
    matches = list(islice(pattern.finditer(text), 500)) if pattern else []
    beginning = [match for match in matches if match.end() < columns]
    best, most = None, len({match[0].lower() for match in beginning})
    for number, first in enumerate(matches):
        end = first.start() + columns // 2
        near = [match for match in matches[number:] if match.end() < end]
        shown = len({match[0].lower() for match in near})
        if shown > most:
            best, most = first, shown
    if best is None:
        return fit_width(text, columns)
    # Some columns go to what stands before the word, from the start of a word on.
    start = max(0, best.start() - columns // 4)
    start = text.find(" ", start, best.start()) + 1 or best.start()
    if width(text[start:]) < columns:  # the text ends first: show more of what comes before
        tail = fit_width(text, columns, keep_end=True).removeprefix(ELLIPSIS)
        whole = text[: -len(tail)].endswith(" ") or " " not in tail
        return ELLIPSIS + (tail if whole else tail[tail.index(" ") + 1 :])
    return fit_width(ELLIPSIS + text[start:], columns)


def marks(text: str, words: Iterable[str]) -> list[tuple[int, int]]:
    """Return where `words` stand in `text`, as (start, stop); ``gold*`` stands for all that begin so."""
    pattern = _pattern(words)
    return [found.span() for found in pattern.finditer(text)] if pattern else []


def highlight(text: str, words: Iterable[str]) -> str:
    """Return `text` with `words` in bold."""
    pattern = _pattern(words)
    return pattern.sub("\x1b[1m\\g<0>\x1b[0m", text) if pattern else text


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    # Longest first: in an alternation the first match wins. The underscore is a border, as in the tokenizer.
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(_marked, ordered)), re.IGNORECASE) if ordered else None


def _marked(word: str) -> str:
    letters = re.escape(word.removesuffix("*"))
    if word >= UNSPACED:  # pairs of characters have no borders
        return letters
    return rf"(?<![^\W_]){letters}" + (r"[^\W_]*" if word.endswith("*") else r"(?![^\W_])")


def table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Return lines with aligned columns, each cell `printable`; `right` says which go to the right."""
    if not rows:
        return []
    rows = [[" ".join(printable(cell).splitlines()) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for cell, columns, to_right in zip(row, widths, right, strict=True):
            padding = " " * (columns - width(cell))
            cells.append(padding + cell if to_right else cell + padding)
        lines.append("  ".join(cells).rstrip())
    return lines


def echo_table(rows: Iterable[Sequence[str]], right: Sequence[bool], header: bool = True) -> None:
    """Write aligned columns, the first row as a heading."""
    for number, line in enumerate(table(list(rows), right)):
        click.echo(bold(line, 2) if header and number == 0 else line)


# ---------------------------------------------------------------------- records


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format`` and ``--raw`` to a command, which gets them as one ``output_format``."""

    @wraps(function)
    def command(*args: Any, output_format: str | None, raw: bool, **values: Any) -> Any:
        if raw and chosen_format(output_format) != "csv":
            raise UsageError("--raw is for CSV", "give --format csv")
        return function(*args, output_format=RAW_CSV if raw else output_format, **values)

    for option in (
        click.option("--raw", is_flag=True, help="CSV cells as they are: none is kept from being a formula."),
        click.option(
            "--format",
            "output_format",
            type=click.Choice(FORMATS),
            help="Form of the results.  [default: table on a terminal, jsonl in a pipe]",
        ),
    ):
        command = option(command)
    return command


def chosen_format(given: str | None) -> str:
    """Return the form asked for, or the one that suits where standard output goes."""
    return given or ("table" if sys.stdout.isatty() else "jsonl")


def output_file(given: Path | None) -> Path | None:
    """Return the file to write, None for standard output: ``-`` is that too."""
    return None if given == Path("-") else given


def refuse_existing(output: Path, force: bool) -> None:
    """Raise `InputError` for a file that is there, unless it may be overwritten."""
    if output.exists() and not force:
        raise InputError(f"{output} exists already", "choose another file, or overwrite it with --force")


class Writer:
    """Write records as JSON lines or CSV, one at a time so that a pipe gets them as they come.

    JSON holds control characters as escapes, which says the same. CSV holds them as they are, but for a
    terminal; a cell of text that a spreadsheet would take for a formula begins with an apostrophe, unless
    `form` is ``"raw csv"``. Without `file` standard output is written.
    """

    def __init__(self, form: str, fields: Sequence[str], file: IO[str] | None = None) -> None:
        self.form = form
        self.file = file
        self.fields = list(fields)
        if form != "jsonl":
            self._row(self.fields)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record."""
        if self.form == "jsonl":
            plain = {name: _finite(value) for name, value in record.items()}
            line = json.dumps(plain, ensure_ascii=False, allow_nan=False)
            click.echo(_CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], line), self.file)
        else:
            self._row([self._cell(record.get(name)) for name in self.fields])

    def _row(self, cells: Sequence[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that a lone one of these is quoted too
        text = line.getvalue().removesuffix("\r\n") + "\n"
        click.echo(
            printable(text) if self.file is None and sys.stdout.isatty() else text, self.file, nl=False
        )

    def _cell(self, value: object) -> object:
        if isinstance(value, Mapping):
            value = json.dumps(value, ensure_ascii=False) if value else ""
        elif isinstance(value, (list, tuple)):
            value = ";".join(map(str, value))  # where the readers cut labels
        if isinstance(value, str) and value.startswith(_FORMULA) and self.form != RAW_CSV:
            return f"'{value}"
        return "" if value is None or _finite(value) is None else value


def _finite(value: object) -> object:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_records(
    records: Iterable[Mapping[str, Any]], form: str, fields: Sequence[str], right: Sequence[bool] = ()
) -> None:
    """Write records in any of the forms; a table has the same columns."""
    if form == "table":
        rows = [[str(record[name]) for name in fields] for record in records]
        echo_table([fields, *rows], right)
        return
    writer = Writer(form, fields)
    for record in records:
        writer.write(record)
