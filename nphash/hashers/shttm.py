"""Hashing with tags and topics (Wang, Zhang & Si 2013): codes that predict tags and stay near topics.

Given the tags T (n x C) of the training documents and topic coordinates Theta (n x L), find relaxed codes
Y (n x L) and tag vectors U (C x L) that minimise

    sum_ij c_ij (T_ij - y_i u_j)^2 + alpha |U|^2 + gamma |Y - Theta|^2,

c_ij = 1 where document i has tag j, and the smaller `absent` where it has not: a missing tag says less.
Alternately, each is the solution of small linear systems, L equations for each document or tag:

    y_i = (U^T C_i U + gamma I)^-1 (U^T C_i t_i + gamma theta_i),
    u_j = (Y^T C_j Y + alpha I)^-1  Y^T C_j t_j.

Rotating Y changes nothing above but what its signs keep, so it is rotated as in iterative quantisation,
and thresholded at the medians. New documents get codes by ridge regression of the rotated Y on the words.

Topics are those of latent semantic indexing (the paper takes LDA): coordinates scaled to length one.

Shapes: n documents, V words, C tags, L bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.arguments import check_count, check_positive
from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import Array
from nphash.hashers.inputs import seed_from
from nphash.hashers.itq import rotation
from nphash.hashers.linear import LinearHasher, project, ridge
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.hashers.networks import targets
from nphash.nn.ops import normalise_rows


def tag_step(T: csr_matrix, U: Array, anchor: Array, absent: float, pull: float) -> Array:
    """Return the rows y_i that minimise sum_j c_ij (T_ij - y_i u_j)^2 + pull |y_i - anchor_i|^2.

    T is (rows, C), U (C, L), ``anchor`` (rows, L). The step for U takes the transpose of T.
    """
    common = absent * (U.T @ U) + pull * np.eye(U.shape[1])  # (L, L) what all rows share
    rows = np.empty_like(anchor)
    right = T @ U + pull * anchor  # (rows, L), for a tag's weight is 1
    same: dict[bytes, list[int]] = {}  # rows with the same tags have the same equations
    for i in range(T.shape[0]):
        same.setdefault(T.indices[T.indptr[i] : T.indptr[i + 1]].tobytes(), []).append(i)
    for members in same.values():
        first = members[0]
        own = U[T.indices[T.indptr[first] : T.indptr[first + 1]]]  # (tags of the row, L)
        left = common + (1 - absent) * (own.T @ own)
        rows[members] = np.linalg.solve(left, right[members].T).T
    return rows


@dataclass(eq=False, repr=False, kw_only=True)
class SHTTM(LinearHasher):
    """Semantic hashing with tags and topic modelling.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    absent
        Weight of a tag that a document has not, against 1 for one it has.
    alpha
        Weight of the tag vectors' size.
    gamma
        Weight of the distance from the topics.
    penalty
        Ridge penalty of the map from words to codes.
    iterations
        How often codes and tag vectors are solved for.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, n_bits)
        The map from words to codes.
    thresholds_ : ndarray of shape (n_bits,)
        Medians over the training documents.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Wang, Zhang & Si (2013), Semantic Hashing Using Tags and Topic Modeling.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> SHTTM(n_bits=8, random_state=0).fit_transform(X, np.arange(60) % 3).shape
    (60, 8)
    """

    supervised = True

    absent: float = 0.1
    alpha: float = 0.1
    gamma: float = 0.1
    penalty: float = 1.0
    iterations: int = 10

    def _fit(self, X: csr_matrix, y: csr_matrix | Array, **options: object) -> None:
        for name in ("absent", "alpha", "gamma", "penalty"):
            check_positive(getattr(self, name), name)
        check_count(self.iterations, "iterations", hint="10 are usual")
        seed = seed_from(self.random_state)
        T = _indicator(*targets(y))  # (n, C)
        topics = fit_lsi(X, self.n_bits, seed).components  # (V, d)
        Theta = np.zeros((X.shape[0], self.n_bits))  # fewer topics than bits leave the others to the tags
        Theta[:, : topics.shape[1]] = normalise_rows(project(X, topics, count_threads(self.threads)))
        with single_threaded_blas():
            transposed, Y = T.T.tocsr(), Theta
            for _ in range(self.iterations):
                U = tag_step(transposed, Y, np.zeros((T.shape[1], self.n_bits)), self.absent, self.alpha)
                Y = tag_step(T, U, Theta, self.absent, self.gamma)
            Y -= Y.mean(axis=0)
            Y = Y @ rotation(Y, self.n_bits, 50, seed)
            W = ridge(X.astype(np.float64), Y, self.penalty, self.threads, tolerance=1e-5, most_steps=200)
            self.components_ = W.astype(np.float32)
        codes = project(X, self.components_, count_threads(self.threads))  # (n, L)
        self.thresholds_ = np.median(codes, axis=0).astype(np.float32)


def _indicator(labels: csr_matrix | Array, count: int) -> csr_matrix:
    """Return labels as float CSR (n, C), whether they were classes or an indicator."""
    if not isinstance(labels, np.ndarray):
        return csr_matrix(labels, dtype=np.float64)
    n = len(labels)
    return csr_matrix((np.ones(n), (np.arange(n), labels)), shape=(n, count))
