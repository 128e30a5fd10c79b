"""Where the time goes: seconds by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Profile"]


class Profile:
    """Add up the seconds spent in named parts of a program.

    Parts may be nested: the seconds of an inner part are taken off the outer one, so that the parts
    add up to the whole. One profile belongs to one thread.

    Attributes
    ----------
    seconds : dict of str to float
        By name, in the order of their first use.

    Examples
    --------
    >>> profile = Profile()
    >>> with profile.measure("sum"):
    ...     total = sum(range(1000))
    >>> list(profile.seconds), profile.seconds["sum"] > 0
    (['sum'], True)
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]  # seconds spent in parts within each open part

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time spent in the ``with`` block to ``name``."""
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner.pop()
            self._inner[-1] += spent

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` such that the time of each call is added to ``name``."""

        def measured(*arguments: Any, **options: Any) -> Any:
            with self.measure(name):
                return function(*arguments, **options)

        return measured
