"""Multi-index hashing: exact neighbours by looking codes up instead of scanning them.

M. Norouzi, A. Punjani and D. Fleet, *Fast search in Hamming space with multi-index hashing*,
CVPR 2012. Cut every code into m substrings and sort the codes, once for each substring, into
buckets by its value. If a code differs from the query in fewer than m * r bits, then one of its
substrings differs in fewer than r: it stands in a bucket whose value is near that substring of
the query. So go through the buckets at radius 0, 1, 2, ... of each substring in turn. After
substring j at radius r, every code at most m * r + j away has been seen; as soon as k codes
are that near, they are the answer.

A code that several substrings lead to is met several times. It counts only where it is met
first, which its own bits tell: no list of codes seen so far is needed.

Letters: m substrings, n codes, W words of a code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.jit.words import popcount, prefetch
from nphash.core.typing import Ints, Words

__all__ = ["OVER_BUDGET", "Buckets", "fill_buckets", "nearest", "within"]


OVER_BUDGET = -1
_BUFFER_FULL = -2
_PROBE = 4  # what opening a bucket costs, in codes looked at
_AT_ONCE = 32  # buckets that memory is asked for before the first is looked into

_SHIFT = np.uint64(48)
_ONE = np.uint64(1)


class Buckets(NamedTuple):
    """The codes of one segment, sorted into buckets once for each substring."""

    starts: Ints  # (m,) first bit of each substring
    lengths: Ints  # (m,) its number of bits
    offsets: npt.NDArray[np.uint32]  # (m, 2^longest + 1) where each bucket begins
    rows: npt.NDArray[np.uint32]  # (m, n) number of each code in the segment
    words: Words  # (m, n * W) the codes themselves, in the order of ``rows``: one access finds both


@jit(inline=True)
def _substring(words: Words, start: int, length: int) -> np.int64:
    """Return the bits ``start`` to ``start + length`` of a code as a number."""
    word = start >> 6
    return np.int64(_cut(words[word], words[min(word + 1, words.size - 1)], start & 63, length))


@jit(inline=True)
def _cut(low: np.uint64, high: np.uint64, shift: int, length: int) -> np.uint64:
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
    place = offsets.copy()
    for i in range(n):
        value = _substring(flat[i * n_words : (i + 1) * n_words], start, length)
        p = np.int64(place[value])
        place[value] += 1
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
    """Tell whether a code with these differing bits was met before substring ``j`` at radius ``r``."""
    last = different.size - 1
    for i in range(starts.size):
        if i != j:
            word = starts[i] >> 6
            part = _cut(different[word], different[min(word + 1, last)], starts[i] & 63, lengths[i])
            bits = popcount(part)
            if bits < r or (bits == r and i < j):
                return True
    return False


class Found(NamedTuple):
    """Scratch memory of one query: what was found, and counts of it by distance."""

    keys: Words  # (capacity,) distance << 48 | position
    counts: Ints  # (n_bits + 2,)
    state: Ints  # (4,) keys used; codes at most `furthest` away; furthest distance still taken; work done
    different: Words  # (W,)
    opened: Ints  # (_AT_ONCE,) buckets that are looked into next


@jit()
def _look_into(
    buckets: Buckets,
    first: int,
    query: Words,
    k: int,
    r: int,
    j: int,
    n_opened: int,
    allowed: npt.NDArray[np.uint8],
    found: Found,
) -> bool:
    """Take the codes of the opened buckets that are near enough; tell whether there was room for them."""
    # Arrays leave their tuples here, and the loops hand none to an inlined function: see `top_k.take`.
    starts, lengths, offsets, rows = buckets.starts, buckets.lengths, buckets.offsets, buckets.rows
    words, n_words = buckets.words[j], query.size
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
            keys[state[0]] = (np.uint64(d) << _SHIFT) | np.uint64(position)
            state[0] += 1
            counts[d] += 1
            state[1] += 1
            # Codes come in no order, so ties at the k-th distance are all kept until the end.
            while state[1] - counts[state[2]] >= k:
                state[1] -= counts[state[2]]
                state[2] -= 1
    return True


@jit()
def _drop_far(found: Found) -> bool:
    """Drop keys further than the furthest distance still taken; tell whether that made room."""
    kept = 0
    for i in range(found.state[0]):
        if np.int64(found.keys[i] >> _SHIFT) <= found.state[2]:
            found.keys[kept] = found.keys[i]
            kept += 1
    found.state[0] = kept
    return kept <= found.keys.size // 2  # else many ties: the scan handles them better


@jit()
def _fetch_buckets(buckets: Buckets, j: int, n_words: int, opened: Ints) -> np.int64:
    """Ask for the memory of several buckets at once: it takes as long as asking for one.

    Returns what looking into them will cost.
    """
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
    buckets: Buckets,
    first: int,
    query: Words,
    k: int,
    furthest: int,
    budget: int,
    allowed: npt.NDArray[np.uint8],
    found: Found,
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
                if not _look_into(buckets, first, query, k, r, j, opened, allowed, found):
                    return _BUFFER_FULL
    _drop_far(found)
    return int(state[0])


@jit()
def nearest(
    buckets: Buckets,
    first: int,
    queries: Words,
    k: int,
    limits: Ints,
    budget: int,
    allowed: npt.NDArray[np.uint8],
    out: Words,
    work: Ints,
) -> None:
    """Write the sorted keys of the k nearest codes of each query to ``out``, missing ones as all ones.

    Parameters
    ----------
    buckets, first
        A segment, and the position of its first code in the index.
    queries
        Shape (Q, W).
    k
        How many.
    limits
        Shape (Q,): only codes nearer than this are wanted.
    budget
        How many codes to look at before giving up.
    allowed
        For each position, 0 where it must not be found; empty for "all may".
    out
        Written, shape (Q, k).
    work
        Written, shape (Q,): codes looked at, or `OVER_BUDGET` for queries given up.
    """
    n_words = queries.shape[1]
    found = Found(
        np.empty(4 * k + 4096, np.uint64),
        np.empty(64 * n_words + 2, np.int64),
        np.empty(4, np.int64),
        np.empty(n_words, np.uint64),
        np.empty(_AT_ONCE, np.int64),
    )
    for q in range(queries.shape[0]):
        furthest = min(limits[q] - 1, 64 * n_words)
        used = _search(buckets, first, queries[q], k, furthest, budget, allowed, found)
        out[q, :] = np.uint64(2**64 - 1)
        work[q] = OVER_BUDGET
        if used >= 0:
            keys = np.sort(found.keys[:used])
            out[q, : min(k, used)] = keys[:k]
            work[q] = found.state[3]


@jit()
def within(
    buckets: Buckets,
    first: int,
    queries: Words,
    radius: int,
    budget: int,
    allowed: npt.NDArray[np.uint8],
    keys: Words,
    ends: Ints,
) -> int:
    """Write the sorted keys of all codes at most ``radius`` away, query after query, while they fit.

    ``ends[q]`` becomes the end of query q's keys, or -1 - end for a query over budget, which has
    none. Returns the number of queries done; one that does not fit stays for the next call.
    """
    n_words, used = queries.shape[1], 0
    counts, different = np.empty(64 * n_words + 2, np.int64), np.empty(n_words, np.uint64)
    opened = np.empty(_AT_ONCE, np.int64)
    for q in range(queries.shape[0]):
        found = Found(keys[used:], counts, np.empty(4, np.int64), different, opened)
        # More neighbours are asked for than there can be, so that the radius never shrinks.
        count = _search(buckets, first, queries[q], 2**62, min(radius, 64 * n_words), budget, allowed, found)
        if count == _BUFFER_FULL:
            return q
        if count == OVER_BUDGET:
            ends[q] = -1 - used
            continue
        keys[used : used + count] = np.sort(keys[used : used + count])
        used += count
        ends[q] = used
    return int(queries.shape[0])
