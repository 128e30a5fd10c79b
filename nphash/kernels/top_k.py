"""The k best of a stream, kept by counting instead of by a heap.

Distances are small whole numbers, so it is enough to count, for each distance, how many codes
were taken. A code is taken when its distance is below the query's *limit*; as soon as k codes
below the limit are there, the limit goes down. Codes arrive in insertion order, so a later code
at the limit itself can never push an earlier one out. Taken codes wait in a buffer of
(distance, position) keys; when it is full, those that the limit has overtaken are dropped. At
the end one stable counting sort by distance gives the order (distance, insertion order).

Invariant: ``taken[q]`` codes in the buffer are below ``limit[q]`` and fewer than k; codes *at*
the limit were taken before it came down, and the earliest of them fill up to k.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit

__all__ = ["TopK", "empty", "finish", "limits_from_sample", "put", "take"]

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_SHIFT = np.uint64(48)  # as in nphash.index.keys
_POSITION = np.uint64(2**48 - 1)
_NONE = np.uint64(2**64 - 1)


class TopK(NamedTuple):
    """The state of Q searches that run side by side."""

    limit: Ints  # (Q,) a code is taken when its distance is smaller
    taken: Ints  # (Q,) codes in the buffer below the limit
    used: Ints  # (Q,) keys in the buffer
    counts: npt.NDArray[np.int32]  # (Q, n_bits + 2) codes taken at each distance
    keys: Keys  # (Q, capacity) distance << 48 | position


def empty(n_queries: int, k: int, n_bits: int) -> TopK:
    """Return the state before the first code: every distance is below the limit."""
    return TopK(
        np.full(n_queries, n_bits + 1),
        np.zeros(n_queries, np.int64),
        np.zeros(n_queries, np.int64),
        np.zeros((n_queries, n_bits + 2), np.int32),
        np.empty((n_queries, 2 * k + 64), np.uint64),
    )


@jit()
def take(top: TopK, q: int, k: int, distance: int, position: int) -> None:
    """Take a code whose distance is below the limit of query ``q``."""
    put(top.limit, top.taken, top.used, top.counts, top.keys, q, k, distance, position)


@jit(inline=True)
def put(
    limit: Ints,
    taken: Ints,
    used: Ints,
    counts: npt.NDArray[np.int32],
    keys: Keys,
    q: int,
    k: int,
    distance: int,
    position: int,
) -> None:
    """Do what `take` does, on the arrays of a `TopK` that a loop has taken out of it beforehand."""
    if used[q] == keys.shape[1]:
        used[q] = _compact(keys, q, used[q], limit[q], k - taken[q])
    keys[q, used[q]] = (np.uint64(distance) << _SHIFT) | np.uint64(position)
    used[q] += 1
    counts[q, distance] += 1
    below = taken[q] + 1
    while below >= k:
        limit[q] -= 1
        below -= counts[q, limit[q]]
    taken[q] = below


@jit()
def _compact(keys: Keys, q: int, used: int, limit: int, room: int) -> np.int64:
    """Drop what the limit has overtaken; of the keys at the limit keep the first ``room``."""
    kept = 0
    for i in range(used):
        key = keys[q, i]
        distance = np.int64(key >> _SHIFT)
        if distance < limit or (distance == limit and room > 0):
            if distance == limit:
                room -= 1
            keys[q, kept] = key
            kept += 1
    return np.int64(kept)


@jit()
def finish(top: TopK, start: int, stop: int, k: int, out: Keys) -> None:
    """Write the sorted keys of queries ``start`` to ``stop`` to ``out`` (Q, k); missing ones are all ones."""
    place = np.empty(top.counts.shape[1] + 1, np.int64)
    for q in range(start, stop):
        place[:] = 0
        for i in range(top.used[q]):
            place[np.int64(top.keys[q, i] >> _SHIFT) + 1] += 1
        for d in range(1, place.size):
            place[d] += place[d - 1]
        out[q, :] = _NONE
        for i in range(top.used[q]):
            distance = np.int64(top.keys[q, i] >> _SHIFT)
            if place[distance] < k:
                out[q, place[distance]] = top.keys[q, i]
            place[distance] += 1


@jit()
def limits_from_sample(distances: npt.NDArray[np.uint16], k: int, n_bits: int) -> int:
    """Return a limit that at least ``k`` of the sampled distances are below, or n_bits + 1.

    Codes of the sample are codes of the index: k of them below the limit prove that nothing at
    or above it can be among the k nearest, before the scan has begun.
    """
    # Four histograms, so that equal distances in a row do not wait for each other's count.
    width, whole = n_bits + 1, distances.size & ~3
    counts = np.zeros(4 * width, np.int32)
    for i in range(0, whole, 4):
        counts[distances[i]] += 1
        counts[width + distances[i + 1]] += 1
        counts[2 * width + distances[i + 2]] += 1
        counts[3 * width + distances[i + 3]] += 1
    for i in range(whole, distances.size):
        counts[distances[i]] += 1
    below = 0
    for d in range(width):
        below += counts[d] + counts[width + d] + counts[2 * width + d] + counts[3 * width + d]
        if below >= k:
            return d + 1
    return n_bits + 1
