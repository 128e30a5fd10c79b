"""Nearest neighbours of training documents by cosine, and the graph they make.

Exact, in blocks of rows: no n x n matrix is ever held. Rows may be sparse (word weights) or dense
(LSI coordinates). For more than some 100,000 documents `candidate_neighbours` looks only among
documents whose codes are near.

Shapes: n documents, V words or d dimensions, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from nphash.errors import InputError
from nphash.hashers.lsi import normalise_rows
from nphash.threads import count_threads, run_blocks, single_threaded_blas

__all__ = ["knn_graph", "top_cosine", "unit_rows"]

Array = npt.NDArray[Any]


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
    left, right = _parts(A), _parts(A if same else B)
    n, available = left[0].shape[0], _available(left, right, k, same and exclude_self)
    k = min(k, available)
    indices, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    scores = _mean_scores([_scores(a, a if same else b) for a, b in zip(left, right, strict=True)])

    def one_block(start: int, stop: int) -> None:
        _top(
            scores(start, stop),
            start if same and exclude_self else -1,
            indices[start:stop],
            similarities[start:stop],
        )

    blocks = [(start, min(start + block, n)) for start in range(0, n, block)]
    with single_threaded_blas():
        run_blocks(one_block, blocks, count_threads(threads))
    return indices, similarities


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


def _parts(A: Any) -> list[Any]:
    return list(A) if isinstance(A, (list, tuple)) else [A]


def _scores(A: Any, B: Any) -> Scores:
    return _sparse_scores(A, B) if scipy.sparse.issparse(A) else _dense_scores(A, B)


def _mean_scores(parts: list[Scores]) -> Scores:
    def mean(start: int, stop: int) -> Array:
        total = parts[0](start, stop)
        for part in parts[1:]:
            total += part(start, stop)
        total /= np.float32(len(parts))
        return total

    return parts[0] if len(parts) == 1 else mean


def _dense_scores(A: Array, B: Array) -> Callable[[int, int], Array]:
    unit_b = normalise_rows(np.asarray(B, dtype=np.float32))  # (n_B, d)
    unit_a = unit_b if A is B else normalise_rows(np.asarray(A, dtype=np.float32))  # (n, d)
    return lambda start, stop: unit_a[start:stop] @ unit_b.T


def _sparse_scores(A: Any, B: Any) -> Callable[[int, int], Array]:
    from nphash.kernels import sparse
    from nphash.kernels.neighbours import products

    unit_b = unit_rows(B)
    unit_a = unit_b if A is B else unit_rows(A)
    by_word = unit_b.T.tocsr()  # (V, n_B)
    n_b = unit_b.shape[0]

    def scores(start: int, stop: int) -> Array:
        if not sparse.COMPILED:
            return np.asarray((unit_a[start:stop] @ by_word).toarray())
        out = np.empty((stop - start, n_b), np.float32)
        indptr = unit_a.indptr[start : stop + 1]
        products(indptr, unit_a.indices, unit_a.data, by_word.indptr, by_word.indices, by_word.data, out)
        return out

    return scores


def unit_rows(X: Any) -> Any:
    """Return sparse rows of length one as float32 CSR; empty rows stay empty."""
    X = scipy.sparse.csr_matrix(X, dtype=np.float32)
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())  # (n,)
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    data = X.data * np.repeat(scale, np.diff(X.indptr))
    return scipy.sparse.csr_matrix((data, X.indices, X.indptr), shape=X.shape)


def _top(scores: Array, without: int, indices: Array, values: Array) -> None:
    from nphash.kernels import sparse
    from nphash.kernels.neighbours import top

    if sparse.COMPILED:
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
