"""One block of the bit-sliced scan: 512 codes as bit planes, tables of them, and all of it against one query.

**Planes.** One vector of eight 64-bit words holds one bit of all 512 codes of a block: bit i of
word w belongs to code 8 * i + w. Making them is a transposition of bit matrices by halves:
exchange the off-diagonal 32 x 32 quarters, then the 16 x 16 ones inside each quarter, ... six
steps for 64 x 64 bits, each a few operations on whole words, eight matrices side by side.

**Tables.** A query differs from three planes a, b, c in the way its own three bits say: eight
patterns. For each the number of differences is a two-digit sum, and both digits can be prepared
for the whole block: the carry (majority of the three, complemented as the pattern says) for
eight patterns, and the sum digit, which only depends on the parity of the pattern, for two. A
query then takes two vectors for three bits from the tables instead of xor-ing three planes. The
tables of 64 bits are 13 KB and stay in the first-level cache while all queries pass.

**Adder tree.** A distance is a sum of single bits. A *full adder*, two logic operations, adds three
words of bits at once, for all codes in parallel:

    a + b + c  =  xor(a, b, c)  +  2 * majority(a, b, c)

Repeated, it shrinks any number of words of weight 1, 2, 4, ... to one word of each weight: the
binary digits of all sums. No sum is ever seen as a number. We do not need the sums either, only
whether each is below a limit t. So 2^L - t is added as well, as a *bias*: the sum then carries into
weight 2^L exactly where the distance is t or more.

Numba cannot say "add these 44 vectors of 512 bits with logic gates and keep everything in
registers", so `scan_block` is emitted as LLVM instructions, unrolled for the number of bits; the
Python function is the same computation on NumPy arrays, with the same adder tree.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from nphash.core.jit import emitted, jit
from nphash.core.jit.words import LANES, exchange, fill_triple
from nphash.core.typing import Ints, Words

if TYPE_CHECKING:
    from nphash.core.jit.emission import Array, WordEmitter

__all__ = ["BLOCK", "LANES", "NUMPY_GATES", "PER_SINGLE", "PER_TRIPLE", "AdderTree", "Gates", "Layout"]
__all__ += ["fill", "layout", "n_levels", "scan_block", "table_shape", "transpose"]

BLOCK = 64 * LANES  # codes of a block
PER_TRIPLE = 10  # vectors in the tables for three bits: 8 carries, 2 sums
PER_SINGLE = 2  # for a bit left over: the plane and its complement

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
    """Adds one-bit words of weights 1, 2, 4, ... as they come.

    Parameters
    ----------
    levels
        Weights in use; the words of the highest are only asked whether any of them is set.
    gates
        How words are combined.
    """

    def __init__(self, levels: int, gates: Gates) -> None:
        self._columns: list[list[Word]] = [[] for _ in range(levels)]
        self._gates = gates

    def add(self, level: int, word: Word) -> None:
        """Add a word of weight ``2 ** level``; three of one weight are reduced at once."""
        # At once, so that few intermediate words are alive: they have to fit the 32 registers.
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
        highest = self._columns[-1]
        overflow = highest[0]
        for word in highest[1:]:
            overflow = self._gates.or_(overflow, word)
        return overflow


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
    hit = _hits(out, 8 * n_bytes, tables.start, queries.row(q), parities.row(q), bias.row(q))
    lanes = out.lanes_with_ones(hit)
    out.store(hit, hits.row(h))  # also when it is zero: a branch would be guessed wrong at every hit
    return lanes


def _hits(out: WordEmitter, n_bits: int, table: Word, query: Word, parity: Word, digits: Word) -> Word:
    plan, levels = layout(n_bits), n_levels(n_bits)
    tree = AdderTree(levels, Gates(out.and_, out.or_, out.xor3, out.majority))
    patterns = [out.load_number(query, word) for word in range(plan.n_words)]
    odd = [out.load_number(parity, word) for word in range(plan.n_words)]
    digit = [out.spread(out.load_number(digits, level)) for level in range(levels)]
    for level in range(levels - 1):
        tree.add(level, digit[level])
    for i, (word, shift) in enumerate(plan.triples):
        base = out.plus(table, PER_TRIPLE * i)
        tree.add(1, out.entry(base, patterns[word], shift, 3))
        tree.add(0, out.entry(out.plus(base, 8), odd[word], shift, 1))
    for i, (word, shift) in enumerate(plan.singles):
        base = out.plus(table, PER_TRIPLE * len(plan.triples) + PER_SINGLE * i)
        tree.add(0, out.entry(base, patterns[word], shift, 1))
    return out.inverse(out.and_(tree.overflow(), digit[-1]))


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

    Parameters
    ----------
    width
        A tuple with one number for each byte of a code. Numba compiles and caches one version for
        each type of argument, and the length of a tuple is part of its type: so the number of
        bits reaches the compiler. The numbers mean nothing.
    tables
        The block's tables (`fill`).
    queries, parities
        Shape (Q, words): the queries, and the parity of each three consecutive bits of them.
    bias
        Shape (Q, levels): the digits of 2^levels - limit, each spread over a whole word.
    hits
        Shape (more than h, 8), written: bit i of word w stands for code 8 * i + w of the block.
    q, h
        Which query, and which row of ``hits``.

    Returns
    -------
    int
        The words of ``hits[h]`` that are not zero, as bits: 0 if there is no hit.
    """
    n_bits = 8 * len(width)
    plan = layout(n_bits)
    tree = AdderTree(n_levels(n_bits), NUMPY_GATES)
    ones = np.full(LANES, np.uint64(2**64 - 1))
    for level in range(n_levels(n_bits) - 1):
        tree.add(level, ones & bias[q, level])
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
