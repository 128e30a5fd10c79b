"""The engine of Numba kernels: same operations and results as `nphash.engine.Engine`, in float32.

Three ideas make it fast. Vocabulary-sized intermediate results go through the cache tile by tile. The
gradients of weight matrices are `LazyGradient`: Adam gets them block by block. And work is cut
into blocks that depend on shapes only, so that any number of threads gives the same bytes.

Shapes: B documents of a batch, V words, H hidden units, L bits, N tiles of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.engine import BacksOfScalar, Engine
from nphash.kernels import decoder, first_layer
from nphash.kernels.sparse import COMPILED, csr_times_dense
from nphash.kernels.transpose import Entries, transpose
from nphash.lazy import LazyGradient, ProductGradient, RowGradient
from nphash.ops import Array, Backs
from nphash.profile import Profile
from nphash.threads import run_blocks

__all__ = ["COMPILED", "CompiledEngine"]

_SHARES = 8  # blocks into which vocabulary-sized work is cut: each costs some 10 microseconds
_SMALL = 4_000_000  # multiplications of a matrix product that is not worth cutting


class CompiledEngine(Engine):
    """Kernels instead of whole-array operations; see `Engine` for methods and parameters.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> z, W, b = np.ones((1, 1), "float32"), np.zeros((1, 2), "float32"), np.zeros(2, "float32")
    >>> loss, back = CompiledEngine().decode(z, W, b, csr_array(np.array([[0, 1]], dtype="float32")))
    >>> round(loss, 4), [np.asarray(gradient).tolist() for gradient in back()]
    (0.6931, [[[0.0]], [[0.5, -0.5]], [0.5, -0.5]])
    """

    name = "numba"

    def __init__(self, threads: int = 1, profile: Profile | None = None) -> None:
        super().__init__(threads, profile)
        self._last: tuple[Any, Any] = (None, None)  # documents and their entries by word

    def sparse_dense(self, X: Any, W: Array, b: Array) -> tuple[Array, Backs]:
        """Add up the rows of W that belong to a document's words; dW is lazy."""
        profile = self.profile
        with profile.measure("first layer"):
            h = csr_times_dense(X.indptr, X.indices, X.data, W, self.threads)  # (B, H)
            h += b

        def back(dh: Array) -> tuple[Any, ...]:
            return _FirstLayerGradient(self._entries(X), np.ascontiguousarray(dh)), dh.sum(axis=0)

        return h, profile.around("first layer, backward", back)

    def dense(self, x: Array, W: Array, b: Array) -> tuple[Array, Backs]:
        """Compute a fully connected layer, its products cut by columns for the threads; dW is lazy."""
        profile = self.profile
        with profile.measure("hidden layers"):
            y = self._product(x, W)
            y += b

        def back(dy: Array) -> tuple[Any, ...]:
            return self._product(dy, W.T), ProductGradient(x, dy), dy.sum(axis=0)

        return y, profile.around("hidden layers, backward", back)

    def _entries(self, X: Any) -> Entries:
        # Input and target are often the same documents.
        if X is not self._last[0]:
            weights = X.data.astype(np.float32, copy=False)
            self._last = X, transpose(X.indptr, X.indices, weights, X.shape[1])
        entries: Entries = self._last[1]
        return entries

    def _product(self, x: Array, W: Array) -> Array:
        n = W.shape[1]
        if x.shape[0] * W.size < _SMALL:
            return x @ W
        out = np.empty((x.shape[0], n), x.dtype)
        run_blocks(lambda i, j: np.matmul(x, W[:, i:j], out=out[:, i:j]), _shares(n, 4), self.threads)
        return out

    def decode(self, z: Array, W: Array, b: Array, target: Any) -> tuple[float, BacksOfScalar]:
        """Compute scores and likelihood in tiles of words; see `Engine.decode`."""
        profile = self.profile
        with profile.measure("decoder"):
            step = _Decoding(np.ascontiguousarray(z), W, b, target, self._entries(target), self.threads)
            loss = step.forward()
        return loss, profile.around("decoder, backward", step.back)


