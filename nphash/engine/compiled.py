"""The engine of Numba kernels: same operations and results as `nphash.engine.select.Engine`, in float32.

What makes it fast: vocabulary-sized intermediate results go through the cache tile by tile. The gradients of
weight matrices are `nphash.engine.optim.LazyGradient`: Adam gets them block by block. Codes of +-1 need no
products: sums are looked up (`nphash.engine.kernels.sign_tables`). Words that are not in the batch are
updated before or later (`nphash.engine.lazy_rows`), and the decoder while the next step begins.

Shapes: B documents of a batch, V words, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from operator import getitem
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nphash.core.jit import uses
from nphash.core.threads import Background, run_blocks, run_tasks, split_range
from nphash.core.typing import Array, Backs
from nphash.engine.decoder import Decoding
from nphash.engine.kernels import decoder as kernels
from nphash.engine.kernels.decoder import Entries
from nphash.engine.kernels.rows import csr_times_dense
from nphash.engine.lazy_rows import update_rows
from nphash.engine.optim import CompiledAdam, ProductGradient, RowGradient, average_tasks
from nphash.errors import InputError
from nphash.nn.ops import Operations, relu

_SMALL = 4_000_000  # multiplications of a matrix product that is not worth cutting
_COLUMNS = 128  # in a block of a product: whole vector registers

_FIRST_LAYER = uses("first-layer")


class CompiledEngine:
    """Kernels instead of whole-array operations; see `nphash.engine.select.Engine`."""

    name = "numba"
    looks_up = False  # whether the last codes decoded were +-1, and their products sums that were looked up
    take: Any = staticmethod(getitem)  # (X, rows) -> the documents with these numbers

    def __init__(self, threads: int = 1) -> None:
        self.threads, self.background = threads, Background(threads)
        self.operations = Operations(self.sparse_dense, self.dense, relu, self.reconstruct)
        # Of the last batch: its indices, indptr and number of words; `sort_by_word` of it
        self._last: tuple[Any, ...] = (None,) * 4

    def moving_average(self, average: Array, w: Array, kept: float) -> None:
        """Move an average of weights, as `nphash.nn.optim.moving_average`."""
        run_tasks(average_tasks(average, w, kept), self.threads)

    def optimiser(self, max_norm: float | None = None) -> CompiledAdam:
        """Return Adam that takes lazy gradients."""
        return CompiledAdam(max_norm=max_norm, threads=self.threads)

    def sparse_dense(self, X: Any, W: Array, b: Array) -> tuple[Array, Backs]:
        """Add up the rows of W that belong to a document's words; dW is lazy."""
        if X.shape[1] != len(W):
            raise InputError(f"X has {X.shape[1]} columns, W {len(W)} rows", "each word has a row of W")
        if _FIRST_LAYER:
            h = csr_times_dense(X.indptr, X.indices, X.data, W, self.threads)  # (B, H)
        else:
            h = np.asarray(X @ W, W.dtype)
        h += b

        def back(dh: Array) -> tuple[Any, ...]:
            return FirstLayerGradient(self._entries(X), np.ascontiguousarray(dh)), dh.sum(axis=0)

        return h, back

    def dense(self, x: Array, W: Array, b: Array) -> tuple[Array, Backs]:
        """Compute a fully connected layer, its products cut by columns for the threads; dW is lazy."""
        y = self._product(x, W)
        y += b

        def back(dy: Array) -> tuple[Any, ...]:
            return self._product(dy, W.T), ProductGradient(x, dy), dy.sum(axis=0)

        return y, back

    def _product(self, x: Array, W: Array) -> Array:
        if x.shape[0] * W.size < _SMALL:
            return x @ W
        out, columns = np.empty((x.shape[0], W.shape[1]), x.dtype), split_range(W.shape[1], _COLUMNS)
        run_blocks(lambda i, j: np.matmul(x, W[:, i:j], out=out[:, i:j]), columns, self.threads)
        return out

    def reconstruct(
        self, code: Array, W: Array, b: Array, target: Any
    ) -> tuple[float, Callable[..., tuple[Any, ...]]]:
        """Compute scores and likelihood in tiles of words; see `nphash.nn.losses.reconstruct`."""
        if W.shape != (code.shape[1], b.size) or target.shape != (len(code), b.size):
            raise InputError(
                f"code has the shape {code.shape}, W {W.shape}, b {b.shape}, the target {target.shape}",
                "they are (B, L), (L, V), (V,) and (B, V)",
            )
        self.background.finish()  # the last step's update of W
        step = Decoding(code, W, b, self._entries(target), self.background)
        self.looks_up = step.looks_up
        return step.forward(), step.back

    def _entries(self, X: Any) -> Entries:
        # Input and target are often the same documents, or differ only in the weights. Arrays are compared by
        # identity: whoever changes them in place must use another engine.
        if not (X.indices is self._last[0] and X.indptr is self._last[1] and X.shape[1] == self._last[2]):
            self._last = X.indices, X.indptr, X.shape[1], sort_by_word(X)
        starts, documents, positions = self._last[3]
        return Entries(starts, documents, X.data[positions].astype(np.float32, copy=False))


