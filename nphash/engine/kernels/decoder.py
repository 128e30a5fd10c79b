"""The decoder's softmax over the vocabulary in tiles of words that stay in the cache: forward and backward.

docs/develop/kernels.rst explains tiles, and the m of E = exp(s - m).

* `forward` leaves E and sums over words: of E W' while the tile is in the cache, for the gradient of z.
* The gradient of the scores, ds = T softmax(s) - t, is never stored: `fill_bias` sums it, `update_tiles`
  multiplies it by z' for one tile after another and does Adam's step on each at once.
* Codes of +-1 need no product: see `nphash.engine.kernels.sign_tables`. The products remain for all other
  codes, and for words at the end that fill no vector.

Products are BLAS calls on small matrices, by `np.dot`, which Numba gives to SciPy's BLAS; the caller runs
several threads, so BLAS itself must use one (`nphash.core.threads.single_threaded_blas`).

Shapes: B documents of a batch, V words, L bits, N tiles, J words of a tile, S shares of the tiles. z is the
``code`` of `nphash.nn.losses.reconstruct`, bits as signs or real; T the mass of a document's target t.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array
from nphash.engine.kernels.rows import (
    LANES,
    add_row,
    add_scaled,
    copy_row,
    exponentials,
    scale_row,
    set_scaled,
    transpose,
    update,
)
from nphash.engine.kernels.sign_tables import (
    add_by_pattern,
    can_look_up,
    fill_sums,
    look_up,
    offsets_of,
    separate,
    sums_for,
)

_SMALL = 1_000_000  # multiplications of a product that OpenBLAS takes for small
_GROUP = 8  # tiles between two sweeps of Adam: long runs of memory are faster than short ones
OVERFLOW_GUARD = np.float32(1e30)  # for a sum of exponentials: 10^8 times less than the largest float32


class Entries(NamedTuple):
    """The entries of a CSR batch by word, those of word w at starts[w]:starts[w + 1].

    In this order a word's row of a gradient, a sum over documents, is finished while it is in the cache.
    """

    starts: Array  # (V + 1,)
    documents: Array  # (nnz,)
    weights: Array  # (nnz,)


class Latent(NamedTuple):
    """The codes z that the decoder reads, bits as signs or real, and for +-1 where their sums lie."""

    z: Array  # (B, L)
    offsets: Array  # by `nphash.engine.kernels.sign_tables.offsets_of`


class ScoreGradient(NamedTuple):
    """What ds = factors E - scale t (B, V) is made of; it is never written as a whole."""

    E: Array  # by `forward`
    factors: Array  # (N, B)
    scale: float
    target: Entries


@jit()
def latent_of(z: Array, sign_tables: bool) -> Latent:
    """Return codes (B, L) and, if they are +-1 and wanted, where the sums of their patterns lie."""
    return Latent(z, offsets_of(z) if sign_tables else np.empty((len(z), 0), np.int64))


@cache
def tile_width(n_bits: int) -> int:
    """Return how many words, with some hundred documents, make a product that OpenBLAS does not pack."""
    return min(512, max(64, _SMALL // (100 * n_bits) // 64 * 64))


@jit()
def block_size(width: int, n_bits: int) -> int:
    """Return how many documents make a small product with a tile."""
    return max(16, _SMALL // (width * n_bits))


@jit()
def matrix(buffer: Array, rows: int, columns: int) -> Array:
    """Return the beginning of a buffer as a matrix, a view."""
    return buffer[: rows * columns].reshape(rows, columns)


@jit()
def tile(E: Array, n_rows: int, start: int, stop: int) -> Array:
    """Return the tile of the words ``start`` to ``stop - 1``, (B, words), a view."""
    return matrix(E[n_rows * start :], n_rows, stop - start)


@jit()
def forward(
    codes: Latent,
    W: Array,
    b: Array,
    entries: Entries,
    out: tuple[Array, Array, Array],
    vectors: tuple[Array, Array],
    width: int,
    first: int,
    last: int,
) -> float:
    """Compute E of the scores z W + b for the tiles ``first`` to ``last - 1``, and return their sum of t s.

    Writes ``out`` and ``vectors``; the m of the first tile is given. Sums of E are relative to the last m.
    """
    E, shifts, total = out  # E, (B, J) a tile, as one row of B V numbers; m (N, B); sums of E (B,) float64
    expected, target_sum = vectors  # (B, L) each: sums of E_w W[:, w] and t_w W[:, w] over these tiles' words
    z, offsets = codes
    n_rows, n_bits = z.shape
    block, sums = block_size(width, n_bits), sums_for(offsets)
    buffer, transposed = np.empty(n_bits * width, W.dtype), np.empty(n_bits * width, W.dtype)
    part, added = matrix(np.empty(z.size, W.dtype), n_rows, n_bits), np.empty(n_rows, W.dtype)
    hits = np.float64(0)
    total[:] = 0
    expected[:] = 0
    target_sum[:] = 0
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, b.size)
        exps, bias = tile(E, n_rows, start, stop), b[start:stop]  # (B, J), (J,)
        columns = matrix(buffer, n_bits, stop - start)
        words = matrix(transposed, stop - start, n_bits)  # the same, a word's vector in a row
        _copy_tile(W, start, columns, words)
        if t > first:
            copy_row(shifts[t], shifts[t - 1])
        if can_look_up(offsets, stop - start):
            _look_up(offsets, columns, bias, shifts[t], sums, exps, added)
        else:
            _multiply(z, columns, bias, shifts[t], block, exps, added)
        for row in range(n_rows):
            if not added[row] < OVERFLOW_GUARD:
                one = slice(row, row + 1)
                so_far = shifts[t, one], added[one], total[one], expected[row]
                _rescale_row(z[row], columns, bias, exps[row], so_far)
            total[row] += added[row]
        for begin in range(0, n_rows, block):
            np.dot(exps[begin : begin + block], words, part[begin : begin + block])
        for row in range(n_rows):
            add_row(expected[row], part[row])
        hits += _accumulate_target(words, bias, entries, start, target_sum)
    return hits + _inner_product(z, target_sum)


@jit()
def _copy_tile(W: Array, start: int, columns: Array, words: Array) -> None:
    n_bits, n_words = columns.shape
    for bit in range(n_bits):
        copy_row(columns[bit], W[bit, start : start + n_words])
    if n_bits % LANES == 0 and n_words % LANES == 0:
        transpose(columns, words)
        return
    # Unsigned numbers need no look whether they count from the end, which would take half of the time.
    for word in range(np.uintp(n_words)):
        for bit in range(np.uintp(n_bits)):
            words[word, bit] = columns[bit, word]


@jit()
def _multiply(
    z: Array, columns: Array, bias: Array, shift: Array, block: int, exps: Array, added: Array
) -> None:
    # Writes E of a tile, and its sum for each document: the scores are products.
    n_rows, ones = z.shape[0], np.empty(bias.size, bias.dtype)
    ones[:] = 1
    for begin in range(0, n_rows, block):
        end = min(begin + block, n_rows)
        np.dot(z[begin:end], columns, exps[begin:end])
        for row in range(begin, end):
            exponentials(exps[row], bias, shift[row])
        np.dot(exps[begin:end], ones, added[begin:end])


@jit()
def _look_up(
    offsets: Array, columns: Array, bias: Array, shift: Array, sums: Array, exps: Array, added: Array
) -> None:
    # The same for codes of +-1: the scores are sums looked up.
    total = matrix(np.empty(added.size * LANES, columns.dtype), added.size, LANES)
    total[:] = 0
    for at in range(0, bias.size, LANES):
        fill_sums(columns, at, sums)
        look_up(sums, offsets, bias, shift, at, exps, total)
    for row in range(added.size):
        half = LANES // 2
        while half > 0:
            for i in range(half):
                total[row, i] += total[row, half + i]
            half //= 2
        added[row] = total[row, 0]


@jit()
def _rescale_row(
    z: Array, columns: Array, bias: Array, row: Array, so_far: tuple[Array, Array, Array, Array]
) -> None:
    # Does a document's exponentials again with their own maximum, and scales down its sums so far.
    shift, added, total, expected = so_far
    row[:] = 0
    for bit in range(z.size):
        add_scaled(row, columns[bit], z[bit])
    largest = row[0] + bias[0]
    for i in range(1, row.size):
        largest = max(largest, row[i] + bias[i])
    factor = np.exp(shift[0] - largest)
    scale_row(total, factor)
    scale_row(expected, factor)
    shift[0] = largest
    exponentials(row, bias, largest)
    added[0] = row.sum()


@jit()
def _accumulate_target(words: Array, bias: Array, entries: Entries, first: int, target_sum: Array) -> float:
    # Adds the vectors of the target's words to `target_sum`, returns the biases' part of the sum of t s.
    starts, documents, weights = entries
    total = np.float64(0)
    for word in range(len(words)):
        for position in range(starts[first + word], starts[first + word + 1]):
            row, weight = np.uintp(documents[position]), weights[position]
            for bit in range(np.uintp(target_sum.shape[1])):
                target_sum[row, bit] += weight * words[word, bit]
            total += np.float64(weight) * bias[word]
    return total


@jit()
def _inner_product(z: Array, target_sum: Array) -> float:
    total = np.float64(0)
    for row in range(z.shape[0]):
        for bit in range(z.shape[1]):
            total += np.float64(z[row, bit]) * target_sum[row, bit]
    return total


@jit()
def combine(
    shifts: Array, totals: Array, expected: Array, target_sum: Array, share: int, inverse: Array
) -> Array:
    """Put together what calls of `forward` have left, for ``share`` tiles each; return log sum exp(s), (B,).

    In ``totals`` (S, B) float64, ``expected`` and ``target_sum`` (S, B, L) the sums over all words take the
    first share's place: of exp(s - max m), the expectation of W[:, w], that of t. ``inverse`` (N, B) float64
    becomes the factor that makes a tile's E probabilities.
    """
    n_tiles, n_rows = shifts.shape
    logs = np.empty(n_rows)
    rescale, greatest = np.empty(len(totals)), shifts[0].copy()
    for t in range(1, n_tiles):
        for row in range(n_rows):
            greatest[row] = max(greatest[row], shifts[t, row])
    for row in range(n_rows):
        total = np.float64(0)
        for k in range(len(totals)):
            rescale[k] = _relative(shifts[min((k + 1) * share, n_tiles) - 1, row], greatest[row])
            total += totals[k, row] * rescale[k]
        scale_row(expected[0, row], expected.dtype.type(rescale[0] / total))
        for k in range(1, len(totals)):
            add_scaled(expected[0, row], expected[k, row], expected.dtype.type(rescale[k] / total))
            add_row(target_sum[0, row], target_sum[k, row])
        totals[0, row] = total
        logs[row] = np.log(total) + greatest[row]
    for t in range(n_tiles):
        for row in range(n_rows):
            if t > 0 and shifts[t, row] == shifts[t - 1, row]:  # the rule: spares an exponential
                inverse[t, row] = inverse[t - 1, row]
            else:
                inverse[t, row] = _relative(shifts[t, row], greatest[row]) / totals[0, row]
    return logs


@jit()
def _relative(before: float, now: float) -> float:
    return 1.0 if before == now else np.exp(np.float64(before) - now)


@jit()
def fill_bias(gradient: ScoreGradient, db: Array, width: int, first: int, last: int) -> None:
    """Write the bias's gradient, the sum of ds over documents, of some tiles into ``db`` (V,)."""
    E, factors, scale, entries = gradient
    starts, _, weights = entries
    n_rows = factors.shape[1]
    buffer = np.empty(width)  # in float64, as nearly all may cancel
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, db.size)
        rows, sums = tile(E, n_rows, start, stop), buffer[: stop - start]
        sums[:] = 0
        for row in range(n_rows):
            add_scaled(sums, rows[row], factors[t, row])
        for word in range(start, stop):
            for position in range(starts[word], starts[word + 1]):
                sums[word - start] -= np.float64(scale) * weights[position]
            db[word] = sums[word - start]


