"""The scan for many queries: every block of 512 codes is turned into bit planes once, for all queries.

For each block the tables of `sliced_block` are filled (about 2,300 cycles); then each query needs
about 70 cycles for 512 codes: no distance is computed, only the mask of codes that are below the
query's limit. These hits are rare. They are measured exactly and given to `top_k`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.jit.words import LANES, lowest_one, popcount
from nphash.core.typing import Ints, Words
from nphash.search.keys import SHIFT
from nphash.search.sliced_block import BLOCK, fill, layout, n_levels, scan_block, table_shape, transpose
from nphash.search.top_k import TopK, take

__all__ = ["Workspace", "nearest", "parities_of", "within", "workspace"]

Allowed = npt.NDArray[np.uint8]

_ALL = np.uint64(2**64 - 1)


class Workspace(NamedTuple):
    """Memory of one thread: the tables of the current block, and the masks of all queries with hits."""

    width: tuple[int, ...]  # carries the number of bytes in its type, see `sliced_block.scan_block`
    triples: Ints
    singles: Ints
    block: Words  # (512,) one word of each code of a block
    planes: Words  # (64 * words, 8)
    tables: Words
    bias: Words  # (Q, levels)
    hits: Words  # (Q + 1, 8)
    hit_queries: Ints  # (Q + 1,)
    hit_lanes: Ints  # (Q + 1,) which words of the mask are not zero, as bits
    limits: Ints  # (Q,) what ``bias`` stands for
    found_queries: Ints  # (more than 512,) codes in the masks: which query,
    found_keys: Words  # and distance and position


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
        np.empty(n_queries, np.int64),
        np.empty(2 * BLOCK + n_queries, np.int64),
        np.empty(2 * BLOCK + n_queries, np.uint64),
    )


def _aligned(shape: tuple[int, ...]) -> Words:
    """Return an array that starts at a multiple of 64 bytes: no vector of it crosses a cache line."""
    size = int(np.prod(shape))
    memory = np.empty(size + 8, np.uint64)
    skip = -memory.ctypes.data // 8 % 8
    return memory[skip : skip + size].reshape(shape)


def parities_of(queries: Words) -> Words:
    """Return words whose bit i is the parity of bits i, i + 1, i + 2 of the queries' words."""
    one, two = np.uint64(1), np.uint64(2)
    return np.ascontiguousarray(queries ^ (queries >> one) ^ (queries >> two))


@jit()
def _set_limits(limits: Ints, queries: Ints, space: Workspace) -> None:
    """For queries whose limit has changed write the digits of 2^levels - limit, each spread over a word."""
    bias, known = space.bias, space.limits
    levels = bias.shape[1]
    for q in queries:
        if limits[q] == known[q]:
            continue
        known[q] = limits[q]
        number = (1 << levels) - max(limits[q], 1)  # a limit of 0 is left to the exact look at the hits
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
def _scan(queries: Words, parities: Words, space: Workspace) -> int:
    """Run all queries against the block; return how many have hits (``hits`` and ``hit_queries``)."""
    hit_queries, hit_lanes = space.hit_queries, space.hit_lanes
    found = 0
    for q in range(queries.shape[0]):
        lanes = scan_block(space.width, space.tables, queries, parities, space.bias, space.hits, q, found)
        hit_queries[found], hit_lanes[found] = q, lanes  # the next query writes over it if there is none
        found += lanes != 0
    return found


@jit()
def nearest(
    flat: Words,
    first: int,
    queries: Words,
    parities: Words,
    k: int,
    allowed: Allowed,
    top: TopK,
    space: Workspace,
) -> None:
    """Pass all codes of ``flat`` by all queries, as `popcount_scan.nearest`; ``parities`` of the queries."""
    n_words = queries.shape[1]
    n = flat.size // n_words
    space.limits[:] = -1
    _set_limits(top.limit, np.arange(queries.shape[0]), space)
    for start in range(0, n, BLOCK):
        _load(flat, n_words, start, space)
        n_hit, h = _scan(queries, parities, space), 0
        while h < n_hit:
            h, found = _measure(flat, start, first, queries, allowed, space, h, n_hit)
            take(top, k, space.found_queries, space.found_keys, found)
            _set_limits(top.limit, space.found_queries[:found], space)


@jit()
def _measure(
    flat: Words, start: int, first: int, queries: Words, allowed: Allowed, space: Workspace, h: int, stop: int
) -> tuple[int, int]:
    """List the codes in hit masks ``h`` to ``stop`` with their distances, while there is space for them.

    Returns the first mask that is left, and the number of codes listed.
    """
    # Arrays leave their tuple here: see `top_k.take`.
    hits, hit_queries, hit_lanes = space.hits, space.hit_queries, space.hit_lanes
    found_queries, found_keys = space.found_queries, space.found_keys
    n_words = queries.shape[1]
    n, found, most = flat.size // n_words, 0, found_keys.size - BLOCK
    while h < stop and found <= most:
        q, lanes = hit_queries[h], hit_lanes[h]
        some = hits[h, lowest_one(np.uint64(lanes))]  # bits set in any word; mostly there is only one word
        if lanes & (lanes - 1):
            for lane in range(LANES):
                some |= hits[h, lane]
        while some != 0:  # in insertion order: bit by bit, and for each bit word by word
            bit = lowest_one(some)
            some &= some - np.uint64(1)
            left = lanes
            while left != 0:
                lane = lowest_one(np.uint64(left))
                left &= left - 1
                i = start + LANES * bit + lane
                if (hits[h, lane] >> np.uint64(bit)) & np.uint64(1) and i < n:
                    distance = 0
                    for w in range(n_words):
                        distance += popcount(flat[i * n_words + w] ^ queries[q, w])
                    if allowed.size == 0 or allowed[first + i] != 0:
                        found_queries[found] = q
                        found_keys[found] = (np.uint64(distance) << SHIFT) | np.uint64(first + i)
                        found += 1
        h += 1
    return h, found


@jit()
def within(
    flat: Words,
    first: int,
    start: int,
    queries: Words,
    parities: Words,
    radius: int,
    allowed: Allowed,
    space: Workspace,
    out: tuple[Ints, Words],
) -> tuple[int, int]:
    """Write (query, key) pairs of codes at most ``radius`` away, block by block, until ``out`` is full.

    Returns how many were written and the code to go on with (n at the end). ``out`` needs space
    for all hits of one block, at most 512 for each query.
    """
    n_words = queries.shape[1]
    n, used = flat.size // n_words, 0
    limits = np.full(queries.shape[0], radius + 1)
    space.limits[:] = -1
    _set_limits(limits, np.arange(queries.shape[0]), space)
    for block in range(start, n, BLOCK):
        _load(flat, n_words, block, space)
        n_hit, h = _scan(queries, parities, space), 0
        if used + _ones(space.hits[:n_hit]) > out[0].size:
            return used, block
        while h < n_hit:
            h, found = _measure(flat, block, first, queries, allowed, space, h, n_hit)
            used = _keep(space, found, radius, out, used)
    return used, n


@jit()
def _ones(words: Words) -> int:
    total = 0
    for word in words.flat:
        total += popcount(word)
    return total


@jit()
def _keep(space: Workspace, found: int, radius: int, out: tuple[Ints, Words], used: int) -> int:
    """Append what is near enough: masks of a large radius may hold more."""
    out_queries, out_keys = out
    found_queries, found_keys = space.found_queries, space.found_keys
    for i in range(found):
        if np.int64(found_keys[i] >> SHIFT) <= radius:
            out_queries[used], out_keys[used] = found_queries[i], found_keys[i]
            used += 1
    return used
