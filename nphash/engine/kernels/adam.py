"""Adam in one pass over the memory, and the squared norm that gradient clipping needs.

NumPy reads and writes an array once for every operation of the update; here each of parameter,
gradient and the two moments is read once, which is what the update costs (it is bound by memory).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nphash.core.jit import jit
from nphash.core.threads import cut, run_blocks
from nphash.core.typing import Array

__all__ = [
    "BETA1",
    "BETA2",
    "EPSILON",
    "RATE",
    "REST1",
    "REST2",
    "SCALE",
    "UNBIAS1",
    "UNBIAS2",
    "adam_tasks",
    "average_tasks",
    "sum_of_squares",
    "update",
]


# A step's settings are an array of nine numbers: what the gradient is multiplied by, learning rate, epsilon,
# beta1, 1 - beta1, beta2, 1 - beta2, and what frees the moments of their bias, 1 / (1 - beta1^t) and
# 1 / (1 - beta2^t).
SCALE, RATE, EPSILON, BETA1, REST1, BETA2, REST2, UNBIAS1, UNBIAS2 = range(9)

_BLOCK = 1 << 18  # parameters in a block: 4 arrays of 1 MB in float32


@jit()
def update(w: Array, g: Array, m: Array, v: Array, settings: Array) -> None:
    """Do a step of Adam on a part of a parameter; kernels call it on gradients they have just computed.

    Parameters
    ----------
    w, g, m, v
        Parameter, gradient and moments, arrays of shape (n,) and one dtype, float32 or float64; all but g
        are changed.
    settings
        The step's nine numbers, in the order of `SCALE`, `RATE`, ..., in the same dtype: one float64 among
        float32 would halve the speed.

    Examples
    --------
    >>> w, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    >>> update(w, np.array([5.0]), m, v, np.array([1, 0.1, 0, 0.9, 0.1, 0.99, 0.01, 10, 100]))
    >>> w.round(6), m, v.round(6)
    (array([0.9]), array([0.5]), array([0.25]))
    """
    scale, rate, epsilon = settings[SCALE], settings[RATE], settings[EPSILON]
    beta1, rest1, beta2, rest2 = settings[BETA1], settings[REST1], settings[BETA2], settings[REST2]
    unbias1, unbias2 = settings[UNBIAS1], settings[UNBIAS2]
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


def adam_tasks(w: Array, g: Array, m: Array, v: Array, settings: Array) -> list[Callable[[], None]]:
    """Return the step in blocks, for `nphash.core.threads.run_tasks`; C-contiguous arrays of one shape."""
    w1, g1, m1, v1 = (array.reshape(-1) for array in (w, g, m, v))  # each (size,), views
    return [partial(update, w1[i:j], g1[i:j], m1[i:j], v1[i:j], settings) for i, j in cut(w.size, _BLOCK)]


@jit()
def _move(average: Array, w: Array, kept: float, rest: float) -> None:
    for i in range(w.size):
        average[i] = kept * average[i] + rest * w[i]


def average_tasks(average: Array, w: Array, kept: float) -> list[Callable[[], None]]:
    """Return average = kept average + (1 - kept) w in blocks, for `nphash.core.threads.run_tasks`.

    Both are C-contiguous arrays of one shape and one dtype.
    """
    a1, w1 = average.reshape(-1), w.reshape(-1)  # (size,), views
    share, rest = w.dtype.type(kept), w.dtype.type(1 - kept)
    return [partial(_move, a1[i:j], w1[i:j], share, rest) for i, j in cut(w.size, _BLOCK)]


def sum_of_squares(g: Array, threads: int) -> float:
    """Return the sum of squares of a C-contiguous array, added up in float64.

    Examples
    --------
    >>> sum_of_squares(np.array([3.0, 4.0], dtype=np.float32), threads=1)
    25.0
    """
    flat = g.reshape(-1)  # (size,)
    parts = run_blocks(lambda start, stop: _sum_of_squares(flat[start:stop]), cut(g.size, _BLOCK), threads)
    return float(sum(parts))
