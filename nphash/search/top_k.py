"""The k best of a stream, kept by counting instead of by a heap (docs/develop/search.rst).

Invariant: ``taken[q]`` codes in the buffer are below ``limit[q]`` and fewer than k; codes *at*
the limit were taken before it came down, and the earliest of them fill up to k.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.typing import Ints
from nphash.search.keys import NONE, SHIFT, Keys


class TopK(NamedTuple):
    """The state of Q searches that run side by side."""

    limit: Ints  # (Q,) a code is taken when its distance is smaller
    taken: Ints  # (Q,) codes in the buffer below the limit
    used: Ints  # (Q,) keys in the buffer
    counts: npt.NDArray[np.int32]  # (Q, n_bits + 2) codes taken at each distance
    keys: Keys  # (Q, capacity) distance << 48 | position


def empty(limits: Ints, k: int, n_bits: int) -> TopK:
    """Return the state before the first code, with a first limit for each query: n_bits + 1 admits all."""
    n_queries = len(limits)
    return TopK(
        limits,  # which come down
        np.zeros(n_queries, np.int64),
        np.zeros(n_queries, np.int64),
        np.zeros((n_queries, n_bits + 2), np.int32),
        np.empty((n_queries, 2 * k + 64), np.uint64),
    )


@jit()
def take(top: TopK, k: int, queries: Ints, found: Keys, n: int) -> None:
    """Offer ``n`` codes, the query and key of each; those not below their query's limit are left.

    The codes of a query come in insertion order. Each query keeps ``k``.
    """
    # Arrays leave their tuple here, and the loop calls nothing on them: each array taken out, or
    # handed to an inlined function, in the loop costs counting a reference, twice, atomically.
    limit, taken, used, counts, keys = top
    for i in range(n):
        q, key = queries[i], found[i]
        distance = np.int64(key >> SHIFT)
        if distance >= limit[q]:
            continue
        if used[q] == keys.shape[1]:
            used[q] = _compact(keys, q, used[q], limit[q], k - taken[q])
        keys[q, used[q]] = key
        used[q] += 1
        counts[q, distance] += 1
        below = taken[q] + 1
        while below >= k:
            limit[q] -= 1
            below -= counts[q, limit[q]]
        taken[q] = below


@jit()
def _compact(keys: Keys, q: int, used: int, limit: int, free: int) -> np.int64:
    """Drop what the limit has overtaken; of the keys at the limit keep the first ``free``."""
    kept = 0
    for i in range(used):
        key = keys[q, i]
        distance = np.int64(key >> SHIFT)
        if distance < limit or (distance == limit and free > 0):
            if distance == limit:
                free -= 1
            keys[q, kept] = key
            kept += 1
    return np.int64(kept)


@jit()
def finish(top: TopK, out: Keys) -> None:
    """Write the sorted keys of each query to ``out``, (Q, k); missing ones are `NONE`."""
    place = np.empty(top.counts.shape[1] + 1, np.int64)
    k = out.shape[1]
    for q in range(out.shape[0]):
        place[:] = 0
        for i in range(top.used[q]):
            place[np.int64(top.keys[q, i] >> SHIFT) + 1] += 1
        for d in range(1, place.size):
            place[d] += place[d - 1]
        out[q, :] = NONE
        for i in range(top.used[q]):
            distance = np.int64(top.keys[q, i] >> SHIFT)
            if place[distance] < k:
                out[q, place[distance]] = top.keys[q, i]
            place[distance] += 1


@jit()
def limit_of(distances: Keys, rank: int, n_bits: int, counts: Ints) -> int:
    """Return a limit that ``rank`` distances are below, or n_bits + 1 if fewer; ``counts`` is scratch."""
    counts[:] = 0
    for i in range(distances.size):
        counts[np.int64(distances[i])] += 1
    below = 0
    for d in range(n_bits + 1):
        below += counts[d]
        if below >= rank:
            return d + 1
    return n_bits + 1
