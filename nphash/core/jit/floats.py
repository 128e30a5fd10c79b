"""Vectors of sixteen float32 numbers in compiled code: arithmetic, and the exponential function."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nphash.core.jit.emission import BYTES, VectorEmitter
from nphash.engine.kernels import exponential as coefficients

__all__ = ["LANES", "FloatEmitter"]

LANES = BYTES // 4  # numbers of a vector

_INTEGER = ir.IntType(32)
_FUSED = ("contract",)  # a product may be fused with the addition after it: rounded once, not twice


class FloatEmitter(VectorEmitter):
    """Arithmetic on vectors of float32."""

    number = ir.FloatType()
    width = 4

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
        """Return exp(y), at most exp(80), as `nphash.engine.kernels.exponential.exponentials`."""
        builder, every = self.builder, self.every
        low, high = every(coefficients.SMALLEST), every(coefficients.LARGEST)
        y = builder.select(builder.fcmp_ordered("<", y, low), low, y)
        y = builder.select(builder.fcmp_ordered(">", y, high), high, y)
        n = self.call(f"llvm.rint.v{LANES}f32", builder.fmul(y, every(coefficients.PER_LN2)))
        r = self.polynomial(n, every(-coefficients.LN2_HIGH), y)
        r = self.polynomial(n, every(-coefficients.LN2_LOW), r)
        p = every(coefficients.POLYNOMIAL[0])
        for c in coefficients.POLYNOMIAL[1:]:
            p = self.polynomial(p, r, every(c))
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, every(0.0))  # a NaN is no integer
        exponent = builder.add(
            builder.fptosi(whole, self.vector(_INTEGER)), self._integers(coefficients.BIAS)
        )
        bits = builder.shl(exponent, self._integers(coefficients.MANTISSA))
        power = builder.bitcast(bits, self.vector())  # 2^n
        rest = builder.fadd(self.polynomial(builder.fmul(p, r), r, r), every(1.0))
        return builder.fmul(rest, power)

    def _integers(self, number: Any) -> Any:
        return ir.Constant(self.vector(_INTEGER), [int(number)] * LANES)
