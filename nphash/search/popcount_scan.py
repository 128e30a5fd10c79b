"""The scan for one or a few queries: xor, count the ones, and look twice only where it pays.

Codes pass in blocks of 128. For each block only the smallest distance is computed, a loop
without branches that the compiler turns into vector instructions and that runs as fast as
memory delivers. Nearly every block has nothing below the limit; the few others are gone through
again, code by code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.jit.words import popcount
from nphash.core.typing import Ints, Words
from nphash.search.keys import SHIFT
from nphash.search.top_k import TopK, limit_of, take

__all__ = ["distance", "nearest", "sample_limits", "within"]

Allowed = npt.NDArray[np.uint8]

BLOCK = 128
PART = 16  # of a block, looked at together once more before code by code
MOST_WAITING = 1024  # codes below the limit that are kept back, to be counted together
TILE = 1 << 15  # codes that stay in the cache while each query of a small batch passes over them


@jit(inline=True)
def distance(flat: Words, i: int, query: Words) -> int:
    """Return the distance of code ``i`` to ``query``; ``flat`` holds the words of all codes in a row."""
    n_words = query.size
    total = 0
    for w in range(n_words):
        total += popcount(flat[i * n_words + w] ^ query[w])
    return total


@jit()
def _least_1(words: Words, x: np.uint64) -> np.int64:
    least = np.uint64(64)
    for i in range(words.size):
        least = min(least, np.uint64(popcount(words[i] ^ x)))
    return np.int64(least)


@jit()
def _least_2(words: Words, x: np.uint64, y: np.uint64) -> np.int64:
    least = np.uint64(128)
    for i in range(words.size // 2):
        least = min(least, np.uint64(popcount(words[2 * i] ^ x) + popcount(words[2 * i + 1] ^ y)))
    return np.int64(least)


@jit()
def _least_4(words: Words, query: Words) -> np.int64:
    x, y, z, u, least = query[0], query[1], query[2], query[3], np.uint64(256)
    for i in range(words.size // 4):
        low = popcount(words[4 * i] ^ x) + popcount(words[4 * i + 1] ^ y)
        high = popcount(words[4 * i + 2] ^ z) + popcount(words[4 * i + 3] ^ u)
        least = min(least, np.uint64(low + high))
    return np.int64(least)


@jit()
def _least_n(words: Words, query: Words) -> int:
    least = 64 * query.size
    for i in range(words.size // query.size):
        least = min(least, distance(words, i, query))
    return least


# The search for the next block worth a second look. The four functions differ only in the width
# of a code, which has to be known to the compiler (one function for all took three times as long); each
# takes the slice itself, because LLVM vectorises a loop over a whole array, not one from a start to a stop.


@jit()
def _next_block_1(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    for block in range(start, stop, size):
        if _least_1(flat[block : min(block + size, stop)], query[0]) < limit:
            return block
    return stop


@jit()
def _next_block_2(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    for block in range(start, stop, size):
        if _least_2(flat[2 * block : 2 * min(block + size, stop)], query[0], query[1]) < limit:
            return block
    return stop


@jit()
def _next_block_4(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    for block in range(start, stop, size):
        if _least_4(flat[4 * block : 4 * min(block + size, stop)], query) < limit:
            return block
    return stop


@jit()
def _next_block_n(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    for block in range(start, stop, size):
        words = flat[query.size * block : query.size * min(block + size, stop)]
        if _least_n(words, query) < limit:
            return block
    return stop


@jit()
def _next_block(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    """Return the first block of ``size`` codes with a distance below the limit, or ``stop``."""
    if query.size == 1:
        return _next_block_1(flat, start, stop, query, limit, size)
    if query.size == 2:
        return _next_block_2(flat, start, stop, query, limit, size)
    if query.size == 4:
        return _next_block_4(flat, start, stop, query, limit, size)
    return _next_block_n(flat, start, stop, query, limit, size)


@jit()
def nearest(flat: Words, first: int, queries: Words, k: int, allowed: Allowed, top: TopK, q: int) -> None:
    """Pass all codes of ``flat``, the first at position ``first``, by each query; keep the best in ``top``.

    Query j is search ``q + j`` of ``top``, which keeps ``k`` neighbours. ``allowed`` is 0 for each position
    that must not be found, or empty for "all may".
    """
    keys = np.empty(min(k, MOST_WAITING) + BLOCK, np.uint64)
    searches = np.empty(keys.size, np.int64)
    n = flat.size // queries.shape[1]
    size = TILE if queries.shape[0] > 1 else max(n, 1)
    for tile in range(0, n, size):
        end = min(tile + size, n)
        for j in range(queries.shape[0]):
            query, search, found, start = queries[j], q + j, 0, tile
            searches[:] = search
            while start < end:
                limit = top.limit[search]
                block = _next_block(flat, start, end, query, limit, BLOCK)
                start = min(block + BLOCK, end)
                found += _near(flat, first, block, start, query, limit, allowed, keys[found:])
                # With k more the limit may come down.
                if found >= keys.size - BLOCK or start == end:
                    take(top, k, searches, keys, found)
                    found = 0


@jit()
def _near(
    flat: Words, first: int, start: int, stop: int, query: Words, limit: int, allowed: Allowed, keys: Words
) -> int:
    """Write the keys of codes ``start`` to ``stop`` that are below the limit; return how many."""
    n_words, found = query.size, 0
    while start < stop:
        part = _next_block(flat, start, stop, query, limit, PART)
        start = min(part + PART, stop)
        for i in range(part, start):
            d = 0
            for w in range(n_words):
                d += popcount(flat[i * n_words + w] ^ query[w])
            if d < limit and (allowed.size == 0 or allowed[first + i] != 0):
                keys[found] = (np.uint64(d) << SHIFT) | np.uint64(first + i)
                found += 1
    return found


@jit()
def within(
    flat: Words, first: int, start: int, query: Words, radius: int, allowed: Allowed, keys: Words
) -> tuple[int, int]:
    """Write the keys of codes at most ``radius`` away, from code ``start`` on, until ``keys`` is nearly full.

    Returns how many keys were written and the code to go on with (n at the end). ``keys`` needs
    space for a block.
    """
    n, used = flat.size // query.size, 0
    while start < n:
        block = _next_block(flat, start, n, query, radius + 1, BLOCK)
        if used + BLOCK > keys.size:
            return used, block
        start = min(block + BLOCK, n)
        used += _near(flat, first, block, start, query, radius + 1, allowed, keys[used:])
    return used, n


@jit()
def sample_limits(sample: Words, queries: Words, rank: int, n_bits: int) -> Ints:
    """Return for each query a limit that at least ``rank`` codes of a sample are below.

    Only the nearest code of each group counts: a little more than the exact limit now and then,
    but much less to count. Without enough groups the limit is n_bits + 1: all codes are below it.

    Parameters
    ----------
    sample
        Words of codes, shape (words of a code, codes of a group, groups).
    queries
        Shape (Q, words of a code).
    rank, n_bits
        How many, and bits of a code.
    """
    n_words, n_members, n_groups = sample.shape
    distances, least = np.empty(n_groups, np.uint64), np.empty(n_groups, np.uint64)
    counts = np.empty(n_bits + 1, np.int64)
    limits = np.full(len(queries), n_bits + 1)
    for q in range(len(queries)):
        least[:] = np.uint64(n_bits)
        for member in range(n_members):
            _set_distances(sample[0, member], queries[q, 0], distances)
            for w in range(1, n_words):
                _add_distances(sample[w, member], queries[q, w], distances)
            _lower(least, distances)
        limits[q] = limit_of(least, rank, n_bits, counts)
    return limits


# Loops over whole arrays in functions of their own: so LLVM vectorises them.


@jit()
def _set_distances(words: Words, x: np.uint64, distances: Words) -> None:
    for i in range(words.size):
        distances[i] = np.uint64(popcount(words[i] ^ x))


@jit()
def _add_distances(words: Words, x: np.uint64, distances: Words) -> None:
    for i in range(words.size):
        distances[i] += np.uint64(popcount(words[i] ^ x))


@jit()
def _lower(least: Words, distances: Words) -> None:
    for i in range(least.size):
        least[i] = min(least[i], distances[i])
