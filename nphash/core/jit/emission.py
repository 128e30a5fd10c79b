"""Instructions on vectors of numbers, emitted one by one.

Numba compiles loops and leaves it to LLVM to see vectors in them. Where that fails, because two rows of one
array might overlap for all LLVM knows, or because the loop does not show what should stay in registers, the
operation is emitted here: a few loads, arithmetic, stores. Each has a plain form on NumPy arrays, which is
used with ``NUMBA_DISABLE_JIT=1`` and says what the instructions do.

A vector is 64 bytes, the longest register there is; LLVM splits it where registers are shorter.
What one does with words stands in `nphash.core.jit.vectors`, with floats in `nphash.core.jit.floats`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from llvmlite import ir

__all__ = ["ADDRESS", "BYTES", "VectorEmitter", "address_of", "constant", "length_of"]

BYTES = 64  # of a vector
ADDRESS = ir.IntType(64)  # addresses and lengths, in bytes

_LANE = ir.IntType(32)


@dataclass(frozen=True)
class VectorEmitter:
    """Loads, stores and moves of vectors; addresses are integers.

    Attributes
    ----------
    number
        What a vector consists of, as an LLVM type.
    width
        Bytes of a number. Arrays begin at multiples of it, not at multiples of `BYTES`.
    """

    builder: Any

    number: ClassVar[Any]
    width: ClassVar[int]

    @classmethod
    def vector(cls, of: Any = None) -> Any:
        """Return the type of a vector, or of one with as many numbers of another type."""
        return ir.VectorType(of or cls.number, BYTES // cls.width)

    @classmethod
    def every(cls, number: Any) -> Any:
        """Return the constant vector with ``number`` in every lane."""
        return ir.Constant(cls.vector(), [number] * (BYTES // cls.width))

    def load(self, address: Any) -> Any:
        """Load a vector."""
        return self._load(self.vector(), address)

    def load_number(self, address: Any, i: int = 0) -> Any:
        """Load the number i places behind an address."""
        return self._load(self.number, self.builder.add(address, constant(self.width * i)))

    def store(self, vector: Any, address: Any) -> None:
        """Store a vector."""
        where = self.builder.inttoptr(address, self.vector().as_pointer())
        self.builder.store(vector, where, align=self.width)

    def spread(self, number: Any) -> Any:
        """Return a vector with a number in every lane."""
        nothing = ir.Constant(self.vector(), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_LANE, 0))
        return self.shuffle(first, nothing, [0] * (BYTES // self.width))

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """Return a vector of lanes of both; those of b are numbered behind those of a."""
        return self.builder.shuffle_vector(a, b, ir.Constant(self.vector(_LANE), lanes))

    def plus(self, address: Any, n_vectors: Any) -> Any:
        """Return the address so many vectors further."""
        if isinstance(n_vectors, int):
            return self.builder.add(address, constant(BYTES * n_vectors))
        return self.builder.add(address, self.builder.mul(n_vectors, constant(BYTES)))

    def call(self, name: str, *arguments: Any) -> Any:
        """Return the vector that a function of LLVM's own returns."""
        module = self.builder.module
        kind = ir.FunctionType(self.vector(), [argument.type for argument in arguments])
        return self.builder.call(module.globals.get(name) or ir.Function(module, kind, name), arguments)

    def _load(self, kind: Any, address: Any) -> Any:
        return self.builder.load(self.builder.inttoptr(address, kind.as_pointer()), align=self.width)


def constant(number: int) -> Any:
    """Return a number as one of addresses and lengths."""
    return ir.Constant(ADDRESS, number)


def address_of(context: Any, builder: Any, kind: Any, array: Any, at: Any = None) -> tuple[Any, list[Any]]:
    """Return the address of an array, or of its column ``at``, and its strides in bytes."""
    parts = context.make_array(kind)(context, builder, array)
    strides = [builder.extract_value(parts.strides, axis) for axis in range(kind.ndim)]
    start = builder.ptrtoint(parts.data, ADDRESS)
    return (start if at is None else builder.add(start, builder.mul(at, strides[-1]))), strides


def length_of(context: Any, builder: Any, kind: Any, array: Any, axis: int) -> Any:
    """Return the length of an axis of an array."""
    parts = context.make_array(kind)(context, builder, array)
    return builder.extract_value(parts.shape, axis)
