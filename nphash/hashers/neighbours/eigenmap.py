"""Laplacian eigenmap (Belkin & Niyogi 2003): coordinates in which neighbours in a graph are near.

With W the symmetric graph and D its degrees, the coordinates y solve (D - W) y = mu D y for the
smallest mu > 0. Put u = D^1/2 y: these are the largest eigenvectors, lambda = 1 - mu, of
N = D^-1/2 W D^-1/2, without the constant solution u = D^1/2 1.

A graph in several pieces has lambda = 1 once for each piece, with vectors that are constant on every
piece. They are written down instead of searched for (Lanczos iteration finds one copy of a multiple
eigenvalue and stumbles over the others), and pieces too small to be worth a dimension are left at
the origin.

Shapes: n documents, d dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.csgraph import connected_components

from nphash.core.threads import single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.neighbours.lsi import SMALL, fix_signs, top_eigenvectors

__all__ = ["laplacian_eigenmap"]


def laplacian_eigenmap(graph: Any, dims: int, seed: int, *, scaled: bool = True) -> Array:
    """Return the first non-trivial coordinates of a neighbour graph.

    Parameters
    ----------
    graph
        W, symmetric SciPy CSR matrix of shape (n, n) with non-negative weights.
    dims
        How many coordinates.
    seed
        Of the iteration's start vector.
    scaled
        Multiply each coordinate by its eigenvalue: directions that vary slowly along the graph
        weigh more in distances.

    Returns
    -------
    numpy.ndarray
        D^-1/2 U (Lambda), float32, shape (n, dims). Documents without neighbours, and those in
        pieces smaller than 1 / (2 dims) of the largest, are at the origin.

    Raises
    ------
    InputError
        If no document has a neighbour, or the pieces that count have too few documents.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> path = csr_matrix([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> laplacian_eigenmap(path, dims=1, seed=0, scaled=False).round(2).ravel() + 0
    array([ 0.71,  0.  , -0.71], dtype=float32)
    """
    rows, piece = _large_pieces(graph, dims)
    if len(rows) < dims + 1:
        raise InputError(
            f"{len(rows)} documents hang together, but {dims} dimensions need {dims + 1} or more",
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


def _large_pieces(graph: Any, dims: int) -> tuple[Array, Array]:
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
    if pieces - 1 > dims:  # more than fit: random ones tell all pieces apart a little
        levels = np.random.default_rng([seed, pieces]).standard_normal((pieces, dims))
    vectors = root[:, None] * levels[piece]  # (m, pieces - 1)
    with single_threaded_blas():
        vectors -= np.outer(constant, constant @ vectors)
        orthonormal: Array = np.linalg.qr(vectors)[0]
    return orthonormal


def _eigenvectors(N: Any, without: Array, dims: int, seed: int) -> tuple[Array, Array]:
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