@jit()
def _fill_tile(gradient: ScoreGradient, t: int, start: int, ds: Array) -> None:
    # A tile's part of ds = T softmax(s) - t, (B, J)
    E, factors, scale, entries = gradient
    starts, documents, weights = entries
    n_rows, n_words = ds.shape
    rows = tile(E, n_rows, start, start + n_words)
    for row in range(n_rows):
        set_scaled(ds[row], rows[row], factors[t, row])
    for word in range(n_words):
        for position in range(starts[start + word], starts[start + word + 1]):
            ds[documents[position], word] -= scale * weights[position]


@jit()
def fill_tiles(
    codes: Latent, gradient: ScoreGradient, out: Array, at: int, width: int, first: int, last: int
) -> None:
    """Write z' ds of the tiles ``first`` to ``last - 1`` into the L rows of ``out``, from column ``at``."""
    z, offsets = codes
    n_rows, n_bits = z.shape
    n_words = gradient.target.starts.size - 1
    sums = sums_for(offsets)
    rest, buffer = np.empty(n_rows * width, z.dtype), np.empty(n_bits * width, z.dtype)
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, n_words)
        column = at + start - first * width
        ds, part = matrix(rest, n_rows, stop - start), matrix(buffer, n_bits, stop - start)
        _fill_tile(gradient, t, start, ds)
        if can_look_up(offsets, stop - start):
            for word in range(0, stop - start, LANES):
                add_by_pattern(ds, word, offsets, sums)
                separate(sums, out, column + word)
        else:
            _multiply_back(z, ds, part, out, column)


