"""Adam as the compiled engine runs it: on gradients that are computed piece by piece, while it uses them.

A `LazyGradient` keeps the factors of the product that a weight matrix's gradient is, and finishes a block
when Adam comes to it: the block goes from the cache into the weights. Rows of words that are not in the batch
wait (`nphash.engine.lazy_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, zip_longest
from typing import Any, TypeVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nphash.core.jit import uses
from nphash.core.threads import Background, count_threads, run_tasks, split_range
from nphash.core.typing import Array, Params, Task
from nphash.engine.kernels.rows import move_average, update
from nphash.engine.lazy_rows import LazyRows, LookAhead, looked_ahead
from nphash.errors import InputError
from nphash.nn.optim import check_gradients, global_norm

B = TypeVar("B", bound=Any)

BLOCK = 1 << 18  # parameters in a block: 4 arrays of 1 MB in float32
PRODUCT_BLOCK = 1 << 16  # of a `ProductGradient`: 4 arrays of 256 KB

# Deferred steps are done by a formula that takes epsilon, freed of the bias, for a constant. In the
# first steps it is not, so nothing is deferred.
UNSTEADY = 100

_FUSED, _DEFERRED = uses("fused"), uses("deferred")
_LOOK_AHEAD, _BACKGROUND = uses("look-ahead"), uses("background") and _FUSED


class LazyGradient(NDArrayOperatorsMixin):
    """A gradient in blocks, which are fixed by its shape; an array to everything but `CompiledAdam`."""

    shape: tuple[int, ...]
    dtype: Any
    background: Background | None = None  # in which the update may go on while the next step begins

    def blocks(self) -> list[tuple[int, int]]:
        """Return the blocks, as (start, stop)."""
        raise NotImplementedError

    def fill(self, out: Array, start: int, stop: int) -> None:
        """Write one block of the gradient into the whole array ``out``."""
        raise NotImplementedError

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        """Do Adam's step on one block; ``settings`` as for `nphash.engine.kernels.rows.update`."""
        raise NotImplementedError

    def tasks(self, w: Array, m: Array, v: Array, settings: Array) -> list[Task]:
        """Return the update of all blocks, for `nphash.core.threads.run_tasks`."""
        return [partial(self.update, w, m, v, settings, start, stop) for start, stop in self.blocks()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        out = np.empty(self.shape, self.dtype)
        for start, stop in self.blocks():
            self.fill(out, start, stop)
        return out if dtype is None else out.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(value) if isinstance(value, LazyGradient) else value for value in inputs]
        return getattr(ufunc, method)(*arrays, **options)


class RowGradient(LazyGradient):
    """A gradient that is zero but for the rows `rows` (ascending); it is filled and updated by rows."""

    rows: Array

    def blocks(self) -> list[tuple[int, int]]:
        """Return one block."""
        return [(0, self.shape[0])]

    def update_rows(self, *state: Any) -> None:
        """Do Adam's step on some of `rows`; ``state`` as for `nphash.engine.lazy_rows.update_rows`."""
        raise NotImplementedError


