"""The decoder's softmax over the vocabulary, in tiles of words that stay in the cache.

The scores s = z W + b of a batch, their exponentials and their gradient are larger than a cache. Computed
as whole arrays, each operation waits for the memory. Here the words are cut into tiles: a tile's scores go
through the matrix product and the exponential while they lie in the cache, and are written once.

* `forward` leaves E = exp(s - m) and sums over words. The sum of E W' while the tile is in the cache is what
  the gradient for z needs.
* The gradient of the scores is ds = T softmax(s) - t, that is E times a number for each document, less the
  target. It is never stored: see `nphash.engine.kernels.decoder_gradient`.
* Codes of +-1 need no product: see `nphash.engine.kernels.sign_tables`. The products remain for all other codes, and for
  words at the end that fill no vector.

The softmax is the same whatever m is, as long as nothing overflows. So m is not the largest of all scores,
which would take another pass: it is a document's first score, and stays until a score is so far above it that
the exponentials come near the end of float32. Then, which is rare, the row is done again with its own
maximum (`_raise`). Scores far below are no matter: they have no part in the softmax.

Products are BLAS calls on small matrices, by `np.dot`, which Numba gives to SciPy's BLAS; the caller runs
several threads, so BLAS itself must use one (`nphash.core.threads.single_threaded_blas`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array
from nphash.engine.kernels.csr_to_csc import Entries
from nphash.engine.kernels.exponential import exponentials
from nphash.engine.kernels.relu import add_row, add_scaled, copy_row, scale_row
from nphash.engine.kernels.sign_tables import LANES, can_look_up, fill_sums, look_up
from nphash.engine.kernels.tiles import Codes, block_size, matrix, tile

__all__ = ["combine", "forward"]


_MUCH = np.float32(1e30)  # for a sum of exponentials: 10^8 times less than the largest float32


@jit()
def forward(
    codes: Codes,
    W: Array,
    b: Array,
    entries: Entries,
    out: tuple[Array, Array, Array],
    vectors: tuple[Array, Array],
    room: Array,
    width: int,
    first: int,
    last: int,
) -> float:
    """Compute the exponentials of the scores z W + b for the tiles ``first`` to ``last - 1``.

    Parameters
    ----------
    codes, W, b
        `Codes`; float32 arrays (L, V) and (V,).
    entries
        The target t (B, V), by `nphash.engine.kernels.csr_to_csc.entries_of`.
    out
        Arrays to write into: E, tile after tile, (B, words of the tile) each, as one row of B V
        numbers; the m that were subtracted, for each tile, (N, B), those for the first one given; and
        these tiles' sum of E for each document, relative to its last m, (B,) float64.
    vectors
        Arrays to write into, (B, L), sums over the words w of these tiles: E_w W[:, w], relative to
        the last m; and t_w W[:, w].
    room, width
        For the sums of patterns, by `nphash.engine.kernels.sign_tables.sums_for`; words in a tile.

    Returns
    -------
    float
        The sum of t s over all documents and these tiles.
    """
    E, shifts, total = out
    expected, seen = vectors
    z, places = codes
    n_rows, n_bits = z.shape
    block = block_size(width, n_bits)
    buffer, turned = np.empty(n_bits * width, W.dtype), np.empty(n_bits * width, W.dtype)
    part, added = matrix(np.empty(z.size, W.dtype), n_rows, n_bits), np.empty(n_rows, W.dtype)
    hits = np.float64(0)
    total[:] = 0
    expected[:] = 0
    seen[:] = 0
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, b.size)
        exps, bias = tile(E, n_rows, start, stop), b[start:stop]  # (B, T), (T,)
        columns = matrix(buffer, n_bits, stop - start)
        words = matrix(turned, stop - start, n_bits)  # the same, a word's vector in a row
        _copy_tile(W, start, columns, words)
        if t > first:
            copy_row(shifts[t], shifts[t - 1])
        if can_look_up(places, stop - start):
            _look_up(places, columns, bias, shifts[t], room, exps, added)
        else:
            _multiply(z, columns, bias, shifts[t], block, exps, added)
        for row in range(n_rows):
            if not added[row] < _MUCH:
                one = slice(row, row + 1)
                so_far = shifts[t, one], added[one], total[one], expected[row]
                _raise(z[row], columns, bias, exps[row], so_far)
            total[row] += added[row]
        for begin in range(0, n_rows, block):
            np.dot(exps[begin : begin + block], words, part[begin : begin + block])
        for row in range(n_rows):
            add_row(expected[row], part[row])
        hits += _see(words, bias, entries, start, seen)
    return hits + _inner_product(z, seen)


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
    places: Array, columns: Array, bias: Array, shift: Array, room: Array, exps: Array, added: Array
) -> None:
    # The same for codes of +-1: the scores are sums looked up.
    total = matrix(np.empty(added.size * LANES, columns.dtype), added.size, LANES)
    total[:] = 0
    for at in range(0, bias.size, LANES):
        fill_sums(columns, at, room)
        look_up(room, places, bias, shift, at, exps, total)
    for row in range(added.size):
        added[row] = _sum_of_lanes(total[row])


@jit()
def _sum_of_lanes(lanes: Array) -> Any:
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    return lanes[0]


@jit()
def _inner_product(z: Array, seen: Array) -> float:
    total = np.float64(0)
    for row in range(z.shape[0]):
        for bit in range(z.shape[1]):
            total += np.float64(z[row, bit]) * seen[row, bit]
    return total


@jit()
def combine(shifts: Array, totals: Array, expected: Array, seen: Array, share: int, inverse: Array) -> Array:
    """Put together what several calls of `forward` have left, each for its share of the tiles.

    Parameters
    ----------
    shifts
        The m subtracted in each tile, (N, B).
    totals, expected, seen
        Sums over the words of each share: (S, B) float64, and twice (S, B, L). In place of the first
        share come the sums over all words: of exp(s - max m), the expectation of W[:, w], and that of t.
    share
        Tiles of a share; the last may have fewer.
    inverse
        Float64 array (N, B) to write into: by what a tile's E has to be multiplied to be probabilities.

    Returns
    -------
    numpy.ndarray
        The logarithm of the sum of exp(s), (B,) float64.
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
            add_row(seen[0, row], seen[k, row])
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
def _copy_tile(W: Array, start: int, columns: Array, words: Array) -> None:
    n_bits, n_words = columns.shape
    for bit in range(n_bits):
        copy_row(columns[bit], W[bit, start : start + n_words])
    # Unsigned numbers need no look whether they count from the end, which would take half of the time.
    for word in range(np.uintp(n_words)):
        for bit in range(np.uintp(n_bits)):
            words[word, bit] = columns[bit, word]