@jit()
def _multiply_back(z: Array, ds: Array, part: Array, out: Array, column: int) -> None:
    # Writes z' ds into `out` from a column on, by blocks of documents.
    n_bits, n_words = part.shape
    block = block_size(n_words, n_bits)
    for begin in range(0, len(z), block):
        np.dot(z[begin : begin + block].T, ds[begin : begin + block], part)
        for bit in range(n_bits):
            row = out[bit, column : column + n_words]
            if begin == 0:
                copy_row(row, part[bit])
            else:
                add_row(row, part[bit])


@jit()
def update_tiles(
    codes: Latent,
    gradient: ScoreGradient,
    W: Array,
    m: Array,
    v: Array,
    settings: Array,
    width: int,
    first: int,
    last: int,
) -> None:
    """Do Adam's step on the tiles ``first`` to ``last - 1`` of W (L, V) for the gradient z' ds."""
    # A few more columns: rows at multiples of 4096 bytes would all lie in the same few lines of the cache.
    columns = _GROUP * width + LANES
    dW = matrix(np.empty(len(W) * columns, W.dtype), len(W), columns)
    for group in range(first, last, _GROUP):
        end = min(group + _GROUP, last)
        fill_tiles(codes, gradient, dW, 0, width, group, end)
        i, j = group * width, min(end * width, W.shape[1])
        for bit in range(len(W)):
            update(W[bit, i:j], dW[bit, : j - i], m[bit, i:j], v[bit, i:j], settings)
