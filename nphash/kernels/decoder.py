"""The decoder's softmax over the vocabulary, in tiles of words that stay in the cache.

The scores s = z W + b of a batch, their exponentials and their gradient are larger than a cache. Computed
as whole arrays, each operation waits for the memory. Here the words are cut into tiles: a tile's scores go
through the matrix product, the maximum and the exponential while they lie in the cache, and are written once.

* `forward` leaves E = exp(s - m), m being the largest score of a document so far, and sums over words. As
  the maximum is subtracted no exponential overflows, however large the scores. The sum of W E while the tile
  is in the cache is what the gradient for z needs.
* The gradient of the scores is ds = T softmax(s) - t, that is E times a number for each document, less the
  target. It is never stored: `fill_bias` sums it, `update_tiles` multiplies it by z' for one tile after
  another and does Adam's step on each at once.

Scores lie word by word, (V, B): a tile is a run of memory, and every operation on a word's row is the
same for all documents, so it becomes vector instructions without changing the order of any sum. Products
are BLAS calls on small matrices, by `np.dot`, which Numba gives to SciPy's BLAS; the caller runs several
threads, so BLAS itself must use one (`nphash.threads.single_threaded_blas`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit
from nphash.kernels.adam import update
from nphash.kernels.exponential import exponentials
from nphash.kernels.transpose import Entries

__all__ = ["Scores", "fill_bias", "fill_tiles", "forward", "tile_width", "update_tiles"]

Array = npt.NDArray[Any]
Scores = tuple[Array, Array, float, Entries]
"""What ds = factors E - scale t is made of: E by `forward`, factors (N, B), scale, entries of t."""

_GROUP = 8  # tiles between two sweeps of Adam: long runs of memory are faster than short ones


def tile_width(n_documents: int, n_bits: int) -> int:
    """Return the number of words in a tile, which depends on shapes only.

    OpenBLAS multiplies small matrices (up to 10^6 multiplications) in place, without packing them first.

    Examples
    --------
    >>> tile_width(100, 64), tile_width(1, 8), tile_width(1000, 128)
    (128, 512, 64)
    """
    return min(512, max(64, 1_000_000 // (n_documents * n_bits) // 64 * 64))


@jit()
def _matrix(buffer: Array, rows: int, columns: int) -> Array:
    return buffer[: rows * columns].reshape(rows, columns)


@jit()
def _add(row: Array, other: Array) -> None:
    for i in range(row.size):
        row[i] += other[i]


@jit()
def _multiply(row: Array, factors: Array) -> None:
    for i in range(row.size):
        row[i] *= factors[i]


@jit()
def _set_product(row: Array, other: Array, factors: Array) -> None:
    for i in range(row.size):
        row[i] = other[i] * factors[i]


@jit()
def _add_scaled(row: Array, other: Array, factor: float) -> None:
    for i in range(row.size):
        row[i] += factor * other[i]


@jit()
def _add_bias(row: Array, bias: float, maxima: Array) -> None:
    for i in range(row.size):
        score = row[i] + bias
        row[i] = score
        largest = maxima[i]
        maxima[i] = score if score > largest else largest


# reassoc: factors and exponentials are positive, so any order of addition is as good.
@jit(fastmath={"reassoc", "contract", "nsz"})
def _dot(row: Array, factors: Array) -> Any:
    total = row[0] * factors[0]
    for i in range(1, row.size):
        total += row[i] * factors[i]
    return total


@jit()
def forward(
    z: Array,
    W: Array,
    b: Array,
    entries: Entries,
    out: tuple[Array, Array, Array],
    vectors: tuple[Array, Array],
    width: int,
    first: int,
    last: int,
) -> float:
    """Compute the exponentials of the scores z W + b for the tiles ``first`` to ``last - 1``.

    A document's maximum grows from tile to tile. When it does, what was summed so far is scaled down.

    Parameters
    ----------
    z, W, b
        float32 arrays: the decoder's input, transposed, (L, B); (L, V); (V,).
    entries
        The target t (B, V), by `nphash.kernels.transpose.transpose`.
    out
        Arrays to write into: E (V, B); the maxima m that were subtracted, for each tile, (N, B); and
        these tiles' sum of E for each document, relative to its last maximum, (B,) float64.
    vectors
        Arrays to write into, sums over the words w of these tiles: E_w W[:, w], relative to the last
        maximum, (L, B); and t_w W[:, w], (B, L).
    width
        Words in a tile.

    Returns
    -------
    float
        The sum of t s over all documents and these tiles.
    """
    E, maxima, total = out
    expected, seen = vectors
    n_bits, n_rows = z.shape
    buffer, part = np.empty(n_bits * width, W.dtype), np.empty_like(z)
    sums = np.empty(n_rows, W.dtype)
    hits = np.float64(0)
    total[:] = 0
    expected[:] = 0
    seen[:] = 0
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, b.size)
        scores = E[start:stop]  # (T, B)
        columns = _matrix(buffer, n_bits, stop - start)
        columns[:] = W[:, start:stop]
        np.dot(columns.T, z, scores)
        maxima[t] = -np.inf
        if t > first:
            maxima[t] = maxima[t - 1]
        for word in range(stop - start):
            _add_bias(scores[word], b[start + word], maxima[t])
        if t > first:
            _scale_down(maxima[t - 1], maxima[t], total, expected)
        hits += _hits(scores, columns, entries, start, seen)
        sums[:] = 0
        for word in range(stop - start):
            exponentials(scores[word], maxima[t])
            _add(sums, scores[word])
        _add(total, sums)
        np.dot(columns, scores, part)
        for bit in range(n_bits):
            _add(expected[bit], part[bit])
    return hits


@jit()
def _scale_down(before: Array, after: Array, total: Array, expected: Array) -> None:
    factors = np.exp(before - after)  # (B,)
    _multiply(total, factors)
    for bit in range(len(expected)):
        _multiply(expected[bit], factors)


@jit()
def _hits(scores: Array, columns: Array, entries: Entries, first: int, seen: Array) -> float:
    starts, documents, weights = entries
    total = np.float64(0)
    vector = np.empty(columns.shape[0], columns.dtype)  # (L,)
    for word in range(len(scores)):
        if starts[first + word] < starts[first + word + 1]:
            for bit in range(vector.size):
                vector[bit] = columns[bit, word]
        for position in range(starts[first + word], starts[first + word + 1]):
            row, weight = documents[position], weights[position]
            total += np.float64(weight) * scores[word, row]
            _add_scaled(seen[row], vector, weight)
    return total


@jit()
def fill_bias(scores: Scores, db: Array, width: int, first: int, last: int) -> None:
    """Write the bias's gradient, the sum of ds over documents, of some tiles into ``db`` (V,)."""
    E, factors, scale, entries = scores
    starts, _, weights = entries
    for word in range(first * width, min(last * width, db.size)):
        total = np.float64(_dot(E[word], factors[word // width]))
        for position in range(starts[word], starts[word + 1]):
            total -= np.float64(scale) * weights[position]  # in float64, as nearly all may cancel
        db[word] = total


@jit()
def _gradient(z: Array, scores: Scores, width: int, start: int, ds: Array, out: Array) -> None:
    # A tile's part of ds = T softmax(s) - t, and of the weights' gradient, z' ds
    E, factors, scale, entries = scores
    starts, documents, weights = entries
    for word in range(len(ds)):
        row = ds[word]
        _set_product(row, E[start + word], factors[start // width])
        for position in range(starts[start + word], starts[start + word + 1]):
            row[documents[position]] -= scale * weights[position]
    np.dot(z.T, ds.T, out)


@jit()
def fill_tiles(z: Array, scores: Scores, out: Array, width: int, first: int, last: int) -> None:
    """Write the weights' gradient z' ds of the tiles ``first`` to ``last - 1`` into ``out`` (L, V)."""
    n_rows, n_bits = z.shape
    buffer, rest = np.empty(n_bits * width, out.dtype), np.empty(n_rows * width, out.dtype)
    for start in range(first * width, min(last * width, out.shape[1]), width):
        stop = min(start + width, out.shape[1])
        gradient = _matrix(buffer, n_bits, stop - start)
        _gradient(z, scores, width, start, _matrix(rest, stop - start, n_rows), gradient)
        out[:, start:stop] = gradient


@jit()
def update_tiles(
    z: Array,
    scores: Scores,
    W: Array,
    m: Array,
    v: Array,
    settings: Array,
    width: int,
    first: int,
    last: int,
) -> None:
    """Do Adam's step on the tiles ``first`` to ``last - 1`` of W (L, V) for the gradient z' ds.

    Parameters
    ----------
    z, scores
        The decoder's input (B, L), and `Scores`.
    W, m, v, settings
        As for `nphash.kernels.adam.update`.
    """
    n_rows, n_bits = z.shape
    buffer, rest = np.empty(n_bits * width, W.dtype), np.empty(n_rows * width, W.dtype)
    gradients = np.empty((n_bits, _GROUP * width), W.dtype)
    end = min(last * width, W.shape[1])
    for begin in range(first * width, end, _GROUP * width):
        finish = min(begin + _GROUP * width, end)
        for start in range(begin, finish, width):
            stop = min(start + width, finish)
            gradient = _matrix(buffer, n_bits, stop - start)
            _gradient(z, scores, width, start, _matrix(rest, stop - start, n_rows), gradient)
            gradients[:, start - begin : stop - begin] = gradient
        for bit in range(n_bits):
            g = gradients[bit, : finish - begin]
            update(W[bit, begin:finish], g, m[bit, begin:finish], v[bit, begin:finish], settings)
