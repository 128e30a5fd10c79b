"""CSV and TSV with a header line (or with column names given as an option)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice

from nphash.corpus.fields import make_document
from nphash.corpus.files import numbered_lines
from nphash.corpus.left_out import LeftOut
from nphash.corpus.records import Document, ReadOptions, UniqueIds, show, stem
from nphash.errors import CorpusError

__all__ = ["read"]

DELIMITERS = ",;\t|"


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a row; a cell of labels may hold several, separated by semicolons.

    Tabs separate when the format is ``"tsv"`` or the name ends so, commas otherwise; unless the first line
    has the text's column with another of comma, semicolon, tab and ``|``. Cells may be quoted, and a
    quoted cell may hold line ends.

    Raises
    ------
    CorpusError
        Naming file and line: broken quotes, rows of another length than the header, missing columns.
    """
    ids, name, columns = UniqueIds(source), stem(source), list(options.columns)
    left_out = LeftOut(options)
    if columns:
        _check_header(columns, show(source))
    for number, row in _rows(source, options):
        where = f"{show(source)}, line {number}"
        if not columns:
            columns = [cell.strip() for cell in row]
            _check_header(columns, where)
            continue
        usable = None
        with left_out.unusable():
            document = make_document(
                _fields(columns, row, where, options), where, f"{name}:{number}", options
            )
            ids.add(document.id, number)
            usable = document
        if usable is not None:
            yield usable
    left_out.tell()


def _fields(columns: list[str], row: list[str], where: str, options: ReadOptions) -> dict[str, object]:
    if len(row) != len(columns):
        raise CorpusError(
            f"{where} has {len(row)} cells for {len(columns)} columns",
            "quote cells that hold the separator",
        )
    fields: dict[str, object] = dict(zip(columns, row, strict=True))
    for label_field in (options.label_field, "label"):
        if label_field in fields:
            fields[label_field] = str(fields[label_field]).split(";")
            break
    return fields


def _rows(source: str, options: ReadOptions) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each row that is not blank."""
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), min(options.max_document_bytes, 2**31 - 1)))
    name = (options.input_format or stem(source)).lower()
    usual = "\t" if name.endswith(("tsv", "tab")) else ","
    with closing(numbered_lines(source, options)) as lines:
        first = [line + "\n" for _, line in islice(lines, 1)]
        delimiter = _delimiter(first, usual, options)
        rest = (line + "\n" for _, line in lines)
        # Strict: an unclosed quote would otherwise swallow the rest of the file as one cell.
        reader = csv.reader(chain(first, rest), delimiter=delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise CorpusError(
                    f"{show(source)}, line {number}: the row cannot be read ({error})",
                    "quote cells that hold quotes, and double the quotes inside",
                ) from error
            if row is None:
                return
            if any(row):
                yield number, row


def _delimiter(first: list[str], usual: str, options: ReadOptions) -> str:
    """Return what separates the cells of the first line: the usual, unless only another one fits."""
    texts = {options.text_field} if isinstance(options.text_field, str) else set(options.text_field)
    several = []
    for delimiter in dict.fromkeys(usual + DELIMITERS):
        try:
            cells = [cell.strip() for cell in next(csv.reader(first, delimiter=delimiter), [])]
        except csv.Error:
            continue
        if len(cells) == len(options.columns) or (not options.columns and texts <= set(cells)):
            return delimiter
        if len(cells) > 1:
            several.append(delimiter)
    return usual if options.columns else next(iter(several), usual)


def _check_header(columns: list[str], where: str) -> None:
    for at, column in enumerate(columns):
        if column in columns[:at]:
            raise CorpusError(f"{where}: two columns are named {column!r}", "give each column its own name")
