"""Work done by other threads while the caller goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from nphash.core.pool import Call, end_calls, pool_of

__all__ = ["Background"]


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
            self._ask()

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
            end_calls([self._calls[0]])
            error = error or self._calls.popleft().error
        return error

    def _ask(self) -> None:
        call = Call(self._work)
        self._calls.append(call)
        pool_of(self.threads).ask(call, later=True)

    def _work(self) -> None:
        pool = pool_of(self.threads)
        while self._tasks:
            if pool.busy():
                self._ask()
                return
            task = self._next()
            if task is not None:
                task()

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._tasks.popleft()
        except IndexError:  # none, or another thread was faster
            return None
