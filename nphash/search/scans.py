"""The two compiled scans, fed in pieces: tiles of queries, ranges of rows, threads.

Few queries: every thread takes a range of the rows for all of them. Many: every thread takes tiles of
queries through all rows. No call of a kernel lasts much longer than a tenth of a second, for Ctrl-C.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from nphash.core.threads import run_blocks, split_range
from nphash.core.typing import Ints, Words
from nphash.search import bit_sliced, planner, popcount_scan, top_k
from nphash.search import keys as packed
from nphash.search.keys import Keys
from nphash.search.table import Rows

T = TypeVar("T")
Pieces = Callable[[int], Iterator[tuple[int, Words]]]  # (codes at a time) -> (first position, flat words)

_TILE = 1024  # queries: more of them in one pass fall out of the cache
_PAIRS = 1 << 29  # (query, code) pairs that one kernel call may take: some hundredths of a second
_LEAST = 1 << 16  # codes of one kernel call: for fewer it takes longer to begin than to run
_MEMORY = 1 << 26  # bytes for the buffers of one tile
_SHARE = 1 << 20  # words compared: for less, waking another thread takes longer than it saves


class Scan(NamedTuple):
    """Queries, the rows they are compared with, and how."""

    rows: Rows
    queries: Words  # (Q, words of a code)
    sliced: bool  # bit-sliced scan, or popcount scan
    threads: int


def nearest(scan: Scan, k: int, limits: Ints | None, sample: Words) -> Keys:
    """Return the sorted keys of the ``k`` nearest rows of each query, shape (Q, k); missing ones are NONE.

    With ``limits``, (Q,), only nearer rows are wanted. ``sample``, (words, any), comes from `Rows.sample`.
    """
    rows, queries = scan.rows, scan.queries
    if not len(queries) or not rows.n_allowed:
        return np.full((len(queries), k), packed.NONE)
    if limits is not None:
        return _nearest(scan, k, limits, sample, k)
    most = np.full(len(queries), rows.n_bits + 1)
    out = _nearest(scan, k, most, sample, _rank(k, sample.shape[1], rows.n_allowed))
    short = np.flatnonzero(out[:, -1] == packed.NONE)
    if len(short):
        out[short] = _nearest(scan._replace(queries=queries[short]), k, most[short], sample, k)
    return out


def _rank(k: int, size: int, n: int) -> int:
    """Return how many of ``size`` sampled rows below a limit mean, almost surely, ``k`` of all ``n``."""
    # The k nearest rows bring k * size / n into the sample on average, and hardly ever four standard
    # deviations more. A limit that so many are below is guessed too low once in ten thousand queries, which
    # are then searched again; but it is much lower than the safe one, with k rows of the sample below it.
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


def _nearest(scan: Scan, k: int, limits: Ints, sample: Words, rank: int) -> Keys:
    rows, queries = scan.rows, scan.queries

    def one_tile(start: int, stop: int, pieces: Pieces) -> Keys:
        chosen = queries[start:stop]
        first_limits = _first_limits(sample, chosen, rank, rows.n_bits)
        top = top_k.empty(np.minimum(limits[start:stop], first_limits), k, rows.n_bits)
        space = bit_sliced.workspace(rows.n_bits, chosen) if scan.sliced else None
        for first, flat in pieces(max(_LEAST, _PAIRS // len(chosen))):
            if space:
                bit_sliced.nearest(flat, first, k, rows.allowed, top, space)
            else:
                popcount_scan.nearest(flat, first, chosen, k, rows.allowed, top)
        found = np.empty((len(chosen), k), np.uint64)
        top_k.finish(top, found)
        return found

    tiles = _run(one_tile, scan, min(_TILE, max(1, _MEMORY // (16 * k + 4 * rows.n_bits))))
    return np.concatenate([packed.merge(parts, k) for parts in tiles])


def within(scan: Scan, radius: int) -> tuple[Ints, Keys]:
    """Return (offsets, keys): the sorted keys of all rows at most ``radius`` from each query."""
    rows, queries = scan.rows, scan.queries
    radius = min(radius, rows.n_bits)

    def one_tile(start: int, stop: int, pieces: Pieces) -> list[bit_sliced.Found]:
        chosen, found = queries[start:stop], []
        space = bit_sliced.workspace(rows.n_bits, chosen) if scan.sliced else None
        capacity = max(1 << 16, bit_sliced.BLOCK * (len(chosen) + 1)) if space else 1 << 14
        out = np.empty(capacity, np.int64), np.empty(capacity, np.uint64)
        for first, flat in pieces(max(_LEAST, _PAIRS // 4 // len(chosen))):
            for q in range(1 if space else len(chosen)):
                code = 0
                while code < flat.size // rows.n_words:
                    if space:
                        used, code = bit_sliced.within(flat, first, code, radius, rows.allowed, space, out)
                    else:
                        about = chosen[q], radius, rows.allowed, out[1]
                        used, code = popcount_scan.within(flat, first, code, *about)
                        out[0][:used] = q
                    found.append((out[0][:used] + start, out[1][:used].copy()))
        return found

    tiles = _run(one_tile, scan, _TILE) if len(queries) and rows.n_allowed else []
    return packed.by_query([found for parts in tiles for part in parts for found in part], len(queries))


def _run(one_tile: Callable[[int, int, Pieces], T], scan: Scan, tile: int) -> list[list[T]]:
    """Run ``one_tile`` over all queries and rows; return for each tile the results of its row ranges."""
    rows, stopped = scan.rows, [False]
    n, n_queries = rows.n - rows.start, len(scan.queries)
    threads = max(1, min(scan.threads, n * rows.n_words * n_queries // _SHARE))
    few = n_queries < (64 if scan.sliced else 2) * threads
    ranges = split_range(n, -(-n // threads) if few else n)
    tiles = split_range(n_queries, tile if few else min(tile, -(-n_queries // threads)))
    jobs = [(queries, span) for queries in tiles for span in ranges]

    def one_job(job: int, _: int) -> T:
        queries, (low, high) = jobs[job]

        def pieces(size: int) -> Iterator[tuple[int, Words]]:
            for first, words in rows.pieces(rows.start + low, rows.start + high, size):
                if stopped[0]:
                    raise KeyboardInterrupt
                yield first, words.reshape(-1)

        try:
            return one_tile(*queries, pieces)
        except BaseException:  # Ctrl-C as well: the other threads see it before their next piece
            stopped[0] = True
            raise

    try:
        results = run_blocks(one_job, split_range(len(jobs), 1), threads)
    finally:
        stopped[0] = True
    planner.record_loaded("bit-sliced" if scan.sliced else "popcount", rows.n_bits)
    return [results[i : i + len(ranges)] for i in range(0, len(results), len(ranges))]
