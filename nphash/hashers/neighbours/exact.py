"""Nearest neighbours of training documents by cosine, and the graph they make.

Exact, in blocks of rows: no n x n matrix is ever held. Rows may be sparse (word weights) or dense
(LSI coordinates). For more than some 100,000 documents `nphash.hashers.neighbours.approximate` looks only among
documents whose coordinates are near.

Shapes: n documents, V words or d dimensions, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from nphash.core.threads import count_threads, cut, run_blocks, single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.neighbours.lsi import normalise_rows

__all__ = [
    "knn_graph",
    "largest",
    "mean_cosines",
    "top_cosine",
    "top_of_candidates",
    "unit_parts",
    "unit_rows",
]


CANDIDATE_ROWS = 1024  # rows compared with their candidates at once


def top_cosine(
    A: Any,
    k: int,
    *,
    B: Any = None,
    exclude_self: bool = True,
    block: int = 256,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Return each row's most similar rows by cosine, exactly.

    Parameters
    ----------
    A
        Rows that ask: SciPy sparse (n, V) or dense (n, d); or a list of such arrays with a row for
        each document, whose cosines are averaged.
    k
        How many neighbours; fewer come back if there are not so many rows.
    B
        Rows among which to look, of the same kind and width; None for A itself.
    exclude_self
        With ``B=None``, leave a row out of its own neighbours.
    block
        Rows of A at once: memory is ``block * len(B)`` floats a thread. The result of dense rows
        may differ in its last digit between block sizes, never between numbers of threads.
    threads
        How many threads; None for all.

    Returns
    -------
    tuple
        Indices (n, k) int32 and similarities (n, k) float32, by falling similarity, then rising
        index. A row of zeros has similarity 0 to all.

    Raises
    ------
    InputError
        If ``k`` is below 1, no row is left to find, or the widths differ.

    Examples
    --------
    >>> indices, similarities = top_cosine(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), k=1)
    >>> indices.ravel()
    array([1, 0, 1], dtype=int32)
    """
    same = B is None
    left = unit_parts(A)
    right = left if same else unit_parts(B)
    n, available = left[0].shape[0], _available(left, right, k, same and exclude_self)
    k = min(k, available)
    indices, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    scores = mean_cosines(left, right)

    def one_block(start: int, stop: int) -> None:
        largest(
            scores(start, stop),
            start if same and exclude_self else -1,
            indices[start:stop],
            similarities[start:stop],
        )

    with single_threaded_blas():
        run_blocks(one_block, cut(n, block), count_threads(threads))
    return indices, similarities


def top_of_candidates(
    A: Any, candidates: Array, k: int, *, threads: int | None = None
) -> tuple[Array, Array]:
    """Return each row's most similar rows among its candidates, as `top_cosine` does among all.

    Parameters
    ----------
    A
        As for `top_cosine`.
    candidates
        Rows of A that may be chosen, (n, c) integers; a row itself and repetitions do not count. Each row
        needs k candidates beside these.
    k
        How many neighbours.

    Returns
    -------
    tuple
        Indices (n, k) int32 and similarities (n, k) float32, by falling similarity, then rising index.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]])
    >>> top_of_candidates(rows, np.array([[0, 2], [2, 0], [1, 1]]), k=1)[0].ravel()
    array([2, 0, 1], dtype=int32)
    """
    parts = [part.sorted_indices() if scipy.sparse.issparse(part) else part for part in unit_parts(A)]
    n = len(candidates)
    indices, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)

    def one_block(start: int, stop: int) -> None:
        rows = np.arange(start, stop, dtype=np.int32)
        chosen = np.sort(candidates[start:stop], axis=1).astype(np.int32)  # (rows, c)
        scores = np.mean([_products(part, rows, chosen) for part in parts], axis=0)
        repeated = np.diff(chosen, axis=1, prepend=-1) == 0
        scores[repeated | (chosen == rows[:, None])] = -np.inf
        places = np.empty((stop - start, k), np.int32)
        largest(scores, -1, places, similarities[start:stop])
        indices[start:stop] = np.take_along_axis(chosen, places.astype(np.int64), axis=1)

    with single_threaded_blas():
        run_blocks(one_block, cut(n, CANDIDATE_ROWS), count_threads(threads))
    return indices, similarities


def _products(A: Any, rows: Array, candidates: Array) -> Array:
    """Return the inner products (rows, c) of some rows with their candidates."""
    from nphash.core.jit import COMPILED
    from nphash.hashers.neighbours.kernels import products_with

    if not scipy.sparse.issparse(A):
        products: Array = np.matmul(A[candidates], A[rows][:, :, None])[:, :, 0]
        return products
    if not COMPILED:
        repeated = np.repeat(rows, candidates.shape[1])
        return np.asarray(A[repeated].multiply(A[candidates.ravel()]).sum(axis=1)).reshape(candidates.shape)
    out = np.empty(candidates.shape, np.float32)
    products_with(A.indptr, A.indices, A.data, rows, candidates, out)
    return out


