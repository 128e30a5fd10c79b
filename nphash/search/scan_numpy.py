"""The scan in plain NumPy: where loading Numba would cost more than it saves, and where there is none.

Rows are taken in chunks that fit the cache. Only those nearer than the k-th best so far are kept,
so after the first chunks almost nothing is left to sort.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nphash.core.threads import run_blocks, split_range
from nphash.core.typing import Ints, Words
from nphash.search import keys as packed
from nphash.search.keys import Keys
from nphash.search.table import Rows

_ROWS = 1 << 15  # of a chunk
_QUERIES = 16  # for one thread at a time
_FEW_WORDS = 16  # of a code: so many columns are added faster than rows are summed


def nearest(rows: Rows, queries: Words, k: int, threads: int) -> Keys:
    """Return the sorted keys of the ``k`` nearest rows of each query, (Q, k); missing ones are NONE."""
    out = np.full((len(queries), k), packed.NONE)
    for q, best in enumerate(_each(lambda query: _nearest_one(rows, query, k), queries, threads)):
        out[q, : len(best)] = best
    return out


def within(rows: Rows, queries: Words, radius: int, threads: int) -> tuple[Ints, Keys]:
    """Return (offsets, keys): the sorted keys of all rows at most ``radius`` from each query."""
    each = _each(lambda query: _within_one(rows, query, radius), queries, threads)
    return np.cumsum([0, *map(len, each)]), np.concatenate([packed.EMPTY, *each])


def _each(search: Callable[[Words], Keys], queries: Words, threads: int) -> list[Keys]:
    blocks = split_range(len(queries), _QUERIES)
    found = run_blocks(lambda start, stop: [search(query) for query in queries[start:stop]], blocks, threads)
    return [keys for block in found for keys in block]


def _nearest_one(rows: Rows, query: Words, k: int) -> Keys:
    best = packed.EMPTY
    bound = packed.NONE  # the k-th best key: larger ones need not be looked at
    for first, words in rows.pieces(rows.start, rows.n, _ROWS):
        distance = _distances(words, query)
        limit = int(bound >> packed.SHIFT)
        if bound == packed.NONE and not len(rows.allowed):  # else all of the first chunk would be sorted
            limit = _kth_smallest(distance, k)
        best = np.concatenate([best, _up_to(distance, limit, first, rows)])
        if len(best) > k:
            best = np.partition(best, k - 1)[:k]
            bound = best[k - 1]
    return np.sort(best)


def _within_one(rows: Rows, query: Words, radius: int) -> Keys:
    pieces = rows.pieces(rows.start, rows.n, _ROWS)
    found = [_up_to(_distances(words, query), radius, first, rows) for first, words in pieces]
    return np.sort(np.concatenate([packed.EMPTY, *found]))


def _up_to(distance: npt.NDArray[np.integer], limit: int, first: int, rows: Rows) -> Keys:
    """Return the keys of those rows of a chunk that are at most ``limit`` away and may be found."""
    near = np.flatnonzero(distance <= limit)
    if len(rows.allowed):
        near = near[rows.allowed[near + first] != 0]
    return packed.make(distance[near], near + first)


def _kth_smallest(distance: npt.NDArray[np.integer], k: int) -> int:
    """Return the k-th smallest distance by counting, or the largest of fewer than k."""
    at_most = np.cumsum(np.bincount(distance))
    return min(int(np.searchsorted(at_most, k)), len(at_most) - 1)


def _distances(words: Words, query: Words) -> npt.NDArray[np.integer]:
    n_words = words.shape[1]
    if n_words > _FEW_WORDS:
        return np.asarray(np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int32))
    distance: npt.NDArray[np.integer] = np.bitwise_count(words[:, 0] ^ query[0])  # uint8: at most 64
    for w in range(1, n_words):
        distance = np.add(distance, np.bitwise_count(words[:, w] ^ query[w]), dtype=np.uint16)
    return distance
