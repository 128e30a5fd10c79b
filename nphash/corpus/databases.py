"""Tables of other programs: SQLite databases, and Parquet and Arrow files by pyarrow; a row is a document."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from nphash.corpus.files import translate_errors
from nphash.corpus.lines import documents_of, wanted_columns
from nphash.corpus.matrices import check_file
from nphash.corpus.packed import check_ratio
from nphash.corpus.records import Document, ReadOptions, show
from nphash.errors import CorpusError

PREFIX = "sqlite:"
AT_ONCE = 500  # rows


def read_sqlite(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the rows of ``sqlite:FILE?table=NAME``, or of the only table of a file.

    The file is opened for reading alone; only a table is read, never a view, which would run its maker's SQL.
    """
    path, table = split_source(source)
    check_file(path, "SQLite")
    with translate_errors(path), Path(path).open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3\0"):
            raise CorpusError(f"{path} is no SQLite database", "check that this is the right file")
    try:
        # immutable: nothing is written beside it, unless a writer's log is there already and must be read
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?{mode}", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            with suppress(AttributeError):  # Python 3.10 has no limits
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, options.max_document_bytes)
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            table = _table(database, path, table)
            name = table.replace('"', '""')
            there = [row[1] for row in database.execute(f'PRAGMA table_info("{name}")')]
            columns = wanted_columns(there, f"{path}, table {table}", options)
            chosen = ", ".join('"' + column.replace('"', '""') + '"' for column in columns) or "NULL"
            rows = database.execute(f'SELECT {chosen} FROM "{name}"')
            yield from documents_of(
                (dict(zip(columns, row, strict=True)) for row in rows), f"{path}, table {table}", options
            )
    except (sqlite3.Error, OverflowError) as error:
        problem = f"{path} cannot be read as an SQLite database ({error})"
        raise CorpusError(problem, "check it with the sqlite3 program: PRAGMA integrity_check") from error


def split_source(source: str) -> tuple[str, str]:
    """Return the path and the table, if it is given, of ``sqlite:FILE?table=NAME``."""
    path, _, query = source.removeprefix(PREFIX).partition("?")
    given = parse_qs(query)
    if query and set(given) != {"table"}:
        raise CorpusError(f"{source} does not end in ?table=NAME", "give sqlite:FILE?table=NAME")
    return unquote(path) if source.startswith(PREFIX) else source, given.get("table", [""])[0]


def _table(database: sqlite3.Connection, path: str, given: str) -> str:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    tables = sorted(str(row[0]) for row in database.execute(f"{query} AND sql NOT LIKE 'CREATE VIRTUAL%'"))
    if given in tables or (not given and len(tables) == 1):
        return given or tables[0]
    there = f"it has {', '.join(tables)[:200] or 'none'}"
    what = f"has no table {given!r}" if given else "has several tables"
    raise CorpusError(f"{path} {what} ({there})", f"give {PREFIX}{path}?table=NAME")


def read_arrow(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the rows of a Parquet or Arrow file, some at a time."""
    check_file(source, "Parquet and Arrow")
    if find_spec("pyarrow") is None:
        problem = f"{show(source)} is read by the package pyarrow, which is not installed"
        raise CorpusError(problem, "install it (the extra [parquet]), or write the file as CSV or JSON lines")
    with translate_errors(source), Path(source).open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    try:
        yield from documents_of(_arrow_rows(source, is_parquet, options), source, options)
    except CorpusError:
        raise
    except Exception as error:  # pyarrow has errors of its own, and others of Python
        kind = "Parquet" if is_parquet else "Arrow"
        problem = f"{show(source)} cannot be read as {kind} ({' '.join(str(error).split())[:200]})"
        raise CorpusError(problem, "the file is damaged or not of this format") from error


def _unpacked_bytes(metadata: Any) -> int:
    """Return how many bytes a Parquet file says that it unpacks to; a row takes one at least."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return max(int(metadata.num_rows), sum(int(group.total_byte_size) for group in groups))


def _arrow_rows(source: str, is_parquet: bool, options: ReadOptions) -> Iterator[Mapping[str, Any]]:
    if is_parquet:
        with import_module("pyarrow.parquet").ParquetFile(source) as table:
            check_ratio(_unpacked_bytes(table.metadata), Path(source).stat().st_size, show(source))
            columns = wanted_columns(list(table.schema_arrow.names), show(source), options)
            for batch in table.iter_batches(batch_size=AT_ONCE, columns=columns):
                yield from batch.to_pylist()
        return
    arrow = import_module("pyarrow")
    with arrow.memory_map(source) as mapped:
        try:
            reader = arrow.ipc.open_file(mapped)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        except arrow.ArrowInvalid:  # the form of streams
            mapped.seek(0)
            batches = iter(arrow.ipc.open_stream(mapped))
        for batch in batches:
            columns = wanted_columns(list(batch.schema.names), show(source), options)
            for start in range(0, batch.num_rows, AT_ONCE):
                yield from batch.select(columns).slice(start, AT_ONCE).to_pylist()
