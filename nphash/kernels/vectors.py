"""Vectors of eight 64-bit words in compiled code, and two small operations on them.

Numba compiles loops and leaves it to LLVM to see vectors in them. Where that fails, because two
rows of one array might overlap for all LLVM knows, the operation is emitted here: a few loads,
logic, stores. Each has a plain Python form on NumPy arrays, which is used with
``NUMBA_DISABLE_JIT=1`` and says what the instructions do.

Two forms of the gates exist. Processors with AVX-512 have ``vpternlog``, any function of three
words in one instruction; LLVM does not find it for the majority on its own. Everything else
(AVX2, NEON, ...) gets ordinary and/or/xor on 512-bit values, which LLVM splits into the
registers the machine has. The choice is made for the machine that the code is compiled for,
and Numba's cache keeps the two apart by the processor's name and features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from nphash.kernels._extending import intrinsic, overload

__all__ = ["BYTES", "LANES", "VECTOR", "WORD", "Emitter", "every", "exchange", "fill_triple", "has_ternary"]

Words = npt.NDArray[np.uint64]

LANES = 8  # words of a vector
BYTES = 8 * LANES
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, LANES)

_INDEX = ir.IntType(32)
_SHIFT = BYTES.bit_length() - 1


def every(word: int) -> Any:
    """Return the constant vector with ``word`` in every lane."""
    return ir.Constant(VECTOR, [word] * LANES)


class Emitter(NamedTuple):
    """Gates (see `adder_tree`), loads and stores as instructions."""

    builder: Any
    ternary: bool  # whether the machine has vpternlog

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
        name = "llvm.x86.avx512.pternlog.q.512"
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3 + [_INDEX])
        module = self.builder.module
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, [a, b, c, ir.Constant(_INDEX, truth_table)])

    def store(self, vector: Any, address: Any) -> None:
        """Store a vector at an address."""
        self.builder.store(vector, self.builder.inttoptr(address, VECTOR.as_pointer()), align=8)

    def inverse(self, a: Any) -> Any:
        """Return not a."""
        return self.builder.xor(a, every(2**64 - 1))

    def word(self, address: Any) -> Any:
        """Load one word."""
        return self.builder.load(self.builder.inttoptr(address, WORD.as_pointer()), align=8)

    def vector(self, address: Any) -> Any:
        """Load a vector."""
        return self.builder.load(self.builder.inttoptr(address, VECTOR.as_pointer()), align=8)

    def spread(self, word: Any) -> Any:
        """Return a vector with ``word`` in every lane."""
        nothing = ir.Constant(VECTOR, ir.Undefined)
        first = self.builder.insert_element(nothing, word, ir.Constant(_INDEX, 0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
        )

    def plus(self, address: Any, offset: int) -> Any:
        """Return the address so many bytes further."""
        return self.builder.add(address, ir.Constant(WORD, offset))

    def row(self, context: Any, kind: Any, array: Any, index: Any) -> Any:
        """Return the address of a row of a two-dimensional array."""
        parts = context.make_array(kind)(context, self.builder, array)
        stride = self.builder.extract_value(parts.strides, 0)
        start = self.builder.ptrtoint(parts.data, WORD)
        return self.builder.add(start, self.builder.mul(stride, index))

    def entry(self, base: Any, word: Any, shift: int, n_bits: int) -> Any:
        """Return the vector number ``word >> shift & (2 ** n_bits - 1)`` behind the address ``base``."""
        by = shift - _SHIFT  # shifted so that the number is already multiplied by the size of a vector
        moved = (
            self.builder.lshr(word, ir.Constant(WORD, by))
            if by >= 0
            else self.builder.shl(word, ir.Constant(WORD, -by))
        )
        mask = ir.Constant(WORD, ((1 << n_bits) - 1) << _SHIFT)
        return self.vector(self.builder.add(base, self.builder.and_(moved, mask)))


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
        out = Emitter(builder, has_ternary(context))
        upper = out.row(context, signature.args[0], args[0], args[1])
        lower = out.row(context, signature.args[0], args[0], args[2])
        a, b, shift = out.vector(upper), out.vector(lower), out.spread(args[3])
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
        out = Emitter(builder, has_ternary(context))
        source = out.row(context, signature.args[0], args[0], args[1])
        target = out.row(context, signature.args[2], args[2], args[3])
        given = [out.vector(out.plus(source, BYTES * i)) for i in range(3)]
        inverse = [out.inverse(plane) for plane in given]
        for pattern in range(8):
            chosen = [(inverse if pattern >> i & 1 else given)[i] for i in range(3)]
            out.store(out.majority(*chosen), out.plus(target, BYTES * pattern))
        odd = out.odd3(*given)
        out.store(odd, out.plus(target, BYTES * 8))
        out.store(out.inverse(odd), out.plus(target, BYTES * 9))
        return context.get_dummy_value()

    return types.void(planes, types.int64, tables, types.int64), emit


@overload(fill_triple, inline="always")
def _fill_triple(planes: Any, p: Any, tables: Any, row: Any) -> Callable[..., None]:
    def compiled(planes: Any, p: Any, tables: Any, row: Any) -> None:
        _emit_fill_triple(planes, p, tables, row)

    return compiled
