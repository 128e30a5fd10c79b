"""Multi-index hashing as part of an index: built in segments, extended, saved, with a work budget.

The algorithm itself stands in `nphash.search.kernels.multi_index`. Memory for a code of W words: m
times (8 W + 4) bytes, for 64 bits and a million codes 48 bytes in place of the scan's 8.

New rows are first left to the scan. When they have become too many, they get buckets of their
own; when a segment is not much larger than the one behind it, the two are made anew as one (as
in a log-structured merge tree, every row is moved a logarithmic number of times).
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.threads import cut, run_blocks
from nphash.core.typing import Ints, Words
from nphash.search import keys as packed
from nphash.search import planner
from nphash.search.kernels import multi_index as kernel
from nphash.search.kernels.multi_index import Buckets
from nphash.search.keys import Keys
from nphash.search.rows import Rows

__all__ = ["MultiIndex", "arrays", "build", "extended", "from_arrays", "nearest", "within"]


_TILE = 64  # queries of one kernel call
_TAIL = 0.05  # share of rows that the scan may have to look at before they get buckets


class MultiIndex(NamedTuple):
    """Buckets of the first rows of an index; never changed, only replaced."""

    segments: tuple[tuple[int, Buckets], ...]  # (position of the first row, buckets)
    n: int  # rows in all of them

    @property
    def nbytes(self) -> int:
        """Memory of all segments."""
        return sum(array.nbytes for _, buckets in self.segments for array in buckets)


def build(rows: Rows, threads: int, start: int = 0) -> MultiIndex:
    """Sort the rows from position ``start`` on into buckets; removed ones too, they are skipped when met."""
    n = rows.n - start
    # The parts are one after the other in memory only if the index was never added to.
    pieces = [words for _, words in rows.pieces(start, rows.n, max(n, 1))]
    flat = (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(-1)
    # Only whole bytes in use are cut; on a big-endian machine these are not the low bits: cut whole words.
    n_bits = 8 * -(-rows.n_bits // 8) if sys.byteorder == "little" else 64 * rows.n_words
    m = planner.n_substrings(n_bits, n)
    lengths = np.array([n_bits // m + (j < n_bits % m) for j in range(m)], dtype=np.int64)
    buckets = Buckets(
        np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        lengths,
        np.zeros((m, (1 << int(lengths.max())) + 1), np.uint32),
        np.empty((m, n), np.uint32),
        np.empty((m, n * rows.n_words), np.uint64),
    )
    run_blocks(lambda j, _: kernel.fill_buckets(flat, buckets, j), cut(m, 1), threads)
    return MultiIndex(((start, buckets),), rows.n)


def extended(index: MultiIndex, rows: Rows, threads: int) -> MultiIndex:
    """Return ``index`` with buckets for later rows too, if there are enough of them to be worth it."""
    if rows.n - index.n <= _TAIL * rows.n:
        return index
    segments = list(index.segments)
    start = index.n
    while segments and start - segments[-1][0] < 2 * (rows.n - start):
        start = segments.pop()[0]
    return MultiIndex((*segments, *build(rows, threads, start).segments), rows.n)


def nearest(
    index: MultiIndex, rows: Rows, queries: Words, k: int, budget: int, threads: int
) -> tuple[Keys, Ints]:
    """Return the sorted keys of the ``k`` nearest of the indexed rows, and the codes looked at.

    Where the work of a query is `kernels.multi_index.OVER_BUDGET`, its keys are not valid.
    """
    out, work = np.empty((len(queries), k), np.uint64), np.zeros(len(queries), np.int64)

    def one_tile(start: int, stop: int) -> None:
        chosen = queries[start:stop]
        best = np.full((stop - start, k), packed.NONE)
        spent = np.empty(stop - start, np.int64)
        for first, buckets in index.segments:
            # Later rows lose ties: only nearer ones than the k-th so far can still get in.
            limits = packed.distances(best[:, -1]).astype(np.int64)
            found = np.empty_like(best)
            kernel.nearest(buckets, first, chosen, k, limits, budget, rows.allowed, found, spent)
            best = packed.merge([best, found], k)
            failed = (spent < 0) | (work[start:stop] < 0)
            work[start:stop] = np.where(failed, kernel.OVER_BUDGET, work[start:stop] + spent)
        out[start:stop] = best

    run_blocks(one_tile, cut(len(queries), _TILE), threads)
    return out, work


def within(
    index: MultiIndex, rows: Rows, queries: Words, radius: int, budget: int, threads: int
) -> list[Keys | None]:
    """Return the sorted keys of the indexed rows at most ``radius`` from each query, or None over budget."""
    found: list[Keys | None] = [None] * len(queries)

    def one_tile(start: int, stop: int) -> None:
        for first, buckets in index.segments:
            parts = _within_segment(buckets, first, queries[start:stop], radius, budget, rows)
            for q, part in enumerate(parts, start):
                earlier = found[q]
                if first == index.segments[0][0]:
                    found[q] = part
                elif earlier is not None:
                    found[q] = None if part is None else np.sort(np.concatenate([earlier, part]))

    run_blocks(one_tile, cut(len(queries), _TILE), threads)
    return found


def _within_segment(
    buckets: Buckets, first: int, queries: Words, radius: int, budget: int, rows: Rows
) -> list[Keys | None]:
    parts: list[Keys | None] = []
    room = 1 << 14
    while len(parts) < len(queries):
        keys, ends = np.empty(room, np.uint64), np.empty(len(queries), np.int64)
        rest = queries[len(parts) :]
        done = kernel.within(buckets, first, rest, radius, budget, rows.allowed, keys, ends)
        start = 0
        for end in ends[:done].tolist():
            parts.append(keys[start:end].copy() if end >= 0 else None)
            start = end if end >= 0 else -1 - end
        if not done:
            room *= 4  # one query alone did not fit
    return parts


def arrays(index: MultiIndex) -> dict[str, npt.NDArray[Any]]:
    """Return what a file has to keep."""
    return {
        f"bucket_{name}_{first}": getattr(buckets, name)
        for first, buckets in index.segments
        for name in Buckets._fields
    }


def from_arrays(arrays: dict[str, npt.NDArray[Any]]) -> MultiIndex | None:
    """Return the index kept by `arrays`, or None if there is none among them."""
    firsts = sorted(int(name.rpartition("_")[2]) for name in arrays if name.startswith("bucket_starts_"))
    segments = tuple(
        (first, Buckets(*(arrays[f"bucket_{name}_{first}"] for name in Buckets._fields))) for first in firsts
    )
    if not segments:
        return None
    return MultiIndex(segments, segments[-1][0] + segments[-1][1].rows.shape[1])
