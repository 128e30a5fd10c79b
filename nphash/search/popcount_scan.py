"""The scan for one or a few queries: xor, count the ones, and look twice only where it pays.

Of each block of 128 codes only the smallest distance is computed, a loop without branches that becomes vector
instructions. Nearly every block has nothing below the limit; the few others are gone through code by code.
"""

from __future__ import annotations

import numpy as np

from nphash.core.jit import jit
from nphash.core.jit.words import popcount
from nphash.core.typing import Ints, Words
from nphash.search.keys import SHIFT
from nphash.search.table import Allowed
from nphash.search.top_k import TopK, limit_of, take

BLOCK = 128
PART = 16  # of a block, looked at together once more before code by code
MOST_WAITING = 1024  # codes below the limit that are kept back, to be counted together
TILE = 1 << 15  # codes that stay in the cache while each query of a small batch passes over them


@jit()
def _least(words: Words, query: Words | tuple[np.uint64, ...]) -> np.int64:
    """Return the smallest distance of the codes to ``query``, array or tuple: its type has the length."""
    n_words = len(query)
    least = np.uint64(64 * n_words)
    for i in range(words.size // n_words):
        distance = np.uint64(0)
        for w in range(n_words):
            distance += np.uint64(popcount(words[n_words * i + w] ^ query[w]))
        least = min(least, distance)
    return np.int64(least)


@jit()
def _first_near(
    flat: Words, start: int, stop: int, query: Words | tuple[np.uint64, ...], limit: int, size: int
) -> int:
    n_words = len(query)
    for block in range(start, stop, size):
        # A slice, because LLVM vectorises a loop over a whole array, not one from a start to a stop.
        if _least(flat[n_words * block : n_words * min(block + size, stop)], query) < limit:
            return block
    return stop


@jit()
def _next_block(flat: Words, start: int, stop: int, query: Words, limit: int, size: int) -> int:
    """Return the first block of ``size`` codes with a distance below the limit, or ``stop``."""
    # The usual widths have to be known to the compiler: with one loop for all it took three times as long.
    if query.size == 1:
        return _first_near(flat, start, stop, (query[0],), limit, size)
    if query.size == 2:
        return _first_near(flat, start, stop, (query[0], query[1]), limit, size)
    if query.size == 4:
        return _first_near(flat, start, stop, (query[0], query[1], query[2], query[3]), limit, size)
    return _first_near(flat, start, stop, query, limit, size)


@jit()
def nearest(flat: Words, first: int, queries: Words, k: int, allowed: Allowed, top: TopK) -> None:
    """Pass all codes of ``flat`` by each query; keep the ``k`` best in ``top``.

    The first code is at position ``first``. ``allowed`` is 0 for each position that must not be found, or
    empty for "all may".
    """
    keys = np.empty(min(k, MOST_WAITING) + BLOCK, np.uint64)
    searches = np.empty(keys.size, np.int64)
    n = flat.size // queries.shape[1]
    size = TILE if queries.shape[0] > 1 else max(n, 1)
    for tile in range(0, n, size):
        end = min(tile + size, n)
        for q in range(queries.shape[0]):
            query, found, start = queries[q], 0, tile
            searches[:] = q
            while start < end:
                limit = top.limit[q]
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

    ``sample`` has shape (words of a code, codes of a group, groups). Only the nearest code of each
    group counts: a little more than the exact limit now and then, but much less to count. Without
    enough groups the limit is n_bits + 1: all codes are below it.
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


# Loops over whole arrays in functions of their own: so LLVM vectorises them. Clearing distances to add to
# them, instead of setting them, made a search for many queries 7 % slower: groups are small.


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
