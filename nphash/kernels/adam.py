"""Adam in one pass over the memory, and the squared norm that gradient clipping needs.

NumPy reads and writes an array once for every operation of the update; here each of parameter,
gradient and the two moments is read once, which is what the update costs (it is bound by memory).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit
from nphash.threads import run_blocks, run_tasks

__all__ = ["adam_tasks", "adam_update", "average_tasks", "sum_of_squares", "update"]

Array = npt.NDArray[Any]

_BLOCK = 1 << 18  # parameters in a block: 4 arrays of 1 MB in float32


@jit()
def update(w: Array, g: Array, m: Array, v: Array, settings: Array) -> None:
    """Do the step on arrays of shape (n,), with the nine `factors` of `adam_update` in their dtype.

    For other kernels, which call it on the part of a gradient that they have just computed.
    """
    # All factors have the dtype of the arrays: one float64 among them would halve the speed.
    scale, rate, epsilon = settings[0], settings[1], settings[2]
    beta1, rest1, beta2, rest2 = settings[3], settings[4], settings[5], settings[6]
    unbias1, unbias2 = settings[7], settings[8]
    for i in range(w.size):
        gradient = scale * g[i]
        # Reading m[i] and v[i] again after writing them would keep the loop from being vectorised.
        first = beta1 * m[i] + rest1 * gradient
        second = beta2 * v[i] + rest2 * gradient * gradient
        m[i] = first
        v[i] = second
        w[i] = w[i] - rate * (first * unbias1) / (np.sqrt(second * unbias2) + epsilon)


# Four sums side by side, so that no addition waits for the last, in an order that is written down: left to
# the compiler, it may differ from one compilation to the next.
@jit(fastmath={"contract"})
def _sum_of_squares(g: Array) -> float:
    s0 = s1 = s2 = s3 = np.float64(0)
    whole = g.size - g.size % 4
    for i in range(0, whole, 4):
        s0 += np.float64(g[i]) * np.float64(g[i])
        s1 += np.float64(g[i + 1]) * np.float64(g[i + 1])
        s2 += np.float64(g[i + 2]) * np.float64(g[i + 2])
        s3 += np.float64(g[i + 3]) * np.float64(g[i + 3])
    for i in range(whole, g.size):
        s0 += np.float64(g[i]) * np.float64(g[i])
    return (s0 + s2) + (s1 + s3)


def adam_update(w: Array, g: Array, m: Array, v: Array, factors: tuple[float, ...], threads: int) -> None:
    """Update parameter ``w`` and its moments ``m`` and ``v`` in place for the gradient ``g``.

    Parameters
    ----------
    w, g, m, v
        C-contiguous arrays of one shape and one dtype, float32 or float64.
    factors
        (gradient scale, learning rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2,
        1 / (1 - beta1**t), 1 / (1 - beta2**t)).
    threads
        How many threads; the result is the same for any number.

    Examples
    --------
    >>> w, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    >>> adam_update(w, np.array([5.0]), m, v, (1, 0.1, 0, 0.9, 0.1, 0.99, 0.01, 10, 100), threads=1)
    >>> w.round(6), m, v.round(6)
    (array([0.9]), array([0.5]), array([0.25]))
    """
    run_tasks(adam_tasks(w, g, m, v, np.array(factors, dtype=w.dtype)), threads)


def adam_tasks(w: Array, g: Array, m: Array, v: Array, settings: Array) -> list[Callable[[], None]]:
    """Return the update in blocks, for `nphash.threads.run_tasks`; ``settings`` as for `update`."""
    w1, g1, m1, v1 = (array.reshape(-1) for array in (w, g, m, v))  # each (size,), views
    return [partial(update, w1[i:j], g1[i:j], m1[i:j], v1[i:j], settings) for i, j in _blocks(w.size)]


@jit()
def _move(average: Array, w: Array, kept: float, rest: float) -> None:
    for i in range(w.size):
        average[i] = kept * average[i] + rest * w[i]


def average_tasks(average: Array, w: Array, kept: float) -> list[Callable[[], None]]:
    """Return average = kept average + (1 - kept) w in blocks, for `nphash.threads.run_tasks`.

    Both are C-contiguous arrays of one shape and one dtype.
    """
    a1, w1 = average.reshape(-1), w.reshape(-1)  # (size,), views
    share, rest = w.dtype.type(kept), w.dtype.type(1 - kept)
    return [partial(_move, a1[i:j], w1[i:j], share, rest) for i, j in _blocks(w.size)]


def sum_of_squares(g: Array, threads: int) -> float:
    """Return the sum of squares of a C-contiguous array, added up in float64.

    Examples
    --------
    >>> sum_of_squares(np.array([3.0, 4.0], dtype=np.float32), threads=1)
    25.0
    """
    flat = g.reshape(-1)  # (size,)
    parts = run_blocks(lambda start, stop: _sum_of_squares(flat[start:stop]), _blocks(g.size), threads)
    return float(sum(parts))


def _blocks(n: int) -> list[tuple[int, int]]:
    return [(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