class ProductGradient(LazyGradient):
    """The gradient x' dy (I, O) of weights, in blocks of rows, for x (B, I) and dy (B, O)."""

    def __init__(self, x: Array, dy: Array) -> None:
        self.x, self.dy = x, dy
        self.shape, self.dtype = (x.shape[1], dy.shape[1]), dy.dtype

    def blocks(self) -> list[tuple[int, int]]:
        """Return blocks of rows."""
        n, width = self.shape
        return split_range(n, max(1, PRODUCT_BLOCK // width))

    def fill(self, out: Array, start: int, stop: int) -> None:
        """Write rows ``start`` to ``stop - 1``."""
        np.matmul(self.x[:, start:stop].T, self.dy, out=out[start:stop])

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        """Do Adam's step on rows ``start`` to ``stop - 1``."""
        gradient = self.x[:, start:stop].T @ self.dy  # (rows, O)
        w1, m1, v1 = (array[start:stop].reshape(-1) for array in (w, m, v))
        update(w1, gradient.reshape(-1), m1, v1, settings)


def adam_tasks(w: Array, g: Array, m: Array, v: Array, settings: Array) -> list[Task]:
    """Return Adam's step in blocks, for `run_tasks`; C-contiguous arrays of one shape."""
    w1, g1, m1, v1 = (array.reshape(-1) for array in (w, g, m, v))  # each (size,), views
    return [
        partial(update, w1[i:j], g1[i:j], m1[i:j], v1[i:j], settings) for i, j in split_range(w.size, BLOCK)
    ]


def average_tasks(average: Array, w: Array, kept: float) -> list[Task]:
    """Return average = kept average + (1 - kept) w in blocks, for `run_tasks`; arrays as `adam_tasks`."""
    a1, w1 = average.reshape(-1), w.reshape(-1)  # (size,), views
    share, rest = w.dtype.type(kept), w.dtype.type(1 - kept)
    return [partial(move_average, a1[i:j], w1[i:j], share, rest) for i, j in split_range(w.size, BLOCK)]


@dataclass
class CompiledAdam:
    """`nphash.nn.optim.Adam` by kernels, with the hooks of `nphash.engine.select.Optimiser`.

    Any number of ``threads`` gives the same. A checkpoint has to keep ``m``, ``v`` and ``t``, after `flush`.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_norm: float | None = None
    threads: int | None = 1
    m: Params = field(default_factory=dict)
    v: Params = field(default_factory=dict)
    t: int = 0
    _lazy: dict[str, LazyRows] = field(default_factory=dict, repr=False)
    _background: Background | None = field(default=None, repr=False)
    _ahead: LookAhead | None = field(default=None, repr=False)
    _flush_every: int = field(default=0, repr=False)

    def prepare(self, batches: Iterable[B], flush_every: int) -> Iterator[B]:
        """Yield an epoch's batches, each with its rows up to date, and look at the ``x`` of those to come.

        Each has its step's ``learning_rate``; every ``flush_every`` steps `step` ends with `flush`.
        """
        self._flush_every, before = flush_every, self.t

        def announce(batch: B) -> None:
            if self._ahead is None:
                self._ahead = LookAhead(batch.x.shape[1])
            self._ahead.announce(batch.x.indices, batch.learning_rate)

        if _LOOK_AHEAD:
            batches = looked_ahead(batches, announce, lambda done: self._flushes(before + done))
        for batch in batches:
            self.catch_up(batch.x.indices)
            yield batch
        self._ahead = None

    def _flushes(self, t: int) -> bool:
        return (self._flush_every > 0 and t % self._flush_every == 0) or not _DEFERRED

    def step(self, params: Params, grads: Params, learning_rate: float | None = None) -> None:
        """Update every parameter that has a gradient, in place, or in its `background` until `flush`.

        For batches of `prepare`, rows with row gradients do their steps until their next use at once: from
        here on they have the values of that time. Errors are those of `check_gradients` and of another rate
        than was announced.
        """
        check_gradients(params, grads)
        if self._background is not None:
            self._background.finish()  # of the step before
        threads, scale = count_threads(self.threads), 1.0
        if self.max_norm is not None:
            grads = {name: np.asarray(g) for name, g in grads.items()}
            norm = global_norm(grads)
            scale = min(1.0, self.max_norm / norm) if norm > 0 else 1.0
        steps_to_next_use, rates = self._known(self.learning_rate if learning_rate is None else learning_rate)
        self.t += 1
        constants = scale, self.epsilon, self.beta1, self.beta2
        plan = np.array([_settings(self.t + later, rate, *constants) for later, rate in enumerate(rates)])
        tasks: list[list[Task]] = []
        for name in sorted(grads, key=lambda name: -params[name].size):
            w, g = params[name], grads[name]
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(w), np.zeros_like(w)
            own = self._tasks(name, w, g, plan, steps_to_next_use)
            if isinstance(g, LazyGradient) and g.background is not None and _BACKGROUND:
                self._background = g.background
                self._background.begin(own)
            else:
                tasks.append(own)
        # In turn, so that a thread which waits for the memory runs beside one that computes.
        in_turn = chain.from_iterable(zip_longest(*tasks))
        run_tasks([task for task in in_turn if task is not None], threads)
        if self.t <= UNSTEADY or self._flushes(self.t):
            self.flush()  # before `UNSTEADY` nothing is deferred; this waits for the background, too

    def _known(self, rate: float) -> tuple[Array | None, list[float]]:
        # When this step's rows are needed next, and the learning rates from this step on
        if self._ahead is None:
            return None, [rate]
        steps_to_next_use, rates = self._ahead.begin()
        if rates[0] != rate:
            raise InputError(f"the learning rate {rates[0]} was announced, not {rate}", "give the same one")
        return (steps_to_next_use, rates) if self.t >= UNSTEADY else (None, rates[:1])

    def catch_up(self, rows: Array) -> None:
        """Do the deferred steps of some rows, which may repeat, before a batch reads them."""
        self._run(lazy.catch_up(rows) for lazy in self._lazy.values())

    def flush(self) -> None:
        """Do all deferred steps and wait for the background, before parameters are read as a whole."""
        if self._background is not None:
            self._background.finish()
        self._run(lazy.flush() for lazy in self._lazy.values())
        for lazy in self._lazy.values():
            lazy.forget()

    def abandon(self) -> None:
        """Let nothing change parameters any more: after an error, when some may be half updated."""
        if self._background is not None:
            self._background.abandon()

    def _run(self, tasks: Iterable[list[Task]]) -> None:
        run_tasks(list(chain.from_iterable(tasks)), count_threads(self.threads))

    def _tasks(self, name: str, w: Array, g: Any, plan: Array, steps_to_next_use: Array | None) -> list[Task]:
        m, v = self.m[name], self.v[name]
        if isinstance(g, RowGradient):
            if name not in self._lazy or self._lazy[name].w is not w:
                self._lazy[name] = LazyRows(w, m, v, fresh=not m.any() and not v.any())
            lazy = self._lazy[name]
            if self._ahead is None:  # else `prepare` has seen to it
                self._run([lazy.catch_up(g.rows)])
            return lazy.tasks(g, plan, steps_to_next_use)
        settings = plan[0].astype(w.dtype)
        if name in self._lazy:  # its gradient was one of rows in an earlier step
            self._run([self._lazy.pop(name).flush()])
        if isinstance(g, LazyGradient) and _FUSED:
            return g.tasks(w, m, v, settings)
        return adam_tasks(w, np.ascontiguousarray(g, dtype=w.dtype), m, v, settings)


@lru_cache(maxsize=64)  # of the steps to come, all but one have been asked for before
def _settings(
    t: int, rate: float, scale: float, epsilon: float, beta1: float, beta2: float
) -> tuple[float, ...]:
    unbias1, unbias2 = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
    return (scale, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2, unbias1, unbias2)
