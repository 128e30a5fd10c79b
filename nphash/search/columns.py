"""Columns that grow: chunks that are never changed (the first may be memory-mapped), and a tail.

Appending never moves or rewrites rows that are there, so a search that began before an append
goes on undisturbed over the rows it started with. The tail doubles when it is full, up to
64 MB; then the next one begins, so that a large index never needs twice its memory to grow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Column"]

_CHUNK = 1 << 26  # bytes


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
        self._chunks = [base]
        self._closed = len(base)  # rows in all chunks
        self._tail = np.empty((0, *base.shape[1:]), base.dtype)
        self._used = 0
        self._most = max(1, _CHUNK // (base.dtype.itemsize * int(np.prod(base.shape[1:]))))

    def __len__(self) -> int:
        return self._closed + self._used

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add ``rows``, a copy of them: all or, when memory runs out, none."""
        before = self.mark()
        try:
            self._append(rows)
        except BaseException:
            self.restore(before)
            raise

    def mark(self) -> tuple[Any, ...]:
        """Return what `restore` needs to take back everything appended from now on."""
        return len(self._chunks), self._closed, self._tail, self._used

    def restore(self, mark: tuple[Any, ...]) -> None:
        """Forget what was appended since ``mark``."""
        n_chunks, self._closed, self._tail, self._used = mark
        del self._chunks[n_chunks:]

    def _append(self, rows: npt.NDArray[Any]) -> None:
        while len(rows):
            if self._used == self._most:
                self._chunks.append(self._tail)
                self._closed += self._used
                self._tail, self._used = self._tail[:0], 0
            part = rows[: self._most - self._used]
            self._append_to_tail(part)
            rows = rows[len(part) :]

    def _append_to_tail(self, rows: npt.NDArray[Any]) -> None:
        needed = self._used + len(rows)
        if needed > len(self._tail):
            size = min(self._most, max(needed, 2 * len(self._tail)))
            larger = np.empty((size, *self._tail.shape[1:]), self._tail.dtype)
            larger[: self._used] = self._tail[: self._used]
            self._tail = larger
        self._tail[self._used : needed] = rows
        self._used = needed

    def parts(self) -> list[tuple[int, npt.NDArray[Any]]]:
        """Return (number of the first row, rows) of all chunks and the tail, without empty ones."""
        parts, first = [], 0
        for rows in (*self._chunks, self._tail[: self._used]):
            if len(rows):
                parts.append((first, rows))
            first += len(rows)
        return parts

    def take(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the rows at ``positions`` (any shape), as a new array."""
        rows = np.empty((*positions.shape, *self._tail.shape[1:]), self._tail.dtype)
        for first, part in self.parts():
            here = (positions >= first) & (positions < first + len(part))
            rows[here] = part[positions[here] - first]
        return rows
