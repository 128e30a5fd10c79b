"""The scan by population counts: xor and count the ones, of eight codes at once.

Codes pass in blocks that stay in the cache while every query passes over them. In a block the same word of
eight codes lies side by side, so that a vector of counts is added up word by word and no lane has to be
summed with its neighbours. Numba cannot keep eight such sums in registers over a loop: `scan_block` is
emitted as LLVM instructions, with ``vpopcntq`` where the processor has it and table look-ups where it has
not; the Python function is the same computation on NumPy arrays.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nphash.core.jit import emitted, jit
from nphash.core.jit.words import LANES, popcount
from nphash.core.typing import Ints, Words
from nphash.search.top_k import limit_of

Floats = npt.NDArray[np.float64]

if TYPE_CHECKING:
    from nphash.core.jit.emission import Array, WordEmitter

GROUP = 8 * LANES  # codes whose sums are kept in registers together
_MOST_GROUPS = 8  # of a block: its hits are the bits of eight words
_LINES = 64  # vectors of a word and group in a block, at most: 32 KB, which the first-level cache holds
AT_ONCE = 64  # words of codes that `next_near` looks at together

# -- blocks --------------------------------------------------------------------------------------


def block_shape(n_words: int) -> tuple[tuple[int, int], int]:
    """Return the shape of a block of codes of so many words, and its number of groups.

    Row n_words g + w holds word w of the codes of group g; 7 rows are spare.
    """
    n_groups = max(1, min(_MOST_GROUPS, _LINES // n_words))
    return (n_groups * n_words + LANES - 1, GROUP), n_groups


def _emit_turn(
    out: WordEmitter, flat: Array, start: Any, n_words: Any, block: Array, row: Any, v: Any
) -> None:
    builder, size = out.builder, out.times(n_words, LANES)
    source = builder.add(flat.start, builder.mul(start, size))
    target = out.plus(block.row(row), v)

    def store(columns: list[Any], target: Any) -> None:
        for i, column in enumerate(columns):
            out.store(column, out.plus(target, 8 * i))

    few = builder.switch(n_words, builder.append_basic_block("many"))
    end = builder.append_basic_block("end")
    for n in (1, 2, 4):  # so few words of eight codes are as many vectors
        case = builder.append_basic_block(f"words_{n}")
        few.add_case(n, case)
        builder.position_at_end(case)
        store(out.dealt([out.load(out.plus(source, i)) for i in range(n)]), target)
        builder.branch(end)
    builder.position_at_end(few.default)
    with out.loop(out.divided(out.times(n_words, 1, LANES - 1), LANES)) as tile:
        first = out.plus(source, tile)
        rows = [out.load(builder.add(first, out.times(size, i))) for i in range(LANES)]
        store(out.transposed(rows), out.plus(target, out.times(tile, 8 * LANES)))
    builder.branch(end)
    builder.position_at_end(end)


@emitted(_emit_turn)
def turn(flat: Words, start: int, n_words: int, block: Words, row: int, v: int) -> None:
    """Write word w of the eight codes from ``start`` on to vector ``v`` of row ``row + w`` of the block.

    Eight words are turned at a time: of what is read behind a code and written behind its row, at most seven
    words and rows, the first must be there, the second may be anything.
    """
    for w in range(n_words):
        for i in range(LANES):
            block[row + w, LANES * v + i] = flat[(start + i) * n_words + w]


@jit()
def load(flat: Words, n_words: int, start: int, n_groups: int, block: Words) -> None:
    """Bring the codes from ``start`` on into the block; behind the last one it keeps what it had."""
    n = min(GROUP * n_groups, flat.size // n_words - start)
    whole = n // LANES
    if (start + n) * n_words + LANES > flat.size and n_words % LANES:
        whole -= 1  # what is read behind the last code is not there
    for i in range(whole):
        turn(flat, start + LANES * i, n_words, block, n_words * (i // 8), i % 8)
    for i in range(max(0, LANES * whole), n):
        for w in range(n_words):
            block[n_words * (i // GROUP) + w, i % GROUP] = flat[(start + i) * n_words + w]


# -- one query -----------------------------------------------------------------------------------


def _emit_scan_block(
    out: WordEmitter, block: Array, n_groups: Any, query: Array, look: Any, most: Any, hits: Array, h: Any
) -> Any:
    builder, n_words, limit = out.builder, query.lengths[0], out.spread(most)
    zero, one = out.integer(0), out.integer(1)
    size = 8 if out.ternary else 2  # sums at once: so that they fit the registers
    sums, [found] = out.variables(size), out.variables(1)
    builder.store(out.every(0), found)

    with out.loop(n_groups) as g:
        group = block.row(builder.mul(g, n_words))
        bit = builder.shl(out.every(1), out.spread(out.times(g, 8)))
        for first in range(0, 8, size):

            def add(word: Any, first: int = first, group: Any = group, anew: bool = False) -> None:
                pattern = out.spread(out.load_number(builder.add(query.start, out.times(word, 8))))
                row = out.plus(group, out.times(word, 8, first))
                for i, total in enumerate(sums):
                    ones = out.ones(out.xor(out.load(out.plus(row, i)), pattern))
                    builder.store(ones if anew else builder.add(builder.load(total), ones), total)

            add(zero, anew=True)
            with out.loop(builder.sub(look, one)) as word:
                add(builder.add(word, one))
            with builder.if_then(out.any_below([builder.load(total) for total in sums], limit), likely=False):
                with out.loop(builder.sub(n_words, look)) as word:
                    add(builder.add(word, look))
                for i, total in enumerate(sums):
                    below = out.below(builder.load(total), limit)
                    mine = builder.shl(bit, out.every(first + i))
                    old = builder.load(found)
                    builder.store(builder.select(below, out.or_(old, mine), old), found)
    out.store(builder.load(found), hits.row(h))
    return out.lanes_with_ones(builder.load(found))


@emitted(_emit_scan_block)
def scan_block(block: Words, n_groups: int, query: Words, look: int, limit: int, hits: Words, h: int) -> int:
    """Write to ``hits[h]`` which of the block's codes are nearer to the query than ``limit``.

    Bit i of word w of the mask stands for code 8 * i + w. Returns the words of it that are not zero, as
    bits: 0 if there is no hit. The words of a group from ``look`` on are only looked at if one of its
    codes is below the limit by those before: words add ones and take none away.
    """
    n_words = query.size
    grouped = block[: n_groups * n_words].reshape(n_groups, n_words, 8, LANES)
    distances = np.bitwise_count(grouped ^ query[:, None, None]).sum(axis=1, dtype=np.int64)
    near = (distances < limit).reshape(-1, LANES)
    hits[h] = (near.astype(np.uint64) << np.arange(len(near), dtype=np.uint64)[:, None]).sum(axis=0)
    return sum(1 << lane for lane in range(LANES) if hits[h, lane])


def _emit_next_near(
    out: WordEmitter, n_words: int, flat: Array, start: Any, stop: Any, query: Array, limit: Any
) -> Any:
    builder, step = out.builder, AT_ONCE // n_words
    first, limits = flat.row(builder.mul(start, out.integer(n_words))), out.spread(limit)
    patterns = [out.spread(out.load_number(query.start, w)) for w in range(n_words)]

    def near(i: Any) -> Any:
        counts = []
        for v in range(0, AT_ONCE // LANES, n_words):
            place = out.plus(first, out.times(i, AT_ONCE // LANES, v))
            words = out.dealt([out.load(out.plus(place, w)) for w in range(n_words)])
            ones = [out.ones(out.xor(*pair)) for pair in zip(words, patterns, strict=True)]
            counts.append(reduce(builder.add, ones))
        return out.any_below(counts, limits)

    found = out.first(out.divided(builder.sub(stop, start), step), near)
    return builder.add(start, out.times(found, step))


@emitted(_emit_next_near)
def next_near(width: tuple[int, ...], flat: Words, start: int, stop: int, query: Words, limit: int) -> int:
    """Return where, from code ``start`` on, the first few codes begin of which one is below the limit.

    They are 64 / W, W of 1, 2 or 4 being the words of a code and the length of ``width``. If there are
    none: where less than so many are left before ``stop``.
    """
    n_words = len(width)
    step = AT_ONCE // n_words
    while start + step <= stop:
        words = flat[n_words * start : n_words * (start + step)].reshape(step, n_words)
        if np.bitwise_count(words ^ query).sum(axis=1).min() < limit:
            break
        start += step
    return start


# -- first limits --------------------------------------------------------------------------------


@jit()
def sample_limits(sample: Words, queries: Words, rank: int, n_bits: int, means: Floats) -> Ints:
    """Return for each query a limit that at least ``rank`` codes of a sample are below.

    ``sample`` has shape (words of a code, codes of a group, groups). Only the nearest code of each
    group counts: a little more than the exact limit now and then, but much less to count. Without
    enough groups the limit is n_bits + 1: all codes are below it. ``means``, (Q,), becomes the mean distance
    from the codes of the sample, for each word.
    """
    n_words, n_members, n_groups = sample.shape
    distances, least = np.empty(n_groups, np.uint64), np.empty(n_groups, np.uint64)
    counts = np.empty(n_bits + 1, np.int64)
    limits = np.full(len(queries), n_bits + 1)
    for q in range(len(queries)):
        least[:] = np.uint64(n_bits)
        total = np.uint64(0)
        for member in range(n_members):
            _set_distances(sample[0, member], queries[q, 0], distances)
            for w in range(1, n_words):
                _add_distances(sample[w, member], queries[q, w], distances)
            total += _lower(least, distances)
        limits[q] = limit_of(least, rank, n_bits, counts)
        means[q] = total / np.float64(n_members * n_groups * n_words)
    return limits


@jit()
def first_look(limit: int, mean: float, n_words: int) -> int:
    """Return the words after which nearly all codes are too far, if they differ in ``mean`` bits a word."""
    # After w words a code differs in w m bits, give or take 4 sqrt(w) if they are independent: the least w
    # with w m - 12 sqrt(w) >= limit. Where this is wrong, a look is in vain.
    if mean <= 0:
        return n_words
    root = (12 + np.sqrt(144 + 4 * mean * limit)) / (2 * mean)
    return int(max(1.0, min(np.float64(n_words), np.ceil(root * root))))


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
def _lower(least: Words, distances: Words) -> np.uint64:
    total = np.uint64(0)
    for i in range(least.size):
        least[i] = min(least[i], distances[i])
        total += distances[i]
    return total
