"""Tiles of words of the decoder: their width, and what is known of all of them.

`nphash.engine.kernels.decoder` computes scores tile by tile, `nphash.engine.kernels.decoder_gradient` gradients.
"""

from __future__ import annotations

from typing import NamedTuple

from nphash.core.jit import jit
from nphash.core.typing import Array
from nphash.engine.kernels.csr_to_csc import Entries

__all__ = ["Codes", "ScoreGradient", "block_size", "matrix", "tile", "tile_width"]


class Codes(NamedTuple):
    """The decoder's input."""

    z: Array  # (B, L)
    places: Array  # by `nphash.engine.kernels.sign_tables.places_of`


class ScoreGradient(NamedTuple):
    """What ds = factors E - scale t (B, V) is made of; it is never written as a whole."""

    E: Array  # by `nphash.engine.kernels.decoder.forward`
    factors: Array  # (N, B)
    scale: float
    target: Entries


_SMALL = 1_000_000  # multiplications of a product that OpenBLAS takes for small


def tile_width(n_bits: int) -> int:
    """Return the number of words in a tile, which depends on shapes only.

    OpenBLAS multiplies small matrices (up to 10^6 multiplications) in place, without packing them
    first: this many words and some hundred documents.

    Examples
    --------
    >>> tile_width(64), tile_width(8), tile_width(1000)
    (128, 512, 64)
    """
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
