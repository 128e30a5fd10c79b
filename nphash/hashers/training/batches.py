"""What is learned from, and the batches it is learned in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from nphash.engine.base import Engine
from nphash.engine.look_ahead import STEPS

__all__ = ["Batch", "Data", "drawn_ahead"]

T = TypeVar("T")


@dataclass(frozen=True)
class Data:
    """What is learned from: inputs, reconstruction targets and labels, row by row."""

    x: Any  # CSR (n, V), or shards of one
    target: Any  # the same
    y: Any = None  # (n,) classes or CSR (n, C), for supervised systems
    context: Any = None  # whatever else a system has worked out about the documents, such as neighbours


@dataclass(frozen=True)
class Batch:
    """The documents of one step, and this step's own source of noise."""

    x: Any  # CSR (B, V)
    target: Any  # CSR (B, V)
    y: Any
    rng: np.random.Generator | None  # None for no noise at all
    epoch: float  # epochs done, with the fraction of this one: schedules depend on it
    rows: Any = None  # (B,) which of the data's rows these are; None for other documents
    context: Any = None  # the data's
    engine: Engine = field(default_factory=Engine)


def drawn_ahead(
    batches: Iterable[T], announce: Callable[[T], None], pause: Callable[[int], bool]
) -> Iterator[T]:
    """Yield batches in their order, each when `STEPS` that follow it have been drawn and announced.

    Parameters
    ----------
    batches
        What is drawn from.
    announce
        Called with each batch as it is drawn.
    pause
        Whether, after that many batches have been used, something is done that must not find any other
        announced.

    Examples
    --------
    >>> said = []
    >>> for batch in drawn_ahead("abcde", said.append, lambda n: n == 2):
    ...     print(batch, "".join(said))
    a ab
    b ab
    c abcde
    d abcde
    e abcde
    """
    waiting: deque[T] = deque()
    for number, batch in enumerate(batches, start=1):
        announce(batch)
        waiting.append(batch)
        while waiting and (len(waiting) > STEPS or pause(number)):
            yield waiting.popleft()
    yield from waiting