def _available(left: list[Any], right: list[Any], k: int, leave_one_out: bool) -> int:
    """Return how many neighbours a row can have, after checking what was asked for."""
    available = int(right[0].shape[0]) - leave_one_out
    if k < 1 or available < 1:
        raise InputError(
            f"{k} neighbours were asked for among {available} documents", "ask for 1 or more among more"
        )
    for a, b in zip(left, right, strict=True):
        if a.shape[1] != b.shape[1]:
            raise InputError(
                f"rows have {a.shape[1]} and {b.shape[1]} columns",
                "give both in the same words or dimensions",
            )
    return available


Scores = Callable[[int, int], Array]  # rows from start to stop against all, (rows, n_B)


def unit_parts(A: Any) -> list[Any]:
    """Return the arrays of a list, or one array, with rows of length one: CSR or dense, float32."""
    parts = list(A) if isinstance(A, (list, tuple)) else [A]
    return [
        unit_rows(part) if scipy.sparse.issparse(part) else normalise_rows(np.asarray(part, dtype=np.float32))
        for part in parts
    ]


def mean_cosines(left: list[Any], right: list[Any]) -> Scores:
    """Return a function for the mean cosines of some rows of `left` with all of `right` (`unit_parts`)."""
    parts = [
        _sparse(a, b) if scipy.sparse.issparse(a) else _dense(a, b) for a, b in zip(left, right, strict=True)
    ]

    def mean(start: int, stop: int) -> Array:
        total = parts[0](start, stop)
        for part in parts[1:]:
            total += part(start, stop)
        total /= np.float32(len(parts))
        return total

    return parts[0] if len(parts) == 1 else mean


def _dense(a: Array, b: Array) -> Scores:
    return lambda start, stop: a[start:stop] @ b.T


def _sparse(a: Any, b: Any) -> Scores:
    from nphash.core.jit import COMPILED
    from nphash.hashers.neighbours.kernels import products

    by_word = b.T.tocsr()  # (V, n_B)

    def scores(start: int, stop: int) -> Array:
        if not COMPILED:
            return np.asarray((a[start:stop] @ by_word).toarray())
        out = np.empty((stop - start, b.shape[0]), np.float32)
        indptr = a.indptr[start : stop + 1]
        products(indptr, a.indices, a.data, by_word.indptr, by_word.indices, by_word.data, out)
        return out

    return scores


def unit_rows(X: Any) -> Any:
    """Return sparse rows of length one as float32 CSR; empty rows stay empty."""
    X = scipy.sparse.csr_matrix(X, dtype=np.float32)
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())  # (n,)
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    data = X.data * np.repeat(scale, np.diff(X.indptr))
    return scipy.sparse.csr_matrix((data, X.indices, X.indptr), shape=X.shape)


def largest(scores: Array, without: int, indices: Array, values: Array) -> None:
    """Write the largest scores of each row and their columns; row i leaves out column ``without + i``."""
    from nphash.core.jit import COMPILED
    from nphash.hashers.neighbours.kernels import top

    if COMPILED:
        top(scores, without, indices, values)
        return
    k = indices.shape[1]
    if without >= 0:
        rows = np.arange(len(scores))
        scores[rows, without + rows] = -np.inf
    indices[:] = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values[:] = np.take_along_axis(scores, indices.astype(np.int64), axis=1)


def knn_graph(indices: Array, similarities: Array, *, symmetry: str = "max", weighted: bool = True) -> Any:
    """Return the symmetric neighbour graph of n documents.

    Parameters
    ----------
    indices, similarities
        As `top_cosine` gives them, shape (n, k). Neighbours of similarity 0 or less are left out.
    symmetry
        ``"max"``: an edge where either document names the other. ``"mean"``: half as heavy unless
        both do.
    weighted
        Weigh edges by similarity; otherwise by 1.

    Returns
    -------
    scipy.sparse.csr_matrix
        Shape (n, n), float32, equal to its transpose.

    Examples
    --------
    >>> knn_graph(np.array([[1], [2], [1]]), np.array([[0.5], [0.9], [0.9]])).toarray()
    array([[0. , 0.5, 0. ],
           [0.5, 0. , 0.9],
           [0. , 0.9, 0. ]], dtype=float32)
    """
    if symmetry not in ("max", "mean"):
        raise InputError(f"symmetry is {symmetry!r}", 'give "max" or "mean"')
    n, k = indices.shape
    rows = np.repeat(np.arange(n, dtype=np.int32), k)
    near = similarities.ravel() > 0
    weights = similarities.ravel()[near].astype(np.float32) if weighted else np.ones(near.sum(), np.float32)
    W = scipy.sparse.csr_matrix((weights, (rows[near], indices.ravel()[near])), shape=(n, n))
    W = W.maximum(W.T) if symmetry == "max" else (W + W.T) * np.float32(0.5)
    return scipy.sparse.csr_matrix(W)
