"""The scan for many queries: every block of 512 codes is turned into bit planes once, for all queries.

For each block the tables of `bit_planes` are filled (about 2,300 cycles); then each query needs
about 70 cycles for 512 codes: no distance is computed, only the mask of codes that are below the
query's limit. These hits are rare. They are measured exactly and given to `top_k`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit
from nphash.kernels.adder_tree import n_levels
from nphash.kernels.bit_planes import BLOCK, fill, layout, table_shape, transpose
from nphash.kernels.bits import lowest_one, popcount
from nphash.kernels.popcount_scan import distance
from nphash.kernels.sliced_block import scan_block
from nphash.kernels.top_k import TopK, put
from nphash.kernels.vectors import LANES

__all__ = ["Workspace", "nearest", "parities", "within", "workspace"]

Words = npt.NDArray[np.uint64]
Allowed = npt.NDArray[np.uint8]

_ALL = np.uint64(2**64 - 1)


class Workspace(NamedTuple):
    """Memory of one thread: the tables of the current block, and the masks of all queries with hits."""

    width: tuple[int, ...]  # carries the number of bytes in its type, see `sliced_block.scan_block`
    triples: npt.NDArray[np.int64]
    singles: npt.NDArray[np.int64]
    block: Words  # (512,) one word of each code of a block
    planes: Words  # (64 * words, 8)
    tables: Words
    bias: Words  # (Q, levels)
    hits: Words  # (Q + 1, 8)
    hit_queries: npt.NDArray[np.int64]  # (Q + 1,)
    hit_lanes: npt.NDArray[np.int64]  # (Q + 1,) which words of the mask are not zero, as bits


def workspace(n_bits: int, n_queries: int) -> Workspace:
    """Return memory for ``n_queries`` queries of ``n_bits`` bits."""
    n_bits = -(-n_bits // 8) * 8  # padding bits are zero on both sides: they add nothing
    plan = layout(n_bits)
    return Workspace(
        (0,) * (n_bits // 8),
        np.array([64 * word + shift for word, shift in plan.triples], dtype=np.int64),
        np.array([64 * word + shift for word, shift in plan.singles], dtype=np.int64),
        _aligned((BLOCK,)),
        _aligned((64 * plan.n_words, LANES)),
        _aligned(table_shape(n_bits)),
        _aligned((n_queries, n_levels(n_bits))),
        _aligned((n_queries + 1, LANES)),
        np.empty(n_queries + 1, np.int64),
        np.empty(n_queries + 1, np.int64),
    )


def _aligned(shape: tuple[int, ...]) -> Words:
    """Return an array that starts at a multiple of 64 bytes: no vector of it crosses a cache line."""
    size = int(np.prod(shape))
    memory = np.empty(size + 8, np.uint64)
    skip = -memory.ctypes.data // 8 % 8
    return memory[skip : skip + size].reshape(shape)


def parities(queries: Words) -> Words:
    """Return words whose bit i is the parity of bits i, i + 1, i + 2 of the queries' words."""
    one, two = np.uint64(1), np.uint64(2)
    return np.ascontiguousarray(queries ^ (queries >> one) ^ (queries >> two))


@jit()
def _set_limit(bias: Words, q: int, limit: int) -> None:
    """Write the digits of 2^levels - limit, each spread over a word."""
    levels = bias.shape[1]
    number = (1 << levels) - max(limit, 1)  # a limit of 0 is left to the exact look at the hits
    for level in range(levels):
        bias[q, level] = _ALL if (number >> level) & 1 else np.uint64(0)


