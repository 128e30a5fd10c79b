"""The text of a collection: one SQLite file for each run of documents, written once, then only read.

Each row carries a CRC of its number and contents, so that a changed byte in a file too large to be hashed at
every start is noticed when the row is read. The schema is plain enough for the ``sqlite3`` shell::

    documents(row INTEGER PRIMARY KEY, id TEXT UNIQUE, labels TEXT, split TEXT, fields TEXT, crc INTEGER,
              text TEXT)

``row`` counts from 0 and is the row of the code segment; ``labels`` is a JSON list, ``fields`` a JSON object.
The text comes last, so that the rest is read without it. ``PRAGMA user_version`` is 2; where it is 1 there
are no fields, and where it is 0 the CRC does not cover the row number either.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from nphash.core import disk
from nphash.core.checksums import Blocks, FileRecord, record
from nphash.core.disk import cannot_read
from nphash.core.locks import thread_lock
from nphash.corpus import Document
from nphash.corpus.records import readable
from nphash.errors import CollectionError, DamagedError, InputError

T = TypeVar("T")
Row = tuple[int, str, str, str, str, str]  # row, id, labels, split, fields, text

_SCHEMA_1 = """CREATE TABLE documents (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, labels TEXT NOT NULL,
    split TEXT NOT NULL, crc INTEGER NOT NULL, text TEXT NOT NULL
)"""
_SCHEMA = _SCHEMA_1.replace("split TEXT NOT NULL, ", "split TEXT NOT NULL, fields TEXT NOT NULL, ")
_INDEX = "CREATE UNIQUE INDEX documents_id ON documents (id)"
VERSION = 2
SHOWN = 80
WRITE = "write Document(id, text), or read them from a file with nphash.corpus.read_documents"
LONG_PATH = 500  # bytes; SQLite opens none that are much longer
_OF_THE_SYSTEM = re.compile("unable to open|disk I/O error|out of memory|locked|interrupted")
_PAGE = 1 << 15  # bytes
_BATCH = 500  # rows and parameters a statement; SQLite's smallest limit of parameters is 999


def _crc(version: int, row: int, id_: str, text: str, labels: str, split: str, fields: str) -> int:
    parts = [*([str(row)] if version else []), id_, text, labels, split, *([fields] if version > 1 else [])]
    return zlib.crc32("\0".join(parts).encode("utf-8", "surrogatepass"))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Do `nphash.core.disk.writing`, for what SQLite says of the disk too."""
    try:
        with disk.writing(folder):
            yield
    except sqlite3.Error as error:
        full = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
        raise disk.cannot_write(folder, disk.FULL if full else str(error)) from error


def storable(text: str) -> str:
    """Return `text` without lone surrogates, which UTF-8 and so SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def checked(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield documents; `InputError` for the first item that is none, or has fields of other types."""
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Iterable):
        raise InputError(
            f"documents is {shortened(documents)}, but a list of nphash.corpus.Document is needed", WRITE
        )
    for number, document in enumerate(documents):
        if not isinstance(document, Document):
            raise InputError(
                f"document {number} is {shortened(document)}, but documents are nphash.corpus.Document", WRITE
            )
        given, known = document.labels, document.fields
        labels = list(given) if isinstance(given, (tuple, list)) else [None]
        fields = [*known, *known.values()] if isinstance(known, Mapping) else [None]
        texts = (document.id, document.text, document.split, *labels, *fields)
        if not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"document {number} is {shortened(document)}, but id, text and split are strings, labels "
                "a tuple of them, and fields a dict of them",
                WRITE,
            )
        id_ = readable(document.id)
        yield document if id_ == document.id else replace(document, id=id_)


def spellings(id_: str) -> set[str]:
    """Return how else an id may have been written: composed or not, bytes that are no UTF-8 as escapes."""
    if id_.isascii():
        return set()
    return {readable(id_), *(unicodedata.normalize(form, id_) for form in ("NFC", "NFD"))} - {id_}


def shortened(value: object) -> str:
    """Return how messages show a value that may be long."""
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."


