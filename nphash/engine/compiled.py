"""The engine of Numba kernels: same operations and results as `nphash.engine.base.Engine`, in float32.

What makes it fast: vocabulary-sized intermediate results go through the cache tile by tile. The gradients of
weight matrices are `LazyGradient`: Adam gets them block by block. Codes of +-1 need no products: sums are
looked up (`nphash.engine.kernels.sign_tables`). The memory is told which rows come next
(`nphash.core.jit.prefetch`). What Adam does to the decoder's weights goes on while the next step begins
(`nphash.engine.background`). And work is cut into blocks that depend on shapes only, so that any number of
threads gives the same bytes.

Shapes: B documents of a batch, V words, H hidden units, L bits, N tiles of words.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from nphash.core.threads import cut, run_blocks
from nphash.core.typing import Array, Back, Backs
from nphash.engine.background import Background
from nphash.engine.base import Engine
from nphash.engine.kernels import decoder, decoder_gradient, first_layer
from nphash.engine.kernels.adam import update
from nphash.engine.kernels.csr_to_csc import Entries, Order, entries_of, sort_by_word
from nphash.engine.kernels.relu import pass_positive, rectify
from nphash.engine.kernels.sign_tables import places_of, sums_for
from nphash.engine.kernels.sparse import COMPILED, csr_times_dense, row_sums, take_rows
from nphash.engine.kernels.tiles import Codes, ScoreGradient, tile_width
from nphash.engine.lazy_gradient import LazyGradient, ProductGradient, RowGradient
from nphash.engine.optim import CompiledAdam, move_average
from nphash.errors import InputError
from nphash.nn.ops import Operations, relu

__all__ = ["COMPILED", "CompiledEngine", "with_rows"]

# Blocks into which vocabulary-sized work is cut, and so the most threads that help. Each costs some 10
# microseconds, and their sums over words have to be put together again.
_SHARES = 8
_FEW_SHARES = 2  # of less work
_SMALL = 4_000_000  # multiplications of a matrix product that is not worth cutting
_COLUMNS = 128  # in a block of a product: whole vector registers


class CompiledEngine(Engine):
    """Kernels instead of whole-array operations; see `Engine` for methods and parameters.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> z, W, b = np.ones((1, 1), "float32"), np.zeros((1, 2), "float32"), np.zeros(2, "float32")
    >>> loss, back = CompiledEngine().reconstruct(z, W, b, csr_array(np.array([[0, 1]], dtype="float32")))
    >>> round(loss, 4), [np.asarray(gradient).tolist() for gradient in back()]
    (0.6931, [[[0.0]], [[0.5, -0.5]], [0.5, -0.5]])
    """

    name = "numba"

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        self.operations = Operations(self.sparse_dense, self.dense, self.relu, self.reconstruct)
        self.background = Background(threads)
        self._last: tuple[Any, ...] = (None,) * 4  # of a batch: its indices, indptr, number of words, order

    def take(self, X: Any, rows: Array) -> Any:
        """Return the documents with these numbers, which must exist."""
        if getattr(X, "format", None) != "csr" or rows.size > X.shape[0]:  # shards, or repeats
            return X[rows]
        return with_rows(X, *take_rows(X.indptr, X.indices, X.data, rows))

    def moving_average(self, average: Array, w: Array, kept: float) -> None:
        """Move an average of weights, as `nphash.nn.optim.moving_average`."""
        move_average(average, w, kept, self.threads)

    def optimiser(self, max_norm: float | None = None) -> CompiledAdam:
        """Return Adam that takes lazy gradients."""
        return CompiledAdam(max_norm=max_norm, threads=self.threads)

    def sparse_dense(self, X: Any, W: Array, b: Array) -> tuple[Array, Backs]:
        """Add up the rows of W that belong to a document's words; dW is lazy."""
        if X.shape[1] != len(W):
            raise InputError(f"X has {X.shape[1]} columns, W {len(W)} rows", "each word has a row of W")
        h = csr_times_dense(X.indptr, X.indices, X.data, W, self.threads)  # (B, H)
        h += b

        def back(dh: Array) -> tuple[Any, ...]:
            words = self._order(X).words
            return _FirstLayerGradient(self._entries(X), words, np.ascontiguousarray(dh)), dh.sum(axis=0)

        return h, back

    def dense(self, x: Array, W: Array, b: Array) -> tuple[Array, Backs]:
        """Compute a fully connected layer, its products cut by columns for the threads; dW is lazy."""
        y = self._product(x, W)
        y += b

        def back(dy: Array) -> tuple[Any, ...]:
            return self._product(dy, W.T), ProductGradient(x, dy), dy.sum(axis=0)

        return y, back

    def relu(self, x: Array) -> tuple[Array, Back]:
        """Rectifier, in one pass."""
        if not x.flags.c_contiguous:
            return relu(x)
        y = np.empty_like(x)
        rectify(x.reshape(-1), y.reshape(-1))

        def back(dy: Array) -> Array:
            dx = np.empty_like(y)
            pass_positive(np.ascontiguousarray(dy).reshape(-1), y.reshape(-1), dx.reshape(-1))
            return dx

        return y, back

    def _order(self, X: Any) -> Order:
        # Input and target are often the same documents, or differ only in the weights. Arrays are compared by
        # identity: whoever changes them in place must use another engine.
        known = X.indices is self._last[0] and X.indptr is self._last[1] and X.shape[1] == self._last[2]
        if not known:
            self._last = X.indices, X.indptr, X.shape[1], sort_by_word(X.indptr, X.indices, X.shape[1])
        order: Order = self._last[3]
        return order

    def _entries(self, X: Any) -> Entries:
        return entries_of(self._order(X), X.data.astype(np.float32, copy=False))

    def _product(self, x: Array, W: Array) -> Array:
        n = W.shape[1]
        if x.shape[0] * W.size < _SMALL:
            return x @ W
        out = np.empty((x.shape[0], n), x.dtype)
        run_blocks(lambda i, j: np.matmul(x, W[:, i:j], out=out[:, i:j]), cut(n, _COLUMNS), self.threads)
        return out

    def reconstruct(
        self, z: Array, W: Array, b: Array, target: Any
    ) -> tuple[float, Callable[..., tuple[Any, ...]]]:
        """Compute scores and likelihood in tiles of words; see `nphash.nn.losses.reconstruct`."""
        _check_arrays(z, W, b)
        _check_shapes(z, W, b, target)
        self.background.finish()  # the last step's update of W
        z, b, entries = np.ascontiguousarray(z), np.ascontiguousarray(b), self._entries(target)
        step = _Decoding(z, W, b, target, entries, self.background)
        loss = step.forward()
        self.looks_up = step.codes.places.size > 0
        return loss, step.back