@jit()
def _load(flat: Words, n_words: int, start: int, space: Workspace) -> None:
    """Prepare the tables for the codes from ``start`` on; a short last block is filled up with zeros."""
    stop = min(start + BLOCK, flat.size // n_words)
    for word in range(n_words):
        planes = space.planes[64 * word : 64 * word + 64]
        if n_words == 1 and stop - start == BLOCK:
            transpose(flat[start:stop], planes)
            continue
        for i in range(stop - start):
            space.block[i] = flat[(start + i) * n_words + word]
        space.block[stop - start :] = np.uint64(0)
        transpose(space.block, planes)
    fill(space.planes, space.triples, space.singles, space.tables)


@jit()
def _scan(queries: Words, odd: Words, space: Workspace) -> int:
    """Run all queries against the block; return how many have hits (``hits`` and ``hit_queries``)."""
    found = 0
    for q in range(queries.shape[0]):
        lanes = scan_block(space.width, space.tables, queries, odd, space.bias, space.hits, q, found)
        if lanes:
            space.hit_queries[found], space.hit_lanes[found] = q, lanes
            found += 1
    return found


@jit()
def nearest(
    flat: Words, first: int, queries: Words, odd: Words, k: int, allowed: Allowed, top: TopK, space: Workspace
) -> None:
    """Pass all codes of ``flat`` by all queries, as `popcount_scan.nearest`; ``odd`` is their `parities`."""
    # Arrays leave their tuples here: taken out inside the loop, each would be counted as a reference.
    limit, taken, used, counts, keys = top
    bias, hits, hit_queries, hit_lanes = space.bias, space.hits, space.hit_queries, space.hit_lanes
    n_words = queries.shape[1]
    n = flat.size // n_words
    for q in range(queries.shape[0]):
        _set_limit(bias, q, limit[q])
    for start in range(0, n, BLOCK):
        _load(flat, n_words, start, space)
        for h in range(_scan(queries, odd, space)):
            q, lanes = hit_queries[h], hit_lanes[h]
            before, some = limit[q], _union(hits, h, lanes)
            while some != 0:  # in insertion order: bit by bit, and for each bit word by word
                bit = lowest_one(some)
                some &= some - np.uint64(1)
                left = lanes
                while left != 0:
                    lane = lowest_one(np.uint64(left))
                    left &= left - 1
                    i = start + LANES * bit + lane
                    if (hits[h, lane] >> np.uint64(bit)) & np.uint64(1) and i < n:
                        d = _distance(flat, i, queries, q)
                        if d < limit[q] and (allowed.size == 0 or allowed[first + i] != 0):
                            put(limit, taken, used, counts, keys, q, k, d, first + i)
            if limit[q] != before:
                _set_limit(bias, q, limit[q])


@jit(inline=True)
def _union(hits: Words, h: int, lanes: int) -> np.uint64:
    """Return the bits set in any word of a hit mask; mostly there is only one word."""
    some: np.uint64 = hits[h, lowest_one(np.uint64(lanes))]
    if lanes & (lanes - 1):
        for lane in range(LANES):
            some |= hits[h, lane]
    return some


@jit(inline=True)
def _distance(flat: Words, i: int, queries: Words, q: int) -> int:
    n_words = queries.shape[1]
    total = 0
    for w in range(n_words):
        total += popcount(flat[i * n_words + w] ^ queries[q, w])
    return total


@jit()
def within(
    flat: Words,
    first: int,
    start: int,
    queries: Words,
    odd: Words,
    radius: int,
    allowed: Allowed,
    space: Workspace,
    found: tuple[npt.NDArray[np.int64], Words],
) -> tuple[int, int]:
    """Write (query, key) pairs of codes at most ``radius`` away, block by block, until ``found`` is full.

    Returns how many were written and the code to go on with (n at the end). ``found`` needs room
    for all hits of one block, at most 512 for each query.
    """
    n_words = queries.shape[1]
    n, used = flat.size // n_words, 0
    for q in range(queries.shape[0]):
        _set_limit(space.bias, q, radius + 1)
    for block in range(start, n, BLOCK):
        _load(flat, n_words, block, space)
        n_hit = _scan(queries, odd, space)
        ones = 0
        for h in range(n_hit):
            for lane in range(LANES):
                ones += popcount(space.hits[h, lane])
        if used + ones > found[0].size:
            return used, block
        for h in range(n_hit):
            q = space.hit_queries[h]
            used = _keep_hits(flat, first, block, queries[q], radius, allowed, space.hits[h], found, used, q)
    return used, n


@jit()
def _keep_hits(
    flat: Words,
    first: int,
    start: int,
    query: Words,
    radius: int,
    allowed: Allowed,
    hits: Words,
    found: tuple[npt.NDArray[np.int64], Words],
    used: int,
    q: int,
) -> int:
    n = flat.size // query.size
    for lane in range(LANES):
        ones = hits[lane]
        while ones != 0:
            i = start + LANES * lowest_one(ones) + lane
            ones &= ones - np.uint64(1)
            if i < n and (allowed.size == 0 or allowed[first + i] != 0):
                d = distance(flat, i, query)
                if d <= radius:
                    found[0][used] = q
                    found[1][used] = (np.uint64(d) << np.uint64(48)) | np.uint64(first + i)
                    used += 1
    return used