class DocumentWriter:
    """Write a new document file row by row; leaving the ``with`` block normally completes and flushes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_documents = 0
        self._lock = thread_lock(inner=True)  # while SQLite is at work
        with writing(path.parent), self._lock:
            # Made by us, so that no link is followed, and open from the first write to the last flush, which
            # reports what has failed since a descriptor was opened.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                self._db = sqlite3.connect(path, isolation_level=None)
                with self._writing():
                    # Rows shorter than a page end with it: in pages of 4,096 bytes a file of abstracts takes
                    # 1.26 times the bytes of their text, in these 1.10.
                    self._db.execute(f"PRAGMA page_size = {_PAGE}")
                    # Nobody reads the file before the manifest names it: no journal, one flush at the end.
                    self._db.execute("PRAGMA journal_mode = OFF")
                    self._db.execute("PRAGMA synchronous = OFF")
                    self._db.execute(f"PRAGMA user_version = {VERSION}")
                    self._db.execute(_SCHEMA)
                    self._db.execute("BEGIN")
            except (sqlite3.Error, OSError) as error:
                os.close(self._descriptor)
                if isinstance(error, OSError):
                    raise
                raise OSError(_reason(path, error)) from error

    def write(self, document: Document) -> None:
        """Append one document."""
        id_, text, split = (storable(value) for value in (document.id, document.text, document.split))
        labels, fields = json.dumps(document.labels), json.dumps(dict(document.fields))
        crc = _crc(VERSION, self.n_documents, id_, text, labels, split, fields)
        with self._writing():
            row = (self.n_documents, id_, labels, split, fields, crc, text)
            self._db.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.n_documents += 1

    def __enter__(self) -> DocumentWriter:
        return self

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Do `writing`; where SQLite says only that it failed, ask the system for its reason."""
        with writing(self.path.parent), self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                if "I/O" in str(error):
                    os.lseek(self._descriptor, 0, os.SEEK_END)
                    os.write(self._descriptor, bytes(_PAGE))
                raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with writing(self.path.parent), self._lock:
            try:
                if kind is None:
                    with self._writing():
                        self._db.execute(_INDEX)
                        self._db.execute("COMMIT")
                with suppress(sqlite3.Error):
                    self._db.close()
                if kind is None:
                    os.fsync(self._descriptor)
            finally:
                with suppress(sqlite3.Error):
                    self._db.close()
                os.close(self._descriptor)


