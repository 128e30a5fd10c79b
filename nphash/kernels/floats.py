"""Vectors of sixteen float32 numbers as instructions, for operations that LLVM does not find in a loop.

See `nphash.kernels.vectors` for why and how; here the numbers are floats. LLVM splits a vector where the
registers are shorter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir

from nphash.kernels import exponential as coefficients

__all__ = ["LANES", "FloatEmitter", "address_of", "constant", "length_of"]

LANES = 16

_NUMBER, _INTEGER, _INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR, _INTEGERS = ir.VectorType(_NUMBER, LANES), ir.VectorType(_INTEGER, LANES)
_BYTES = 4 * LANES
_ANY = ir.Constant(_VECTOR, ir.Undefined)
_FUSED = ("contract",)  # a product may be fused with the addition after it: rounded once, not twice


class FloatEmitter(NamedTuple):
    """Loads, stores and arithmetic on vectors; addresses are integers."""

    builder: Any

    def every(self, number: Any) -> Any:
        """Return the constant vector with ``number`` in every lane."""
        return ir.Constant(_VECTOR, [float(number)] * LANES)

    def spread(self, address: Any) -> Any:
        """Return a vector with the number at ``address`` in every lane."""
        number = self.builder.load(self.builder.inttoptr(address, _NUMBER.as_pointer()), align=4)
        first = self.builder.insert_element(_ANY, number, ir.Constant(_INTEGER, 0))
        return self.builder.shuffle_vector(first, _ANY, ir.Constant(_INTEGERS, [0] * LANES))

    def load(self, address: Any) -> Any:
        """Load a vector."""
        return self.builder.load(self.builder.inttoptr(address, _VECTOR.as_pointer()), align=4)

    def store(self, vector: Any, address: Any) -> None:
        """Store a vector."""
        self.builder.store(vector, self.builder.inttoptr(address, _VECTOR.as_pointer()), align=4)

    def plus(self, address: Any, n_vectors: Any) -> Any:
        """Return the address so many vectors further."""
        count = constant(n_vectors) if isinstance(n_vectors, int) else n_vectors
        return self.builder.add(address, self.builder.mul(count, constant(_BYTES)))

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """Return a vector of lanes of both, those of b numbered from `LANES` on."""
        return self.builder.shuffle_vector(a, b, ir.Constant(_INTEGERS, lanes))

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b."""
        return self.builder.fadd(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        """Return a - b."""
        return self.builder.fsub(a, b)

    def negative(self, a: Any) -> Any:
        """Return -a."""
        return self.builder.fsub(self.every(-0.0), a)

    def polynomial(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)

    def exponential(self, y: Any) -> Any:
        """Return exp(y), at most exp(80), as `nphash.kernels.exponential.exponentials`."""
        builder, every = self.builder, self.every
        low, high = every(coefficients.SMALLEST), every(coefficients.LARGEST)
        y = builder.select(builder.fcmp_ordered("<", y, low), low, y)
        y = builder.select(builder.fcmp_ordered(">", y, high), high, y)
        n = self._round(builder.fmul(y, every(coefficients.PER_LN2)))
        r = self.polynomial(n, every(-coefficients.LN2_HIGH), y)
        r = self.polynomial(n, every(-coefficients.LN2_LOW), r)
        p = every(coefficients.POLYNOMIAL[0])
        for c in coefficients.POLYNOMIAL[1:]:
            p = self.polynomial(p, r, every(c))
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, every(0))  # a NaN is no integer
        power = builder.add(builder.fptosi(whole, _INTEGERS), self._integers(coefficients.BIAS))
        power = builder.bitcast(builder.shl(power, self._integers(coefficients.MANTISSA)), _VECTOR)  # 2^n
        rest = builder.fadd(self.polynomial(builder.fmul(p, r), r, r), every(1))
        return builder.fmul(rest, power)

    def _integers(self, number: Any) -> Any:
        return ir.Constant(_INTEGERS, [int(number)] * LANES)

    def _round(self, a: Any) -> Any:
        name, module = f"llvm.rint.v{LANES}f32", self.builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(_VECTOR, [_VECTOR]), name)
        return self.builder.call(function, [a])


def constant(number: int) -> Any:
    """Return a number as one of addresses and lengths."""
    return ir.Constant(_INDEX, number)


def address_of(context: Any, builder: Any, kind: Any, array: Any, at: Any = None) -> tuple[Any, list[Any]]:
    """Return the address of an array, or of its column ``at``, and its strides in bytes."""
    parts = context.make_array(kind)(context, builder, array)
    strides = [builder.extract_value(parts.strides, axis) for axis in range(kind.ndim)]
    start = builder.ptrtoint(parts.data, _INDEX)
    return (start if at is None else builder.add(start, builder.mul(at, strides[-1]))), strides


def length_of(context: Any, builder: Any, kind: Any, array: Any, axis: int) -> Any:
    """Return the length of an axis of an array."""
    parts = context.make_array(kind)(context, builder, array)
    return builder.extract_value(parts.shape, axis)
