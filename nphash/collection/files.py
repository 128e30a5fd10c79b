"""Files that are either whole or not there: checksums, errors of the disk, the writers' lock.

Every file of a collection is written once, flushed, and never changed again; only the manifest is
replaced, and that in one step. What an interrupted writer leaves is a file nobody names.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from nphash.core import disk
from nphash.core.checksums import sha256_of
from nphash.errors import CollectionError

__all__ = [
    "FileRecord",
    "check_name",
    "record",
    "write_lock",
    "writing",
]


SECONDS_BETWEEN_TRIES = 0.05


@dataclass(frozen=True)
class FileRecord:
    """What the manifest knows about a file: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


def record(path: Path) -> FileRecord:
    """Return size and SHA-256 of a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     record(Path(file.name)).size
    0
    """
    return FileRecord(path.stat().st_size, sha256_of(path))


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


@contextmanager
def write_lock(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the right to change a collection; the system gives it back when the process ends, however it ends.

    Raises
    ------
    CollectionError
        If another process holds it, and still does after `wait` seconds.
    """
    path = folder / "lock"
    with writing(folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + wait
        while not _locked(descriptor):
            if not time.monotonic() < until:
                raise CollectionError(
                    f"another process is changing the collection {folder}",
                    "try again when it has finished; add and remove can wait for it (--wait SECONDS)",
                )
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        _lock(descriptor)
    except OSError:
        return False
    return True


def _lock(descriptor: int) -> None:
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