def with_rows(X: Any, indptr: Array, indices: Array, data: Array) -> Any:
    """Return other documents with the same words, not more than X has, of CSR arrays that nobody checks.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> X = csr_array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    >>> with_rows(X, np.array([0, 2]), np.array([0, 2]), np.array([3.0, 4.0])).toarray()
    array([[3., 0., 4.]])
    """
    documents = copy(X)
    documents.indptr, documents.indices, documents.data = indptr, indices, data
    documents.resize((indptr.size - 1, X.shape[1]))
    return documents


def _check_arrays(z: Array, W: Array, b: Array) -> None:
    # Kernels read memory as it lies there: another kind of number would be taken for float32.
    kinds, order = {array.dtype.name for array in (z, W, b)}, "" if W.flags.c_contiguous else "not "
    if kinds != {"float32"} or order:
        raise InputError(
            f"the kernels were given {', '.join(sorted(kinds))}, W {order}in C order",
            "give C-contiguous float32 arrays, or use nphash.engine.base.Engine",
        )


def _check_shapes(z: Array, W: Array, b: Array, target: Any) -> None:
    # Kernels do not look where an array ends either.
    if W.shape != (z.shape[1], b.size) or target.shape != (len(z), b.size):
        raise InputError(
            f"z has the shape {z.shape}, W {W.shape}, b {b.shape}, the target {target.shape}",
            "they are (B, L), (L, V), (V,) and (B, V)",
        )


