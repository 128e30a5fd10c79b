"""Self-taught hashing (Zhang, Wang, Cai & Lu 2010): find the training codes, then learn to predict them.

1. Neighbour graph of the training documents: cosine, k neighbours, symmetric (either names the other);
   approximate for more than 100,000 documents.
   An unsymmetric one is no input for the eigenproblem, and a likely cause of poor published figures.
2. Laplacian eigenmap: L coordinates in which neighbours are near.
3. Bits: each coordinate thresholded at its median, so that every bit is balanced.
4. One linear support vector machine (squared hinge) for each bit, from words to bit. All documents, those
   of training too, get the codes the machines predict.

Measured on Reuters (32 bits, validation): squared hinge .813 with C = 0.1 and .797 with C = 1, logistic
regression .803, ridge .801, ridge on the coordinates instead of bits .720. Predicted codes of the training
documents are better than their spectral ones (.809).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from nphash.core.arguments import check_count, check_positive
from nphash.core.threads import count_threads, run_blocks, split_range
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import LinearHasher, project, ridge
from nphash.hashers.neighbours.spectral import knn_graph, laplacian_eigenmap

PASSES = 100
TOLERANCE = 0.1  # of projected gradients, as in liblinear
NEWTON_STEPS = 30
HALVINGS = 20


@dataclass(eq=False, repr=False, kw_only=True)
class SelfTaughtHashing(LinearHasher):
    """Self-taught hashing: bits of a spectral embedding, predicted by linear classifiers.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    neighbours
        How many nearest documents the graph joins each document to.
    C
        Weight of the classifiers' errors against the size of their weights.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, n_bits)
        Weights of the classifiers.
    thresholds_ : ndarray of shape (n_bits,)
        Minus their biases.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Zhang, Wang, Cai & Lu (2010), Self-Taught Hashing for Fast Similarity Search.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> SelfTaughtHashing(n_bits=8, random_state=0).fit_transform(X).shape
    (60, 8)
    """

    neighbours: int = 25
    C: float = 0.1

    def _fit(self, X: csr_matrix, y: object, **options: object) -> None:
        check_count(self.neighbours, "neighbours", hint="25 are usual")
        check_positive(self.C, "C", "give a positive number; 0.1 is usual")
        if X.shape[0] <= self.n_bits:
            raise InputError(
                f"{X.shape[0]} sample(s) are too few for {self.n_bits} bits of self-taught hashing",
                "it needs more documents than bits",
            )
        from nphash.hashers.neighbours.nearest import nearest_by_words  # loads Numba: not for encoding

        seed = seed_from(self.random_state)
        indices, similarities = nearest_by_words(X, self.neighbours, seed, self.threads)
        coordinates = laplacian_eigenmap(knn_graph(indices, similarities), self.n_bits, seed)  # (n, L)
        bits = coordinates > np.median(coordinates, axis=0)  # (n, L)
        weights = linear_classifiers(X, bits, self.C, seed, self.threads)  # (V + 1, L)
        self.components_ = np.ascontiguousarray(weights[:-1], dtype=np.float32)
        self.thresholds_ = -weights[-1].astype(np.float32)


def linear_classifiers(X: csr_matrix, bits: Array, C: float, seed: int, threads: int | None = None) -> Array:
    """Return the weights (V + 1, L), bias last, of a support vector machine for each of ``bits`` (n, L)."""
    from nphash.hashers import kernels

    if not kernels.COMPILED:
        return squared_hinge_newton(X, bits, C, threads)
    n, n_words = X.shape
    data = X.data.astype(np.float64)
    weights = np.zeros((bits.shape[1], n_words + 1))  # (L, V + 1)

    def train(start: int, stop: int) -> None:
        for bit in range(start, stop):
            order = np.random.default_rng([seed, bit]).permutation(n)
            signs = np.where(bits[:, bit], 1.0, -1.0)
            kernels.squared_hinge(
                X.indptr, X.indices, data, signs, float(C), order, PASSES, TOLERANCE, weights[bit]
            )

    run_blocks(train, split_range(bits.shape[1], 1), count_threads(threads))
    return weights.T


def squared_hinge_newton(X: csr_matrix, bits: Array, C: float, threads: int | None = None) -> Array:
    """Return what `linear_classifiers` does, for all bits at once: Newton's method (Keerthi & DeCoste 2005).

    Where y x w < 1 the squared hinge max(0, 1 - y x w)^2 is (x w - y)^2: a ridge regression on these
    documents alone, which are found anew after each step.
    """
    X = csr_matrix(hstack([X, np.ones((X.shape[0], 1))]), dtype=np.float64)  # (n, V + 1)
    Y = np.where(bits, 1.0, -1.0)  # (n, L)
    W: Array = np.zeros((X.shape[1], Y.shape[1]))
    scores: Array = np.zeros(Y.shape)  # X W

    def objective(W: Array, scores: Array) -> Array:
        errors = np.square(np.maximum(0, 1 - Y * scores)).sum(axis=0)
        total: Array = np.square(W).sum(axis=0) / 2 + C * errors  # (L,)
        return total

    for _ in range(NEWTON_STEPS):
        wrong = Y * scores < 1  # (n, L)
        dW = ridge(X, Y, 1 / (2 * C), threads, weights=wrong) - W
        dscores, before, step = project(X, dW, threads), objective(W, scores), np.ones(Y.shape[1])
        for _ in range(HALVINGS):
            worse = objective(W + step * dW, scores + step * dscores) > before
            if not worse.any():
                break
            step[worse] /= 2
        W, scores = W + step * dW, scores + step * dscores
        if ((Y * scores < 1) == wrong).all():  # the minimum for these documents is that of all
            break
    return W
