"""Adam's steps of rows without a gradient: done ahead until a row's next use, or put off until it is needed.

See `nphash.engine.kernels.first_layer` for why and how.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nphash.core.threads import cut
from nphash.core.typing import Array, Task
from nphash.engine.kernels import first_layer
from nphash.engine.lazy_gradient import RowGradient
from nphash.errors import InputError

__all__ = ["Postponed"]


_BLOCKS = 8
_LEAST = 100  # rows of a block: fewer are done before another thread is awake


class Postponed:
    """Which steps the rows of one parameter still have to do, or have done already.

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
        self._unknown = np.zeros(len(w), dtype=np.uint8)

    def tasks(self, g: RowGradient, plan: Array, gaps: Array | None = None) -> list[Task]:
        """Return the tasks of a step: rows of ``g``, which must be up to date, are moved, the others wait.

        Parameters
        ----------
        g
            The gradient.
        plan
            Adam's settings of this step and of those to come, as far as they are known; shape (n, 9).
        gaps
            In how many steps each row is needed next, at most n, 0 where that is not known; None for no row.
        """
        if self.now == len(self.history):
            self.history = np.concatenate([self.history, np.empty_like(self.history)])
        self.history[self.now] = plan[0]
        before, self.now = self.now, self.now + 1
        gaps = self._unknown if gaps is None else gaps
        table = np.empty((len(plan) + 1, 4))
        first_layer.fill_ahead(plan, table)
        step = partial(self._step, g, plan[0].astype(self.w.dtype), gaps, table.astype(self.w.dtype), before)
        return [partial(step, g.rows[block]) for block in _blocks(g.rows.size)]

    def _step(
        self, g: RowGradient, settings: Array, gaps: Array, table: Array, now: int, rows: Array
    ) -> None:
        g.update_rows(self.w, self.m, self.v, settings, rows, gaps, table)
        first_layer.mark(rows, gaps, now, self.done)

    def catch_up(self, rows: Array) -> list[Task]:
        """Return the tasks after which ``rows`` are up to date; they may repeat."""
        stale, since = np.empty((2, rows.size), dtype=np.int64)
        n = first_layer.take_stale(rows, self.done, self.now, stale, since)
        if n == 0:
            return []
        table, arrays = self._table(), (self.w, self.m, self.v)
        return [
            partial(first_layer.catch_up, *arrays, stale[block], since[block], table) for block in _blocks(n)
        ]

    def _table(self) -> Array:
        if self._tabulated != self.now:
            self.table = np.empty((self.now + 1, 4))
            first_layer.fill_table(self.history, self.now, self.table)
            self._tabulated = self.now
        return self.table

    def settle(self) -> list[Task]:
        """Return the tasks after which all rows are up to date; `forget` comes after them.

        Raises
        ------
        InputError
            If rows are ahead, for steps announced that have not been done.
        """
        if self.done.max() > self.now:
            raise InputError(
                "steps that were announced are still to come", "do them before all parameters are looked at"
            )
        return self.catch_up(np.arange(len(self.w)))

    def forget(self) -> None:
        """Begin counting anew, when all rows are up to date."""
        self.done = np.minimum(self.done, 0)
        self.now, self._tabulated = 0, -1


def _blocks(n: int) -> list[slice]:
    return [slice(*block) for block in cut(n, max(_LEAST, -(-n // _BLOCKS)))]
