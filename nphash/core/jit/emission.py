"""Instructions on vectors of numbers, emitted one by one.

Numba compiles loops and leaves it to LLVM to see vectors in them. Where that fails, because two rows of one
array might overlap for all LLVM knows, or because the loop does not show what should stay in registers, the
operation is emitted here: a few loads, arithmetic, stores. Each has a plain form on NumPy arrays, which is
used where nothing is compiled and says what the instructions do (`nphash.core.jit.emitted`).

A vector is 64 bytes, the longest register there is; LLVM splits it where registers are shorter.

Processors with AVX-512 have ``vpternlog``, any function of three words in one instruction: LLVM does not find
it for the majority on its own. All others (AVX2, NEON, ...) get ordinary and/or/xor. Numba's cache
distinguishes the two by the processor's name and features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

from llvmlite import ir
from numba.core import cgutils

BYTES = 64  # of a vector
ADDRESS = ir.IntType(64)  # addresses and lengths, in bytes

_LANE = _INTEGER = ir.IntType(32)
_FUSED = ("contract",)  # a product may be fused with the addition after it: rounded once, not twice
_SHIFT = BYTES.bit_length() - 1


def constant(number: int) -> Any:
    """Return a number as one of addresses and lengths."""
    return ir.Constant(ADDRESS, number)


class Array:
    """An array given to a function: addresses in it, lengths, and strides in bytes, as LLVM values."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        parts = context.make_array(kind)(context, builder, value)
        self.builder = builder
        self.start = builder.ptrtoint(parts.data, ADDRESS)
        self.lengths: list[Any] = cgutils.unpack_tuple(builder, parts.shape, kind.ndim)
        self.strides: list[Any] = cgutils.unpack_tuple(builder, parts.strides, kind.ndim)

    def row(self, i: Any, start: Any = None) -> Any:
        """Return the address of row ``i``, or of what lies as far behind ``start``."""
        return self.builder.add(self.start if start is None else start, self.builder.mul(i, self.strides[0]))

    def column(self, j: Any) -> Any:
        """Return the address of column ``j`` of the first row."""
        return self.builder.add(self.start, self.builder.mul(j, self.strides[-1]))


