"""The first layer's weights W_1 (V, H), most of a model: their gradient and Adam, word by word.

The gradient of word w's row is a sum over the documents that have the word,

    dW_1[w] = sum_d X[d, w] dh[d],

and is zero for most words of a batch. Each row is summed in a buffer of H numbers and used at once
for Adam's update of the row, so the gradient is never written to memory, where it would be as
large as W_1.

Adam moves a row also in a step in which its gradient is zero, because its moments are not. To read and
write all rows with their moments takes longer than everything else in a step, so such steps are done all at
once: with a gradient of zero the moments only shrink. In k such steps they become b1^k m and b2^k v, and the
parameter moves by the sum over the steps j = 1, ..., k of

    a_j b1^j m / (b2^(j/2) sqrt(v) + e_j),

where a_j is the learning rate and e_j epsilon, freed of the bias. That is C m / (sqrt(v) + E), C being the
sum of c_j = a_j b1^j / b2^(j/2), and E the mean of e_j / b2^(j/2) with the weights c_j: exact where sqrt(v)
is much larger than epsilon, and elsewhere up to the little by which e_j changes over the ten or twenty steps
that count. Tables hold (C, E, b1^k, b2^k) for every k.

If it is known when a row is needed next, the steps until then are done together with its own step
(`update_rows`), which has the row in the cache: `fill_ahead` sums from the first step on. Otherwise they are
put off until it is needed (`catch_up`): `fill_table` sums from the last step back.
"""

from __future__ import annotations

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array
from nphash.engine.kernels.adam import BETA1, BETA2, EPSILON, RATE, REST1, REST2, SCALE, UNBIAS1, UNBIAS2
from nphash.engine.kernels.csr_to_csc import Entries
from nphash.engine.kernels.sparse import sum_rows

__all__ = [
    "NEVER",
    "catch_up",
    "fill_ahead",
    "fill_rows",
    "fill_table",
    "link",
    "mark",
    "take_stale",
    "update_rows",
]


NEVER = -1  # steps done of a row whose moments are still zero: steps without gradient do not move it


