"""Vectors of eight 64-bit words in compiled code: logic, and two small operations.

Two forms of the gates exist. Processors with AVX-512 have ``vpternlog``, any function of three
words in one instruction; LLVM does not find it for the majority on its own. Everything else
(AVX2, NEON, ...) gets ordinary and/or/xor on 512-bit values, which LLVM splits into the
registers the machine has. The choice is made for the machine that the code is compiled for,
and Numba's cache keeps the two apart by the processor's name and features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from nphash.core.jit._extending import intrinsic, overload
from nphash.core.jit.emission import BYTES, VectorEmitter, address_of, constant
from nphash.core.typing import Words

__all__ = ["LANES", "WordEmitter", "exchange", "fill_triple", "has_ternary", "row_of"]


LANES = BYTES // 8  # words of a vector
_SHIFT = BYTES.bit_length() - 1


@dataclass(frozen=True)
class WordEmitter(VectorEmitter):
    """Logic on vectors of words: the gates of `adder_tree` as instructions."""

    ternary: bool  # whether the machine has vpternlog

    number = ir.IntType(64)
    width = 8

    def both(self, a: Any, b: Any) -> Any:
        """Return a and b."""
        return self.builder.and_(a, b)

    def either(self, a: Any, b: Any) -> Any:
        """Return a or b."""
        return self.builder.or_(a, b)

    def odd(self, a: Any, b: Any) -> Any:
        """Return a xor b."""
        return self.builder.xor(a, b)

    def odd3(self, a: Any, b: Any, c: Any) -> Any:
        """Return a xor b xor c."""
        if self.ternary:
            return self._ternary(a, b, c, 0x96)
        return self.odd(self.odd(a, b), c)

    def majority(self, a: Any, b: Any, c: Any) -> Any:
        """Return ones where at least two of the three have them."""
        if self.ternary:
            return self._ternary(a, b, c, 0xE8)
        return self.either(self.both(a, b), self.both(c, self.either(a, b)))

    def _ternary(self, a: Any, b: Any, c: Any, truth_table: int) -> Any:
        function = ir.Constant(ir.IntType(32), truth_table)
        return self.call("llvm.x86.avx512.pternlog.q.512", a, b, c, function)

    def inverse(self, a: Any) -> Any:
        """Return not a."""
        return self.odd(a, self.every(2**64 - 1))

    def entry(self, base: Any, word: Any, shift: int, n_bits: int) -> Any:
        """Return the vector number ``word >> shift & (2 ** n_bits - 1)`` behind the address ``base``."""
        by = shift - _SHIFT  # shifted so that the number is already multiplied by the size of a vector
        moved = self.builder.lshr(word, constant(by)) if by >= 0 else self.builder.shl(word, constant(-by))
        mask = constant(((1 << n_bits) - 1) << _SHIFT)
        return self.load(self.builder.add(base, self.builder.and_(moved, mask)))


def row_of(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Return the address of a row of a two-dimensional array."""
    start, (stride, _) = address_of(context, builder, kind, array)
    return builder.add(start, builder.mul(stride, index))


def has_ternary(context: Any) -> bool:
    """Return whether code for this machine may use ``vpternlog``."""
    _, _, features = context.codegen().magic_tuple()
    return "+avx512f" in features.split(",")


def exchange(planes: Words, i: int, j: int, by: int, low: Any) -> None:
    """Exchange the bits of row i that ``low << by`` selects with those of row j that ``low`` selects."""
    swap = ((planes[i] >> np.uint64(by)) ^ planes[j]) & np.uint64(low)
    planes[i] ^= swap << np.uint64(by)
    planes[j] ^= swap


@intrinsic
def _emit_exchange(typing: Any, planes: Any, i: Any, j: Any, by: Any, low: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = WordEmitter(builder, has_ternary(context))
        upper = row_of(context, builder, signature.args[0], args[0], args[1])
        lower = row_of(context, builder, signature.args[0], args[0], args[2])
        a, b, shift = out.load(upper), out.load(lower), out.spread(args[3])
        swap = out.both(out.odd(builder.lshr(a, shift), b), out.spread(args[4]))
        out.store(out.odd(a, builder.shl(swap, shift)), upper)
        out.store(out.odd(b, swap), lower)
        return context.get_dummy_value()

    return types.void(planes, types.int64, types.int64, types.int64, types.uint64), emit


@overload(exchange, inline="always")
def _exchange(planes: Any, i: Any, j: Any, by: Any, low: Any) -> Callable[..., None]:
    def compiled(planes: Any, i: Any, j: Any, by: Any, low: Any) -> None:
        _emit_exchange(planes, i, j, by, low)

    return compiled


def fill_triple(planes: Words, p: int, tables: Words, row: int) -> None:
    """Write the tables of planes p, p + 1, p + 2 to ten rows of ``tables``.

    Rows 0 to 7: majority of the three, plane i complemented where bit i of the row number is
    one. Row 8: their xor, row 9 its complement.
    """
    for pattern in range(8):
        a, b, c = (~planes[p + i] if pattern >> i & 1 else planes[p + i] for i in range(3))
        tables[row + pattern] = (a & b) | (c & (a | b))
    tables[row + 8] = planes[p] ^ planes[p + 1] ^ planes[p + 2]
    tables[row + 9] = ~tables[row + 8]


@intrinsic
def _emit_fill_triple(typing: Any, planes: Any, p: Any, tables: Any, row: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = WordEmitter(builder, has_ternary(context))
        source = row_of(context, builder, signature.args[0], args[0], args[1])
        target = row_of(context, builder, signature.args[2], args[2], args[3])
        given = [out.load(out.plus(source, i)) for i in range(3)]
        inverse = [out.inverse(plane) for plane in given]
        for pattern in range(8):
            chosen = [(inverse if pattern >> i & 1 else given)[i] for i in range(3)]
            out.store(out.majority(*chosen), out.plus(target, pattern))
        odd = out.odd3(*given)
        out.store(odd, out.plus(target, 8))
        out.store(out.inverse(odd), out.plus(target, 9))
        return context.get_dummy_value()

    return types.void(planes, types.int64, tables, types.int64), emit


@overload(fill_triple, inline="always")
def _fill_triple(planes: Any, p: Any, tables: Any, row: Any) -> Callable[..., None]:
    def compiled(planes: Any, p: Any, tables: Any, row: Any) -> None:
        _emit_fill_triple(planes, p, tables, row)

    return compiled
