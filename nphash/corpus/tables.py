"""CSV and TSV with a header line (or with column names given as an option)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from nphash.corpus.dialect import Dialect, Lines, find_dialect, records
from nphash.corpus.fields import make_document
from nphash.corpus.files import numbered_lines
from nphash.corpus.left_out import LeftOut
from nphash.corpus.records import Document, ReadOptions, UniqueIds, show, stem
from nphash.errors import CorpusError

__all__ = ["read"]


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a row; a cell of labels may hold several, separated by semicolons.

    Tabs separate when the format is ``"tsv"`` or the name ends so, commas otherwise; unless the first line
    has the text's column with another of comma, semicolon, tab and ``|``, or is Excel's ``sep=;``. Cells may
    be quoted, and a quoted cell may hold line ends; between tabs quotes are text unless they evidently
    enclose cells (`nphash.corpus.dialect`).

    Raises
    ------
    CorpusError
        Naming file and line: broken quotes, rows of another length than the header, missing columns.
    """
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), min(options.max_document_bytes, 2**31 - 1)))
    ids, name, columns = UniqueIds(source), stem(source), list(options.columns)
    left_out, first = LeftOut(options), True
    if columns:
        _check_header(columns, show(source), options)
    with closing(numbered_lines(source, options, left_out)) as numbered:
        lines = Lines(numbered)
        dialect = _dialect(lines, source, options)
        for number, cells in records(lines, dialect, source):
            where = f"{show(source)}, line {number}"
            if first and (not columns or cells == columns):  # a header, if perhaps beside --columns
                columns = _header(cells, where, options)
                first = False
                continue
            first, usable = False, None
            with left_out.unusable():
                document = make_document(_fields(columns, cells, options), where, f"{name}:{number}", options)
                ids.add(document.id, number)
                usable = document
            if usable is not None:
                yield usable
    left_out.tell()


def _dialect(lines: Lines, source: str, options: ReadOptions) -> Dialect:
    """Return how the table is written, and note it for reading others of its kind."""
    name = (options.input_format or stem(source)).lower()
    usual = "\t" if name.endswith(("tsv", "tab")) else ","
    dialect = find_dialect(lines, usual, options)
    options.found["delimiter"] = dialect.delimiter
    if options.quote is not None or dialect.quote != (dialect.delimiter != "\t"):
        options.found["quote"] = dialect.quote
    return dialect


def _header(cells: list[str] | CorpusError, where: str, options: ReadOptions) -> list[str]:
    if isinstance(cells, CorpusError):
        raise cells
    columns = [cell.strip() for cell in cells]
    _check_header(columns, where, options)
    return columns


def _fields(columns: list[str], cells: list[str] | CorpusError, options: ReadOptions) -> dict[str, object]:
    if isinstance(cells, CorpusError):
        raise cells
    fields: dict[str, object] = dict(zip(columns, cells, strict=True))
    for label_field in (options.label_field, "label"):
        if label_field in fields:
            fields[label_field] = str(fields[label_field]).split(";")
            break
    return fields


def _check_header(columns: list[str], where: str, options: ReadOptions) -> None:
    """Refuse a name that is asked for and that two columns have; others may be without a name."""
    texts = (options.text_field,) if isinstance(options.text_field, str) else options.text_field
    counts = Counter(columns)
    for name in (*texts, options.id_field, options.label_field, "label", options.split_field):
        if counts[name] > 1:
            raise CorpusError(f"{where}: two columns are named {name!r}", "give each column its own name")
