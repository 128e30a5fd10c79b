"""Operations on 64-bit words that have instructions of their own: on one word, and on vectors of eight.

Each is a plain Python function, used as it stands where nothing is compiled. LLVM turns ``ctpop`` in a loop
into vector instructions where the processor has them (``vpopcntq``) and into table look-ups or shifts and
adds where it has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.jit.compiler import emitted
from nphash.core.typing import Words

if TYPE_CHECKING:
    from nphash.core.jit.emission import Array, WordEmitter

BYTES = 64  # of a vector, and of a line of a cache
LANES = BYTES // 8  # words of a vector


@emitted(lambda out, word: out.builder.ctpop(word))
def popcount(word: Any) -> int:
    """Return the number of ones in a uint64 word."""
    return int(word).bit_count()


@emitted(lambda out, word: out.trailing_zeros(word))
def lowest_one(word: Any) -> int:
    """Return the position of the lowest one in a uint64 word that is not zero."""
    value = int(word)
    return (value & -value).bit_length() - 1


@emitted(lambda out, array, i: out.prefetch(array.row(i)))
def prefetch(array: Any, i: Any) -> None:
    """Ask for element ``i`` of a one-dimensional array, which will be read soon."""


def _emit_prefetch_row(out: WordEmitter, matrix: Array, row: Any) -> None:
    # In the second-level cache: the first one is so small that the lines would drive out what is computed.
    start, length = matrix.row(row), out.builder.mul(matrix.lengths[1], matrix.strides[1])
    with out.loop(out.divided(out.times(length, 1, BYTES - 1), BYTES)) as line:
        out.prefetch(out.plus(start, line), level=2)


@emitted(_emit_prefetch_row)
def prefetch_row(matrix: Any, row: Any) -> None:
    """Ask for a row of a C-contiguous matrix: the processor cannot guess where the next one lies."""


def _emit_exchange(out: WordEmitter, planes: Array, i: Any, j: Any, by: Any, low: Any) -> None:
    upper, lower = planes.row(i), planes.row(j)
    a, b, shift = out.load(upper), out.load(lower), out.spread(by)
    swap = out.and_(out.xor(out.builder.lshr(a, shift), b), out.spread(low))
    out.store(out.xor(a, out.builder.shl(swap, shift)), upper)
    out.store(out.xor(b, swap), lower)


@emitted(_emit_exchange)
def exchange(planes: Words, i: int, j: int, by: int, low: Any) -> None:
    """Exchange the bits of row i that ``low << by`` selects with those of row j that ``low`` selects."""
    swap = ((planes[i] >> np.uint64(by)) ^ planes[j]) & np.uint64(low)
    planes[i] ^= swap << np.uint64(by)
    planes[j] ^= swap


def _emit_fill_triple(out: WordEmitter, planes: Array, p: Any, tables: Array, row: Any) -> None:
    source, target = planes.row(p), tables.row(row)
    given = [out.load(out.plus(source, i)) for i in range(3)]
    inverse = [out.inverse(plane) for plane in given]
    for pattern in range(8):
        chosen = [(inverse if pattern >> i & 1 else given)[i] for i in range(3)]
        out.store(out.majority(*chosen), out.plus(target, pattern))
    parity = out.xor3(*given)
    out.store(parity, out.plus(target, 8))
    out.store(out.inverse(parity), out.plus(target, 9))


@emitted(_emit_fill_triple)
def fill_triple(planes: Words, p: int, tables: Words, row: int) -> None:
    """Write tables of planes p, p + 1, p + 2 to ten rows: eight majorities, xor, its complement.

    Majority number i complements plane j where bit j of i is one.
    """
    for pattern in range(8):
        a, b, c = (~planes[p + i] if pattern >> i & 1 else planes[p + i] for i in range(3))
        tables[row + pattern] = (a & b) | (c & (a | b))
    tables[row + 8] = planes[p] ^ planes[p + 1] ^ planes[p + 2]
    tables[row + 9] = ~tables[row + 8]
