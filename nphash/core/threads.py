"""Work shared by threads, and the guard that keeps BLAS from starting its own inside them."""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from nphash.core.arguments import is_count
from nphash.core.pool import Call, cancel_calls, pool_of
from nphash.errors import InputError

__all__ = ["blas_libraries", "count_threads", "cut", "run_blocks", "run_tasks", "single_threaded_blas"]

T = TypeVar("T")

_lock = threading.Lock()
_guarding: list[int] = []  # the Python thread of every guard around BLAS
_blas_threads: list[int] = []


def count_threads(threads: int | None = None) -> int:
    """Return how many threads to use.

    Parameters
    ----------
    threads
        A whole number from 1 on, or None for the ``NPHASH_THREADS`` environment variable and, without
        it, the number of processors this process may run on.

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> count_threads(2)
    2
    """
    if threads is None:
        setting = os.environ.get("NPHASH_THREADS", "").strip()
        if not setting:
            affinity = getattr(os, "sched_getaffinity", None)  # Linux only
            return len(affinity(0)) if affinity else os.cpu_count() or 1
        if not setting.isdecimal():
            raise InputError(
                f"NPHASH_THREADS is {setting!r}, not a number", "unset it or give a positive number"
            )
        threads = int(setting)
    if not is_count(threads):
        raise InputError(
            f"threads is {threads!r}, but a whole number of at least 1 is needed",
            "leave it out to use every processor",
        )
    return int(threads)


def cut(n: int, size: int) -> list[tuple[int, int]]:
    """Cut range(n) into blocks (start, stop) of one size; the last may be smaller.

    Examples
    --------
    >>> cut(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def run_blocks(function: Callable[[int, int], T], blocks: list[tuple[int, int]], threads: int) -> list[T]:
    """Call ``function(start, stop)`` for every block and return the results in block order.

    The blocks are the caller's and do not depend on ``threads``: that is what makes results
    identical for any number of threads. The first exception is raised here, after the blocks
    under way have ended, and no other is begun, so that Ctrl-C ends a long run at the next block.

    Examples
    --------
    >>> run_blocks(lambda start, stop: sum(range(start, stop)), [(0, 3), (3, 5)], threads=2)
    [3, 7]
    """
    return run_tasks([partial(function, start, stop) for start, stop in blocks], threads)


def run_tasks(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Call every task and return the results in their order; for the rest see `run_blocks`.

    The calling thread works too: it begins at once while the others wake up, and whichever is free
    takes the next task. Tasks with much work should come first.

    Examples
    --------
    >>> run_tasks([lambda: "a", lambda: "b"], threads=2)
    ['a', 'b']
    """
    if threads == 1 or len(tasks) <= 1:
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    waiting = deque(enumerate(tasks))  # popleft is atomic

    def work() -> None:
        while True:
            try:
                i, task = waiting.popleft()
            except IndexError:
                return
            try:
                results[i] = task()
            except BaseException:
                waiting.clear()
                raise

    calls, pool = [Call(work) for _ in range(min(threads, len(tasks)) - 1)], pool_of(threads)
    try:
        for call in calls:
            pool.submit(call)
        work()
    finally:
        waiting.clear()
        cancel_calls(calls)
    for call in calls:
        if call.error is not None:
            raise call.error
    return results


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Let BLAS use one thread inside the block, then as many as before.

    Threaded BLAS under our own threads is many times slower than either, and the rounding of a
    threaded product may depend on the number of threads. Only the OpenBLAS bundled with the
    NumPy and SciPy wheels is known; any other BLAS is left as it is.
    """
    global _blas_threads
    with _lock:  # guards may overlap in several Python threads: the first saves, the last restores
        if not _guarding:
            _blas_threads = [library.get() for library in blas_libraries()]
            for library in blas_libraries():
                library.set(1)
        _guarding.append(threading.get_ident())
    try:
        yield
    finally:
        with _lock:
            _guarding.remove(threading.get_ident())
            _restore_blas()


def _restore_blas() -> None:
    if not _guarding:
        for library, threads in zip(blas_libraries(), _blas_threads, strict=True):
            library.set(threads)


def _keep_own_guards() -> None:
    # In a forked child: the other threads are gone, and will never leave their guards, or give the lock back.
    global _lock
    _lock = threading.Lock()
    own = [thread for thread in _guarding if thread == threading.get_ident()]
    if len(own) < len(_guarding):
        _guarding[:] = own
        _restore_blas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_own_guards)


class _Blas:
    """One loaded OpenBLAS: read and set its number of threads."""

    def __init__(self, path: Path, symbols: Any, suffix: str, prefix: str) -> None:
        self.path = path
        self.get: Callable[[], int] = getattr(symbols, f"{prefix}openblas_get_num_threads{suffix}")
        self.set: Callable[[int], None] = getattr(symbols, f"{prefix}openblas_set_num_threads{suffix}")


@cache
def blas_libraries() -> list[_Blas]:
    """Return the OpenBLAS libraries bundled with NumPy's and SciPy's wheels (empty elsewhere)."""
    import numpy as np

    site_packages = Path(np.__file__).parent.parent
    found = []
    for folder in ("numpy.libs", "scipy.libs", "numpy/.dylibs", "scipy/.dylibs"):
        for path in sorted(site_packages.glob(f"{folder}/*openblas*")):
            try:
                symbols = ctypes.CDLL(str(path))
            except OSError:  # not loadable here: then it is not what NumPy uses either
                continue
            for prefix in ("scipy_", ""):
                for suffix in ("64_", ""):
                    if hasattr(symbols, f"{prefix}openblas_set_num_threads{suffix}"):
                        found.append(_Blas(path, symbols, suffix, prefix))
    return found
