"""Names that stay inside a collection, the writers' lock, and in it the names of what they are making.

Every file of a collection is written once, flushed, and never changed again; only the manifest is replaced,
and that in one step. What an interrupted writer leaves is in its journal, and the next writer deletes it.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PureWindowsPath

from nphash.core import disk
from nphash.core.checksums import FileRecord, read_whole, record, seal, unseal
from nphash.core.disk import cannot_read
from nphash.core.locks import locked
from nphash.errors import CollectionError

__all__ = ["LOCK", "FileRecord", "Journal", "check_name", "read_journal", "record", "write_lock", "writing"]

LOCK = "lock"
JOURNAL = "nphash journal"
MOST_BYTES = 1 << 20  # of a journal

#: What a change makes; a journal that names anything else is not followed.
MADE = re.compile(
    r"(codes|removed)-\d{6,}\.npy|documents-\d{6,}\.sqlite|(vectorizer|manifest)-\d{6,}\.json|manifest-\d{6,}\.new|model-\d{6,}"
    r"|shards-\d{6,}(\.counts)?"
)


def check_name(name: object) -> str:
    """Return a file name from a manifest if it stays inside the collection.

    Raises
    ------
    CollectionError
        For anything but a plain relative path: a manifest may have been altered or crafted, and
        must not make us read, or delete, a file elsewhere.

    Examples
    --------
    >>> check_name("model-000001/model.json")
    'model-000001/model.json'
    """
    if isinstance(name, str) and len(name) <= 255 and not {"\\", "\0"} & set(name):
        plain = all(part not in {"", ".", ".."} for part in name.split("/"))
        if plain and not PureWindowsPath(name).drive:
            return name
    raise CollectionError(
        f"the manifest names the file {name!r}, which is not inside the collection", "restore it from a copy"
    )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Do `nphash.core.disk.writing`, for what SQLite says of the disk too.

    Raises
    ------
    CollectionError
        In place of the OSError or sqlite3.Error raised inside the block.
    """
    try:
        with disk.writing(folder):
            yield
    except sqlite3.Error as error:
        full = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
        raise disk.cannot_write(folder, disk.FULL if full else str(error)) from error


class Journal:
    """The names of files that an unfinished change makes: noted in the lock file before the first is made.

    Parameters
    ----------
    descriptor
        The lock file, held.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.names = _names_in(
            os.pread(descriptor, MOST_BYTES, 0) if hasattr(os, "pread") else _start(descriptor)
        )

    def write(self, names: list[str]) -> None:
        """Note names, on the disk when it returns; no names are an empty file."""
        if names == self.names:
            return
        text = seal({"format": JOURNAL, "names": names}).encode("utf-8") if names else b""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while text:
            text = text[os.write(self._descriptor, text) :]
        os.fsync(self._descriptor)
        self.names = names


def _start(descriptor: int) -> bytes:  # pragma: no cover
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, MOST_BYTES)


def _names_in(text: bytes) -> list[str]:
    """Return the names in a journal: none in one that was not written in full, for nothing was made then."""
    try:
        body = unseal(json.loads(text.decode("utf-8")))
        names = [check_name(name) for name in body["names"]]
    except (ValueError, KeyError, TypeError, AttributeError, CollectionError):
        return []
    return [name for name in names if MADE.fullmatch(name)] if body.get("format") == JOURNAL else []


def read_journal(folder: Path) -> list[str] | None:
    """Return the names that the lock file of `folder` notes, None where there is no such file of ours.

    Raises
    ------
    CollectionError
        If it is there and cannot be read.
    """
    try:
        text = read_whole(folder / LOCK, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise cannot_read(folder / LOCK, error) from None
    return _names_in(text) if not text or JOURNAL.encode() in text else None


@contextmanager
def write_lock(folder: Path, wait: float = 0.0) -> Iterator[Journal]:
    """Hold the right to change a collection; the system gives it back when the process ends, however it ends.

    Raises
    ------
    CollectionError
        If another process holds it, and still does after `wait` seconds.
    """
    with ExitStack() as held:
        with writing(folder):
            descriptor = held.enter_context(locked(folder / LOCK, f"the collection {folder}", wait))
            journal = Journal(descriptor)
        yield journal
