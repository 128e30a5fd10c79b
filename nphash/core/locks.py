"""The right to write: held by one at a time, given back by the system when its holder ends, however it ends.

Where a file system has no locks, a file that only one can create takes their place.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nphash.errors import CollectionError

__all__ = ["HELD", "folder_lock", "locked"]

HELD = ".held"  # what the name of a file that stands for a lock ends with

SECONDS_BETWEEN_TRIES = 0.05
INTERRUPTIONS = 100  # one after the other that are taken for signals

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, 524}  # 524: ENOTSUPP of Linux's NFS
_log = logging.getLogger(__name__)
_held: set[int] = set()


def _let_go_in_child() -> None:
    """Close the locks of a parent: a child that outlives it would hold them for it."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def locked(path: Path, what: str, wait: float = 0.0) -> Iterator[int]:
    """Hold the lock of a file, made where it is missing, and yield its descriptor.

    Parameters
    ----------
    path
        An ordinary file; links are not followed.
    what
        What is being changed, for the message.
    wait
        Seconds to wait for another holder.

    Raises
    ------
    CollectionError
        If another process, or another thread, holds it and still does after `wait` seconds.
    OSError
        If the file cannot be opened or locked.
    """
    until = time.monotonic() + wait
    while True:
        descriptor = _open(path)
        held = None
        try:
            held = _acquire(descriptor, path, what, until)
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            _release(descriptor, held)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no ordinary file")
    _held.add(descriptor)
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file still has its name: it may have been deleted meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _acquire(descriptor: int, path: Path, what: str, until: float) -> Path | None:
    """Take the lock; return the file that stands for it where the system has none."""
    while True:
        taken = _try(descriptor)
        instead = path.with_name(f"{path.name}{HELD}") if taken is None else None
        if taken or (instead and _create(instead)):
            return instead
        if not time.monotonic() < until:
            hint = "try again when it has finished; add and remove can wait for it (--wait SECONDS)"
            if instead:
                hint += f"; if there is none, delete {instead}: this file system has no locks of its own"
            raise CollectionError(f"another process is changing {what}", hint)
        time.sleep(SECONDS_BETWEEN_TRIES)


def _try(descriptor: int) -> bool | None:
    """Return whether the lock was taken, None where the file system has no locks."""
    for _ in range(INTERRUPTIONS):
        try:
            _lock(descriptor)
            return True
        except OSError as error:
            if error.errno in _BUSY:
                return False
            if error.errno in _NO_LOCKS:
                return None
            if error.errno != errno.EINTR:
                raise
    raise InterruptedError(errno.EINTR, "the lock cannot be taken: interrupted again and again")


def _lock(descriptor: int) -> None:
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(descriptor: int) -> None:
    if os.name != "nt":  # which unlocks what is closed
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _create(path: Path) -> bool:
    """Create the file that stands for the lock; one of a process that has ended is taken over."""
    me = {"host": socket.gethostname(), "pid": os.getpid()}
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if not _is_stale(path, me["host"]):
                return False
            with suppress(FileNotFoundError):
                path.unlink()
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(me, file)
        _log.warning("%s: this file system has no locks; %s stands for one", path.parent, path.name)
        return True
    return False


def _is_stale(path: Path, host: object) -> bool:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        if holder["host"] != host:
            return False
        os.kill(int(holder["pid"]), 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return False


def _release(descriptor: int, instead: Path | None) -> None:
    if descriptor in _held:  # else a child that has let go of its parent's lock
        _held.discard(descriptor)
        if instead is not None:
            with suppress(OSError):
                instead.unlink()
        with suppress(OSError):  # also for a child that has not let go of it yet
            _unlock(descriptor)
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path, what: str, wait: float) -> Iterator[None]:
    """Hold the lock of a folder itself, which needs no file; where it has none, go on without.

    Raises
    ------
    CollectionError
        As `locked`.
    """
    descriptor = None
    with suppress(PermissionError, IsADirectoryError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        _held.add(descriptor)
    try:
        until = time.monotonic() + wait
        while descriptor is not None and _try_folder(descriptor) is False:
            if not time.monotonic() < until:
                raise CollectionError(f"another process is changing {what}", "try again when it has finished")
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        if descriptor is not None:
            _release(descriptor, None)


def _try_folder(descriptor: int) -> bool | None:
    try:
        return _try(descriptor)
    except OSError as error:
        if error.errno == errno.EBADF:  # network file systems lock only what is open for writing
            return None
        raise
