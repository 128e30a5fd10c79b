"""Worker threads, work shared by them, and the guard that keeps BLAS from starting its own inside them.

Kernels release the GIL, so plain Python threads run them side by side; docs/develop/kernels.rst says why not
Numba's ``parallel=True``. There is one pool for each number of threads that is asked for.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from nphash.core.arguments import is_count
from nphash.errors import InputError

T = TypeVar("T")

_pool_lock, _blas_lock = threading.Lock(), threading.Lock()
_guarding: list[int] = []  # the Python thread of every guard around BLAS
_blas_threads: list[int] = []
_pools: dict[int, Pool] = {}
_forks = 0  # how often the process has become a child of itself

_CALLER, _WORKER = "caller", "worker"


def count_threads(threads: int | None = None) -> int:
    """Return how many threads to use: for None, ``NPHASH_THREADS`` or every processor."""
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
            parameter="threads",
        )
    return int(threads)


def split_range(n: int, size: int) -> list[tuple[int, int]]:
    """Cut range(n) into blocks (start, stop) of one size; the last may be smaller."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def run_blocks(function: Callable[[int, int], T], blocks: list[tuple[int, int]], threads: int) -> list[T]:
    """Call ``function(start, stop)`` for every block and return the results in block order.

    Blocks do not depend on ``threads``, and so neither do results. After the first exception, which may be
    Ctrl-C, none is begun, and it is raised when those under way have ended.
    """
    return run_tasks([partial(function, start, stop) for start, stop in blocks], threads)


def run_tasks(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Call every task, those with much work first, and return the results in their order; see `run_blocks`.

    The calling thread begins at once, while the others wake up; whichever is free takes the next task.
    """
    if threads == 1 or len(tasks) <= 1:
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    waiting = deque(enumerate(tasks))

    def work() -> None:
        try:
            while (taken := _take(waiting)) is not None:
                i, task = taken
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


def _take(waiting: deque[T]) -> T | None:
    try:
        return waiting.popleft()  # which is atomic
    except IndexError:  # none, or another thread was faster
        return None


# ---------------------------------------------------------------------- workers


class Call:
    """A call of ``work``, once, by whoever comes first: a future without what microseconds do not allow."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.error: BaseException | None = None  # what it raised
        self._claims: deque[str] = deque()  # whose claim is the first has the say; append is atomic
        self._done = False
        self._ended = threading.Lock()
        self._ended.acquire()
        self._forks = _forks

    def run(self) -> None:
        """Do the work, unless it has been taken back."""
        if not self._claimed_by(_WORKER):
            return
        try:
            self.work()
        except BaseException as error:  # raised again by the caller
            self.error = error
        finally:
            self._done = True
            self._ended.release()

    def cancel(self) -> None:
        """Take the call back, or wait for the worker that has it; Ctrl-C at any point lets it be repeated."""
        if self._claimed_by(_CALLER) or self._forks != _forks:  # a child has no such worker
            return
        if not self._done:
            self._ended.acquire()

    def _claimed_by(self, who: str) -> bool:
        if not self._claims:
            self._claims.append(who)
        return self._claims[0] is who


def cancel_calls(calls: Iterable[Call]) -> None:
    """Cancel all calls; Ctrl-C meanwhile is raised when none is left, so that no worker goes on writing."""
    interrupt: BaseException | None = None
    for call in calls:
        while True:
            try:
                call.cancel()
                break
            except BaseException as error:
                interrupt = interrupt or error
    if interrupt is not None:
        raise interrupt


class Pool:
    """Workers, and the calls that wait for them: at once, or when nothing else is to be done."""

    def __init__(self, workers: int) -> None:
        self._calls: SimpleQueue[None] = SimpleQueue()  # wakes a worker for each call
        self._now: deque[Call] = deque()
        self._later: deque[Call] = deque()
        for i in range(workers):
            threading.Thread(target=self._run_calls, name=f"nphash_{i}", daemon=True).start()

    def submit(self, call: Call, later: bool = False) -> None:
        """Let a worker run the call, before those that are for later; one for later after the others."""
        (self._later if later else self._now).append(call)
        self._calls.put(None)

    def busy(self) -> bool:
        """Whether a call that is not for later waits for a worker."""
        return bool(self._now)

    def _run_calls(self) -> None:
        while True:
            self._calls.get()
            while (call := _take(self._now) or _take(self._later)) is not None:
                call.run()


def pool_of(threads: int) -> Pool:
    """Return the pool of those who use so many threads, the caller one of them."""
    with _pool_lock:
        if threads not in _pools:
            _pools[threads] = Pool(threads - 1)
        return _pools[threads]


class Background:
    """Tasks needed only later, for threads that are idle while others do parts too small for all.

    Calls of `run_tasks` come first: a worker checks for them after every task. One thread does all at once.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._tasks: deque[Callable[[], None]] = deque()
        self._calls: deque[Call] = deque()

    def begin(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Let other threads do the tasks, in any order."""
        if self.threads == 1:
            for task in tasks:
                task()
            return
        self._tasks.extend(tasks)
        for _ in range(min(self.threads - 1, len(tasks))):
            self._submit()

    def finish(self) -> None:
        """Do what is left, and wait for what is under way; raise the first error of a task."""
        try:
            while (task := _take(self._tasks)) is not None:
                task()
        except BaseException:
            self.abandon()
            raise
        error = self._wait()
        if error is not None:
            raise error

    def abandon(self) -> None:
        """Begin no other task, and wait for those under way; their errors are not raised."""
        self._tasks.clear()
        self._wait()

    def _wait(self) -> BaseException | None:
        error: BaseException | None = None
        while self._calls:  # a call that has made room for others has put in another one before it ended
            cancel_calls([self._calls[0]])
            error = error or self._calls.popleft().error
        return error

    def _submit(self) -> None:
        call = Call(self._work)
        self._calls.append(call)
        pool_of(self.threads).submit(call, later=True)

    def _work(self) -> None:
        pool = pool_of(self.threads)
        while self._tasks:
            if pool.busy():
                self._submit()
                return
            task = _take(self._tasks)
            if task is not None:
                task()


# ---------------------------------------------------------------------- BLAS


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Let BLAS, if it is the OpenBLAS of the NumPy and SciPy wheels, use one thread inside the block.

    Under our own threads it is many times slower, and its rounding may depend on their number.
    """
    global _blas_threads
    with _blas_lock:  # guards may overlap in several Python threads: the first saves, the last restores
        if not _guarding:
            _blas_threads = [library.get() for library in blas_libraries()]
            for library in blas_libraries():
                library.set(1)
        _guarding.append(threading.get_ident())
    try:
        yield
    finally:
        with _blas_lock:
            _guarding.remove(threading.get_ident())
            _restore_blas()


def _restore_blas() -> None:
    if not _guarding:
        for library, threads in zip(blas_libraries(), _blas_threads, strict=True):
            library.set(threads)


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


def _begin_anew_in_child() -> None:
    # A forked child has none of the other threads: they do not work, leave their guards, or give a lock back.
    global _pool_lock, _blas_lock, _forks
    _forks += 1
    _pool_lock, _blas_lock = threading.Lock(), threading.Lock()
    _pools.clear()
    own = [thread for thread in _guarding if thread == threading.get_ident()]
    if len(own) < len(_guarding):
        _guarding[:] = own
        _restore_blas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
