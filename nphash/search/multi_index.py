"""Multi-index hashing: exact neighbours by looking codes up instead of scanning them.

M. Norouzi, A. Punjani and D. Fleet, *Fast search in Hamming space with multi-index hashing*,
CVPR 2012; docs/develop/search.rst shows why it is exact. Letters: m substrings, n codes, W words of a code.

Memory for a code: m times (8 W + 4) bytes, for 64 bits and a million codes 48 bytes in place of the scan's 8.
New rows are first left to the scan. When they have become too many, they get buckets of their own, a segment;
segments of similar size are made anew as one, so every row is moved a logarithmic number of times.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.jit.words import popcount, prefetch
from nphash.core.threads import run_blocks, split_range
from nphash.core.typing import Array, Ints, Words
from nphash.search import keys as packed
from nphash.search import planner
from nphash.search.keys import NONE, SHIFT, Keys
from nphash.search.table import Allowed, Rows

OVER_BUDGET = -1
_BUFFER_FULL = -2
_PROBE = 4  # what opening a bucket costs, in codes looked at
_AT_ONCE = 32  # buckets that memory is asked for before the first is looked into
_TILE = 64  # queries of one kernel call
_TAIL = 0.05  # share of rows that the scan may have to look at before they get buckets

_ONE = np.uint64(1)


class Buckets(NamedTuple):
    """A segment: some consecutive rows, their codes sorted into buckets once for each substring."""

    first: int  # position of the first row
    starts: Ints  # (m,) first bit of each substring
    lengths: Ints  # (m,) its number of bits
    offsets: npt.NDArray[np.uint32]  # (m, 2^longest + 1) where each bucket begins
    rows: npt.NDArray[np.uint32]  # (m, n) number of each code in the segment
    words: Words  # (m, n * W) the codes themselves, in the order of ``rows``: one access finds both


_ARRAYS = Buckets._fields[1:]


@jit(inline=True)
def _substring(words: Words, start: int, length: int) -> np.int64:
    """Return the bits ``start`` to ``start + length`` of a code as a number."""
    word = start >> 6
    return np.int64(_bits_of(words[word], words[min(word + 1, words.size - 1)], start & 63, length))


@jit(inline=True)
def _bits_of(low: np.uint64, high: np.uint64, shift: int, length: int) -> np.uint64:
    """Return ``length`` bits of two words, from bit ``shift`` of the lower one on."""
    value = low >> np.uint64(shift)
    if shift + length > 64:
        value |= high << np.uint64(64 - shift)
    return value & ((_ONE << np.uint64(length)) - _ONE)


@jit()
def fill_buckets(flat: Words, buckets: Buckets, j: int) -> None:
    """Sort the codes into the buckets of substring ``j`` (counting sort, stable)."""
    n = buckets.rows.shape[1]
    if n == 0:
        return
    n_words = flat.size // n
    start, length, offsets = buckets.starts[j], buckets.lengths[j], buckets.offsets[j]
    for i in range(n):
        offsets[_substring(flat[i * n_words : (i + 1) * n_words], start, length) + 1] += 1
    for b in range(1, offsets.size):
        offsets[b] += offsets[b - 1]
    ends = offsets.copy()
    for i in range(n):
        value = _substring(flat[i * n_words : (i + 1) * n_words], start, length)
        p = np.int64(ends[value])
        ends[value] += 1
        buckets.rows[j, p] = i
        for w in range(n_words):
            buckets.words[j, p * n_words + w] = flat[i * n_words + w]


@jit()
def _next_of_equal_weight(mask: np.uint64) -> np.uint64:
    """Return the next larger number with as many ones (Gosper)."""
    lowest = mask & (~mask + _ONE)
    ripple = mask + lowest
    return (((ripple ^ mask) >> np.uint64(2)) // lowest) | ripple


@jit()
def _met_before(starts: Ints, lengths: Ints, different: Words, r: int, j: int) -> bool:
    """Return whether a code with these differing bits was met before substring ``j`` at radius ``r``."""
    last = different.size - 1
    for i in range(starts.size):
        if i != j:
            word = starts[i] >> 6
            part = _bits_of(different[word], different[min(word + 1, last)], starts[i] & 63, lengths[i])
            bits = popcount(part)
            if bits < r or (bits == r and i < j):
                return True
    return False


class _Found(NamedTuple):
    """Scratch memory of one query: what was found, and counts of it by distance."""

    keys: Words  # (capacity,) distance << 48 | position
    counts: Ints  # (n_bits + 2,)
    state: Ints  # (4,) keys used; codes at most `furthest` away; furthest distance still taken; work done
    different: Words  # (W,)
    opened: Ints  # (_AT_ONCE,) buckets that are looked into next


@jit()
def _look_into(
    buckets: Buckets, query: Words, k: int, r: int, j: int, n_opened: int, allowed: Allowed, found: _Found
) -> bool:
    """Take the codes of the opened buckets that are near enough; return whether they fitted in."""
    # Arrays leave their tuples here, and the loops hand none to an inlined function: see `top_k.take`.
    starts, lengths, offsets, rows = buckets.starts, buckets.lengths, buckets.offsets, buckets.rows
    first, words, n_words = buckets.first, buckets.words[j], query.size
    keys, counts, state, different, opened = found
    for o in range(n_opened):
        b = opened[o]
        for p in range(np.int64(offsets[j, b]), np.int64(offsets[j, b + 1])):
            d = 0
            for w in range(n_words):
                different[w] = words[p * n_words + w] ^ query[w]
                d += popcount(different[w])
            if d > state[2]:
                continue
            position = first + np.int64(rows[j, p])
            if _met_before(starts, lengths, different, r, j) or (allowed.size and allowed[position] == 0):
                continue
            if state[0] == keys.size and not _drop_far(found):
                return False
            keys[state[0]] = (np.uint64(d) << SHIFT) | np.uint64(position)
            state[0] += 1
            counts[d] += 1
            state[1] += 1
            # Codes come in no order, so ties at the k-th distance are all kept until the end.
            while state[1] - counts[state[2]] >= k:
                state[1] -= counts[state[2]]
                state[2] -= 1
    return True


@jit()
def _drop_far(found: _Found) -> bool:
    """Drop keys further than the furthest distance still taken; return whether there is space again."""
    kept = 0
    for i in range(found.state[0]):
        if np.int64(found.keys[i] >> SHIFT) <= found.state[2]:
            found.keys[kept] = found.keys[i]
            kept += 1
    found.state[0] = kept
    return kept <= found.keys.size // 2  # else many ties: the scan handles them better


@jit()
def _fetch_buckets(buckets: Buckets, j: int, n_words: int, opened: Ints) -> np.int64:
    """Ask for the memory of several buckets at once: it takes as long as one. Return their cost."""
    offsets, words, work = buckets.offsets[j], buckets.words[j], np.int64(0)
    for i in range(opened.size):
        prefetch(offsets, opened[i])
    for i in range(opened.size):
        start, stop = np.int64(offsets[opened[i]]), np.int64(offsets[opened[i] + 1])
        prefetch(words, n_words * start)
        prefetch(words, n_words * start + 8)  # the next cache line
        work += _PROBE + stop - start
    return work


@jit()
def _search(
    buckets: Buckets, query: Words, k: int, furthest: int, budget: int, allowed: Allowed, found: _Found
) -> int:
    """Find the k nearest codes at most ``furthest`` away, in no order; return how many keys there are."""
    m, n_words, state = buckets.starts.size, query.size, found.state
    found.counts[:] = 0
    state[0], state[1], state[2], state[3] = 0, 0, furthest, 0
    for r in range(buckets.lengths.max() + 1):
        for j in range(m):
            # Every code at most m * r + j - 1 away has been met: enough?
            if state[2] < m * r + j:
                _drop_far(found)
                return int(state[0])
            length = buckets.lengths[j]
            if r > length:
                continue
            value = _substring(query, buckets.starts[j], length)
            mask, end = (_ONE << np.uint64(r)) - _ONE, _ONE << np.uint64(length)
            while mask < end:
                opened = 0
                while mask < end and opened < _AT_ONCE:
                    found.opened[opened] = value ^ np.int64(mask)
                    opened += 1
                    mask = _next_of_equal_weight(mask) if r else end
                state[3] += _fetch_buckets(buckets, j, n_words, found.opened[:opened])
                if state[3] > budget:
                    return OVER_BUDGET
                if not _look_into(buckets, query, k, r, j, opened, allowed, found):
                    return _BUFFER_FULL
    _drop_far(found)
    return int(state[0])


@jit()
def find_nearest(
    buckets: Buckets,
    queries: Words,
    k: int,
    limits: Ints,
    budget: int,
    allowed: Allowed,
    out: Words,
    work: Ints,
) -> None:
    """Write the sorted keys of the k nearest codes of each query to ``out``, (Q, k), missing ones `NONE`.

    Only codes nearer than the query's limit, (Q,), are wanted. ``work``, (Q,), becomes the number of codes
    looked at, or `OVER_BUDGET` for queries given up because they would be more than ``budget``.
    """
    n_words = queries.shape[1]
    found = _Found(
        np.empty(4 * k + 4096, np.uint64),
        np.empty(64 * n_words + 2, np.int64),
        np.empty(4, np.int64),
        np.empty(n_words, np.uint64),
        np.empty(_AT_ONCE, np.int64),
    )
    for q in range(queries.shape[0]):
        furthest = min(limits[q] - 1, 64 * n_words)
        used = _search(buckets, queries[q], k, furthest, budget, allowed, found)
        out[q, :] = NONE
        work[q] = OVER_BUDGET
        if used >= 0:
            keys = np.sort(found.keys[:used])
            out[q, : min(k, used)] = keys[:k]
            work[q] = found.state[3]


@jit()
def find_within(
    buckets: Buckets, queries: Words, radius: int, budget: int, allowed: Allowed, keys: Words, ends: Ints
) -> int:
    """Write the sorted keys of all codes at most ``radius`` away, query after query, while they fit.

    ``ends[q]`` becomes the end of query q's keys, or -1 - end for a query over budget, which has
    none. Returns the number of queries done; one that does not fit stays for the next call.
    """
    n_words, used = queries.shape[1], 0
    counts, different = np.empty(64 * n_words + 2, np.int64), np.empty(n_words, np.uint64)
    opened = np.empty(_AT_ONCE, np.int64)
    for q in range(queries.shape[0]):
        found = _Found(keys[used:], counts, np.empty(4, np.int64), different, opened)
        # More neighbours are asked for than there can be, so that the radius never shrinks.
        count = _search(buckets, queries[q], 2**62, min(radius, 64 * n_words), budget, allowed, found)
        if count == _BUFFER_FULL:
            return q
        if count == OVER_BUDGET:
            ends[q] = -1 - used
            continue
        keys[used : used + count] = np.sort(keys[used : used + count])
        used += count
        ends[q] = used
    return int(queries.shape[0])


class MultiIndex(NamedTuple):
    """Buckets of the first rows of an index; never changed, only replaced."""

    segments: tuple[Buckets, ...] = ()

    @property
    def n(self) -> int:
        """Rows in all segments."""
        return sum(buckets.rows.shape[1] for buckets in self.segments)

    @property
    def nbytes(self) -> int:
        """Memory of all segments."""
        return sum(array.nbytes for array in self.arrays().values())

    def extended(self, rows: Rows, threads: int) -> MultiIndex:
        """Return this with buckets for later rows too, if there are enough of them to be worth it."""
        if rows.n - self.n <= _TAIL * rows.n:
            return self
        segments, start = list(self.segments), self.n
        while segments and start - segments[-1].first < 2 * (rows.n - start):
            start = segments.pop().first
        return MultiIndex((*segments, _build(rows, threads, start)))

    def nearest(self, rows: Rows, queries: Words, k: int, budget: int, threads: int) -> tuple[Keys, Ints]:
        """Return the sorted keys of the ``k`` nearest of the indexed rows, and the codes looked at.

        Where the work of a query is `OVER_BUDGET`, its keys are not valid.
        """
        out, work = np.empty((len(queries), k), np.uint64), np.zeros(len(queries), np.int64)

        def one_tile(start: int, stop: int) -> None:
            best = np.full((stop - start, k), NONE)
            spent, found = np.empty(stop - start, np.int64), np.empty_like(best)
            for buckets in self.segments:
                # Later rows lose ties: only nearer ones than the k-th so far can still get in.
                limits = packed.distances(best[:, -1]).astype(np.int64)
                find_nearest(buckets, queries[start:stop], k, limits, budget, rows.allowed, found, spent)
                best = packed.merge([best, found], k)
                failed = (spent < 0) | (work[start:stop] < 0)
                work[start:stop] = np.where(failed, OVER_BUDGET, work[start:stop] + spent)
            out[start:stop] = best

        run_blocks(one_tile, split_range(len(queries), _TILE), threads)
        return out, work

    def within(self, rows: Rows, queries: Words, radius: int, budget: int, threads: int) -> list[Keys | None]:
        """Return the sorted keys of the indexed rows up to ``radius`` from each query, None over budget."""

        def one_tile(start: int, stop: int) -> list[Keys | None]:
            found: list[Keys | None] = []
            each = (_within_segment(one, queries[start:stop], radius, budget, rows) for one in self.segments)
            for parts in zip(*each, strict=True):
                known = [part for part in parts if part is not None]
                found.append(np.sort(np.concatenate(known)) if len(known) == len(parts) else None)
            return found

        tiles = run_blocks(one_tile, split_range(len(queries), _TILE), threads)
        return [keys for tile in tiles for keys in tile]

    def arrays(self) -> dict[str, Array]:
        """Return what a file has to keep."""
        return {
            f"bucket_{name}_{buckets.first}": getattr(buckets, name)
            for buckets in self.segments
            for name in _ARRAYS
        }


def _build(rows: Rows, threads: int, start: int) -> Buckets:
    """Sort the rows from position ``start`` on into buckets; removed ones too, they are skipped when met."""
    n = rows.n - start
    # The parts are one after the other in memory only if the index was never added to.
    pieces = [words for _, words in rows.pieces(start, rows.n, max(n, 1))]
    flat = (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(-1)
    # Only bytes in use are divided; on a big-endian machine these are not the low bits: take whole words.
    n_bits = 8 * -(-rows.n_bits // 8) if sys.byteorder == "little" else 64 * rows.n_words
    m = planner.n_substrings(n_bits, n)
    lengths = np.array([n_bits // m + (j < n_bits % m) for j in range(m)], dtype=np.int64)
    buckets = Buckets(
        start,
        np.cumsum(lengths) - lengths,
        lengths,
        np.zeros((m, (1 << int(lengths.max())) + 1), np.uint32),
        np.empty((m, n), np.uint32),
        np.empty((m, n * rows.n_words), np.uint64),
    )
    run_blocks(lambda j, _: fill_buckets(flat, buckets, j), split_range(m, 1), threads)
    return buckets


def _within_segment(
    buckets: Buckets, queries: Words, radius: int, budget: int, rows: Rows
) -> list[Keys | None]:
    parts: list[Keys | None] = []
    capacity = 1 << 14
    while len(parts) < len(queries):
        keys, ends = np.empty(capacity, np.uint64), np.empty(len(queries), np.int64)
        rest = queries[len(parts) :]
        done = find_within(buckets, rest, radius, budget, rows.allowed, keys, ends)
        start = 0
        for end in ends[:done].tolist():
            parts.append(keys[start:end].copy() if end >= 0 else None)
            start = end if end >= 0 else -1 - end
        if not done:
            capacity *= 4  # one query alone did not fit
    return parts


def from_arrays(arrays: dict[str, Array]) -> MultiIndex | None:
    """Return the index kept by `MultiIndex.arrays`, or None if there is none among them."""
    firsts = sorted(int(name.rpartition("_")[2]) for name in arrays if name.startswith("bucket_starts_"))
    segments = (Buckets(first, *(arrays[f"bucket_{name}_{first}"] for name in _ARRAYS)) for first in firsts)
    return MultiIndex(tuple(segments)) if firsts else None