class DocumentFile:
    """Read a document file, from any thread; every row is checked against its CRC.

    A file with a `known` record is compared with it before anything is concluded from what is missing.
    """

    def __init__(self, path: Path, known: FileRecord | None = None) -> None:
        self.path = path
        self.closed = False
        self._lock = thread_lock(inner=True)
        try:
            self._blocks = Blocks(path, known) if known else None
            if not known:
                os.close(os.open(path, os.O_RDONLY))  # SQLite does not say why it cannot
            # immutable: the file never changes, so SQLite needs neither locks nor a journal beside it
            uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            with self._lock:
                self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except OSError as error:
            raise cannot_read(path, error) from None
        except sqlite3.Error as error:
            raise self._unreadable(error) from None
        self._rows("PRAGMA trusted_schema = OFF")
        self._version = int(self._rows("PRAGMA user_version")[0][0])
        has_fields = self._version > 1
        fields = "fields" if has_fields else "'{}'"
        self._select = f"SELECT row, id, labels, split, {fields}, crc, text FROM documents"
        self._facets = f"SELECT row, id, labels, split, {fields} FROM documents ORDER BY row"
        schema = {_SCHEMA if has_fields else _SCHEMA_1, _INDEX}
        if {sql for (sql,) in self._rows("SELECT sql FROM sqlite_master")} != schema:
            raise self._damaged("its tables are not those that nphash makes")  # views, computed columns

    def __del__(self) -> None:
        with suppress(AttributeError, sqlite3.Error), self._lock:  # one that was never opened
            self._db.close()

    def check(self) -> None:
        """Check the whole file, once; `DamagedError` if it is not what was written."""
        if self._blocks:
            self._blocks.check()

    def count(self) -> int:
        """Return the number of documents."""
        return int(self._rows("SELECT count(*) FROM documents")[0][0])

    def read(self, rows: Sequence[int]) -> dict[int, Document]:
        """Return the documents of `rows` by row; `DamagedError` if one is missing or altered."""
        return self._found(rows, self._document)

    def read_texts(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the texts of `rows` by row; checked as in `read`, but quicker."""
        return self._found(rows, lambda row: (row[0], row[-1]))

    def _found(self, rows: Sequence[int], of_row: Callable[[Row], tuple[int, T]]) -> dict[int, T]:
        found: dict[int, T] = {}
        for batch in _batches(rows):
            query = f"{self._select} WHERE row IN ({','.join('?' * len(batch))})"
            found.update(map(of_row, self._checked(query, batch)))
        if len(found) != len(set(rows)):
            missing = next(row for row in rows if row not in found)
            raise self._damaged(f"row {missing} is missing")
        return found

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each of `ids` that is in this file."""
        given = {storable(id_): id_ for id_ in ids}
        found: dict[str, int] = {}
        for batch in _batches(list(given)):
            where = f"WHERE id IN ({','.join('?' * len(batch))})"
            if self._blocks:  # the index of ids may be damaged: what it leads to is read
                rows = [(id_, row) for row, id_, *_ in self._checked(f"{self._select} {where}", batch)]
            else:
                rows = self._rows(f"SELECT id, row FROM documents {where}", batch)
            found.update((given[id_], row) for id_, row in rows)
        return found

    def __iter__(self) -> Iterator[tuple[int, Document]]:
        return map(self._document, self._in_order())

    def texts(self) -> Iterator[str]:
        """Yield the text of every document in order; checked as in iteration, but quicker."""
        return (row[-1] for row in self._in_order())

    def _in_order(self) -> Iterator[Row]:
        expected = 0
        query = f"{self._select} WHERE row >= ? ORDER BY row LIMIT {_BATCH}"
        while batch := list(self._checked(query, (expected,))):
            for row in batch:
                if self.closed:
                    raise self._unreadable(None)
                if row[0] != expected:
                    raise self._damaged(f"row {expected} is missing")
                expected += 1
                yield row
        self.check()  # nothing is missing at the end

    def without_text(self) -> Iterator[tuple[int, Document]]:
        """Yield row and document, its text left empty, without reading the text."""
        self.check()
        loads = cache(json.loads)  # many have the same labels, and no fields
        return (self._document((*row, ""), loads) for row in self._rows(self._facets))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.closed = True
            self._db.close()

    def _rows(self, query: str, values: Iterable[int | str] = ()) -> list[tuple[Any, ...]]:
        given = tuple(values)
        try:
            with self._lock, suppress(sqlite3.DatabaseError):
                return self._db.execute(query, given).fetchall()
            with self._lock:  # SQLite says "malformed" of a drive that fails for a moment too
                return self._db.execute(query, given).fetchall()
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._unreadable(error) from None

    def _document(self, row: Row, loads: Callable[[str], Any] = json.loads) -> tuple[int, Document]:
        number, id_, labels, split, fields, text = row
        try:
            known = loads(fields)
            return number, Document(id_, text, tuple(loads(labels)), split, fields=dict(known))
        except (ValueError, TypeError) as error:
            raise self._damaged(str(error)) from None

    def _checked(self, query: str, values: Iterable[int | str]) -> Iterator[Row]:
        for row, id_, labels, split, fields, crc, text in self._rows(query, values):
            try:
                altered = _crc(self._version, row, id_, text, labels, split, fields) != crc
            except TypeError as error:
                raise self._damaged(str(error)) from None
            if altered:
                raise self._damaged(f"row {row} was altered")
            yield row, id_, labels, split, fields, text

    def _unreadable(self, error: Exception | None) -> CollectionError:
        """Return what an error of SQLite means: closed, not to be had now, or damaged."""
        if self.closed:  # SQLite complains of that too
            return CollectionError(
                f"{self.path} is closed",
                "open the collection again; after a change to it, take its documents again",
            )
        if isinstance(error, sqlite3.OperationalError) and _OF_THE_SYSTEM.search(str(error)):
            return CollectionError(
                f"cannot read {self.path}: {_reason(self.path, error)}",
                "try again; check memory, open files and the disk if that goes on",
            )
        try:
            record(self.path)
        except OSError as refused:
            return cannot_read(self.path, refused)
        return self._damaged(str(error))

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(
            f"{self.path} is damaged: {why}", "see 'nphash info --verify' and restore the file from a copy"
        )


def _reason(path: Path, error: sqlite3.Error) -> str:
    """Return what SQLite says, and what it does not: that it opens no long paths."""
    length = len(os.fsencode(path.absolute()))
    if length > LONG_PATH and "unable to open" in str(error):
        return f"its path has {length} bytes, and SQLite opens up to about {LONG_PATH}: take a shorter one"
    return str(error)
