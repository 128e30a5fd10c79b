"""Adam's steps of rows without a gradient, put off until the row is needed.

See `nphash.kernels.first_layer` for why and how.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.kernels import first_layer
from nphash.lazy import RowGradient

__all__ = ["Postponed"]

Array = npt.NDArray[Any]
Task = Callable[[], None]

_BLOCKS = 8


class Postponed:
    """Which steps the rows of one parameter still have to do.

    Parameters
    ----------
    w, m, v
        The parameter and its moments, arrays of shape (rows, columns), changed in place.
    fresh
        Whether the moments are zero everywhere.
    """

    def __init__(self, w: Array, m: Array, v: Array, fresh: bool) -> None:
        self.w, self.m, self.v = w, m, v
        self.done = np.full(len(w), first_layer.NEVER if fresh else 0, dtype=np.int64)
        self.history = np.empty((64, 9))
        self.now = 0
        self._tabulated = -1

    def tasks(self, g: RowGradient, settings: Array) -> list[Task]:
        """Return the tasks of a step: rows of ``g`` are moved, the others wait."""
        if self.now == len(self.history):
            self.history = np.concatenate([self.history, np.empty_like(self.history)])
        self.history[self.now] = settings
        before, self.now = self.now, self.now + 1
        table = self._table(before)
        return [partial(self._step, g, rows, settings, before, table) for rows in _split(g.rows)]

    def _step(self, g: RowGradient, rows: Array, settings: Array, before: int, table: Array) -> None:
        self._catch_up(rows, before, table)
        g.update_rows(self.w, self.m, self.v, settings, rows)
        self.done[rows] = before + 1

    def catch_up(self, rows: Array) -> list[Task]:
        """Return the tasks after which ``rows``, each given once, are up to date."""
        table = self._table(self.now)
        return [partial(self._catch_up, block, self.now, table) for block in _split(rows)]

    def _catch_up(self, rows: Array, now: int, table: Array) -> None:
        first_layer.catch_up(self.w, self.m, self.v, rows, self.done, table, now)

    def _table(self, now: int) -> Array:
        if self._tabulated != now:
            self.table = np.empty((now + 1, 4))
            first_layer.fill_table(self.history, now, self.table)
            self._tabulated = now
        return self.table

    def settle(self) -> list[Task]:
        """Return the tasks after which all rows are up to date; `forget` comes after them."""
        return self.catch_up(np.arange(len(self.w)))

    def forget(self) -> None:
        """Begin counting anew, when all rows are up to date."""
        self.done = np.minimum(self.done, 0)
        self.now, self._tabulated = 0, -1


def _split(rows: Array) -> list[Array]:
    # np.array_split takes longer than a block of a small batch
    size = max(1, -(-rows.size // _BLOCKS))
    return [rows[start : start + size] for start in range(0, rows.size, size)]
