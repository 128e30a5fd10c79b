"""When each row of a parameter is needed next, as far as the steps to come are known.

Adam moves rows also in steps in which they have no gradient. Whoever knows the batches some steps ahead
lets Adam do a row's steps until its next use while it does its own one (`nphash.engine.kernels.first_layer`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from nphash.core.typing import Array
from nphash.errors import InputError

__all__ = ["STEPS", "LookAhead", "looked_ahead"]

T = TypeVar("T")

STEPS = 16  # of a batch of 100 documents with 10,000 words, this finds the next use of 98 rows in 100


class LookAhead:
    """The steps to come: which rows each of them needs, and its learning rate.

    Parameters
    ----------
    n_rows
        How many rows there are.

    Examples
    --------
    >>> ahead = LookAhead(3)
    >>> ahead.announce(np.array([0, 1, 1]), 0.1)
    >>> ahead.announce(np.array([2]), 0.2)
    >>> ahead.announce(np.array([1, 2]), 0.3)
    >>> gaps, rates = ahead.begin()
    >>> gaps[:2], rates  # of the rows that this step needs: the second is needed again two steps later
    (array([0, 2], dtype=uint8), [0.1, 0.2, 0.3])
    """

    def __init__(self, n_rows: int) -> None:
        self._gaps = np.zeros((STEPS + 1, n_rows), np.uint8)
        self._last = np.full(n_rows, -1, np.int64)
        self._rates: deque[float] = deque()
        self._begun = 0

    def announce(self, rows: Array, learning_rate: float) -> None:
        """Say which rows the step after those announced needs, and its learning rate.

        Raises
        ------
        InputError
            If more than `STEPS` + 1 steps are waiting.
        """
        from nphash.engine.kernels.first_layer import link

        if len(self._rates) > STEPS:
            raise InputError(f"{len(self._rates)} steps are announced and not begun", "do some of them first")
        link(rows, self._begun + len(self._rates), self._begun, self._last, self._gaps)
        self._rates.append(learning_rate)

    def begin(self) -> tuple[Array, list[float]]:
        """Begin the next step.

        Returns
        -------
        tuple
            In how many steps each of its rows is needed next, integers of shape (n_rows,), 0 where that is
            not known, and anything for other rows; the learning rates of this step and of those to come.
        """
        gaps, rates = self._gaps[self._begun % len(self._gaps)], list(self._rates)
        self._rates.popleft()
        self._begun += 1
        return gaps, rates


def looked_ahead(
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
    >>> for batch in looked_ahead("abcde", said.append, lambda n: n == 2):
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
