"""Linear maps from words to coordinates and bits: their products, their regression, and hashers made of one.

Shapes: n documents, V words, d coordinates, L bits.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import CSR, Array
from nphash.engine.select import sparse_product
from nphash.hashers.base import Hasher

# Rows multiplied at once. BLAS may round a row differently in products of different height, and by its
# place among many rows (OpenBLAS with AVX2 takes twelve at once, and rounds the last six differently), but a
# document's code must not depend on the documents it is encoded with.
ROWS = 4


def project(X: CSR, components: Array, threads: int | None = 1) -> Array:
    """Return ``X @ components`` (n, d); a row depends neither on the other documents nor on the threads."""
    return sparse_product(X, components, threads)


def product_in_blocks(rows: Array, W: Array) -> Array:
    """Return ``rows @ W`` such that each row's result depends on that row alone."""
    n, width = rows.shape
    padded = np.zeros((-(-n // ROWS), ROWS, width), W.dtype)
    padded.reshape(-1, width)[:n] = rows
    with single_threaded_blas():
        product: Array = padded @ W  # one product of BLAS for each few rows
    return product.reshape(-1, W.shape[1])[:n]


def ridge(
    X: csr_matrix,
    Y: Array,
    penalty: float,
    threads: int | None = 1,
    *,
    tolerance: float = 1e-3,
    most_steps: int = 60,
    weights: Array | None = None,
) -> Array:
    """Return the W that minimises sum_ij weights_ij (X W - Y)_ij^2 + penalty |W|^2, by conjugate gradients.

    Y (n, d) should be centred: there is no constant term. For rows of length one, about ``penalty`` documents
    have to agree before a word's weight is believed. Iteration ends when every residual is ``tolerance``
    beside the first one; codes do not notice ten times less or more (Hestenes & Stiefel 1952).
    """
    Y = Y.astype(X.dtype, copy=False)
    X_T = X.T.tocsr()  # (V, n)

    def weighted(errors: Array) -> Array:
        return errors if weights is None else weights * errors

    R = project(X_T, weighted(Y), threads)  # (V, d), residuals of W = 0
    W, P = np.zeros_like(R), R.copy()  # P: directions of search
    squares = _squares(R)  # (d,)
    enough = tolerance**2 * squares
    for _ in range(most_steps):
        if (squares <= enough).all():
            break
        Q = project(X_T, weighted(project(X, P, threads)), threads) + R.dtype.type(penalty) * P  # (V, d)
        step = _ratio(squares, (P * Q).sum(axis=0, dtype=np.float64))  # (d,)
        W += P * step.astype(R.dtype)
        R -= Q * step.astype(R.dtype)
        before, squares = squares, _squares(R)
        P = R + P * _ratio(squares, before).astype(R.dtype)
    return W


def _squares(R: Array) -> Array:
    return np.asarray(np.square(R).sum(axis=0, dtype=np.float64))


def _ratio(a: Array, b: Array) -> Array:
    # a column that is solved, or was zero from the start, moves no more
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


class LinearHasher(Hasher):
    """A hasher whose `_fit` sets ``components_ (V, L)`` and ``thresholds_ (L,)``: bit j is x w_j > t_j."""

    components_: Array
    thresholds_: Array

    def _decision(self, X: CSR) -> Array:
        difference: Array = project(X, self.components_, count_threads(self.threads)) - self.thresholds_
        return difference
