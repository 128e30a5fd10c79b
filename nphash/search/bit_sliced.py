"""The scan for many queries: every block of 512 codes is turned into bit planes once, for all queries.

Tables of the block hold, for three planes and each pattern of a query's three bits, how many bits differ.
An adder tree, a + b + c = xor(a, b, c) + 2 * majority(a, b, c), sums them for all codes at once, with a bias
that makes the sum overflow where the distance reaches the query's limit. The few hits below it are measured
exactly. docs/develop/search.rst derives it.

Numba cannot say "add these 44 vectors of 512 bits with logic gates and keep everything in registers", so
`scan_block` is emitted as LLVM instructions, unrolled for the number of bits; the Python function is the
same computation on NumPy arrays, with the same adder tree.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from functools import cache, reduce
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from nphash.core.jit import emitted, jit
from nphash.core.jit.words import LANES, exchange, fill_triple
from nphash.core.typing import Ints, Words

if TYPE_CHECKING:
    from nphash.core.jit.emission import Array, WordEmitter

BLOCK = 64 * LANES  # codes of a block
PER_TRIPLE = 10  # vectors in the tables for three bits: 8 carries, 2 sums
PER_SINGLE = 2  # for a bit left over: the plane and its complement

_ALL = np.uint64(2**64 - 1)

Word: TypeAlias = Any  # bits of many codes: a NumPy array, or an LLVM value while instructions are emitted


# -- planes and tables ---------------------------------------------------------------------------


class Layout(NamedTuple):
    """Which bits of a code's words are taken three at a time, and which are left over."""

    n_words: int
    triples: tuple[tuple[int, int], ...]  # (word, lowest bit)
    singles: tuple[tuple[int, int], ...]  # (word, bit)


