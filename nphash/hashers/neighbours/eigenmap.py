"""The neighbour graph and its Laplacian eigenmap: coordinates in which neighbours are near.

Eigenmap (Belkin & Niyogi 2003): with W the symmetric graph and D its degrees, the coordinates y solve
(D - W) y = mu D y for the smallest mu > 0. Put u = D^1/2 y: these are the largest eigenvectors,
lambda = 1 - mu, of N = D^-1/2 W D^-1/2, without the constant solution u = D^1/2 1.

A graph in several pieces has lambda = 1 once for each piece, with vectors that are constant on every
piece. They are written down instead of searched for (Lanczos iteration finds one copy of a multiple
eigenvalue and stumbles over the others), and pieces too small to be worth a dimension are left at
the origin.

Shapes: n documents, d dimensions.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components

from nphash.core.threads import single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.neighbours.lsi import SMALL, fix_signs, top_eigenvectors

__all__ = ["knn_graph", "laplacian_eigenmap"]


def knn_graph(
    indices: Array, similarities: Array, *, symmetry: str = "max", weighted: bool = True
) -> csr_matrix:
    """Return the symmetric neighbour graph of n documents, CSR (n, n) float32.

    Neighbours (n, k) of similarity 0 or less are left out. Symmetry ``"max"`` makes an edge where either
    document names the other, ``"mean"`` one half as heavy unless both do. Edges weigh their similarity, or 1.

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
    W = csr_matrix((weights, (rows[near], indices.ravel()[near])), shape=(n, n))
    W = W.maximum(W.T) if symmetry == "max" else (W + W.T) * np.float32(0.5)
    return csr_matrix(W)


def laplacian_eigenmap(graph: csr_matrix, dims: int, seed: int, *, scaled: bool = True) -> Array:
    """Return the first non-trivial coordinates D^-1/2 U (Lambda), float32 (n, dims), of a neighbour graph.

    The graph W is symmetric, (n, n), with non-negative weights. ``scaled`` multiplies each coordinate by its
    eigenvalue: directions that vary slowly along the graph weigh more in distances. Documents without
    neighbours, and those in pieces smaller than 1 / (2 dims) of the largest, are at the origin. `InputError`
    is raised if no document has a neighbour, or the pieces that count have too few documents.

    Examples
    --------
    >>> path = csr_matrix([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> laplacian_eigenmap(path, dims=1, seed=0, scaled=False).round(2).ravel() + 0
    array([ 0.71,  0.  , -0.71], dtype=float32)
    """
    rows, piece = _large_pieces(graph, dims)
    if len(rows) < dims + 1:
        raise InputError(
            f"{len(rows)} documents are connected, but {dims} dimensions need {dims + 1} or more",
            "give more documents, ask for fewer bits or for more neighbours",
        )
    W = graph[rows][:, rows]
    degrees = np.asarray(W.sum(axis=1), dtype=np.float64).ravel()  # (m,)
    root = np.sqrt(degrees)
    constant = root / np.linalg.norm(root)
    known = _constant_on_pieces(root, piece, constant, dims, seed)  # (m, pieces - 1)
    values, vectors = np.ones(known.shape[1]), known
    left = dims - known.shape[1]
    if left:
        N = diags_array(1 / root) @ W @ diags_array(1 / root)
        found, more = _eigenvectors(N, np.column_stack([constant, known]), left, seed)
        values, vectors = np.concatenate([values, found]), np.column_stack([vectors, more])
    if scaled:
        vectors = vectors * values
    coordinates = np.zeros((graph.shape[0], dims), np.float32)
    coordinates[rows] = fix_signs(vectors / root[:, None])
    return coordinates


def _large_pieces(graph: csr_matrix, dims: int) -> tuple[Array, Array]:
    """Return the documents of the pieces that count, and the number of each one's piece."""
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    if sizes.max() < 2:
        raise InputError(
            "no document has a neighbour: no two share a word", "give documents with common words"
        )
    counts = sizes >= max(2, sizes.max() / (2 * dims))
    rows = np.flatnonzero(counts[labels])
    _, piece = np.unique(labels[rows], return_inverse=True)
    return rows, piece


def _constant_on_pieces(root: Array, piece: Array, constant: Array, dims: int, seed: int) -> Array:
    """Return orthonormal eigenvectors of eigenvalue 1 beside the constant one, at most `dims`."""
    pieces = int(piece.max()) + 1
    levels = np.eye(pieces)[:, 1:]
    if pieces - 1 > dims:  # more than fit: random ones separate all pieces a little
        levels = np.random.default_rng([seed, pieces]).standard_normal((pieces, dims))
    vectors = root[:, None] * levels[piece]  # (m, pieces - 1)
    with single_threaded_blas():
        vectors -= np.outer(constant, constant @ vectors)
        orthonormal: Array = np.linalg.qr(vectors)[0]
    return orthonormal


def _eigenvectors(N: csr_matrix, without: Array, dims: int, seed: int) -> tuple[Array, Array]:
    """Return the largest eigenpairs of N orthogonal to the columns of `without`."""
    size = N.shape[0]
    if size <= SMALL or dims >= size - 1 - without.shape[1]:
        with single_threaded_blas():
            # known eigenvectors are moved below all others: N's eigenvalues are at least -1
            values, vectors = np.linalg.eigh(N.toarray() - 3 * without @ without.T)
        return values[::-1][:dims], vectors[:, ::-1][:, :dims]
    N, known = N.astype(np.float32).tocsr(), without.astype(np.float32)

    def product(v: Array) -> Array:
        projected: Array = N @ v - known @ (known.T @ v)  # their eigenvalue is 0 now
        return projected

    return top_eigenvectors(product, size, dims, seed)
