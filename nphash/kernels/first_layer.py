"""The first layer's weights W_1 (V, H), most of a model: their gradient and Adam, word by word.

The gradient of word w's row is a sum over the documents that have the word,

    dW_1[w] = sum_d X[d, w] dh[d],

and is zero for most words of a batch. Each row is summed in a buffer of H numbers and used at once
for Adam's update of the row, so the gradient is never written to memory, where it would be as
large as W_1.

Adam moves a row also in a step in which its gradient is zero, because its moments are not. To read and
write all rows with their moments takes longer than everything else in a step, so such steps are put off until
the row is needed, and then done all at once (`catch_up`): with a gradient of zero the moments only shrink,
and the sum of the movements has a closed form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit
from nphash.kernels.adam import update
from nphash.kernels.sparse import sum_rows
from nphash.kernels.transpose import Entries

__all__ = ["NEVER", "catch_up", "fill_rows", "fill_table", "update_rows"]

Array = npt.NDArray[Any]

NEVER = -1  # steps done of a row whose moments are still zero: steps without gradient do not move it


@jit()
def _gradient(entries: Entries, dh: Array, word: int, out: Array) -> None:
    starts, documents, weights = entries
    sum_rows(documents, weights, dh, starts[word], starts[word + 1], out)


@jit()
def fill_rows(entries: Entries, dh: Array, rows: Array, out: Array) -> None:
    """Write the gradient X.T dh of the words ``rows`` into their rows of ``out``.

    Parameters
    ----------
    entries
        X (B, V) by `nphash.kernels.transpose.transpose`.
    dh
        Array of shape (B, H).
    rows
        Word numbers.
    out
        Array of shape (V, H) and the dtype of dh.

    Examples
    --------
    >>> entries = np.array([0, 0, 1]), np.array([0]), np.array([3.0])
    >>> out = np.zeros((2, 2))
    >>> fill_rows(entries, np.ones((1, 2)), np.array([1]), out)
    >>> out
    array([[0., 0.],
           [3., 3.]])
    """
    for word in rows:
        _gradient(entries, dh, word, out[word])


@jit()
def update_rows(
    entries: Entries, dh: Array, rows: Array, W: Array, m: Array, v: Array, settings: Array
) -> None:
    """Do Adam's step on the rows of W (V, H) for the gradient X.T dh.

    The arguments are those of `fill_rows` and `nphash.kernels.adam.update`.
    """
    gradient = np.empty(dh.shape[1], dh.dtype)  # (H,)
    for word in rows:
        _gradient(entries, dh, word, gradient)
        update(W[word], gradient, m[word], v[word], settings)


@jit()
def fill_table(history: Array, now: int, table: Array) -> None:
    """Sum up the steps from each step s of the history to ``now`` for a gradient of zero.

    In k such steps the moments shrink to b1^k m and b2^k v, and the parameter moves by the sum over the
    steps j of a_j b1^j m / (b2^(j/2) sqrt(v) + e_j), where a_j is the learning rate and e_j epsilon, freed
    of the bias. That is C m / (sqrt(v) + E), C being the sum of a_j b1^j / b2^(j/2), and E the mean of
    e_j / b2^(j/2) with these weights: exact where sqrt(v) is much larger than epsilon, and elsewhere up to
    the little by which e_j changes over the ten or twenty steps that count.

    Parameters
    ----------
    history
        The settings of each step, of shape (``now`` or more, 9), float64.
    now
        The number of steps.
    table
        Array of shape (``now`` + 1 or more, 4) to write (C, E, b1^k, b2^k) into.
    """
    total = weighted = np.float64(0)
    shrink1 = shrink2 = np.float64(1)
    table[now] = 0
    for step in range(now - 1, -1, -1):
        rate, epsilon, beta1, beta2 = history[step, 1], history[step, 2], history[step, 3], history[step, 5]
        spread = np.sqrt(history[step, 8])  # Adam divides sqrt(v) by the square root of the bias
        weight = rate * history[step, 7] / spread
        total = beta1 / np.sqrt(beta2) * (weight + total)
        weighted = beta1 / beta2 * (weight * epsilon / spread + weighted)
        shrink1 *= beta1
        shrink2 *= beta2
        table[step, 0] = total
        table[step, 1] = weighted / total if total > 0 else epsilon
        table[step, 2] = shrink1
        table[step, 3] = shrink2


@jit()
def catch_up(W: Array, m: Array, v: Array, rows: Array, done: Array, table: Array, now: int) -> None:
    """Do the steps that rows have missed, with the gradient zero.

    Parameters
    ----------
    W, m, v
        Arrays of shape (V, H).
    rows
        Numbers of the rows that are needed.
    done
        The steps done of every row, integers of shape (V,), or `NEVER`; brought up to ``now``.
    table
        By `fill_table`.
    now
        The number of steps done of rows that are up to date.
    """
    for row in rows:
        if done[row] != NEVER and done[row] < now:
            _shrink(W[row], m[row], v[row], table[done[row]].astype(W.dtype))
            done[row] = now


@jit()
def _shrink(w: Array, m: Array, v: Array, factors: Array) -> None:
    total, epsilon, shrink1, shrink2 = factors[0], factors[1], factors[2], factors[3]
    for i in range(w.size):
        first, second = m[i], v[i]
        w[i] = w[i] - total * first / (np.sqrt(second) + epsilon)
        m[i] = shrink1 * first
        v[i] = shrink2 * second