@jit()
def _largest(row: Array, bias: Array) -> Any:
    largest = row[0] + bias[0]
    for i in range(1, row.size):
        largest = max(largest, row[i] + bias[i])
    return largest


@jit()
def _raise(
    z: Array, columns: Array, bias: Array, row: Array, so_far: tuple[Array, Array, Array, Array]
) -> None:
    # Does a document's exponentials again with their own maximum, and scales down its sums so far.
    shift, added, total, expected = so_far
    row[:] = 0
    for bit in range(z.size):
        add_scaled(row, columns[bit], z[bit])
    largest = _largest(row, bias)
    factor = np.exp(shift[0] - largest)
    scale_row(total, factor)
    scale_row(expected, factor)
    shift[0] = largest
    exponentials(row, bias, largest)
    added[0] = row.sum()


@jit()
def _see(words: Array, bias: Array, entries: Entries, first: int, seen: Array) -> float:
    # Adds the vectors of the target's words to `seen`, and returns the biases' part of the sum of t s.
    starts, documents, weights = entries
    total = np.float64(0)
    for word in range(len(words)):
        for position in range(starts[first + word], starts[first + word + 1]):
            row, weight = np.uintp(documents[position]), weights[position]
            for bit in range(np.uintp(seen.shape[1])):
                seen[row, bit] += weight * words[word, bit]
            total += np.float64(weight) * bias[word]
    return total
