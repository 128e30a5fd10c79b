"""The scan in plain NumPy: for one-shot searches, where loading Numba would cost more than it saves.

Rows are taken in chunks that fit the cache. Only those nearer than the k-th best so far are kept,
so after the first chunks almost nothing is left to sort.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Words
from nphash.search import keys as packed
from nphash.search.keys import Keys

__all__ = ["nearest", "within"]

Allowed = npt.NDArray[np.uint8]

_ROWS = 1 << 15


def nearest(words: Words, first: int, query: Words, k: int, allowed: Allowed) -> Keys:
    """Return the keys of the ``k`` rows nearest to one query, sorted; fewer where fewer are allowed.

    Parameters
    ----------
    words
        Codes, shape (n, words of a code).
    first
        Position of the first row of ``words`` in the index.
    query
        One code, shape (words of a code,).
    k
        How many.
    allowed
        For each position of the index, zero where the row must not be found; empty for "all may".
    """
    best = np.empty(0, np.uint64)
    bound = packed.NONE  # the k-th best key: larger ones need not be looked at
    for start in range(0, len(words), _ROWS):
        distance = _distances(words[start : start + _ROWS], query)
        limit = int(bound >> np.uint64(packed.POSITION_BITS))
        if bound == packed.NONE and not len(allowed):  # else all of the first chunk would be sorted
            limit = _kth_smallest(distance, k)
        near = np.flatnonzero(distance <= limit)
        found = packed.make(distance[near], near + (first + start))
        if len(allowed):
            found = found[allowed[near + (first + start)] != 0]
        best = np.concatenate([best, found])
        if len(best) > k:
            best = np.partition(best, k - 1)[:k]
            bound = best[k - 1]
    best.sort()
    return best


def _kth_smallest(distance: npt.NDArray[np.integer], k: int) -> int:
    """Return the k-th smallest distance by counting, or the largest of fewer than k."""
    at_most = np.cumsum(np.bincount(distance))
    return min(int(np.searchsorted(at_most, k)), len(at_most) - 1)


def within(words: Words, first: int, query: Words, radius: int, allowed: Allowed) -> Keys:
    """Return the sorted keys of all rows at most ``radius`` from one query; otherwise like `nearest`."""
    found = []
    for start in range(0, len(words), _ROWS):
        distance = _distances(words[start : start + _ROWS], query)
        near = np.flatnonzero(distance <= radius)
        if len(allowed):
            near = near[allowed[near + (first + start)] != 0]
        found.append(packed.make(distance[near], near + (first + start)))
    together = np.concatenate([np.empty(0, np.uint64), *found])
    together.sort()
    return together


def _distances(words: Words, query: Words) -> npt.NDArray[np.integer]:
    distance: npt.NDArray[np.integer]
    if words.shape[1] == 1:
        distance = np.bitwise_count(words[:, 0] ^ query[0])  # uint8: at most 64
    else:
        distance = np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int32)
    return distance
