"""Where the time goes: seconds by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from nphash.nn.ops import Operations

__all__ = ["Profile", "timed"]

T = TypeVar("T")

# The parts of a step by operation; the second is its backward pass.
PARTS = {
    "sparse_dense": "first layer",
    "dense": "hidden layers",
    "reconstruct": "decoder",
}


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
        self.inner = [0.0]  # seconds spent in parts within each open part

    def measure(self, name: str) -> Part:
        """Add the time spent in the ``with`` block to ``name``."""
        return Part(self, name)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` such that the time of each call is added to ``name``."""

        def measured(*arguments: Any, **options: Any) -> Any:
            with self.measure(name):
                return function(*arguments, **options)

        return measured

    def around_each(self, name: str, values: Iterable[T]) -> Iterator[T]:
        """Yield the same values; the time that each takes to come is added to ``name``."""
        following = self.around(name, iter(values).__next__)
        while True:
            try:
                value = following()
            except StopIteration:
                return
            yield value


class Part:
    """A ``with`` block of a profile; a generator would take twice as long, some twenty times a step."""

    __slots__ = ("name", "profile", "start")

    def __init__(self, profile: Profile, name: str) -> None:
        self.profile, self.name = profile, name

    def __enter__(self) -> None:
        self.profile.inner.append(0.0)
        self.start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self.start
        seconds, inner = self.profile.seconds, self.profile.inner
        seconds[self.name] = seconds.get(self.name, 0.0) + spent - inner.pop()
        inner[-1] += spent


def timed(operations: Operations, profile: Profile) -> Operations:
    """Return the same operations, whose seconds, forward and backward, are added up in a profile.

    Examples
    --------
    >>> from nphash.nn.losses import NUMPY
    >>> import numpy as np
    >>> profile = Profile()
    >>> _, back = timed(NUMPY, profile).dense(np.ones((1, 2)), np.eye(2), np.zeros(2))
    >>> _ = back(np.ones((1, 2)))
    >>> list(profile.seconds)
    ['hidden layers', 'hidden layers, backward']
    """

    def measured(operation: Callable[..., Any], part: str) -> Callable[..., Any]:
        forward = profile.around(part, operation)

        def both(*arguments: Any) -> tuple[Any, Callable[..., Any]]:
            out, back = forward(*arguments)
            return out, profile.around(f"{part}, backward", back)

        return both

    return operations._replace(
        **{name: measured(getattr(operations, name), part) for name, part in PARTS.items()}
    )
