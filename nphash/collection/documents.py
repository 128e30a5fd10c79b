"""The text of a collection: one SQLite file for each run of documents, written once, then only read.

Each row carries a CRC of its contents, so that a changed byte in a file too large to be hashed at
every start is noticed when the row is read. The schema is plain enough for the ``sqlite3`` shell::

    documents(row INTEGER PRIMARY KEY, id TEXT UNIQUE, labels TEXT, split TEXT, crc INTEGER, text TEXT)

``row`` counts from 0 and is the row of the code segment; ``labels`` is a JSON list. The text comes last, so
that ids and labels are read without it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from nphash.collection.files import writing
from nphash.core.disk import flush
from nphash.corpus import Document
from nphash.errors import CollectionError, InputError

__all__ = ["DocumentFile", "DocumentWriter", "checked", "storable"]

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE documents (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, labels TEXT NOT NULL,
    split TEXT NOT NULL, crc INTEGER NOT NULL, text TEXT NOT NULL
)
"""
_SELECT = "SELECT row, id, labels, split, crc, text FROM documents"
SHOWN = 80
WRITE = "write Document(id, text), or read them from a file with nphash.corpus.read_documents"
_BATCH = 500  # rows and parameters a statement; SQLite's smallest limit of parameters is 999


def _crc(id_: str, text: str, labels: str, split: str) -> int:
    return zlib.crc32("\0".join((id_, text, labels, split)).encode("utf-8", "surrogatepass"))


def storable(text: str) -> str:
    """Return `text` without lone surrogates, which UTF-8 and so SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def checked(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield documents, and raise for what is none.

    Raises
    ------
    InputError
        For the first item that is no `Document`, or has fields of other types.

    Examples
    --------
    >>> list(checked(["a text"]))
    Traceback (most recent call last):
    nphash.errors.InputError: document 0 is 'a text', but documents are nphash.corpus.Document: write ...
    """
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Iterable):
        raise InputError(
            f"documents is {shortened(documents)}, but a list of nphash.corpus.Document is needed", WRITE
        )
    for number, document in enumerate(documents):
        if not isinstance(document, Document):
            raise InputError(
                f"document {number} is {shortened(document)}, but documents are nphash.corpus.Document", WRITE
            )
        given = document.labels
        labels = list(given) if isinstance(given, (tuple, list)) else [None]
        if not all(isinstance(text, str) for text in (document.id, document.text, document.split, *labels)):
            raise InputError(
                f"document {number} is {shortened(document)}, but id, text and split are strings, and labels "
                "a tuple of them",
                WRITE,
            )
        yield document


def shortened(value: object) -> str:
    """Return how messages show a value that may be long."""
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."


class DocumentWriter:
    """Write a new document file row by row; leaving the ``with`` block normally completes and flushes it.

    Parameters
    ----------
    path
        A file that does not exist yet.

    Raises
    ------
    CollectionError
        When the disk is full or does not let us write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_documents = 0
        with writing(path.parent):
            self._db = sqlite3.connect(path, isolation_level=None)
            # Nobody reads the file before the manifest names it: no journal, one flush at the end.
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(_SCHEMA)
            self._db.execute("BEGIN")

    def write(self, document: Document) -> None:
        """Append one document."""
        id_, text, split = (storable(value) for value in (document.id, document.text, document.split))
        labels = json.dumps(document.labels)
        row = (self.n_documents, id_, labels, split, _crc(id_, text, labels, split), text)
        with writing(self.path.parent):
            self._db.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", row)
        self.n_documents += 1

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.path.parent):
            try:
                if kind is None:
                    self._db.execute("CREATE UNIQUE INDEX documents_id ON documents (id)")
                    self._db.execute("COMMIT")
            finally:
                with suppress(sqlite3.Error):
                    self._db.close()
            if kind is None:
                flush(self.path)


class DocumentFile:
    """Read a document file; every row is checked against its CRC.

    Parameters
    ----------
    path
        File written by `DocumentWriter`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        try:
            # immutable: the file never changes, so SQLite needs neither locks nor a journal beside it
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            self._db.execute("PRAGMA trusted_schema = OFF")
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None

    def read(self, rows: Sequence[int]) -> dict[int, Document]:
        """Return the documents of `rows` by row.

        Raises
        ------
        CollectionError
            If a row is missing or altered.
        """
        found: dict[int, Document] = {}
        for batch in _batches(rows):
            marks = ",".join("?" * len(batch))
            found.update(self._documents(f"{_SELECT} WHERE row IN ({marks})", batch))
        return self._complete(found, rows)

    def read_texts(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the texts of `rows` by row; checked as in `read`, but quicker."""
        found: dict[int, str] = {}
        for batch in _batches(rows):
            marks = ",".join("?" * len(batch))
            found.update(
                (row, text) for row, *_, text in self._checked(f"{_SELECT} WHERE row IN ({marks})", batch)
            )
        return self._complete(found, rows)

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each of `ids` that is in this file."""
        given = {storable(id_): id_ for id_ in ids}
        found: dict[str, int] = {}
        for batch in _batches(list(given)):
            marks = ",".join("?" * len(batch))
            try:
                rows = self._db.execute(f"SELECT id, row FROM documents WHERE id IN ({marks})", batch)
                found.update((given[id_], row) for id_, row in rows)
            except sqlite3.Error as error:
                raise self._damaged(str(error)) from None
        return found

    def __iter__(self) -> Iterator[tuple[int, Document]]:
        return self._documents(f"{_SELECT} ORDER BY row")

    def labels(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield row and labels of every document, without reading the text."""
        try:
            for row, labels in self._db.execute("SELECT row, labels FROM documents ORDER BY row"):
                yield row, tuple(json.loads(labels))
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._damaged(str(error)) from None

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._db.close()

    def _documents(self, query: str, values: Iterable[int] = ()) -> Iterator[tuple[int, Document]]:
        for row, id_, labels, split, text in self._checked(query, values):
            try:
                yield row, Document(id_, text, tuple(json.loads(labels)), split)
            except (ValueError, TypeError) as error:
                raise self._damaged(str(error)) from None

    def _checked(self, query: str, values: Iterable[int]) -> Iterator[tuple[int, str, str, str, str]]:
        try:
            for row, id_, labels, split, crc, text in self._db.execute(query, tuple(values)):
                if _crc(id_, text, labels, split) != crc:
                    raise self._damaged(f"row {row} was altered")
                yield row, id_, labels, split, text
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._damaged(str(error)) from None

    def _complete(self, found: dict[int, T], rows: Sequence[int]) -> dict[int, T]:
        if len(found) != len(set(rows)):
            missing = next(row for row in rows if row not in found)
            raise self._damaged(f"row {missing} is missing")
        return found

    def _damaged(self, why: str) -> CollectionError:
        if self.closed:  # SQLite complains of that too
            return CollectionError(
                f"{self.path} is closed",
                "open the collection again; after a change to it, take its documents again",
            )
        return CollectionError(
            f"{self.path} is damaged: {why}", "see 'nphash info --verify' and restore the file from a copy"
        )