@dataclass(frozen=True)
class Emitter:
    """Loads, stores and moves of vectors of `number`, an LLVM type of `width` bytes, aligned to these."""

    builder: Any

    number: ClassVar[Any]
    width: ClassVar[int]

    @classmethod
    def vector(cls, of: Any = None) -> Any:
        """Return the type of a vector, or of one with as many numbers of another type."""
        return ir.VectorType(of or cls.number, BYTES // cls.width)

    @classmethod
    def every(cls, number: Any, of: Any = None) -> Any:
        """Return the constant vector with ``number`` in every lane."""
        return ir.Constant(cls.vector(of), [number] * (BYTES // cls.width))

    def load(self, address: Any) -> Any:
        """Load a vector."""
        return self._load(self.vector(), address)

    def load_number(self, address: Any, i: int = 0) -> Any:
        """Load the number ``i`` numbers behind an address."""
        return self._load(self.number, self.builder.add(address, constant(self.width * i)))

    def load_offset(self, address: Any, i: Any) -> Any:
        """Load the integer ``i`` integers behind an address: an address or a length."""
        return self._load(ADDRESS, self.builder.add(address, self.builder.mul(i, constant(8))))

    def store(self, vector: Any, address: Any) -> None:
        """Store a vector."""
        where = self.builder.inttoptr(address, self.vector().as_pointer())
        self.builder.store(vector, where, align=self.width)

    def spread(self, number: Any) -> Any:
        """Return a vector with a number in every lane."""
        nothing = ir.Constant(self.vector(), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_LANE, 0))
        return self._shuffle(first, nothing, [0] * (BYTES // self.width))

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Return the columns of a square block as vectors, given its rows."""
        rows, n = list(rows), len(rows)
        distance = n // 2
        while distance > 0:  # rows i and i + distance exchange the squares of this size off the diagonal
            upper = [lane if not lane & distance else n + lane - distance for lane in range(n)]
            lower = [lane + distance if not lane & distance else n + lane for lane in range(n)]
            for i in (i for i in range(n) if not i & distance):
                a, b = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = self._shuffle(a, b, upper), self._shuffle(a, b, lower)
            distance //= 2
        return rows

    def plus(self, address: Any, n_vectors: Any) -> Any:
        """Return the address so many vectors further."""
        if isinstance(n_vectors, int):
            return self.builder.add(address, constant(BYTES * n_vectors))
        return self.builder.add(address, self.builder.mul(n_vectors, constant(BYTES)))

    def times(self, index: Any, factor: int, more: int = 0) -> Any:
        """Return the integer ``factor index + more``."""
        return self.builder.add(self.builder.mul(index, constant(factor)), constant(more))

    def integer(self, number: int) -> Any:
        """Return an integer."""
        return constant(number)

    def divided(self, number: Any, by: int) -> Any:
        """Return how often ``by`` goes into an integer that is not negative."""
        return self.builder.udiv(number, constant(by))

    def variables(self, n: int) -> list[Any]:
        """Return so many vectors in memory (registers, in the end), for ``builder.load`` and ``store``."""
        return [cgutils.alloca_once(self.builder, self.vector()) for _ in range(n)]

    def dealt(self, vectors: list[Any]) -> list[Any]:
        """Return as many vectors, a power of two, to which the numbers of all are dealt in turn."""
        if len(vectors) == 1:
            return vectors
        n = BYTES // self.width
        pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
        even, odd = (
            self.dealt([self._shuffle(*pair, list(range(i, 2 * n, 2))) for pair in pairs]) for i in (0, 1)
        )
        return [vector for pair in zip(even, odd, strict=True) for vector in pair]

    @contextmanager
    def loop(self, count: Any) -> Iterator[Any]:
        """Emit a loop: what is emitted in the ``with`` block is done ``count`` times; yields the number."""
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index

    def first(self, count: Any, holds: Callable[[Any], Any]) -> Any:
        """Emit a loop that ends where ``holds`` of its number is true; return that number, or ``count``."""
        found = cgutils.alloca_once_value(self.builder, count)
        with cgutils.for_range(self.builder, count) as loop, self.builder.if_then(holds(loop.index)):
            self.builder.store(loop.index, found)
            loop.do_break()
        return self.builder.load(found)

    def call(self, name: str, *arguments: Any, returns: Any = None) -> Any:
        """Return what a function of LLVM's own returns: a vector unless another type is given."""
        module = self.builder.module
        kind = ir.FunctionType(returns or self.vector(), [argument.type for argument in arguments])
        return self.builder.call(module.globals.get(name) or ir.Function(module, kind, name), arguments)

    def prefetch(self, address: Any, level: int = 1) -> None:
        """Ask for the memory at an address in the cache of a level and those behind: it will be read soon."""
        pointer = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        read, locality, data = (ir.Constant(_INTEGER, value) for value in (0, 4 - level, 1))
        self.call("llvm.prefetch.p0", pointer, read, locality, data, returns=ir.VoidType())

    def _shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        # A vector of lanes of both; those of b are numbered behind those of a
        return self.builder.shuffle_vector(a, b, ir.Constant(self.vector(_LANE), lanes))

    def _load(self, kind: Any, address: Any) -> Any:
        return self.builder.load(self.builder.inttoptr(address, kind.as_pointer()), align=self.width)


@dataclass(frozen=True)
class WordEmitter(Emitter):
    """Logic on vectors of eight 64-bit words: the gates of `adder_tree` as instructions."""

    ternary: bool  # whether the machine has vpternlog

    number = ir.IntType(64)
    width = 8

    def and_(self, a: Any, b: Any) -> Any:
        """Return a and b."""
        return self.builder.and_(a, b)

    def or_(self, a: Any, b: Any) -> Any:
        """Return a or b."""
        return self.builder.or_(a, b)

    def xor(self, a: Any, b: Any) -> Any:
        """Return a xor b."""
        return self.builder.xor(a, b)

    def xor3(self, a: Any, b: Any, c: Any) -> Any:
        """Return a xor b xor c."""
        if self.ternary:
            return self._ternary(a, b, c, 0x96)
        return self.xor(self.xor(a, b), c)

    def majority(self, a: Any, b: Any, c: Any) -> Any:
        """Return ones where at least two of the three have them."""
        if self.ternary:
            return self._ternary(a, b, c, 0xE8)
        return self.or_(self.and_(a, b), self.and_(c, self.or_(a, b)))

    def _ternary(self, a: Any, b: Any, c: Any, truth_table: int) -> Any:
        return self.call("llvm.x86.avx512.pternlog.q.512", a, b, c, ir.Constant(ir.IntType(32), truth_table))

    def ones(self, a: Any) -> Any:
        """Return the number of ones in each word of a vector."""
        return self.call(f"llvm.ctpop.v{BYTES // self.width}i64", a)

    def least(self, a: Any, b: Any) -> Any:
        """Return the smaller words of two vectors whose words are below 2^16: longer ones take longer."""
        quarters = ir.VectorType(ir.IntType(16), BYTES // 2)
        a, b = (self.builder.bitcast(words, quarters) for words in (a, b))
        least = self.builder.select(self.builder.icmp_unsigned("<", a, b), a, b)
        return self.builder.bitcast(least, self.vector())

    def inverse(self, a: Any) -> Any:
        """Return not a."""
        return self.xor(a, self.every(2**64 - 1))

    def trailing_zeros(self, word: Any) -> Any:
        """Return how many zeros are below the lowest one of a word that is not zero."""
        return self.builder.cttz(word, ir.Constant(ir.IntType(1), 1))

    def any_below(self, vectors: list[Any], limit: Any) -> Any:
        """Return whether a word of the vectors, all below 2^16, is smaller than that of ``limit``."""
        least = reduce(self.least, vectors)
        return self.builder.icmp_unsigned("!=", self.lanes(self.below(least, limit)), constant(0))

    def below(self, a: Any, b: Any) -> Any:
        """Return for each lane whether a < b, as numbers with a sign."""
        return self.builder.icmp_signed("<", a, b)

    def lanes_with_ones(self, a: Any) -> Any:
        """Return a number whose bit i says whether lane i has any one."""
        return self.lanes(self.builder.icmp_unsigned("!=", a, self.every(0)))

    def lanes(self, which: Any) -> Any:
        """Return a number whose bit i says whether lane i of a comparison holds."""
        return self.builder.zext(self.builder.bitcast(which, ir.IntType(BYTES // self.width)), ADDRESS)

    def entry(self, base: Any, word: Any, shift: int, n_bits: int) -> Any:
        """Return the vector number ``word >> shift & (2 ** n_bits - 1)`` behind the address ``base``."""
        by = shift - _SHIFT  # shifted so that the number is already multiplied by the size of a vector
        moved = self.builder.lshr(word, constant(by)) if by >= 0 else self.builder.shl(word, constant(-by))
        mask = constant(((1 << n_bits) - 1) << _SHIFT)
        return self.load(self.builder.add(base, self.builder.and_(moved, mask)))


class FloatEmitter(Emitter):
    """Arithmetic on vectors of sixteen float32 numbers."""

    number = ir.FloatType()
    width = 4

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b."""
        return self.builder.fadd(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        """Return a - b."""
        return self.builder.fsub(a, b)

    def multiply(self, a: Any, b: Any) -> Any:
        """Return a b."""
        return self.builder.fmul(a, b)

    def negative(self, a: Any) -> Any:
        """Return -a."""
        return self.builder.fsub(self.every(-0.0), a)

    def polynomial(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)

    def clamp(self, a: Any, low: Any, high: Any) -> Any:
        """Return a, but at least ``low`` and at most ``high``, which are numbers; a NaN stays one."""
        builder, least, most = self.builder, self.every(low), self.every(high)
        a = builder.select(builder.fcmp_ordered("<", a, least), least, a)
        return builder.select(builder.fcmp_ordered(">", a, most), most, a)

    def rounded(self, a: Any) -> Any:
        """Return the nearest whole numbers, as floats."""
        return self.call(f"llvm.rint.v{BYTES // self.width}f32", a)

    def power_of_two(self, n: Any, bias: int, mantissa: int) -> Any:
        """Return 2^n for whole numbers n, made in the exponent's bits; of a NaN, 1."""
        builder = self.builder
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, self.every(0.0))
        exponent = builder.add(builder.fptosi(whole, self.vector(_INTEGER)), self.every(bias, _INTEGER))
        return builder.bitcast(builder.shl(exponent, self.every(mantissa, _INTEGER)), self.vector())


def emitter(numbers: str, context: Any, builder: Any) -> Emitter:
    """Return the emitter for vectors of ``"words"`` or ``"floats"``."""
    if numbers == "floats":
        return FloatEmitter(builder)
    _, _, features = context.codegen().magic_tuple()
    return WordEmitter(builder, "+avx512f" in features.split(","))
