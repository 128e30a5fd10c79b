"""The exponential function as a polynomial, of a whole row of float32 numbers at once.

Numba calls the C library's ``exp`` once for each number. This loop has no call and no branch, so
the compiler turns it into vector instructions, which is about ten times faster:

    exp(y) = 2^n exp(r),  n = round(y / ln 2),  r = y - n ln 2 in [-0.35, 0.35],

where exp(r) is a polynomial of degree 7 (its coefficients are Cephes', with a relative error below 1e-7)
and 2^n is made by writing n into the exponent bits of a float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array

if TYPE_CHECKING:
    from nphash.core.jit.emission import FloatEmitter

__all__ = ["emit_exponential", "exponentials"]

_F = np.float32

_SMALLEST = _F(-87)  # exp(-87) = 1.6e-38 is the smallest that needs no denormal float
_LARGEST = _F(80)  # exp(80) = 5.5e34: the sum of thousands is still a float
_PER_LN2 = _F(1.4426950408889634)
_LN2_HIGH = _F(0.693145751953125)  # ln 2 in two parts: n times the first is exact
_LN2_LOW = _F(1.428606765330187e-06)
_HALF, _ONE = _F(0.5), _F(1)
_C3, _C4, _C5 = _F(1.6666665459e-1), _F(4.1665795894e-2), _F(8.3334519073e-3)
_C6, _C7 = _F(1.3981999507e-3), _F(1.9875691500e-4)
_POLYNOMIAL = (_C7, _C6, _C5, _C4, _C3, _HALF)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)


# contract: a fused multiply-add rounds once instead of twice, so it only comes closer. Neither
# reassoc, which would merge the two parts of ln 2, nor nnan, so that a NaN stays visible.
@jit(fastmath={"contract"})
def _exponential(y: Any) -> Any:
    y = _SMALLEST if y < _SMALLEST else y
    y = _LARGEST if y > _LARGEST else y
    n = np.rint(y * _PER_LN2)
    r = y - n * _LN2_HIGH - n * _LN2_LOW
    p = _C7 * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _HALF
    whole = n if n == n else _F(0)  # a NaN is no integer
    power = np.int32((np.int32(whole) + _BIAS) << _MANTISSA).view(np.float32)  # 2^n
    return (p * r * r + r + _ONE) * power


@jit(fastmath={"contract"})
def exponentials(row: Array, bias: Array, shift: Any) -> None:
    """Replace ``row`` by exp((row + bias) - shift), each at most exp(80).

    Parameters
    ----------
    row, bias
        float32 arrays of shape (n,).
    shift
        A float32 number.

    Examples
    --------
    >>> row = np.array([1, 2], dtype=np.float32)
    >>> exponentials(row, np.array([3, 2], dtype=np.float32), np.float32(4))
    >>> row
    array([1., 1.], dtype=float32)
    """
    for i in range(row.size):
        row[i] = _exponential(row[i] + bias[i] - shift)


def emit_exponential(out: FloatEmitter, y: Any) -> Any:
    """Return the instructions for exp(y) of a vector, at most exp(80): the same polynomial."""
    y = out.clamp(y, _SMALLEST, _LARGEST)
    n = out.rounded(out.multiply(y, out.every(_PER_LN2)))
    r = out.polynomial(n, out.every(-_LN2_LOW), out.polynomial(n, out.every(-_LN2_HIGH), y))
    p = out.every(_POLYNOMIAL[0])
    for c in _POLYNOMIAL[1:]:
        p = out.polynomial(p, r, out.every(c))
    rest = out.add(out.polynomial(out.multiply(p, r), r, r), out.every(1.0))
    return out.multiply(rest, out.power_of_two(n, int(_BIAS), int(_MANTISSA)))
