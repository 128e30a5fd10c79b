"""The optimiser Adam (Kingma & Ba, 2015) over a plain dictionary of parameters.

The letters are the paper's: g gradient, m and v its first and second moment, mhat and vhat these
moments freed of their bias towards zero, t the number of steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from nphash.core.devices import uses
from nphash.core.pool import Background
from nphash.core.threads import count_threads, run_tasks
from nphash.core.typing import Array, Task
from nphash.engine.lazy_gradient import LazyGradient, RowGradient
from nphash.engine.look_ahead import LookAhead
from nphash.errors import InputError

__all__ = ["Adam", "adam_step", "global_norm", "moving_average"]


# Steps put off are done by a formula that takes epsilon, freed of the bias, for a constant. In the
# first steps it is not, so nothing is put off.
UNSTEADY = 100


def adam_step(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Return (w, m, v) after step ``t`` (counted from 1): the readable form of what `Adam` does in place.

    Examples
    --------
    >>> w, m, v = adam_step(np.ones(1), np.array([5.0]), np.zeros(1), np.zeros(1), t=1, learning_rate=0.1)
    >>> w.round(6)  # the first step is the learning rate, whatever the gradient's size
    array([0.9])
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mhat = m / (1 - beta1**t)
    vhat = v / (1 - beta2**t)
    return w - learning_rate * mhat / (np.sqrt(vhat) + epsilon), m, v


def global_norm(grads: dict[str, Array], threads: int = 1) -> float:
    """Return the Euclidean norm of all gradients taken as one vector, in float64.

    Examples
    --------
    >>> global_norm({"W": np.array([[3.0]]), "b": np.array([4.0])})
    5.0
    """
    from nphash.engine.kernels.adam import sum_of_squares
    from nphash.engine.kernels.sparse import COMPILED

    if not COMPILED:
        return float(np.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads.values())))
    return float(np.sqrt(sum(sum_of_squares(np.ascontiguousarray(g), threads) for g in grads.values())))


def moving_average(average: Array, w: Array, kept: float, threads: int = 1) -> None:
    """Move an average of weights towards the weights, in place: average = kept average + (1 - kept) w.

    Examples
    --------
    >>> average = np.array([1.0])
    >>> moving_average(average, np.array([3.0]), kept=0.75)
    >>> average
    array([1.5])
    """
    from nphash.engine.kernels.adam import average_tasks
    from nphash.engine.kernels.sparse import COMPILED

    if COMPILED:
        run_tasks(average_tasks(average, w, kept), threads)
    else:
        average *= average.dtype.type(kept)
        average += average.dtype.type(1 - kept) * w


@dataclass
class Adam:
    """Adam's settings and state; `step` changes parameters in place.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        As in the paper.
    max_norm
        Scale the gradients down so that their global norm is at most this; None for no limit.
    threads
        How many threads; None for all. Results are the same for any number.

    Attributes
    ----------
    m, v
        The moments, with the keys, shapes and dtypes of the parameters; empty before the first step.
    t
        The number of steps done. m, v and t are all that a checkpoint has to keep.

    Examples
    --------
    >>> optimiser = Adam(learning_rate=0.1)
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
    m: dict[str, Array] = field(default_factory=dict)
    v: dict[str, Array] = field(default_factory=dict)
    t: int = 0
    _postponed: dict[str, Any] = field(default_factory=dict, repr=False)
    _background: Background | None = field(default=None, repr=False)

    def step(
        self,
        params: dict[str, Array],
        grads: dict[str, Array],
        learning_rate: float | None = None,
        ahead: LookAhead | None = None,
    ) -> None:
        """Update every parameter that has a gradient.

        Gradients with a `background` may still be under way afterwards; `settle` waits for them.

        Parameters
        ----------
        params
            Arrays to change in place, C-contiguous.
        grads
            Gradients with the same keys (a subset is fine), shapes and dtypes.
        learning_rate
            This step's rate, for schedules; the setting if None.
        ahead
            This step and others to come, announced with their rows and learning rates. Rows with row
            gradients then do their steps until their next use at once: from here on they have the values
            of that time.

        Raises
        ------
        InputError
            For a gradient without parameter, or of another shape; for a rate that was announced otherwise.
        """
        _check(params, grads)
        if self._background is not None:
            self._background.finish()  # of the step before
        threads = count_threads(self.threads)
        scale = 1.0
        if self.max_norm is not None:
            grads = {name: np.asarray(g) for name, g in grads.items()}
            norm = global_norm(grads, threads)
            scale = min(1.0, self.max_norm / norm) if norm > 0 else 1.0
        gaps, rates = self._known(ahead, self.learning_rate if learning_rate is None else learning_rate)
        self.t += 1
        constants = scale, self.epsilon, self.beta1, self.beta2
        plan = np.array([_settings(self.t + later, rate, *constants) for later, rate in enumerate(rates)])
        tasks: list[list[Task]] = []
        for name in sorted(grads, key=lambda name: -params[name].size):
            w, g = params[name], grads[name]
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(w), np.zeros_like(w)
            own = self._tasks(name, w, g, plan, gaps)
            if isinstance(g, LazyGradient) and g.background is not None and uses("fused"):
                self._background = g.background
                self._background.begin(own)
            else:
                tasks.append(own)
        # In turn, so that a thread which waits for the memory runs beside one that computes.
        in_turn = chain.from_iterable(zip_longest(*tasks))
        run_tasks([task for task in in_turn if task is not None], threads)
        if self.t <= UNSTEADY:
            self.settle()  # nothing is put off yet, see `UNSTEADY`; this waits for the background, too

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

    def settle(self) -> None:
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
            from nphash.engine.lazy_rows import Postponed

            if name not in self._postponed or self._postponed[name].w is not w:
                self._postponed[name] = Postponed(w, m, v, fresh=not m.any() and not v.any())
            waiting = self._postponed[name]
            self._run([waiting.catch_up(g.rows)])
            tasks: list[Task] = waiting.tasks(g, plan, gaps)
            return tasks
        settings = plan[0].astype(w.dtype)
        if name in self._postponed:  # its gradient was one of rows in an earlier step
            self._run([self._postponed.pop(name).settle()])
        if isinstance(g, LazyGradient) and uses("fused"):
            return g.tasks(w, m, v, settings)
        if isinstance(g, LazyGradient):
            whole = np.empty(g.shape, g.dtype)
            self._run([[partial(g.fill, whole, start, stop) for start, stop in g.blocks()]])
            g = whole
        from nphash.engine.kernels.adam import adam_tasks
        from nphash.engine.kernels.sparse import COMPILED

        g = np.ascontiguousarray(g, dtype=w.dtype)
        return adam_tasks(w, g, m, v, settings) if COMPILED else [partial(_readable, w, g, m, v, settings)]


