"""The compiled decoder: one batch's way through it, the gradients of its parameters, and their update.

The kernels and what makes them fast stand in `nphash.engine.kernels.decoder`. Work is cut into shares of the
tiles that depend on shapes only, so that any number of threads gives the same bytes.

Shapes: B documents of a batch, V words, L bits, N tiles of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.jit import uses
from nphash.core.threads import Background, run_blocks, split_range
from nphash.core.typing import Array
from nphash.engine.kernels import decoder as kernels
from nphash.engine.kernels.decoder import Entries, Latent, ScoreGradient
from nphash.engine.kernels.rows import update
from nphash.engine.optim import LazyGradient
from nphash.errors import InputError

# Shares into which the tiles are cut, and so the most threads that help. Each costs some 10 microseconds, and
# their sums over words have to be put together again.
_SHARES = 8
_FEW_SHARES = 2  # of less work

_SIGN_TABLES = uses("sign-tables")


class Decoding:
    """One batch's way through the decoder and back; W and b are updated while the next step begins.

    code (B, L), W (L, V) C-contiguous and b (V,) are float32; the target comes by word.
    """

    def __init__(self, code: Array, W: Array, b: Array, entries: Entries, background: Background) -> None:
        _check(code, W, b)
        self.code, self.W, self.b = np.ascontiguousarray(code), W, np.ascontiguousarray(b)
        self.background = background
        self.latent = kernels.latent_of(self.code, _SIGN_TABLES)
        self.looks_up = bool(self.latent.offsets.size)  # sums, in place of products: the codes are +-1
        self.entries = entries
        self.mass = np.bincount(entries.documents, entries.weights, len(code))  # (B,) T, in float64
        self.width = kernels.tile_width(code.shape[1])
        self.n_tiles = -(-len(b) // self.width)
        self.shares = _shares(self.n_tiles, _SHARES)

    def forward(self) -> float:
        """Compute the exponentials and return the loss."""
        code, shares, n = self.code, self.shares, len(self.code)
        E = np.empty(n * len(self.b), code.dtype)
        shifts = np.empty((self.n_tiles, n), code.dtype)
        totals = np.empty((len(shares), n))
        expected, target_sum = np.empty((2, len(shares), *code.shape), code.dtype)  # (shares, B, L) each
        tiles, length = np.array([first for first, _ in shares]), shares[0][1]
        words = tiles * self.width
        shifts[tiles] = (code @ self.W[:, words] + self.b[words]).T  # scores of each share's first word

        def one_share(i: int, j: int) -> float:
            k = i // length
            out, vectors = (E, shifts, totals[k]), (expected[k], target_sum[k])
            arrays = (self.latent, self.W, self.b, self.entries)
            return kernels.forward(*arrays, out, vectors, self.width, i, j)

        hits = sum(run_blocks(one_share, shares, self.background.threads))
        self.E, self.inverse = E, np.empty(shifts.shape)  # (N, B): what makes a tile of E probabilities
        logs = kernels.combine(shifts, totals, expected, target_sum, length, self.inverse)  # (B,)
        self.expected, self.target_sum = expected[0], target_sum[0]
        return float(np.dot(self.mass, logs) - hits) / n

    def back(self, dloss: float = 1.0) -> tuple[Any, ...]:
        """Return (dcode, dW, db): with ds = T softmax(s) - t, dcode = ds W', dW = code' ds, db = sum ds."""
        scale = dloss / len(self.code)
        dtype = self.code.dtype
        dcode = (scale * self.mass[:, None] * self.expected - scale * self.target_sum).astype(dtype)  # (B, L)
        factors = (self.inverse * (scale * self.mass)).astype(dtype)  # (N, B)
        ds = ScoreGradient(self.E, factors, dtype.type(scale), self.entries)
        dW = _WeightGradient(self.latent, ds, self.W.shape, self.width, self.background)
        return dcode, dW, _BiasGradient(self.latent, ds, self.b.shape, self.width, self.background)


def _check(code: Array, W: Array, b: Array) -> None:
    # Kernels read memory as it lies there: another kind of number would be taken for float32. Shapes are
    # checked by `CompiledEngine.reconstruct`.
    kinds, order = {array.dtype.name for array in (code, W, b)}, "" if W.flags.c_contiguous else "not "
    if kinds != {"float32"} or order:
        raise InputError(
            f"the kernels were given {', '.join(sorted(kinds))}, W {order}in C order",
            "give C-contiguous float32 arrays, or use nphash.engine.select.Engine",
        )


class _WeightGradient(LazyGradient):
    """The gradient code' ds of W_s (L, V), in blocks of tiles of words."""

    n_shares = _SHARES

    def __init__(
        self, latent: Latent, ds: ScoreGradient, shape: tuple[int, ...], width: int, background: Background
    ) -> None:
        self.latent, self.ds, self.width, self.background = latent, ds, width, background
        self.shape, self.dtype = shape, latent.z.dtype

    def blocks(self) -> list[tuple[int, int]]:
        return _shares(-(-self.shape[-1] // self.width), self.n_shares)

    def fill(self, out: Array, start: int, stop: int) -> None:
        kernels.fill_tiles(self.latent, self.ds, out, start * self.width, self.width, start, stop)

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        kernels.update_tiles(self.latent, self.ds, w, m, v, settings, self.width, start, stop)


class _BiasGradient(_WeightGradient):
    """The gradient of b_s (V,), the sum of ds over documents, in blocks of tiles of words."""

    n_shares = _FEW_SHARES

    def fill(self, out: Array, start: int, stop: int) -> None:
        kernels.fill_bias(self.ds, out, self.width, start, stop)

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        words = slice(start * self.width, stop * self.width)
        db = np.empty_like(w)
        self.fill(db, start, stop)
        update(w[words], db[words], m[words], v[words], settings)


def _shares(n: int, count: int) -> list[tuple[int, int]]:
    """Cut range(n) into up to ``count`` blocks of nearly equal length."""
    return split_range(n, max(1, -(-n // count)))
