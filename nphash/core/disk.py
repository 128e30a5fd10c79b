"""Files that have reached the disk when a function returns; what is said where they cannot."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nphash.errors import CollectionError

__all__ = ["FULL", "cannot_write", "flush", "flush_folder", "is_full", "replace_text", "writing"]

FULL = "the disk is full"
_SHORT = re.compile(r"\d+ requested and \d+ written")
NOT_ALLOWED = "no permission to write there"


def flush(path: Path) -> None:
    """Make the system write a file's contents to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Make the system write a folder's list of names to the disk, where it can be asked to."""
    with suppress(OSError):  # Windows opens no folders, and some network file systems flush none
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of a file in one step: readers see the old or the new text, never a part."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    flush_folder(path.parent)


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room; NumPy's has no number for it, only words.

    Examples
    --------
    >>> is_full(OSError("152000 requested and 38880 written")), is_full(OSError(errno.EACCES, "denied"))
    (True, False)
    """
    return error.errno in {errno.ENOSPC, errno.EDQUOT} or _SHORT.fullmatch(str(error)) is not None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a full disk or a missing permission raises into one sentence about `folder`.

    Raises
    ------
    CollectionError
        In place of the OSError raised inside the block.
    """
    try:
        yield
    except CollectionError:
        raise
    except OSError as error:
        if is_full(error):
            problem = FULL
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            problem = NOT_ALLOWED
        else:
            problem = error.strerror or str(error)
        raise cannot_write(folder, problem) from error


def cannot_write(folder: Path, problem: str) -> CollectionError:
    """Return the error that says why `folder` cannot be written.

    Examples
    --------
    >>> print(cannot_write(Path("c"), FULL))
    cannot write c: the disk is full: nothing was changed; make room and try again
    """
    hints = {FULL: "; make room and try again", NOT_ALLOWED: "; check the folder's owner"}
    return CollectionError(
        f"cannot write {folder}: {problem}", f"nothing was changed{hints.get(problem, '')}"
    )