@lru_cache(maxsize=64)  # of the steps to come, all but one have been asked for before
def _settings(
    t: int, rate: float, scale: float, epsilon: float, beta1: float, beta2: float
) -> tuple[float, ...]:
    unbias1, unbias2 = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
    return (scale, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2, unbias1, unbias2)


def _readable(w: Array, g: Array, m: Array, v: Array, settings: Array) -> None:
    # `adam_step` with the settings that the kernel takes
    scale, rate, epsilon, beta1, rest1, beta2, rest2, unbias1, unbias2 = settings
    m[:] = beta1 * m + rest1 * scale * g
    v[:] = beta2 * v + rest2 * (scale * g) ** 2
    w -= rate * (m * unbias1) / (np.sqrt(v * unbias2) + epsilon)


def _check(params: dict[str, Array], grads: dict[str, Array]) -> None:
    for name, g in grads.items():
        if name not in params:
            raise InputError(
                f"there is a gradient for {name!r}, but no such parameter", "keep the keys equal"
            )
        w = params[name]
        if g.shape != w.shape:
            raise InputError(
                f"the gradient of {name!r} has shape {g.shape}, the parameter {w.shape}", "check its `back`"
            )
        if not w.flags.c_contiguous:
            raise InputError(f"parameter {name!r} is not C-contiguous", "store np.ascontiguousarray of it")
