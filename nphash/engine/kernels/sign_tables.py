"""Products with codes of plus and minus one, by looking sums up instead of multiplying.

The decoder's input is z = 2 (bits) - 1. Four bits have only sixteen patterns, so the scores z W of one word
need only sixteen sums for each four rows of W,

    sum[p] = +-W[0, w] +-W[1, w] +-W[2, w] +-W[3, w],

and each document looks up one of them: a quarter of the arithmetic, and none of it a product. The way back,
z' ds, is the same the other way round: the documents' ds are added up by pattern, and sixteen such sums
make the gradients of four rows (`add_by_pattern`, `separate`). (Arlazarov et al., 1970, for matrices of bits:
the method of four Russians.)

All work on vectors of `LANES` words at once, and the sums of these words fit into the first-level cache. Each
function is plain NumPy, used with ``NUMBA_DISABLE_JIT=1``, and in compiled code the same as instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils

from nphash.core.devices import uses
from nphash.core.jit._extending import intrinsic, overload
from nphash.core.jit._jit import jit
from nphash.core.jit.emission import ADDRESS, BYTES, address_of, constant, length_of
from nphash.core.jit.floats import LANES, FloatEmitter
from nphash.core.typing import Array
from nphash.engine.kernels.exponential import exponentials

__all__ = [
    "LANES",
    "PATTERNS",
    "add_by_pattern",
    "can_look_up",
    "fill_sums",
    "look_up",
    "places_of",
    "separate",
    "sums_for",
]


_BITS = 4  # of a pattern
PATTERNS = 2**_BITS


def places_of(z: Array) -> Array:
    """Return where the sums of a code's patterns stand: (B, L / 4) int64, or (B, 0) for codes that have none.

    Parameters
    ----------
    z
        Array of shape (B, L). It has to be +-1 everywhere, and L a multiple of 8: places are read in pairs.

    Returns
    -------
    numpy.ndarray
        For pattern p of the bits 4 g to 4 g + 3, the first of them the lowest, how many bytes row 16 g + p of
        the sums lies behind the first one.

    Examples
    --------
    >>> places_of(np.array([[1.0, -1, -1, -1, 1, 1, -1, -1]]))
    array([[  64, 1216]])
    >>> places_of(np.array([[0.5, -1, -1, -1, 1, 1, -1, -1]])).shape
    (1, 0)
    """
    n_rows, n_bits = z.shape
    if n_bits % 8 != 0 or not uses("sign-tables") or not (np.abs(z) == 1).all():
        return np.empty((n_rows, 0), np.int64)
    patterns = (z > 0).reshape(n_rows, -1, _BITS) @ (1 << np.arange(_BITS))  # (B, L / 4)
    places: Array = BYTES * (PATTERNS * np.arange(n_bits // _BITS) + patterns)
    return places


@jit()
def can_look_up(places: Array, n_words: int) -> bool:
    """Return whether there are places, and the words fill whole vectors."""
    return places.shape[1] > 0 and n_words % LANES == 0


def sums_for(places: Array) -> Array:
    """Return zeros for the sums that these places are of, (4 L, LANES) float32, where vectors begin."""
    n_sums = PATTERNS * places.shape[1]
    buffer = np.zeros((n_sums + 1) * LANES, np.float32)
    skip = -buffer.ctypes.data % BYTES // 4
    return buffer[skip : skip + n_sums * LANES].reshape(n_sums, LANES)


def fill_sums(columns: Array, at: int, sums: Array) -> None:
    """Write the sums of all patterns for the words ``at`` to ``at + LANES - 1``.

    Parameters
    ----------
    columns
        Part of W for some words, float32 (L, words), C-contiguous.
    at
        The first of the words.
    sums
        By `sums_for`.
    """
    for place in range(len(sums)):
        group, pattern = divmod(place, PATTERNS)
        sums[place] = 0
        for bit in range(_BITS):
            row = columns[_BITS * group + bit, at : at + LANES]
            sums[place] += row if pattern >> bit & 1 else -row


def look_up(
    sums: Array, places: Array, bias: Array, shifts: Array, at: int, out: Array, total: Array
) -> None:
    """Write exp(z W + b - m) for some words into ``out``, and add it to ``total``.

    Parameters
    ----------
    sums
        By `fill_sums`, for the words ``at`` to ``at + LANES - 1`` of the following arrays.
    places
        Where each document's patterns stand, by `places_of`; (B, L / 4) int64.
    bias, shifts
        b (words,) and m (B,), float32.
    out
        Array of shape (B, words).
    total
        Array of shape (B, LANES): lane i sums up the words i, LANES + i, ...
    """
    words = slice(at, at + LANES)
    for row in range(len(places)):
        scores = sums[places[row] // BYTES].sum(axis=0)
        exponentials(scores, bias[words], shifts[row])
        out[row, words] = scores
        total[row] += scores


def add_by_pattern(ds: Array, at: int, places: Array, sums: Array) -> None:
    """Add ds (B, words) of the words ``at`` to ``at + LANES - 1`` to the sums of the documents' patterns."""
    for row in range(len(places)):
        sums[places[row] // BYTES] += ds[row, at : at + LANES]


def separate(sums: Array, out: Array, at: int) -> None:
    """Write z' ds into the columns ``at`` to ``at + LANES - 1`` of ``out`` (L, words), and clear the sums.

    Parameters
    ----------
    sums
        By `add_by_pattern`.
    """
    for bit in range(len(out)):
        group, low = divmod(bit, _BITS)
        out[bit, at : at + LANES] = 0
        for pattern in range(PATTERNS):
            row = sums[PATTERNS * group + pattern]
            out[bit, at : at + LANES] += row if pattern >> low & 1 else -row
    sums[:] = 0


@jit()
def _loop_fill_sums(columns: Array, at: int, sums: Array) -> None:
    # Pattern 0 has all signs negative; the sum of pattern p is that of p without its highest one, and twice
    # the row of this bit.
    for group in range(len(sums) // PATTERNS):
        for lane in range(LANES):
            sums[PATTERNS * group, lane] = -(
                (columns[_BITS * group, at + lane] + columns[_BITS * group + 1, at + lane])
                + (columns[_BITS * group + 2, at + lane] + columns[_BITS * group + 3, at + lane])
            )
        for bit in range(_BITS):
            row = columns[_BITS * group + bit, at : at + LANES]
            for pattern in range(1 << bit):
                one, zero = PATTERNS * group + pattern + (1 << bit), PATTERNS * group + pattern
                for lane in range(LANES):
                    sums[one, lane] = sums[zero, lane] + np.float32(2) * row[lane]


@jit()
def _loop_look_up(
    sums: Array, places: Array, bias: Array, shifts: Array, at: int, out: Array, total: Array
) -> None:
    some = bias[at : at + LANES]
    for row in range(len(places)):
        scores = out[row, at : at + LANES]
        for lane in range(LANES):
            scores[lane] = 0
        for i in range(places.shape[1]):
            found = sums[np.uintp(places[row, i] // BYTES)]
            for lane in range(LANES):
                scores[lane] += found[lane]
        exponentials(scores, some, shifts[row])
        for lane in range(LANES):
            total[row, lane] += scores[lane]


@jit()
def _loop_add_by_pattern(ds: Array, at: int, places: Array, sums: Array) -> None:
    for row in range(len(places)):
        source = ds[row, at : at + LANES]
        for i in range(places.shape[1]):
            target = sums[np.uintp(places[row, i] // BYTES)]
            for lane in range(LANES):
                target[lane] += source[lane]


@jit()
def _loop_separate(sums: Array, out: Array, at: int) -> None:
    for group in range(len(sums) // PATTERNS):
        block = sums[PATTERNS * group : PATTERNS * (group + 1)]
        width = PATTERNS
        for bit in range(_BITS):
            target = out[_BITS * group + bit, at : at + LANES]
            width //= 2
            for lane in range(LANES):
                target[lane] = 0
            for i in range(width):
                zero, one, kept = block[2 * i], block[2 * i + 1], block[i]
                for lane in range(LANES):
                    a, b = one[lane], zero[lane]
                    target[lane] += a - b
                    kept[lane] = a + b
        block[:] = 0


@intrinsic
def _emit_fill_sums(typing: Any, columns: Any, at: Any, sums: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = FloatEmitter(builder)
        source, (stride, _) = address_of(context, builder, signature.args[0], args[0], args[1])
        target, _ = address_of(context, builder, signature.args[2], args[2])
        n_sums = length_of(context, builder, signature.args[2], args[2], 0)
        with cgutils.for_range(builder, builder.udiv(n_sums, constant(PATTERNS))) as loop:
            first = builder.add(source, builder.mul(builder.mul(loop.index, constant(_BITS)), stride))
            w = [out.load(builder.add(first, builder.mul(constant(bit), stride))) for bit in range(_BITS)]
            pairs = [(out.add(w[i], w[i + 1]), out.subtract(w[i], w[i + 1])) for i in (0, 2)]
            # patterns 0 to 3 of two bits: none, the first, the second, both
            low, high = ([out.negative(p), m, out.negative(m), p] for p, m in pairs)
            place = out.plus(target, builder.mul(loop.index, constant(PATTERNS)))
            for pattern in range(PATTERNS):
                out.store(out.add(low[pattern & 3], high[pattern >> 2]), out.plus(place, pattern))
        return context.get_dummy_value()

    return types.void(columns, types.int64, sums), emit


@intrinsic
def _emit_look_up(
    typing: Any, sums: Any, places: Any, bias: Any, shifts: Any, at: Any, scores: Any, total: Any
) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, kinds, at = FloatEmitter(builder), signature.args, args[4]
        table, _ = address_of(context, builder, kinds[0], args[0])
        b, _ = address_of(context, builder, kinds[2], args[2], at)
        m, (step, *_) = address_of(context, builder, kinds[3], args[3])
        target, (stride, _) = address_of(context, builder, kinds[5], args[5], at)
        lanes, _ = address_of(context, builder, kinds[6], args[6])
        n_rows = length_of(context, builder, kinds[1], args[1], 0)
        bias_vector = out.load(b)
        halves = [cgutils.alloca_once(builder, bias_vector.type) for _ in range(2)]
        with cgutils.for_range(builder, n_rows) as rows:
            row = rows.index
            shift = out.spread(out.load_number(builder.add(m, builder.mul(row, step))))
            builder.store(out.subtract(bias_vector, shift), halves[0])
            builder.store(out.every(0.0), halves[1])
            # Two sums side by side, so that an addition need not wait for the one before it
            for i, address in _each_place(context, builder, kinds[1], args[1], row, table):
                half = halves[i % 2]
                builder.store(out.add(builder.load(half), out.load(address)), half)
            e = out.exponential(out.add(builder.load(halves[0]), builder.load(halves[1])))
            out.store(e, builder.add(target, builder.mul(row, stride)))
            place = out.plus(lanes, row)
            out.store(out.add(out.load(place), e), place)
        return context.get_dummy_value()

    kinds = (sums, places, bias, shifts, types.int64, scores, total)
    return types.void(*kinds), emit


def _each_place(context: Any, builder: Any, kind: Any, places: Any, row: Any, table: Any) -> Any:
    # Emits a loop over a row of places, two at once; yields the address of the sums at each.
    start, (stride, _) = address_of(context, builder, kind, places)
    first = builder.inttoptr(builder.add(start, builder.mul(row, stride)), ADDRESS.as_pointer())
    n_places = length_of(context, builder, kind, places, 1)
    with cgutils.for_range(builder, builder.udiv(n_places, constant(2))) as pairs:
        for i in range(2):
            number = builder.add(builder.mul(pairs.index, constant(2)), constant(i))
            yield i, builder.add(table, builder.load(builder.gep(first, [number])))


@intrinsic
def _emit_add_by_pattern(typing: Any, ds: Any, at: Any, places: Any, sums: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, kinds = FloatEmitter(builder), signature.args
        source, (stride, _) = address_of(context, builder, kinds[0], args[0], args[1])
        table, _ = address_of(context, builder, kinds[3], args[3])
        with cgutils.for_range(builder, length_of(context, builder, kinds[2], args[2], 0)) as rows:
            added = out.load(builder.add(source, builder.mul(rows.index, stride)))
            for _, address in _each_place(context, builder, kinds[2], args[2], rows.index, table):
                out.store(out.add(out.load(address), added), address)
        return context.get_dummy_value()

    return types.void(ds, types.int64, places, sums), emit


@intrinsic
def _emit_separate(typing: Any, sums: Any, target: Any, at: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, kinds = FloatEmitter(builder), signature.args
        table, _ = address_of(context, builder, kinds[0], args[0])
        first, (stride, _) = address_of(context, builder, kinds[1], args[1], args[2])
        n_sums = length_of(context, builder, kinds[0], args[0], 0)
        with cgutils.for_range(builder, builder.udiv(n_sums, constant(PATTERNS))) as loop:
            addresses = [
                out.plus(out.plus(table, builder.mul(loop.index, constant(PATTERNS))), pattern)
                for pattern in range(PATTERNS)
            ]
            left = [out.load(address) for address in addresses]
            for address in addresses:
                out.store(out.every(0.0), address)
            for bit in range(_BITS):
                # Neighbours differ in this bit only: their differences belong to it, their sums to the rest.
                pairs = list(zip(left[1::2], left[::2], strict=True))
                row = builder.add(builder.mul(loop.index, constant(_BITS)), constant(bit))
                gradient = _sum(out, [out.subtract(one, zero) for one, zero in pairs])
                out.store(gradient, builder.add(first, builder.mul(row, stride)))
                left = [out.add(one, zero) for one, zero in pairs]
        return context.get_dummy_value()

    return types.void(sums, target, types.int64), emit


def _sum(out: FloatEmitter, terms: list[Any]) -> Any:
    while len(terms) > 1:
        terms = [out.add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=True)]
    return terms[0]


@overload(fill_sums, inline="always")
def _fill_sums(columns: Any, at: Any, sums: Any) -> Callable[..., None]:
    def compiled(columns: Any, at: Any, sums: Any) -> None:
        _emit_fill_sums(columns, at, sums)

    def looped(columns: Any, at: Any, sums: Any) -> None:
        _loop_fill_sums(columns, at, sums)

    return compiled if uses("emission") else looped


@overload(look_up, inline="always")
def _look_up(
    sums: Any, places: Any, bias: Any, shifts: Any, at: Any, out: Any, total: Any
) -> Callable[..., None]:
    def compiled(sums: Any, places: Any, bias: Any, shifts: Any, at: Any, out: Any, total: Any) -> None:
        _emit_look_up(sums, places, bias, shifts, at, out, total)

    def looped(sums: Any, places: Any, bias: Any, shifts: Any, at: Any, out: Any, total: Any) -> None:
        _loop_look_up(sums, places, bias, shifts, at, out, total)

    return compiled if uses("emission") else looped


@overload(add_by_pattern, inline="always")
def _add_by_pattern(ds: Any, at: Any, places: Any, sums: Any) -> Callable[..., None]:
    def compiled(ds: Any, at: Any, places: Any, sums: Any) -> None:
        _emit_add_by_pattern(ds, at, places, sums)

    def looped(ds: Any, at: Any, places: Any, sums: Any) -> None:
        _loop_add_by_pattern(ds, at, places, sums)

    return compiled if uses("emission") else looped


@overload(separate, inline="always")
def _separate(sums: Any, out: Any, at: Any) -> Callable[..., None]:
    def compiled(sums: Any, out: Any, at: Any) -> None:
        _emit_separate(sums, out, at)

    def looped(sums: Any, out: Any, at: Any) -> None:
        _loop_separate(sums, out, at)

    return compiled if uses("emission") else looped
