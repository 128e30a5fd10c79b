"""A block of 512 codes turned on its side: from codes as rows to bits as rows, and tables from them.

**Planes.** One vector of eight 64-bit words holds one bit of all 512 codes of a block: bit i of
word w belongs to code 8 * i + w. Turning a block is a transposition of bit matrices by halves:
exchange the off-diagonal 32 x 32 quarters, then the 16 x 16 ones inside each quarter, ... six
steps for 64 x 64 bits, each a few operations on whole words, eight matrices side by side.

**Tables.** A query differs from three planes a, b, c in the way its own three bits say: eight
patterns. For each the number of differences is a two-digit sum, and both digits can be prepared
for the whole block: the carry (majority of the three, complemented as the pattern says) for
eight patterns, and the sum digit, which only depends on the parity of the pattern, for two. A
query then takes two vectors for three bits from the tables instead of xor-ing three planes. The
tables of 64 bits are 13 KB and stay in the first-level cache while all queries pass.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.jit import jit
from nphash.core.jit.words import LANES, exchange, fill_triple
from nphash.core.typing import Words

__all__ = ["BLOCK", "PER_SINGLE", "PER_TRIPLE", "Layout", "fill", "layout", "table_shape", "transpose"]


BLOCK = 64 * LANES  # codes of a block
PER_TRIPLE = 10  # vectors in the tables for three bits: 8 carries, 2 sums
PER_SINGLE = 2  # for a bit left over: the plane and its complement


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
    """Turn one word of 512 codes into 64 planes; plane p, word w, bit i is bit p of ``words[8 * i + w]``.

    Parameters
    ----------
    words
        Shape (512,).
    planes
        Written, shape (64, 8).
    """
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
def fill(
    planes: Words, triples: npt.NDArray[np.int64], singles: npt.NDArray[np.int64], tables: Words
) -> None:
    """Write the tables of a block.

    Parameters
    ----------
    planes
        Shape (64 * words, 8).
    triples, singles
        Rows of ``planes``: the lowest of each three, and those left over.
    tables
        Written, shape `table_shape`.
    """
    for t in range(triples.size):
        fill_triple(planes, triples[t], tables, PER_TRIPLE * t)
    for s in range(singles.size):
        row = PER_TRIPLE * triples.size + PER_SINGLE * s
        for lane in range(LANES):
            tables[row, lane] = planes[singles[s], lane]
            tables[row + 1, lane] = ~planes[singles[s], lane]
