"""Adam as the compiled engine runs it: in blocks, by threads, on rows only when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any, TypeVar

import numpy as np

from nphash.core.threads import count_threads, run_tasks
from nphash.core.typing import Array, Params, Task
from nphash.engine.background import Background
from nphash.engine.kernels.adam import adam_tasks, average_tasks, sum_of_squares
from nphash.engine.lazy_gradient import LazyGradient, RowGradient
from nphash.engine.lazy_rows import Postponed
from nphash.engine.look_ahead import LookAhead, looked_ahead
from nphash.errors import InputError
from nphash.nn.optim import check_gradients

__all__ = ["UNSTEADY", "CompiledAdam", "global_norm", "move_average"]

B = TypeVar("B", bound=Any)

# Steps put off are done by a formula that takes epsilon, freed of the bias, for a constant. In the
# first steps it is not, so nothing is put off.
UNSTEADY = 100


def global_norm(grads: Params, threads: int) -> float:
    """Return the Euclidean norm of all gradients taken as one vector, as `nphash.nn.optim.global_norm`."""
    return float(np.sqrt(sum(sum_of_squares(np.ascontiguousarray(g), threads) for g in grads.values())))


def move_average(average: Array, w: Array, kept: float, threads: int) -> None:
    """Move an exponential moving average of weights, as `nphash.nn.optim.moving_average`."""
    run_tasks(average_tasks(average, w, kept), threads)


@dataclass
class CompiledAdam:
    """`nphash.nn.optim.Adam` by kernels, with rows that do their steps ahead or late; the same hooks.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon, max_norm
        As in `nphash.nn.optim.Adam`.
    threads
        How many threads; None for all. Results are the same for any number.

    Attributes
    ----------
    m, v, t
        As in `nphash.nn.optim.Adam`; what a checkpoint has to keep, after `flush`.

    Examples
    --------
    >>> optimiser = CompiledAdam(learning_rate=0.1)
    >>> params = {"b": np.array([1.0])}
    >>> optimiser.step(params, {"b": np.array([5.0])})
    >>> params["b"].round(6)
    array([0.9])
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
    _postponed: dict[str, Any] = field(default_factory=dict, repr=False)
    _background: Background | None = field(default=None, repr=False)
    _ahead: LookAhead | None = field(default=None, repr=False)
    _flush_every: int = field(default=0, repr=False)

    def prepare(self, batches: Iterable[B], flush_every: int) -> Iterator[B]:
        """Yield batches in their order, each with its rows up to date, and look at those that follow.

        Parameters
        ----------
        batches
            Of an epoch: each has documents ``x`` and the ``learning_rate`` of its step.
        flush_every
            So often, in steps, `step` ends with a `flush`.
        """
        self._flush_every, before = flush_every, self.t

        def announce(batch: B) -> None:
            if self._ahead is None:
                self._ahead = LookAhead(batch.x.shape[1])
            self._ahead.announce(batch.x.indices, batch.learning_rate)

        for batch in looked_ahead(batches, announce, lambda done: self._flushes(before + done)):
            self.catch_up(batch.x.indices)
            yield batch
        self._ahead = None

    def _flushes(self, t: int) -> bool:
        return self._flush_every > 0 and t % self._flush_every == 0

    def step(
        self,
        params: Params,
        grads: Params,
        learning_rate: float | None = None,
    ) -> None:
        """Update every parameter that has a gradient.

        Gradients with a `background` may still be under way afterwards; `flush` waits for them.

        Parameters
        ----------
        params
            Arrays to change in place, C-contiguous.
        grads
            Gradients with the same keys (a subset is fine), shapes and dtypes.
        learning_rate
            This step's rate, for schedules; the setting if None.

        For batches of `prepare`, rows with row gradients do their steps until their next use at once: from
        here on they have the values of that time.

        Raises
        ------
        InputError
            For a gradient without parameter, or of another shape; for a rate that was announced otherwise.
        """
        check_gradients(params, grads)
        if self._background is not None:
            self._background.finish()  # of the step before
        threads = count_threads(self.threads)
        scale = 1.0
        if self.max_norm is not None:
            grads = {name: np.asarray(g) for name, g in grads.items()}
            norm = global_norm(grads, threads)
            scale = min(1.0, self.max_norm / norm) if norm > 0 else 1.0
        gaps, rates = self._known(self._ahead, self.learning_rate if learning_rate is None else learning_rate)
        self.t += 1
        constants = scale, self.epsilon, self.beta1, self.beta2
        plan = np.array([_settings(self.t + later, rate, *constants) for later, rate in enumerate(rates)])
        tasks: list[list[Task]] = []
        for name in sorted(grads, key=lambda name: -params[name].size):
            w, g = params[name], grads[name]
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(w), np.zeros_like(w)
            own = self._tasks(name, w, g, plan, gaps)
            if isinstance(g, LazyGradient) and g.background is not None:
                self._background = g.background
                self._background.begin(own)
            else:
                tasks.append(own)
        # In turn, so that a thread which waits for the memory runs beside one that computes.
        in_turn = chain.from_iterable(zip_longest(*tasks))
        run_tasks([task for task in in_turn if task is not None], threads)
        if self.t <= UNSTEADY or self._flushes(self.t):
            self.flush()  # before `UNSTEADY` is put off yet; this waits for the background, too

    def _known(self, ahead: LookAhead | None, rate: float) -> tuple[Array | None, list[float]]:
        # When this step's rows are needed next, and the learning rates from this step on
        if ahead is None:
            return None, [rate]
        gaps, rates = ahead.begin()
        if rates[0] != rate:
            raise InputError(f"the learning rate {rates[0]} was announced, not {rate}", "give the same one")
        return (gaps, rates) if self.t >= UNSTEADY else (None, rates[:1])

    def catch_up(self, rows: Array) -> None:
        """Do the steps put off for some rows of parameters with row gradients; repeats are allowed.

        To be called with the words of a batch before the batch is looked at.
        """
        self._run(waiting.catch_up(rows) for waiting in self._postponed.values())

    def flush(self) -> None:
        """Do all steps put off, so that parameters and moments are what they should be everywhere.

        To be called before parameters are read other than by a batch. Without row gradients
        (`nphash.engine.lazy_gradient.RowGradient`) and gradients with a `background` nothing is ever put off.

        Raises
        ------
        InputError
            If steps that were announced are still to come: some rows have done them already.
        Exception
            Whatever an update in the background has raised.
        """
        if self._background is not None:
            self._background.finish()
        self._run(waiting.settle() for waiting in self._postponed.values())
        for waiting in self._postponed.values():
            waiting.forget()

    def abandon(self) -> None:
        """Let nothing change parameters any more: after an error, when some may be half updated."""
        if self._background is not None:
            self._background.abandon()

    def _run(self, tasks: Iterable[list[Task]]) -> None:
        run_tasks(list(chain.from_iterable(tasks)), count_threads(self.threads))

    def _tasks(self, name: str, w: Array, g: Any, plan: Array, gaps: Array | None) -> list[Task]:
        m, v = self.m[name], self.v[name]
        if isinstance(g, RowGradient):
            if name not in self._postponed or self._postponed[name].w is not w:
                self._postponed[name] = Postponed(w, m, v, fresh=not m.any() and not v.any())
            waiting = self._postponed[name]
            self._run([waiting.catch_up(g.rows)])
            tasks: list[Task] = waiting.tasks(g, plan, gaps)
            return tasks
        settings = plan[0].astype(w.dtype)
        if name in self._postponed:  # its gradient was one of rows in an earlier step
            self._run([self._postponed.pop(name).settle()])
        if isinstance(g, LazyGradient):
            return g.tasks(w, m, v, settings)
        return adam_tasks(w, np.ascontiguousarray(g, dtype=w.dtype), m, v, settings)


@lru_cache(maxsize=64)  # of the steps to come, all but one have been asked for before
def _settings(
    t: int, rate: float, scale: float, epsilon: float, beta1: float, beta2: float
) -> tuple[float, ...]:
    unbias1, unbias2 = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
    return (scale, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2, unbias1, unbias2)