@cache
def layout(n_bits: int) -> Layout:
    """Return the layout for codes of ``n_bits`` bits, a multiple of 8."""
    n_words = -(-n_bits // 64)
    triples, singles = [], []
    for word in range(n_words):
        used = min(64, n_bits - 64 * word)
        # The bytes in use are the first ones: the low ones of a word, or the high ones of a big-endian.
        low = 0 if sys.byteorder == "little" else 64 - used
        triples += [(word, low + 3 * i) for i in range(used // 3)]
        singles += [(word, low + i) for i in range(used - used % 3, used)]
    return Layout(n_words, tuple(triples), tuple(singles))


def table_shape(n_bits: int) -> tuple[int, int]:
    """Return the shape of a block's tables."""
    plan = layout(n_bits)
    return PER_TRIPLE * len(plan.triples) + PER_SINGLE * len(plan.singles), LANES


@jit()
def transpose(words: Words, planes: Words) -> None:
    """Turn a word of 512 codes into ``planes``, (64, 8); plane p, word w, bit i is bit p of code 8 i + w."""
    source = words.reshape((64, LANES))
    for i in range(64):
        for lane in range(LANES):
            planes[i, lane] = source[i, lane]
    low, half = np.uint64(0x00000000FFFFFFFF), 32
    while half:
        # In every square of 2 * half rows: high bits of the upper half <-> low bits of the lower half.
        for square in range(0, 64, 2 * half):
            for i in range(square, square + half):
                exchange(planes, i, i + half, half, low)
        half >>= 1
        low ^= low << np.uint64(half)


@jit()
def fill(planes: Words, triples: Ints, singles: Ints, tables: Words) -> None:
    """Write the ``tables`` of a block, shape `table_shape`.

    ``triples`` and ``singles`` are rows of ``planes``, shape (64 * words, 8): the lowest of each three,
    and those left over.
    """
    for t in range(triples.size):
        fill_triple(planes, triples[t], tables, PER_TRIPLE * t)
    for s in range(singles.size):
        row = PER_TRIPLE * triples.size + PER_SINGLE * s
        for lane in range(LANES):
            tables[row, lane] = planes[singles[s], lane]
            tables[row + 1, lane] = ~planes[singles[s], lane]


# -- the adder tree ------------------------------------------------------------------------------


class Gates(NamedTuple):
    """Logic on words of some kind: NumPy arrays, or vectors in emitted instructions."""

    and_: Callable[[Word, Word], Word]
    or_: Callable[[Word, Word], Word]
    xor3: Callable[[Word, Word, Word], Word]
    majority: Callable[[Word, Word, Word], Word]  # ones where at least two of the three have them


NUMPY_GATES = Gates(
    operator.and_,
    operator.or_,
    lambda a, b, c: a ^ b ^ c,
    lambda a, b, c: (a & b) | (c & (a | b)),
)


def n_levels(n_bits: int) -> int:
    """Return the levels that limits 1 to n_bits + 1 need: weights 1 to 2^(levels - 1)."""
    return n_bits.bit_length()


class AdderTree:
    """The sum of one-bit words of ``levels`` weights 1, 2, 4, ...; the highest is only asked for any one."""

    def __init__(self, levels: int, gates: Gates) -> None:
        self._columns: list[list[Word]] = [[] for _ in range(levels)]
        self._gates = gates

    def add(self, level: int, word: Word) -> None:
        """Add a word of weight ``2 ** level``."""
        # Three are reduced at once, so that few intermediate words are alive: they have to fit 32 registers.
        column = self._columns[level]
        column.append(word)
        if len(column) == 3 and level < len(self._columns) - 1:
            a, b, c = column
            self._columns[level] = [self._gates.xor3(a, b, c)]
            self.add(level + 1, self._gates.majority(a, b, c))

    def overflow(self) -> Word:
        """Return ones where the sum reaches the highest weight."""
        for level in range(len(self._columns) - 1):
            if len(self._columns[level]) == 2:  # `add` leaves at most two; their own digit is not needed
                self.add(level + 1, self._gates.and_(*self._columns[level]))
        return reduce(self._gates.or_, self._columns[-1])


# -- one query -----------------------------------------------------------------------------------


def _emit_scan_block(
    out: WordEmitter,
    n_bytes: int,
    tables: Array,
    queries: Array,
    parities: Array,
    bias: Array,
    hits: Array,
    q: Word,
    h: Word,
) -> Word:
    plan, levels = layout(8 * n_bytes), n_levels(8 * n_bytes)
    tree = AdderTree(levels, Gates(out.and_, out.or_, out.xor3, out.majority))
    query, parity, digits = queries.row(q), parities.row(q), bias.row(q)
    patterns = [out.load_number(query, word) for word in range(plan.n_words)]
    odd = [out.load_number(parity, word) for word in range(plan.n_words)]
    digit = [out.spread(out.load_number(digits, level)) for level in range(levels)]
    for level in range(levels - 1):
        tree.add(level, digit[level])
    for i, (word, shift) in enumerate(plan.triples):
        base = out.plus(tables.start, PER_TRIPLE * i)
        tree.add(1, out.entry(base, patterns[word], shift, 3))
        tree.add(0, out.entry(out.plus(base, 8), odd[word], shift, 1))
    for i, (word, shift) in enumerate(plan.singles):
        base = out.plus(tables.start, PER_TRIPLE * len(plan.triples) + PER_SINGLE * i)
        tree.add(0, out.entry(base, patterns[word], shift, 1))
    hit = out.inverse(out.and_(tree.overflow(), digit[-1]))
    lanes = out.lanes_with_ones(hit)
    out.store(hit, hits.row(h))  # also when it is zero: a branch would be guessed wrong at every hit
    return lanes


@emitted(_emit_scan_block)
def scan_block(
    width: tuple[int, ...],
    tables: Words,
    queries: Words,
    parities: Words,
    bias: Words,
    hits: Words,
    q: int,
    h: int,
) -> int:
    """Write to ``hits[h]`` which of the block's codes are nearer to query ``q`` than its limit.

    Bit i of word w of the mask stands for code 8 * i + w. Returns the words of it that are not zero, as
    bits: 0 if there is no hit. All but ``q`` and ``h`` are of the queries or of `Planes`.
    """
    n_bits = 8 * len(width)
    plan = layout(n_bits)
    tree = AdderTree(n_levels(n_bits), NUMPY_GATES)
    for level in range(n_levels(n_bits) - 1):
        tree.add(level, np.full(LANES, bias[q, level]))
    for i, (word, shift) in enumerate(plan.triples):
        pattern, parity = int(queries[q, word]) >> shift & 7, int(parities[q, word]) >> shift & 1
        tree.add(1, tables[PER_TRIPLE * i + pattern])
        tree.add(0, tables[PER_TRIPLE * i + 8 + parity])
    for i, (word, shift) in enumerate(plan.singles):
        bit = int(queries[q, word]) >> shift & 1
        tree.add(0, tables[PER_TRIPLE * len(plan.triples) + PER_SINGLE * i + bit])
    # The highest digit of the bias is zero only for limits so high that (nearly) all may pass.
    hits[h] = ~(tree.overflow() & bias[q, n_levels(n_bits) - 1])
    return sum(1 << lane for lane in range(LANES) if hits[h, lane])


# -- one block -----------------------------------------------------------------------------------


class Planes(NamedTuple):
    """Memory of one thread: the current block's planes and tables, and what queries look up in them."""

    # One number for each byte of a code. Numba compiles and caches one version for each type of argument, and
    # the length of a tuple is part of its type: so the number of bits reaches the compiler.
    width: tuple[int, ...]
    parities: Words  # (Q, words) bit i is the parity of bits i, i + 1, i + 2 of the query's word
    triples: Ints
    singles: Ints
    block: Words  # (512,) one word of each code of a block
    planes: Words  # (64 * words, 8)
    tables: Words
    bias: Words  # (Q, levels) the digits of 2^levels - limit, each spread over a whole word
    limits: Ints  # (Q,) what ``bias`` stands for; at first nothing


def planes_for(n_bits: int, queries: Words) -> Planes:
    """Return memory for ``queries`` of ``n_bits`` bits, shape (Q, words)."""
    n_bits = -(-n_bits // 8) * 8  # padding bits are zero on both sides: they add nothing
    plan, n_queries = layout(n_bits), len(queries)
    one, two = np.uint64(1), np.uint64(2)
    return Planes(
        (0,) * (n_bits // 8),
        np.ascontiguousarray(queries ^ (queries >> one) ^ (queries >> two)),
        np.array([64 * word + shift for word, shift in plan.triples], dtype=np.int64),
        np.array([64 * word + shift for word, shift in plan.singles], dtype=np.int64),
        aligned((BLOCK,)),
        aligned((64 * plan.n_words, LANES)),
        aligned(table_shape(n_bits)),
        aligned((n_queries, n_levels(n_bits))),
        np.full(n_queries, -1),
    )


def aligned(shape: tuple[int, ...]) -> Words:
    """Return an array that starts at a multiple of 64 bytes: no vector of it crosses a cache line."""
    size = math.prod(shape)
    memory = np.empty(size + 8, np.uint64)
    skip = -memory.__array_interface__["data"][0] // 8 % 8
    return memory[skip : skip + size].reshape(shape)


@jit()
def set_limits(limits: Ints, queries: Ints, planes: Planes) -> None:
    """For queries whose limit has changed write the digits of 2^levels - limit, each spread over a word."""
    bias, known = planes.bias, planes.limits
    levels = bias.shape[1]
    for q in queries:
        if limits[q] == known[q]:
            continue
        known[q] = limits[q]
        number = (1 << levels) - max(limits[q], 1)  # a limit of 0 is left to the exact look at the hits
        for level in range(levels):
            bias[q, level] = _ALL if (number >> level) & 1 else np.uint64(0)


@jit()
def load(flat: Words, n_words: int, start: int, space: Planes) -> None:
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