class _Decoding:
    """One batch's way through the decoder and back."""

    def __init__(
        self, z: Array, W: Array, b: Array, target: Any, entries: Entries, background: Background
    ) -> None:
        self.z, self.W, self.b, self.background = z, W, b, background
        self.codes = Codes(z, places_of(z))
        self.entries = entries
        self.mass = np.empty(len(z))  # (B,) T, in float64
        row_sums(target.indptr, target.data, self.mass)
        self.width = tile_width(z.shape[1])
        self.n_tiles = -(-len(b) // self.width)
        self.shares = _shares(self.n_tiles, _SHARES)
        self.tiles_per_share = self.shares[0][1]

    def forward(self) -> float:
        """Compute the exponentials and return the loss."""
        z, shares, n = self.z, self.shares, len(self.z)
        E = np.empty(n * len(self.b), z.dtype)
        shifts = np.empty((self.n_tiles, n), z.dtype)
        totals = np.empty((len(shares), n))
        expected, seen = np.empty((2, len(shares), *z.shape), z.dtype)  # (shares, B, L) each
        tiles = np.array([first for first, _ in shares])
        words = tiles * self.width
        shifts[tiles] = (z @ self.W[:, words] + self.b[words]).T  # scores of each share's first word

        def one_share(i: int, j: int) -> float:
            k = i // self.tiles_per_share
            out, vectors = (E, shifts, totals[k]), (expected[k], seen[k])
            room = sums_for(self.codes.places)
            return decoder.forward(
                self.codes, self.W, self.b, self.entries, out, vectors, room, self.width, i, j
            )

        hits = sum(run_blocks(one_share, shares, self.background.threads))
        self.E, self.inverse = E, np.empty(shifts.shape)  # (N, B): what makes a tile of E probabilities
        logs = decoder.combine(shifts, totals, expected, seen, self.tiles_per_share, self.inverse)  # (B,)
        self.expected, self.seen = expected[0], seen[0]
        return float(np.dot(self.mass, logs) - hits) / n

    def back(self, dloss: float = 1.0) -> tuple[Any, ...]:
        """Return (dz, dW, db)."""
        scale = dloss / len(self.z)
        dtype = self.z.dtype
        dz = (scale * self.mass[:, None] * self.expected - scale * self.seen).astype(dtype)  # (B, L)
        factors = np.empty((self.n_tiles, len(self.z)), dtype)  # (N, B)
        factors[:] = self.inverse * (scale * self.mass)
        ds = ScoreGradient(self.E, factors, dtype.type(scale), self.entries)
        dW = _DecoderGradient(self.codes, ds, self.W.shape, self.width, self.background)
        return dz, dW, _BiasGradient(ds, self.b.shape, self.width, self.background)


class _FirstLayerGradient(RowGradient):
    """The gradient X' dh of W_1 (V, H), in rows of words."""

    def __init__(self, entries: Entries, words: Array, dh: Array) -> None:
        self.entries, self.rows, self.dh = entries, words, dh
        self.shape, self.dtype = (entries.starts.size - 1, dh.shape[1]), dh.dtype

    def fill(self, out: Array, start: int, stop: int) -> None:
        out[:] = 0
        first_layer.fill_rows(self.entries, self.dh, self.rows, out)

    def update_rows(
        self, w: Array, m: Array, v: Array, settings: Array, rows: Array, gaps: Array, table: Array
    ) -> None:
        first_layer.update_rows(self.entries, self.dh, rows, w, m, v, settings, gaps, table)


class _DecoderGradient(LazyGradient):
    """The gradient z' ds of W_s (L, V), in blocks of tiles of words."""

    def __init__(
        self,
        codes: Codes,
        ds: ScoreGradient,
        shape: tuple[int, ...],
        width: int,
        background: Background,
    ) -> None:
        self.codes, self.ds, self.width, self.background = codes, ds, width, background
        self.shape, self.dtype = shape, codes.z.dtype

    def blocks(self) -> list[tuple[int, int]]:
        return _shares(-(-self.shape[1] // self.width), _SHARES)

    def fill(self, out: Array, start: int, stop: int) -> None:
        at = start * self.width
        decoder_gradient.fill_tiles(
            self.codes, self.ds, out, at, sums_for(self.codes.places), self.width, start, stop
        )

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        room = sums_for(self.codes.places)
        decoder_gradient.update_tiles(self.codes, self.ds, w, m, v, settings, room, self.width, start, stop)


class _BiasGradient(LazyGradient):
    """The gradient of b_s (V,), the sum of ds over documents, in blocks of tiles of words."""

    def __init__(self, ds: ScoreGradient, shape: tuple[int, ...], width: int, background: Background) -> None:
        self.ds, self.width, self.background = ds, width, background
        self.shape, self.dtype = shape, ds.E.dtype

    def blocks(self) -> list[tuple[int, int]]:
        return _shares(-(-self.shape[0] // self.width), _FEW_SHARES)

    def fill(self, out: Array, start: int, stop: int) -> None:
        decoder_gradient.fill_bias(self.ds, out, self.width, start, stop)

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        words = slice(start * self.width, stop * self.width)
        db = np.empty_like(w)
        self.fill(db, start, stop)
        update(w[words], db[words], m[words], v[words], settings)


def _shares(n: int, count: int) -> list[tuple[int, int]]:
    """Cut range(n) into up to ``count`` blocks of nearly equal length."""
    return cut(n, max(1, -(-n // count)))
