"""Loops over rows of numbers: what the larger kernels are made of.

Compiled code knows array operations too, but Numba compiles the text of their error messages, for seconds.

Adam: NumPy reads and writes an array once for every operation of the update; here each of parameter,
gradient and the two moments is read once, which is what the update costs (it is bound by memory).

The exponential is a polynomial without call or branch, so that it vectorises (docs/develop/kernels.rst).

Shapes: B documents, V words, H columns of a dense matrix, n numbers of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.jit import emitted, jit
from nphash.core.jit.words import prefetch_row
from nphash.core.threads import run_blocks, split_range
from nphash.core.typing import Array

if TYPE_CHECKING:
    from nphash.core.jit import emission
    from nphash.core.jit.emission import FloatEmitter

# A step's settings are an array of nine numbers: what the gradient is multiplied by, learning rate, epsilon,
# beta1, 1 - beta1, beta2, 1 - beta2, and what frees the moments of their bias, 1 / (1 - beta1^t) and
# 1 / (1 - beta2^t).
SCALE, RATE, EPSILON, BETA1, REST1, BETA2, REST2, UNBIAS1, UNBIAS2 = range(9)

LANES = 16  # float32 numbers of a vector

_EARLY = 8  # entries between the hint that a row is wanted and its turn
_ROWS = 16  # documents in a block, at most
_BLOCKS = 10  # of a batch, at least: with few, some threads would wait for others


@jit()
def copy_row(row: Array, other: Array) -> None:
    """Do row = other."""
    for i in range(row.size):
        row[i] = other[i]


@jit()
def add_row(row: Array, other: Array) -> None:
    """Do row += other."""
    for i in range(row.size):
        row[i] += other[i]


@jit()
def add_scaled(row: Array, other: Array, factor: float) -> None:
    """Do row += factor other."""
    for i in range(row.size):
        row[i] += factor * other[i]


@jit()
def scale_row(row: Array, factor: float) -> None:
    """Do row *= factor."""
    for i in range(row.size):
        row[i] *= factor


@jit()
def set_scaled(row: Array, other: Array, factor: float) -> None:
    """Do row = factor other."""
    for i in range(row.size):
        row[i] = factor * other[i]


@jit()
def move_average(average: Array, w: Array, kept: float, rest: float) -> None:
    """Do average = kept average + rest w."""
    for i in range(w.size):
        average[i] = kept * average[i] + rest * w[i]


@jit()
def update(w: Array, g: Array, m: Array, v: Array, settings: Array) -> None:
    """Do a step of Adam on a part of a parameter; kernels call it on gradients they have just computed.

    All arrays are of one dtype, also the nine settings: one float64 among float32 would halve the speed.
    """
    scale, rate, epsilon = settings[SCALE], settings[RATE], settings[EPSILON]
    beta1, rest1, beta2, rest2 = settings[BETA1], settings[REST1], settings[BETA2], settings[REST2]
    unbias1, unbias2 = settings[UNBIAS1], settings[UNBIAS2]
    for i in range(w.size):
        gradient = scale * g[i]
        # Reading m[i] and v[i] again after writing them would keep the loop from being vectorised.
        first = beta1 * m[i] + rest1 * gradient
        second = beta2 * v[i] + rest2 * gradient * gradient
        m[i] = first
        v[i] = second
        w[i] = w[i] - rate * (first * unbias1) / (np.sqrt(second * unbias2) + epsilon)


@jit()
def sum_rows(
    indices: Array, data: Array, dense: Array, position: int, end: int, target: Array, last: int
) -> None:
    """Write the sum of data[i] dense[indices[i]] for i from ``position`` to ``end`` - 1 into ``target``.

    Rows are asked for early, up to entry ``last`` - 1, beyond ``end`` if other sums follow, or 0: never.
    """
    target[:] = 0
    # Four rows at once: the sum is loaded and stored once for the four, and the memory fetches
    # them side by side. The order of the additions stays that of the indices. Unsigned numbers of rows
    # need no look whether they count from the end.
    while position + 4 <= end:
        for soon in range(position + _EARLY, min(position + _EARLY + 4, last)):
            prefetch_row(dense, indices[soon])
        row0, row1 = np.uintp(indices[position]), np.uintp(indices[position + 1])
        row2, row3 = np.uintp(indices[position + 2]), np.uintp(indices[position + 3])
        w0, w1, w2, w3 = data[position], data[position + 1], data[position + 2], data[position + 3]
        for h in range(np.uintp(target.size)):
            both = target[h] + w0 * dense[row0, h] + w1 * dense[row1, h]
            target[h] = both + w2 * dense[row2, h] + w3 * dense[row3, h]
        position += 4
    while position < end:
        row0, w0 = np.uintp(indices[position]), data[position]
        for h in range(np.uintp(target.size)):
            target[h] += w0 * dense[row0, h]
        position += 1


@jit()
def _times_dense(
    indptr: Array, indices: Array, data: Array, dense: Array, out: Array, start: int, stop: int
) -> None:
    for row in range(start, stop):
        sum_rows(indices, data, dense, indptr[row], indptr[row + 1], out[row], indptr[stop])


def _emit_transpose(out: FloatEmitter, source: emission.Array, target: emission.Array) -> None:
    n, k = (out.divided(length, LANES) for length in source.lengths)
    with out.loop(n) as down, out.loop(k) as across:
        first = out.plus(source.row(out.times(down, LANES)), across)
        rows = [out.load(source.row(out.times(down, 0, i), first)) for i in range(LANES)]
        first = out.plus(target.row(out.times(across, LANES)), down)
        for i, row in enumerate(out.transposed(rows)):
            out.store(row, target.row(out.times(across, 0, i), first))


@emitted(_emit_transpose, "floats")
def transpose(source: Array, target: Array) -> None:
    """Write the transpose of a float32 array (n, k) into another; n and k are multiples of `LANES`."""
    target[:] = source.T


def csr_times_dense(indptr: Array, indices: Array, data: Array, dense: Array, threads: int = 1) -> Array:
    """Return ``X @ dense`` (B, H) of a CSR matrix, in the dtype of ``dense`` (V, H); repeated entries add up.

    Column numbers must lie below V: a kernel does not check them. Any number of threads gives the same.
    """
    dense = np.ascontiguousarray(dense)  # (V, H)
    data = data.astype(dense.dtype, copy=False)  # (nnz,)
    n_rows = indptr.size - 1
    out = np.empty((n_rows, dense.shape[1]), dtype=dense.dtype)  # (B, H)
    run_blocks(
        lambda start, stop: _times_dense(indptr, indices, data, dense, out, start, stop),
        split_range(n_rows, min(_ROWS, max(1, -(-n_rows // _BLOCKS)))),
        threads,
    )
    return out


_F = np.float32
_SMALLEST = _F(-87)  # exp(-87) = 1.6e-38 is the smallest that needs no denormal float
_LARGEST = _F(80)  # exp(80) = 5.5e34: the sum of thousands is still a float
_PER_LN2 = _F(1.4426950408889634)
_LN2_HIGH = _F(0.693145751953125)  # ln 2 in two parts: n times the first is exact
_LN2_LOW = _F(1.428606765330187e-06)
_HALF, _ONE = _F(0.5), _F(1)  # coefficients are Cephes', with a relative error below 1e-7
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
    """Replace ``row`` by exp((row + bias) - shift), each at most exp(80); all are float32."""
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
