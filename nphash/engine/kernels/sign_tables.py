"""Products with codes of plus and minus one, by looking sums up instead of multiplying.

The scores z W of one word need only sixteen sums for each four rows of W,

    sum[p] = +-W[0, w] +-W[1, w] +-W[2, w] +-W[3, w],

and each document looks up one of them (docs/develop/kernels.rst). The backward pass, z' ds, is the same the
other way round: `add_by_pattern`, `separate`. (Arlazarov et al., 1970: the method of four Russians.)

All work on vectors of `LANES` words at once, and the sums of these words fit into the first-level cache. Each
function is plain NumPy, and in compiled code the same as instructions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.jit import emitted, jit
from nphash.core.typing import Array
from nphash.engine.kernels.rows import LANES, emit_exponential, exponentials

if TYPE_CHECKING:
    from nphash.core.jit import emission
    from nphash.core.jit.emission import FloatEmitter

_BYTES = 4 * LANES
_BITS = 4  # of a pattern
PATTERNS = 2**_BITS


@jit()
def offsets_of(z: Array) -> Array:
    """Return where the sums of a code's patterns stand: (B, L / 4) int64, or (B, 0) for codes that have none.

    z (B, L) has to be +-1, and L a multiple of 8: offsets are read in pairs. For pattern p of the bits 4 g to
    4 g + 3, the first the lowest, it is how many bytes row 16 g + p of the sums lies behind the first one.
    """
    n_rows, n_bits = z.shape
    none = np.empty((n_rows, 0), np.int64)
    if n_bits % 8 != 0:
        return none
    offsets = np.empty((n_rows, n_bits // _BITS), np.int64)
    for row in range(n_rows):
        for group in range(n_bits // _BITS):
            pattern = 0
            for bit in range(_BITS):
                value = z[row, _BITS * group + bit]
                if value == 1:
                    pattern += 1 << bit
                elif value != -1:
                    return none
            offsets[row, group] = _BYTES * (PATTERNS * group + pattern)
    return offsets


@jit()
def can_look_up(offsets: Array, n_words: int) -> bool:
    """Return whether there are offsets, and the words fill whole vectors."""
    return offsets.shape[1] > 0 and n_words % LANES == 0


@jit()
def sums_for(offsets: Array) -> Array:
    """Return zeros for the sums that these offsets lie in, (4 L, LANES) float32, where vectors begin."""
    n_sums = PATTERNS * offsets.shape[1]
    buffer = np.zeros((n_sums + 1) * LANES, np.float32)
    skip = (_BYTES - np.int64(buffer.ctypes.data % _BYTES)) % _BYTES // 4
    return buffer[skip : skip + n_sums * LANES].reshape(n_sums, LANES)


def _emit_fill_sums(out: FloatEmitter, columns: emission.Array, at: Any, sums: emission.Array) -> None:
    source = columns.column(at)
    with out.loop(out.divided(sums.lengths[0], PATTERNS)) as group:
        w = [out.load(columns.row(out.times(group, _BITS, bit), source)) for bit in range(_BITS)]
        pairs = [(out.add(w[i], w[i + 1]), out.subtract(w[i], w[i + 1])) for i in (0, 2)]
        # patterns 0 to 3 of two bits: none, the first, the second, both
        low, high = ([out.negative(p), m, out.negative(m), p] for p, m in pairs)
        table = out.plus(sums.start, out.times(group, PATTERNS))
        for pattern in range(PATTERNS):
            out.store(out.add(low[pattern & 3], high[pattern >> 2]), out.plus(table, pattern))


@emitted(_emit_fill_sums, "floats")
def fill_sums(columns: Array, at: int, sums: Array) -> None:
    """Write the sums of all patterns for the words ``at`` to ``at + LANES - 1`` of ``columns``."""
    for i in range(len(sums)):
        group, pattern = divmod(i, PATTERNS)
        sums[i] = 0
        for bit in range(_BITS):
            row = columns[_BITS * group + bit, at : at + LANES]
            sums[i] += row if pattern >> bit & 1 else -row


def _each_offset(
    out: FloatEmitter, offsets: emission.Array, row: Any, table: Any
) -> Iterator[tuple[int, Any]]:
    # Emits a loop over a row of offsets, two at once; yields the address of the sums at each.
    first = offsets.row(row)
    with out.loop(out.divided(offsets.lengths[1], 2)) as pair:
        for i in range(2):
            yield i, out.builder.add(table, out.load_offset(first, out.times(pair, 2, i)))


def _emit_look_up(
    out: FloatEmitter,
    sums: emission.Array,
    offsets: emission.Array,
    bias: emission.Array,
    shifts: emission.Array,
    at: Any,
    scores: emission.Array,
    total: emission.Array,
) -> None:
    builder, bias_vector, halves = out.builder, out.load(bias.column(at)), out.variables(2)
    target = scores.column(at)
    with out.loop(offsets.lengths[0]) as row:
        builder.store(out.subtract(bias_vector, out.spread(out.load_number(shifts.row(row)))), halves[0])
        builder.store(out.every(0.0), halves[1])
        # Two sums side by side, so that an addition need not wait for the one before it
        for i, address in _each_offset(out, offsets, row, sums.start):
            half = halves[i % 2]
            builder.store(out.add(builder.load(half), out.load(address)), half)
        e = emit_exponential(out, out.add(builder.load(halves[0]), builder.load(halves[1])))
        out.store(e, scores.row(row, target))
        lanes = out.plus(total.start, row)
        out.store(out.add(out.load(lanes), e), lanes)


@emitted(_emit_look_up, "floats")
def look_up(
    sums: Array, offsets: Array, bias: Array, shifts: Array, at: int, out: Array, total: Array
) -> None:
    """Write exp(z W + b - m) of words ``at`` to ``at + LANES - 1`` into ``out``, and add it to ``total``.

    ``sums`` are by `fill_sums` for these words, ``shifts`` the m (B,); ``total`` is (B, LANES).
    """
    words = slice(at, at + LANES)
    for row in range(len(offsets)):
        scores = sums[offsets[row] // _BYTES].sum(axis=0)
        exponentials(scores, bias[words], shifts[row])
        out[row, words] = scores
        total[row] += scores


def _emit_add_by_pattern(
    out: FloatEmitter, ds: emission.Array, at: Any, offsets: emission.Array, sums: emission.Array
) -> None:
    source = ds.column(at)
    with out.loop(offsets.lengths[0]) as row:
        added = out.load(ds.row(row, source))
        for _, address in _each_offset(out, offsets, row, sums.start):
            out.store(out.add(out.load(address), added), address)


@emitted(_emit_add_by_pattern, "floats")
def add_by_pattern(ds: Array, at: int, offsets: Array, sums: Array) -> None:
    """Add ds (B, words) of the words ``at`` to ``at + LANES - 1`` to the sums of the documents' patterns."""
    for row in range(len(offsets)):
        sums[offsets[row] // _BYTES] += ds[row, at : at + LANES]


def _emit_separate(out: FloatEmitter, sums: emission.Array, target: emission.Array, at: Any) -> None:
    first = target.column(at)
    with out.loop(out.divided(sums.lengths[0], PATTERNS)) as group:
        table = out.plus(sums.start, out.times(group, PATTERNS))
        addresses = [out.plus(table, pattern) for pattern in range(PATTERNS)]
        left = [out.load(address) for address in addresses]
        for address in addresses:
            out.store(out.every(0.0), address)
        for bit in range(_BITS):
            # Neighbours differ in this bit only: their differences belong to it, their sums to the rest.
            pairs = list(zip(left[1::2], left[::2], strict=True))
            gradient = _emit_sum(out, [out.subtract(one, zero) for one, zero in pairs])
            out.store(gradient, target.row(out.times(group, _BITS, bit), first))
            left = [out.add(one, zero) for one, zero in pairs]


def _emit_sum(out: FloatEmitter, terms: list[Any]) -> Any:
    while len(terms) > 1:
        terms = [out.add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=True)]
    return terms[0]


@emitted(_emit_separate, "floats")
def separate(sums: Array, out: Array, at: int) -> None:
    """Write z' ds into the columns ``at`` to ``at + LANES - 1`` of ``out`` (L, words), and clear the sums."""
    for bit in range(len(out)):
        group, low = divmod(bit, _BITS)
        out[bit, at : at + LANES] = 0
        for pattern in range(PATTERNS):
            row = sums[PATTERNS * group + pattern]
            out[bit, at : at + LANES] += row if pattern >> low & 1 else -row
    sums[:] = 0
