"""The two compiled scans, fed in pieces: tiles of queries, ranges of rows, threads.

How the work is cut decides only how fast it is. Few queries: every thread takes a range of the
rows for all of them. Many queries: every thread takes tiles of queries through all rows. No
call of a kernel lasts much longer than a tenth of a second, so that Ctrl-C is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from nphash.core.threads import cut, run_blocks
from nphash.core.typing import Ints, Words
from nphash.search import keys as packed
from nphash.search.kernels import bit_sliced, popcount_scan, top_k
from nphash.search.keys import Keys
from nphash.search.rows import Rows

__all__ = ["SAMPLE", "Work", "nearest", "within"]

T = TypeVar("T")
Ranged = tuple[Ints, Keys]  # the query of each result, and its key

_TILE = 1024  # queries: more of them in one pass fall out of the cache
SAMPLE = 4096  # codes from which the first limits are taken
_PAIRS = 1 << 29  # (query, code) pairs that one kernel call may take: some hundredths of a second
_MEMORY = 1 << 26  # bytes for the buffers of one tile
_SHARE = 1 << 20  # words compared: for less, waking another thread takes longer than it saves


used: set[tuple[str, int]] = set()  # what is compiled: (strategy, bytes of a code for the bit-sliced scan)


class Stop:
    """Tells the threads of one search that another of them has failed."""

    now = False


class Work(NamedTuple):
    """Who does it and how."""

    sliced: bool  # bit-sliced scan, or popcount scan
    threads: int
    step: Callable[[int], None] = lambda done: None  # told the (query, code) pairs done; may raise to stop


def nearest(rows: Rows, queries: Words, k: int, limits: Ints | None, work: Work, sample: Words) -> Keys:
    """Return the sorted keys of the ``k`` nearest rows of each query, shape (Q, k).

    Missing ones are `keys.NONE`. With ``limits``, shape (Q,), only rows nearer than that are wanted.
    ``sample``, shape (words of a code, any), holds some rows that may be found (`Rows.sample`).
    """
    if not len(queries) or not rows.n_allowed:
        return np.full((len(queries), k), packed.NONE)
    if limits is not None:
        return _nearest(rows, queries, k, limits, work, sample, k)
    most = np.full(len(queries), rows.n_bits + 1)
    out = _nearest(rows, queries, k, most, work, sample, _rank(k, sample.shape[1], rows.n_allowed))
    short = np.flatnonzero(out[:, -1] == packed.NONE)
    if len(short):
        out[short] = _nearest(rows, queries[short], k, most[short], work, sample, k)
    return out


def _rank(k: int, size: int, n: int) -> int:
    """Return how many of ``size`` sampled rows below a limit mean, almost surely, ``k`` of all ``n`` below.

    The k nearest rows bring k * size / n into the sample on average, and hardly ever four standard
    deviations more. A limit that so many are below is guessed too low once in ten thousand
    queries, which are then searched again; but it is much lower than the limit that is safe,
    with k rows of the sample below it.
    """
    mean = k * size / n
    return min(k, math.ceil(mean + 4 * math.sqrt(mean) + 2))


def _first_limits(sample: Words, queries: Words, rank: int, n_bits: int) -> Ints:
    """Return limits that ``rank`` rows of the sample are below; k of them cannot exclude a neighbour."""
    n_words, size = sample.shape
    groups = min(size, 1 << (8 * rank).bit_length())
    members = size // groups if groups else 0
    grouped = np.ascontiguousarray(sample[:, : members * groups]).reshape(n_words, members, groups)
    limits: Ints = popcount_scan.sample_limits(grouped, queries, rank, n_bits)
    return limits


def _nearest(rows: Rows, queries: Words, k: int, limits: Ints, work: Work, sample: Words, rank: int) -> Keys:
    out = np.empty((len(queries), k), np.uint64)

    def one_tile(start: int, stop: int, low: int, high: int, stopped: Stop) -> Keys:
        chosen = queries[start:stop]
        first_limits = _first_limits(sample, chosen, rank, rows.n_bits)
        top = top_k.empty(np.minimum(limits[start:stop], first_limits), k, rows.n_bits)
        scan = _nearest_scan(chosen, k, rows, top, work.sliced)
        for first, words in rows.pieces(low, high, max(1 << 16, _PAIRS // len(chosen))):
            _check(stopped)
            scan(words.reshape(-1), first)
            work.step(len(chosen) * len(words))
        found = np.empty((len(chosen), k), np.uint64)
        top_k.finish(top, 0, len(chosen), k, found)
        return found

    tile = min(_TILE, max(1, _MEMORY // (16 * k + 4 * rows.n_bits)))
    for start, stop, parts in _divided(one_tile, rows, len(queries), tile, work):
        out[start:stop] = packed.merge(parts, k)
    return out


def _nearest_scan(
    queries: Words, k: int, rows: Rows, top: top_k.TopK, sliced: bool
) -> Callable[[Words, int], None]:
    if not sliced:
        return lambda flat, first: popcount_scan.nearest(flat, first, queries, k, rows.allowed, top, 0)
    odd = bit_sliced.parities(queries)
    space = bit_sliced.workspace(rows.n_bits, len(queries))
    return lambda flat, first: bit_sliced.nearest(flat, first, queries, odd, k, rows.allowed, top, space)


def within(rows: Rows, queries: Words, radius: int, work: Work) -> tuple[Ints, Keys]:
    """Return (offsets, keys): the sorted keys of all rows at most ``radius`` from each query."""
    radius = min(radius, rows.n_bits)
    everything: list[Ranged] = [(np.empty(0, np.int64), np.empty(0, np.uint64))]

    def one_tile(start: int, stop: int, low: int, high: int, stopped: Stop) -> list[Ranged]:
        chosen = queries[start:stop]
        find = _within_sliced(chosen, radius, rows) if work.sliced else _within_popcount(chosen, radius, rows)
        found = []
        for first, words in rows.pieces(low, high, max(1 << 16, _PAIRS // 4 // len(chosen))):
            _check(stopped)
            found += [(query + start, keys) for query, keys in find(words.reshape(-1), first)]
            work.step(len(chosen) * len(words))
        return found

    if len(queries) and rows.n_allowed:
        for _, _, parts in _divided(one_tile, rows, len(queries), _TILE, work):
            everything += [pair for part in parts for pair in part]
    query = np.concatenate([pair[0] for pair in everything])
    keys = np.concatenate([pair[1] for pair in everything])
    order = np.lexsort((keys, query))
    counts = np.bincount(query, minlength=len(queries))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), keys[order]


def _within_popcount(queries: Words, radius: int, rows: Rows) -> Callable[[Words, int], list[Ranged]]:
    def find(flat: Words, first: int) -> list[Ranged]:
        found = []
        n = flat.size // rows.n_words
        for q, query in enumerate(queries):
            start = 0
            while start < n:
                keys = np.empty(1 << 14, np.uint64)
                used, start = popcount_scan.within(flat, first, start, query, radius, rows.allowed, keys)
                found.append((np.full(used, q), keys[:used]))
        return found

    return find


def _within_sliced(queries: Words, radius: int, rows: Rows) -> Callable[[Words, int], list[Ranged]]:
    odd = bit_sliced.parities(queries)
    space = bit_sliced.workspace(rows.n_bits, len(queries))
    capacity = max(1 << 16, 512 * len(queries))
    query, keys = np.empty(capacity, np.int64), np.empty(capacity, np.uint64)

    def find(flat: Words, first: int) -> list[Ranged]:
        found, start = [], 0
        while start < flat.size // rows.n_words:
            used, start = bit_sliced.within(
                flat, first, start, queries, odd, radius, rows.allowed, space, (query, keys)
            )
            found.append((query[:used].copy(), keys[:used].copy()))
        return found

    return find


def _divided(
    one_tile: Callable[..., T], rows: Rows, n_queries: int, tile: int, work: Work
) -> list[tuple[int, int, list[T]]]:
    """Run ``one_tile`` over all queries and rows; return (first query, last, results of the row ranges)."""
    stopped = Stop()
    used.add(("bit-sliced", -(-rows.n_bits // 8)) if work.sliced else ("popcount", 0))
    n = rows.n - rows.start
    threads = max(1, min(work.threads, n * rows.n_words * n_queries // _SHARE))
    few = n_queries < (64 if work.sliced else 2) * threads
    ranges = _cut(rows.start, rows.n, -(-n // threads) if few else n)
    tiles = _cut(0, n_queries, tile if few else min(tile, -(-n_queries // threads)))
    jobs = [(*queries, *span) for queries in tiles for span in ranges]

    def guarded(start: int, stop: int) -> T:
        try:
            return one_tile(*jobs[start], stopped)
        except BaseException:  # Ctrl-C as well: the other threads see it before their next piece
            stopped.now = True
            raise

    try:
        results = run_blocks(guarded, cut(len(jobs), 1), threads)
    finally:
        stopped.now = True
    return [(*queries, results[i * len(ranges) : (i + 1) * len(ranges)]) for i, queries in enumerate(tiles)]


def _cut(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    return [(low, min(low + size, stop)) for low in range(start, stop, max(1, size))]


def _check(stopped: Stop) -> None:
    if stopped.now:
        raise KeyboardInterrupt