class _Decoding:
    """One batch's way through the decoder and back."""

    def __init__(self, z: Array, W: Array, b: Array, target: Any, entries: Entries, threads: int) -> None:
        self.z, self.W, self.b, self.threads = z, W, b, threads
        self.entries = entries
        rows = np.repeat(np.arange(len(z)), np.diff(target.indptr))  # (nnz,)
        self.mass = np.bincount(rows, target.data, minlength=len(z))  # (B,) T, in float64
        self.width = decoder.tile_width(z.shape[1])
        self.n_tiles = -(-len(b) // self.width)
        self.shares = _shares(self.n_tiles, _SHARES)
        self.share = self.shares[0][1]

    def forward(self) -> float:
        """Compute the exponentials and return the loss."""
        z, shares, n = self.z, self.shares, len(self.z)
        E = np.empty(n * len(self.b), z.dtype)
        shifts = np.empty((self.n_tiles, n), z.dtype)
        totals = np.empty((len(shares), n))
        expected, seen = np.empty((2, len(shares), *z.shape), z.dtype)  # (shares, B, L) each

        def share(i: int, j: int) -> float:
            k = i // self.share
            out, sums = (E, shifts, totals[k]), (expected[k], seen[k])
            return decoder.forward(z, self.W, self.b, self.entries, out, sums, self.width, i, j)

        hits = sum(run_blocks(share, shares, self.threads))
        shift = shifts.max(axis=0).astype(np.float64)  # (B,)
        ends = np.array([j - 1 for _, j in shares])
        rescale = np.exp(shifts[ends] - shift)  # (shares, B)
        total = (totals * rescale).sum(axis=0)  # (B,) sum of exp(s - shift)
        self.E = E
        self.inverse = np.exp(shifts - shift) / total  # (N, B): makes a tile of E probabilities
        weights = (rescale / total).astype(z.dtype)  # (shares, B)
        self.expected = (weights[:, :, None] * expected).sum(axis=0)  # (B, L)
        self.seen = seen.sum(axis=0)  # (B, L)
        return float(np.dot(self.mass, np.log(total) + shift) - hits) / n

    def back(self, dloss: float = 1.0) -> tuple[Any, ...]:
        """Return (dz, dW, db)."""
        scale = dloss / len(self.z)
        dtype = self.z.dtype
        dz = (scale * self.mass[:, None] * self.expected - scale * self.seen).astype(dtype)  # (B, L)
        factors = (self.inverse * (scale * self.mass)).astype(dtype)  # (N, B)
        scores = (self.E, factors, dtype.type(scale), self.entries)
        db = np.empty_like(self.b)  # (V,)
        run_blocks(lambda i, j: decoder.fill_bias(scores, db, self.width, i, j), self.shares, self.threads)
        return dz, _DecoderGradient(self.z, scores, self.W.shape, self.width), db


class _FirstLayerGradient(RowGradient):
    """The gradient X' dh of W_1 (V, H), in rows of words."""

    def __init__(self, entries: Entries, dh: Array) -> None:
        self.entries, self.dh = entries, dh
        self.shape, self.dtype = (entries[0].size - 1, dh.shape[1]), dh.dtype
        self.rows = np.flatnonzero(np.diff(entries[0]))

    def fill(self, out: Array, start: int, stop: int) -> None:
        out[:] = 0
        first_layer.fill_rows(self.entries, self.dh, self.rows, out)

    def update_rows(
        self, w: Array, m: Array, v: Array, settings: Array, rows: Array, gaps: Array, table: Array
    ) -> None:
        first_layer.update_rows(self.entries, self.dh, rows, w, m, v, settings, gaps, table)


class _DecoderGradient(LazyGradient):
    """The gradient z' ds of W_s (L, V), in blocks of tiles of words."""

    def __init__(self, z: Array, scores: decoder.Scores, shape: tuple[int, ...], width: int) -> None:
        self.z, self.scores, self.width = z, scores, width
        self.shape, self.dtype = shape, z.dtype

    def blocks(self) -> list[tuple[int, int]]:
        return _shares(-(-self.shape[1] // self.width), _SHARES)

    def fill(self, out: Array, start: int, stop: int) -> None:
        decoder.fill_tiles(self.z, self.scores, out, start * self.width, self.width, start, stop)

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        decoder.update_tiles(self.z, self.scores, w, m, v, settings, self.width, start, stop)


def _shares(n: int, count: int) -> list[tuple[int, int]]:
    """Cut range(n) into up to ``count`` blocks of nearly equal length."""
    size = max(1, -(-n // count))
    return [(start, min(start + size, n)) for start in range(0, n, size)]
