"""Lazily updated rows: Adam's steps of words that are not in the batch, done before or later.

In k steps with a gradient of zero the moments become b1^k m and b2^k v, and the row moves by
C m / (sqrt(v) + E): docs/develop/kernels.rst derives C and E, and says why such steps are done all at once.
Tables hold (C, E, b1^k, b2^k) for every k.

If it is known when a row is needed next (`LookAhead`), the steps until then are done together with its own
step (`update_rows`), which has the row in the cache: `fill_ahead` sums from the first step on. Otherwise they
are deferred until the row is needed (`catch_up`): `fill_table` sums from the last step back.

Shapes: V rows, H columns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nphash.core.jit import jit
from nphash.core.jit.words import prefetch_row
from nphash.core.threads import split_range
from nphash.core.typing import Array, Task
from nphash.engine.kernels.decoder import Entries
from nphash.engine.kernels.rows import (
    BETA1,
    BETA2,
    EPSILON,
    RATE,
    REST1,
    REST2,
    SCALE,
    UNBIAS1,
    UNBIAS2,
    sum_rows,
)
from nphash.errors import InputError

T = TypeVar("T")

# Known beforehand: with batches of 100 and 10,000 words, this finds the next use of 98 rows in 100.
STEPS = 16
NEVER = -1  # steps done of a row whose moments are still zero: steps without gradient do not move it

_EARLY = 2  # rows between the hint that one is wanted and its turn
_BLOCKS = 8
_LEAST = 100  # rows of a block: fewer are done before another thread is awake


@jit()
def update_rows(
    entries: Entries,
    dh: Array,
    rows: Array,
    W: Array,
    m: Array,
    v: Array,
    settings: Array,
    steps_to_next_use: Array,
    table: Array,
) -> None:
    """Do Adam's step on rows of W (V, H) for the gradient X' dh, and the steps until the next use.

    ``steps_to_next_use`` (V,) is 0 if nobody knows; ``table`` is by `fill_ahead`.
    """
    starts, documents, weights = entries
    gradient = np.empty(dh.shape[1], dh.dtype)  # (H,) of a word: the sum of X[d, w] dh[d] over its documents
    for i in range(rows.size):
        word = rows[i]
        if i + _EARLY < rows.size:
            prefetch_row(W, rows[i + _EARLY])
            prefetch_row(m, rows[i + _EARLY])
            prefetch_row(v, rows[i + _EARLY])
        sum_rows(documents, weights, dh, starts[word], starts[word + 1], gradient, 0)
        _move(W[word], gradient, m[word], v[word], settings, table[steps_to_next_use[word]])


@jit()
def _move(w: Array, g: Array, m: Array, v: Array, settings: Array, sums: Array) -> None:
    # `nphash.engine.kernels.rows.update` and the steps without gradient behind it: a row of `fill_ahead`
    scale = settings[SCALE]
    beta1, rest1, beta2, rest2 = settings[BETA1], settings[REST1], settings[BETA2], settings[REST2]
    C, E, shrink1, shrink2 = sums[0], sums[1], sums[2], sums[3]
    for i in range(w.size):
        gradient = scale * g[i]
        first = beta1 * m[i] + rest1 * gradient
        second = beta2 * v[i] + rest2 * gradient * gradient
        m[i] = shrink1 * first
        v[i] = shrink2 * second
        w[i] = w[i] - C * first / (np.sqrt(second) + E)


@jit()
def catch_up(W: Array, m: Array, v: Array, rows: Array, since: Array, table: Array) -> None:
    """Do the steps that ``rows`` have missed ``since``, with the gradient zero; by `fill_table`."""
    for i in range(rows.size):
        row = rows[i]
        _shrink(W[row], m[row], v[row], table[since[i]].astype(W.dtype))


@jit()
def _shrink(w: Array, m: Array, v: Array, sums: Array) -> None:
    C, E, shrink1, shrink2 = sums[0], sums[1], sums[2], sums[3]
    for i in range(w.size):
        first, second = m[i], v[i]
        w[i] = w[i] - C * first / (np.sqrt(second) + E)
        m[i] = shrink1 * first
        v[i] = shrink2 * second


@jit()
def _unbiased(settings: Array) -> tuple[float, float]:
    # a_j and e_j: Adam's fraction, divided by the square root of what frees v of its bias
    spread = np.sqrt(settings[UNBIAS2])
    return settings[RATE] * settings[UNBIAS1] / spread, settings[EPSILON] / spread


@jit()
def fill_ahead(plan: Array, table: Array) -> None:
    """Sum up a step with gradient and those without behind it, with the settings ``plan``, (n, 9) float64.

    Row k of ``table`` (n + 1, 4) becomes (C, E, b1^k, b2^k) for a row needed in k steps; that of 0 is that of
    1. The moments are those after the gradient has come to them: the first step has j = 0.
    """
    C = weighted = np.float64(0)
    shrink1 = shrink2 = np.float64(1)
    for step in range(len(plan)):
        rate, epsilon = _unbiased(plan[step])
        c = rate * shrink1 / np.sqrt(shrink2)
        C += c
        weighted += c * epsilon / np.sqrt(shrink2)
        table[step + 1, 0] = C
        table[step + 1, 1] = weighted / C if C > 0 else epsilon
        table[step + 1, 2] = shrink1
        table[step + 1, 3] = shrink2
        shrink1 *= plan[step, BETA1]
        shrink2 *= plan[step, BETA2]
    for k in range(4):
        table[0, k] = table[1, k]


@jit()
def fill_table(history: Array, now: int, table: Array) -> None:
    """Sum up steps without gradient from each s of a ``history`` (steps, 9) to ``now``, into row s."""
    C = weighted = np.float64(0)
    shrink1 = shrink2 = np.float64(1)
    table[now] = 0
    for step in range(now - 1, -1, -1):
        rate, epsilon = _unbiased(history[step])
        beta1, beta2 = history[step, BETA1], history[step, BETA2]
        C = beta1 / np.sqrt(beta2) * (rate + C)  # all that comes later is one step further away
        weighted = beta1 / beta2 * (rate * epsilon + weighted)
        shrink1 *= beta1
        shrink2 *= beta2
        table[step, 0] = C
        table[step, 1] = weighted / C if C > 0 else epsilon
        table[step, 2] = shrink1
        table[step, 3] = shrink2


@jit()
def record_step(rows: Array, steps_to_next_use: Array, now: int, done: Array) -> None:
    """Note in ``done`` (V,) that rows have done step number ``now`` and those before their next use."""
    for row in rows:
        done[row] = now + max(steps_to_next_use[row], 1)


@jit()
def collect_stale_rows(rows: Array, done: Array, now: int, stale: Array, since: Array) -> int:
    """Collect the rows that have steps to catch up with, each once, and take them for done; return how many.

    Rows that have ``done`` (V,) fewer steps than ``now``, not `NEVER`, are written into ``stale``, these
    steps into ``since``.
    """
    n = 0
    for row in rows:
        if done[row] != NEVER and done[row] < now:
            stale[n], since[n] = row, done[row]
            done[row] = now
            n += 1
    return n


@jit()
def _link(rows: Array, step: int, begun: int, last: Array, steps_to_next_use: Array) -> None:
    # Notes that a step needs some rows: `last` (V,) is the last step known that needs each row, and row s
    # modulo S of `steps_to_next_use` (S, V) belongs to step s. Steps come in order; `begun` have begun.
    slots = len(steps_to_next_use)
    slot = step % slots
    for row in rows:
        gap = step - last[row]
        if gap == 0:
            continue
        if gap <= step - begun:
            steps_to_next_use[slot - gap if gap <= slot else slot - gap + slots, row] = gap
        steps_to_next_use[slot, row] = 0
        last[row] = step


class LookAhead:
    """The steps to come: which of ``n_rows`` rows each of them needs, and its learning rate."""

    def __init__(self, n_rows: int) -> None:
        self._steps_to_next_use = np.zeros((STEPS + 1, n_rows), np.uint8)
        self._last = np.full(n_rows, -1, np.int64)
        self._rates: deque[float] = deque()
        self._begun = 0

    def announce(self, rows: Array, learning_rate: float) -> None:
        """Say which rows the step after those announced needs, and its rate; at most `STEPS` + 1 wait."""
        if len(self._rates) > STEPS:
            raise InputError(f"{len(self._rates)} steps are announced and not begun", "do some of them first")
        _link(rows, self._begun + len(self._rates), self._begun, self._last, self._steps_to_next_use)
        self._rates.append(learning_rate)

    def begin(self) -> tuple[Array, list[float]]:
        """Begin the next step: return in how many its rows are needed next, 0 if unknown, and the rates."""
        known, rates = self._steps_to_next_use[self._begun % (STEPS + 1)], list(self._rates)
        self._rates.popleft()
        self._begun += 1
        return known, rates


def looked_ahead(
    batches: Iterable[T], announce: Callable[[T], None], pause: Callable[[int], bool]
) -> Iterator[T]:
    """Yield batches, each when the `STEPS` that follow it, none beyond a pause after n, are announced."""
    waiting: deque[T] = deque()
    for number, batch in enumerate(batches, start=1):
        announce(batch)
        waiting.append(batch)
        while waiting and (len(waiting) > STEPS or pause(number)):
            yield waiting.popleft()
    yield from waiting


class LazyRows:
    """Steps that the rows of one parameter w (V, H) have to do or have done; ``fresh`` moments are zero."""

    def __init__(self, w: Array, m: Array, v: Array, fresh: bool) -> None:
        self.w, self.m, self.v = w, m, v
        self.done = np.full(len(w), NEVER if fresh else 0, dtype=np.int64)
        self.history = np.empty((64, 9))
        self.now = 0
        self._tabulated = -1
        self._unknown = np.zeros(len(w), dtype=np.uint8)

    def tasks(self, g: Any, plan: Array, steps_to_next_use: Array | None = None) -> list[Task]:
        """Return the tasks of a step: rows of the `RowGradient` g, up to date, are moved, the others wait.

        ``plan`` (n, 9) has the settings from this step on; ``steps_to_next_use`` is at most n for each row.
        """
        if self.now == len(self.history):
            self.history = np.concatenate([self.history, np.empty_like(self.history)])
        self.history[self.now] = plan[0]
        before, self.now = self.now, self.now + 1
        known = self._unknown if steps_to_next_use is None else steps_to_next_use
        table = np.empty((len(plan) + 1, 4))
        fill_ahead(plan, table)
        step = partial(self._step, g, plan[0].astype(self.w.dtype), known, table.astype(self.w.dtype), before)
        return [partial(step, g.rows[block]) for block in _blocks(g.rows.size)]

    def _step(self, g: Any, settings: Array, known: Array, table: Array, now: int, rows: Array) -> None:
        g.update_rows(rows, self.w, self.m, self.v, settings, known, table)
        record_step(rows, known, now, self.done)

    def catch_up(self, rows: Array) -> list[Task]:
        """Return the tasks after which ``rows`` are up to date; they may repeat."""
        stale, since = np.empty((2, rows.size), dtype=np.int64)
        n = collect_stale_rows(rows, self.done, self.now, stale, since)
        if n == 0:
            return []
        if self._tabulated != self.now:
            self.table = np.empty((self.now + 1, 4))
            fill_table(self.history, self.now, self.table)
            self._tabulated = self.now
        arrays = (self.w, self.m, self.v)
        return [partial(catch_up, *arrays, stale[block], since[block], self.table) for block in _blocks(n)]

    def flush(self) -> list[Task]:
        """Return the tasks after which all rows are up to date, and `forget` is due."""
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
    return [slice(*block) for block in split_range(n, max(_LEAST, -(-n // _BLOCKS)))]