def sort_by_word(X: Any) -> tuple[Array, Array, Array]:
    """Sort the entries of a CSR batch (B, V) by word, then document; repetitions stay.

    Returns where each word begins (V + 1,), each entry's document and its place in the batch (nnz,).
    """
    numbered = copy(X)
    numbered.data = np.arange(X.indices.size, dtype=np.int32)
    columns = numbered.tocsc()
    return columns.indptr.astype(np.int64), columns.indices, columns.data


class FirstLayerGradient(RowGradient):
    """The gradient X' dh of W_1 (V, H), in rows of words: the sum over the documents d of X[d, w] dh[d]."""

    def __init__(self, entries: Entries, dh: Array) -> None:
        self.entries, self.dh = entries, dh
        self.rows = np.flatnonzero(entries.starts[1:] != entries.starts[:-1])
        self.shape, self.dtype = (entries.starts.size - 1, dh.shape[1]), dh.dtype

    def fill(self, out: Array, start: int, stop: int) -> None:
        """Write all rows."""
        starts, documents, weights = self.entries
        out[:] = csr_array((weights, documents, starts), shape=(self.shape[0], len(self.dh))) @ self.dh

    def update_rows(self, *state: Any) -> None:
        """Do Adam's step on some rows; see `nphash.engine.lazy_rows.update_rows`."""
        update_rows(self.entries, self.dh, *state)


# ---------------------------------------------------------------------- compiled beside

# The slowest kernels of a step, for `nphash.core.jit.cache.compiling_beside`: about as much in each program.
PROGRAMS: dict[str, list[Any]] = {
    "from nphash.engine import compiled; compiled.compile_forward()": [kernels.forward],
    "from nphash.engine import compiled; compiled.compile_back()": [
        kernels.update_tiles, kernels.fill_bias, kernels.combine
    ],
}  # fmt: skip


def compile_forward() -> None:
    """Compile the decoder's forward pass by calling it."""
    _small_step().forward()


def compile_back() -> None:
    """Compile the decoder's backward pass and update, with zeros in place of what the forward pass leaves."""
    step = _small_step()
    n, shape = step.n_tiles, (1, *step.code.shape)
    step.E, step.inverse = (
        np.zeros(step.code.shape[0] * step.b.size, np.float32),
        np.ones((n, len(step.code))),
    )
    expected, target_sum = np.zeros((2, *shape), np.float32)
    kernels.combine(
        np.zeros((n, len(step.code)), np.float32),
        np.ones((1, len(step.code))),
        expected,
        target_sum,
        n,
        step.inverse,
    )
    step.expected, step.target_sum = expected[0], target_sum[0]
    _, dW, db = step.back()
    CompiledAdam().step({"W": step.W, "b": step.b}, {"W": dW, "b": db})


def _small_step() -> Decoding:
    X = csr_array(np.eye(4, 32, dtype=np.float32))
    entries = CompiledEngine()._entries(X)
    z, W, b = np.ones((4, 8), np.float32), np.zeros((8, 32), np.float32), np.zeros(32, np.float32)
    return Decoding(z, W, b, entries, Background(1))