@jit()
def fill_rows(entries: Entries, dh: Array, rows: Array, out: Array) -> None:
    """Write the gradient X.T dh of the words ``rows`` into their rows of ``out``.

    Parameters
    ----------
    entries
        X (B, V) by `nphash.engine.kernels.csr_to_csc.entries_of`.
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
    starts, documents, weights = entries
    for word in rows:
        sum_rows(documents, weights, dh, starts[word], starts[word + 1], out[word])


@jit()
def update_rows(
    entries: Entries,
    dh: Array,
    rows: Array,
    W: Array,
    m: Array,
    v: Array,
    settings: Array,
    gaps: Array,
    table: Array,
) -> None:
    """Do Adam's step on the rows of W (V, H) for the gradient X.T dh, and the steps until the next use.

    Parameters
    ----------
    entries, dh, rows
        As for `fill_rows`.
    W, m, v, settings
        As for `nphash.engine.kernels.adam.update`, in rows.
    gaps
        In how many steps each row is needed next, integers of shape (V,); 0 if nobody knows.
    table
        By `fill_ahead`.
    """
    starts, documents, weights = entries
    gradient = np.empty(dh.shape[1], dh.dtype)  # (H,)
    for i in range(rows.size):
        word = rows[i]
        sum_rows(documents, weights, dh, starts[word], starts[word + 1], gradient)
        _move(W[word], gradient, m[word], v[word], settings, table[gaps[word]])


@jit()
def _move(w: Array, g: Array, m: Array, v: Array, settings: Array, sums: Array) -> None:
    # `nphash.engine.kernels.adam.update` and the steps without gradient behind it: a row of `fill_ahead`
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
def fill_ahead(history: Array, table: Array) -> None:
    """Sum up a step with gradient and the steps without one that follow it.

    The moments m and v of the equation are those after the gradient has come to them, so that the first
    step has j = 0.

    Parameters
    ----------
    history
        The settings of this step and of those to come, of shape (n, 9), float64.
    table
        Array of shape (n + 1, 4) to write (C, E, b1^k, b2^k) into, by the number of steps until the row
        is needed: of these, all but one are without gradient. The row of 0 is that of 1.
    """
    C = weighted = np.float64(0)
    shrink1 = shrink2 = np.float64(1)
    for step in range(len(history)):
        rate, epsilon = _unbiased(history[step])
        c = rate * shrink1 / np.sqrt(shrink2)
        C += c
        weighted += c * epsilon / np.sqrt(shrink2)
        table[step + 1, 0] = C
        table[step + 1, 1] = weighted / C if C > 0 else epsilon
        table[step + 1, 2] = shrink1
        table[step + 1, 3] = shrink2
        shrink1 *= history[step, BETA1]
        shrink2 *= history[step, BETA2]
    for k in range(4):
        table[0, k] = table[1, k]


@jit()
def _unbiased(settings: Array) -> tuple[float, float]:
    # a_j and e_j: Adam's fraction, divided by the square root of what frees v of its bias
    spread = np.sqrt(settings[UNBIAS2])
    return settings[RATE] * settings[UNBIAS1] / spread, settings[EPSILON] / spread


@jit()
def link(rows: Array, step: int, begun: int, last: Array, gaps: Array) -> None:
    """Note that a step to come needs some rows.

    Parameters
    ----------
    rows
        Row numbers; they may repeat.
    step
        The step's number; steps are told of in order.
    begun
        How many steps have begun: from number 0 to ``begun - 1``.
    last
        The last step known of that needs each row, integers of shape (V,), brought up to ``step``.
    gaps
        In how many steps a row is needed next, (S, V), step s in row s modulo S; 0 if nobody knows.
    """
    slots = len(gaps)
    slot = step % slots
    for row in rows:
        gap = step - last[row]
        if gap == 0:
            continue
        if gap <= step - begun:
            gaps[slot - gap if gap <= slot else slot - gap + slots, row] = gap
        gaps[slot, row] = 0
        last[row] = step


@jit()
def mark(rows: Array, gaps: Array, now: int, done: Array) -> None:
    """Note in ``done`` (V,) that rows have done step number ``now`` and those before their next use."""
    for row in rows:
        done[row] = now + max(gaps[row], 1)


@jit()
def take_stale(rows: Array, done: Array, now: int, stale: Array, since: Array) -> int:
    """Collect the rows that have steps to catch up with, each once, and take them for done.

    Parameters
    ----------
    rows
        Row numbers; they may repeat.
    done
        The steps done of every row, integers of shape (V,), or `NEVER`; brought up to ``now``.
    now
        The number of steps that rows should have done.
    stale, since
        Arrays as long as ``rows`` to write into: the rows that have not, and what they have done.

    Returns
    -------
    int
        How many there are.
    """
    n = 0
    for row in rows:
        if done[row] != NEVER and done[row] < now:
            stale[n], since[n] = row, done[row]
            done[row] = now
            n += 1
    return n


@jit()
def fill_table(history: Array, now: int, table: Array) -> None:
    """Sum up the steps from each step s of the history to ``now`` for a gradient of zero.

    Parameters
    ----------
    history
        The settings of each step, of shape (``now`` or more, 9), float64.
    now
        The number of steps.
    table
        Array of shape (``now`` + 1 or more, 4) to write (C, E, b1^k, b2^k) into.
    """
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
def catch_up(W: Array, m: Array, v: Array, rows: Array, since: Array, table: Array) -> None:
    """Do the steps that rows have missed, with the gradient zero.

    Parameters
    ----------
    W, m, v
        Arrays of shape (V, H).
    rows, since
        Numbers of rows, and the steps that each has done; by `take_stale`.
    table
        By `fill_table`.
    """
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
