"""Eigenvectors of documents: latent semantic indexing, and the Laplacian eigenmap of their neighbour graph.

Latent semantic indexing (LSI) is the truncated SVD of sparse documents, with or without the mean taken out.
Eigenvectors of the smaller Gram matrix (X^T X of size V, or X X^T of size n) come from ARPACK's Lanczos
iteration, which needs nothing but products with X. It was measured against randomised subspace iteration:
for 256 dimensions of 20 Newsgroups, 4 s give eigenvectors to 1e-5, where 7 s of seven power iterations over
twice the dimensions still miss one hundredth of the subspace. Small matrices (up to 400 on the smaller side)
are decomposed whole in float64.

Eigenmap (Belkin & Niyogi 2003): with W the symmetric graph and D its degrees, the coordinates y solve
(D - W) y = mu D y for the smallest mu > 0. Put u = D^1/2 y: these are the largest eigenvectors,
lambda = 1 - mu, of N = D^-1/2 W D^-1/2, without the constant solution u = D^1/2 1. A graph in several pieces
has lambda = 1 once for each piece, with vectors that are constant on every piece. They are written down
instead of searched for (Lanczos iteration finds one copy of a multiple eigenvalue and stumbles over the
others), and pieces too small to be worth a dimension are left at the origin.

Same documents and seed, same bytes: start vectors are drawn from the seed, BLAS runs on one thread, and each
component's largest entry is made positive.

Shapes: n documents, V words, d dimensions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags_array

from nphash.core.threads import single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError

# Below this size a whole eigendecomposition takes less than 0.1 s, and has no trouble with multiple
# or zero eigenvalues.
SMALL = 400

# Singular values below this share of the first are rounding: the matrix has a smaller rank.
RANK_TOLERANCE = 1e-3


# ---------------------------------------------------------------------- latent semantic indexing


class Lsi(NamedTuple):
    """A truncated SVD: ``X - mean ~ (X - mean) components components^T``."""

    components: Array  # (V, d) float32, orthonormal columns, by falling singular value
    singular_values: Array  # (d,) float32
    mean: Array  # (V,) float32, zero unless centred


def fit_lsi(X: csr_matrix, dims: int, seed: int, *, centred: bool = False) -> Lsi:
    """Return the first right singular vectors of documents X (n, V), fewer if its rank is smaller.

    ``centred`` takes each word's mean out first (implicitly: X stays sparse). `InputError` is raised if
    nothing is left: all documents are empty or, when centred, the same.
    """
    n, n_words = X.shape
    if dims < 1:
        raise InputError(f"dims is {dims}", "ask for one dimension or more")
    mean = np.zeros(n_words, np.float32)  # (V,)
    if centred:
        mean = np.bincount(X.indices, weights=X.data, minlength=n_words) / n  # summed in float64
    by_word = n_words <= n
    if min(n, n_words) <= SMALL:
        values, vectors = _small_gram(X, mean, by_word)
    else:
        values, vectors = top_eigenvectors(_gram(X, mean, by_word), min(n, n_words), dims, seed)
    keep = values > max(values[0], 0) * RANK_TOLERANCE**2  # values fall
    values, vectors = values[keep][:dims], vectors[:, keep][:, :dims]
    if values.size == 0:
        what = "all documents are the same" if centred else "all documents are empty"
        raise InputError(f"there is nothing to learn from: {what}", "give documents with different words")
    singular_values = np.sqrt(values)  # (d,)
    if not by_word:  # right singular vectors from left ones: v = X^T u / s
        vectors = (X.T @ vectors - np.outer(mean, vectors.sum(axis=0))) / singular_values  # (V, d)
    components = fix_signs(np.asarray(vectors)).astype(np.float32)
    return Lsi(components, singular_values.astype(np.float32), mean.astype(np.float32))


def _small_gram(X: csr_matrix, mean: Array, by_word: bool) -> tuple[Array, Array]:
    """Return all eigenpairs of the smaller Gram matrix, largest first, in float64."""
    X = X.astype(np.float64)
    n = X.shape[0]
    if by_word:
        gram = (X.T @ X).toarray() - n * np.outer(mean, mean)  # (V, V)
    else:
        inner = np.asarray(X @ mean)  # (n,)
        gram = (X @ X.T).toarray() - inner[:, None] - inner + mean @ mean  # (n, n)
    with single_threaded_blas():
        values, vectors = np.linalg.eigh(gram)
    return values[::-1], vectors[:, ::-1]


def _gram(X: csr_matrix, mean: Array, by_word: bool) -> Callable[[Array], Array]:
    """Return the product of the smaller Gram matrix with a vector."""
    mean = mean.astype(np.result_type(X.dtype, np.float32))
    transposed = X.T.tocsr()

    def by_words(v: Array) -> Array:
        y = X @ v - mean @ v  # (n,)
        product: Array = transposed @ y - mean * y.sum()  # (V,)
        return product

    def by_documents(u: Array) -> Array:
        y = transposed @ u - mean * u.sum()  # (V,)
        product: Array = X @ y - mean @ y  # (n,)
        return product

    return by_words if by_word else by_documents


# ---------------------------------------------------------------------- eigenmap


def knn_graph(
    indices: Array, similarities: Array, *, symmetry: str = "max", weighted: bool = True
) -> csr_matrix:
    """Return the symmetric neighbour graph of n documents, CSR (n, n) float32.

    Neighbours (n, k) of similarity 0 or less are left out. Symmetry ``"max"`` makes an edge where either
    document names the other, ``"mean"`` one half as heavy unless both do. Edges weigh their similarity, or 1.
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

    ``scaled`` multiplies each by its eigenvalue: what varies slowly along the graph weighs more in distances.
    Documents in pieces smaller than 1 / (2 dims) of the largest are at the origin. `InputError` is raised if
    no document has a neighbour, or the pieces that count have too few documents.
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
    from scipy.sparse.csgraph import connected_components  # eigensolvers come with it

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


# ---------------------------------------------------------------------- eigenvectors


def top_eigenvectors(
    product: Callable[[Array], Array],
    size: int,
    dims: int,
    seed: int,
    dtype: npt.DTypeLike = np.float32,
) -> tuple[Array, Array]:
    """Return the largest eigenvalues (d,) of a symmetric operator, falling, and their vectors (size, d).

    ``product`` applies the operator to a vector. The iteration starts from a vector drawn from the seed.
    """
    import scipy.sparse.linalg as solvers  # 60 ms, which encoding a query can do without

    dims = min(dims, size - 1)
    rng = np.random.default_rng([seed, size])
    start = rng.uniform(-1, 1, size).astype(dtype)
    operator = solvers.LinearOperator((size, size), matvec=lambda v: product(v.ravel()), dtype=dtype)
    basis = min(size, dims + max(dims // 2, 32))  # measured: faster than ARPACK's 2 d + 1 for many dims
    options = {"rng": rng} if "rng" in inspect.signature(solvers.eigsh).parameters else {}
    with single_threaded_blas():
        try:
            values, vectors = solvers.eigsh(
                operator, k=dims, which="LA", ncv=basis, tol=1e-4, v0=start, **options
            )
        except solvers.ArpackNoConvergence as error:  # multiple eigenvalues: what did converge is right
            values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def fix_signs(vectors: Array) -> Array:
    """Return columns whose entry of largest size is positive (an eigenvector's sign is arbitrary).

    Among entries as large but for rounding, the first decides.
    """
    sizes = np.abs(vectors)
    largest = (sizes >= sizes.max(axis=0) * (1 - 1e-3)).argmax(axis=0)  # (d,)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1, signs)
