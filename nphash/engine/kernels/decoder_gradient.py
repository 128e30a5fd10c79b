"""Gradients of the decoder's weights and bias, tile by tile, used by Adam while a tile is in the cache.

The gradient of the scores is ds = T softmax(s) - t, that is E of `nphash.engine.kernels.decoder` times a number for
each document, less the target. `fill_bias` sums it, `update_tiles` multiplies it by z' for one tile after
another and does Adam's step on each at once. Products of codes of +-1 are sums by pattern: see
`nphash.engine.kernels.sign_tables`.
"""

from __future__ import annotations

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array
from nphash.engine.kernels.adam import update
from nphash.engine.kernels.relu import add_row, add_scaled, copy_row, set_scaled
from nphash.engine.kernels.sign_tables import LANES, add_by_pattern, can_look_up, separate
from nphash.engine.kernels.tiles import Codes, ScoreGradient, block_size, matrix, tile

__all__ = ["fill_bias", "fill_tiles", "update_tiles"]


_GROUP = 8  # tiles between two sweeps of Adam: long runs of memory are faster than short ones


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
    # A tile's part of ds = T softmax(s) - t, (B, T)
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
    codes: Codes, gradient: ScoreGradient, out: Array, at: int, room: Array, width: int, first: int, last: int
) -> None:
    """Write the weights' gradient z' ds of the tiles ``first`` to ``last - 1``.

    Parameters
    ----------
    codes, gradient
        See `nphash.engine.kernels.tiles`.
    out
        Array of L rows to write into, from column ``at``.
    room
        Zeros by `nphash.engine.kernels.sign_tables.sums_for`; so they are left.
    """
    z, places = codes
    n_rows, n_bits = z.shape
    n_words = gradient.target.starts.size - 1
    rest, buffer = np.empty(n_rows * width, z.dtype), np.empty(n_bits * width, z.dtype)
    for t in range(first, last):
        start, stop = t * width, min((t + 1) * width, n_words)
        column = at + start - first * width
        ds, part = matrix(rest, n_rows, stop - start), matrix(buffer, n_bits, stop - start)
        _fill_tile(gradient, t, start, ds)
        if can_look_up(places, stop - start):
            for word in range(0, stop - start, LANES):
                add_by_pattern(ds, word, places, room)
                separate(room, out, column + word)
        else:
            _multiply(z, ds, part, out, column)


@jit()
def _multiply(z: Array, ds: Array, part: Array, out: Array, column: int) -> None:
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
    codes: Codes,
    gradient: ScoreGradient,
    W: Array,
    m: Array,
    v: Array,
    settings: Array,
    room: Array,
    width: int,
    first: int,
    last: int,
) -> None:
    """Do Adam's step on the tiles ``first`` to ``last - 1`` of W (L, V) for the gradient z' ds.

    Parameters
    ----------
    codes, gradient
        See `nphash.engine.kernels.tiles`.
    W, m, v, settings
        As for `nphash.engine.kernels.adam.update`.
    room
        As for `fill_tiles`.
    """
    # A few more columns: rows at multiples of 4096 bytes would all lie in the same few lines of the cache.
    columns = _GROUP * width + LANES
    dW = matrix(np.empty(len(W) * columns, W.dtype), len(W), columns)
    for group in range(first, last, _GROUP):
        end = min(group + _GROUP, last)
        fill_tiles(codes, gradient, dW, 0, room, width, group, end)
        i, j = group * width, min(end * width, W.shape[1])
        for bit in range(len(W)):
            update(W[bit, i:j], dW[bit, : j - i], m[bit, i:j], v[bit, i:j], settings)
