"""Columns that grow: a base that may be memory-mapped and is never changed, and a tail in memory.

Appending never moves or rewrites rows that are there, so a search that began before an append
goes on undisturbed over the rows it started with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Column"]


class Column:
    """Rows of one NumPy type that are only ever appended to.

    Parameters
    ----------
    base
        The first rows, of shape (n, ...). They are kept as they are: no copy is made.

    Examples
    --------
    >>> column = Column(np.array([5, 6]))
    >>> column.append(np.array([7]))
    >>> len(column), column.take(np.array([2, 0])).tolist()
    (3, [7, 5])
    """

    def __init__(self, base: npt.NDArray[Any]) -> None:
        self._base = base
        self._tail = np.empty((0, *base.shape[1:]), base.dtype)
        self._used = 0

    def __len__(self) -> int:
        return len(self._base) + self._used

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add ``rows``; the tail doubles when it is full, so many small additions stay cheap."""
        needed = self._used + len(rows)
        if needed > len(self._tail):
            larger = np.empty((max(needed, 2 * len(self._tail)), *self._tail.shape[1:]), self._tail.dtype)
            larger[: self._used] = self._tail[: self._used]
            self._tail = larger
        self._tail[self._used : needed] = rows
        self._used = needed

    def parts(self) -> list[tuple[int, npt.NDArray[Any]]]:
        """Return (number of the first row, rows) for the base and the tail, without empty ones."""
        parts = [(0, self._base), (len(self._base), self._tail[: self._used])]
        return [(first, rows) for first, rows in parts if len(rows)]

    def take(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the rows at ``positions`` (any shape), as a new array."""
        rows = np.empty((*positions.shape, *self._base.shape[1:]), self._base.dtype)
        for first, part in self.parts():
            here = (positions >= first) & (positions < first + len(part))
            rows[here] = part[positions[here] - first]
        return rows
