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
from threading import Lock, RLock
from weakref import WeakSet

from nphash.errors import CollectionError

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


_outer: WeakSet[RLock] = WeakSet()
_inner: WeakSet[RLock] = WeakSet()  # taken by threads that may hold an outer one
_forking = Lock()
_taken: list[RLock] = []


def thread_lock(inner: bool = False) -> RLock:
    """Return a lock that no other thread holds while the process forks: its child would wait for ever."""
    lock = RLock()
    with _forking:
        (_inner if inner else _outer).add(lock)
    return lock


def _take_before_fork() -> None:
    _forking.acquire()
    for lock in (*_outer, *_inner):
        lock.acquire()
        _taken.append(lock)


def _give_back_after_fork() -> None:
    while _taken:
        _taken.pop().release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_take_before_fork,
        after_in_parent=_give_back_after_fork,
        after_in_child=_give_back_after_fork,
    )
    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def locked(path: Path, what: str, wait: float = 0.0) -> Iterator[int]:
    """Hold the lock of an ordinary file, made where it is missing, and yield its descriptor.

    Links are not followed. `CollectionError`, with `what` is being changed, if another process or thread
    still holds it after `wait` seconds; OSError if the file cannot be opened or locked.
    """
    until = time.monotonic() + wait
    while True:
        descriptor, stand_in = _open(path), None
        try:
            stand_in = _acquire(descriptor, what, until, path.with_name(f"{path.name}{HELD}"))
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            _release(descriptor, stand_in)


@contextmanager
def folder_lock(folder: Path, what: str, wait: float) -> Iterator[None]:
    """Hold the lock of a folder itself, which needs no file, as `locked`.

    Where it has none, go on without.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):  # Windows opens no folders
        yield
        return
    _held.add(descriptor)
    try:
        _acquire(descriptor, what, time.monotonic() + wait, None)
        yield
    finally:
        _release(descriptor, None)


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


def _acquire(descriptor: int, what: str, until: float, stand_in: Path | None) -> Path | None:
    """Take the lock; where the system has none, create `stand_in` for it and return that.

    Without a `stand_in`, a file system without locks is no hindrance.
    """
    while True:
        taken = try_lock(descriptor)
        if taken or (taken is None and stand_in is None):
            return None
        if taken is None and stand_in is not None and _create(stand_in):
            return stand_in
        if not time.monotonic() < until:
            hint = "try again when it has finished; add and remove can wait for it (--wait SECONDS)"
            if taken is None:
                hint += f"; if there is none, delete {stand_in}: this file system has no locks of its own"
            raise CollectionError(f"another process is changing {what}", hint)
        time.sleep(SECONDS_BETWEEN_TRIES)


def try_lock(descriptor: int) -> bool | None:
    """Return whether the lock of an open file was taken, None where the file system has no locks."""
    for _ in range(INTERRUPTIONS):
        try:
            _lock(descriptor)
            return True
        except OSError as error:
            if error.errno in _BUSY:
                return False
            # Network file systems lock only what is open for writing: no folder.
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            if error.errno in _NO_LOCKS or (error.errno == errno.EBADF and is_folder):
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
    """Return whether the process that holds a lock file has ended; unknown of another host's."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        if holder["host"] == host:
            os.kill(int(holder["pid"]), 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return False


def _release(descriptor: int, stand_in: Path | None) -> None:
    if descriptor not in _held:  # a child that has let go of its parent's lock
        return
    _held.discard(descriptor)
    with suppress(OSError):
        if stand_in is not None:
            stand_in.unlink()
    with suppress(OSError):  # also for a child that has not let go of it yet
        _unlock(descriptor)
    os.close(descriptor)
