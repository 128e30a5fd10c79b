"""Worker threads: one pool for each number of threads that is asked for.

Kernels release the GIL, so plain Python threads run them side by side. Numba's own
``parallel=True`` is not used: with its fallback threading layer two Python threads that enter
a parallel kernel abort the process, and a fork after an OpenMP kernel hangs.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue

__all__ = ["Background", "Call", "Pool", "cancel_calls", "pool_of"]

_lock = threading.Lock()
_pools: dict[int, Pool] = {}
_forks = 0  # how often the process has become a child of itself

_CALLER, _WORKER = "caller", "worker"


class Call:
    """What a worker is asked to do; a future without what a few microseconds do not allow.

    Parameters
    ----------
    work
        To be called once, by whoever comes first.

    Attributes
    ----------
    error : BaseException or None
        What ``work`` raised in a worker.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.error: BaseException | None = None
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
        """Take the call back or, if a worker has begun with it, wait for its end.

        Ctrl-C may come at any point in here: the next `cancel` still finds everything as it should be.
        """
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
    """Workers, and the calls that wait for them: at once, or when nothing else is to be done.

    Parameters
    ----------
    workers
        How many.
    """

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
            while (call := self._next()) is not None:
                call.run()

    def _next(self) -> Call | None:
        for calls in (self._now, self._later):
            try:
                return calls.popleft()
            except IndexError:  # none, or another worker was faster
                pass
        return None


def pool_of(threads: int) -> Pool:
    """Return the pool of those who use so many threads, the caller one of them."""
    with _lock:
        if threads not in _pools:
            _pools[threads] = Pool(threads - 1)
        return _pools[threads]


class Background:
    """Tasks for threads that would otherwise be idle, until somebody needs what they do.

    A step of training has parts too small for several threads: meanwhile these do what is needed only
    later. Calls of `nphash.core.threads.run_tasks` come first: a worker checks for them after every task.

    Parameters
    ----------
    threads
        How many threads, the caller one of them. With one, tasks are done at once.

    Examples
    --------
    >>> background, done = Background(threads=2), []
    >>> background.begin([lambda: done.append("a"), lambda: done.append("b")])
    >>> background.finish()
    >>> sorted(done)
    ['a', 'b']
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._tasks: deque[Callable[[], None]] = deque()  # popleft is atomic
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
            while (task := self._next()) is not None:
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
            task = self._next()
            if task is not None:
                task()

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._tasks.popleft()
        except IndexError:  # none, or another thread was faster
            return None


def _forget() -> None:
    global _lock, _forks
    _forks += 1
    _lock = threading.Lock()  # a thread that is not in the child may have held it
    _pools.clear()


if hasattr(os, "register_at_fork"):  # a forked child has the pool objects but none of their threads
    os.register_at_fork(after_in_child=_forget)
