"""Hashing with tags and topics (Wang, Zhang & Si 2013): codes that predict tags and stay near topics.

Given the tags T (n x C) of the training documents and topic coordinates Theta (n x L), find relaxed codes
Y (n x L) and tag vectors U (C x L) that minimise

    sum_ij c_ij (T_ij - y_i u_j)^2 + alpha |U|^2 + gamma |Y - Theta|^2,

c_ij = 1 where document i has tag j, and the smaller `absent` where it has not: a missing tag says less.
By turns, each is the solution of small linear systems, L equations for each document or tag:

    y_i = (U^T C_i U + gamma I)^-1 (U^T C_i t_i + gamma theta_i),
    u_j = (Y^T C_j Y + alpha I)^-1  Y^T C_j t_j.

Rotating Y changes nothing above but what its signs keep, so it is rotated as in iterative quantisation,
and cut at the medians. New documents get codes by ridge regression of the rotated Y on the words.

Topics are those of latent semantic indexing (the paper takes LDA): coordinates scaled to length one.

Shapes: n documents, V words, C tags, L bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from nphash.core.arguments import check_positive, is_count
from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.hashers.inputs import seed_from
from nphash.hashers.itq import rotation
from nphash.hashers.neighbours.lsi import fit_lsi, normalise_rows, project
from nphash.hashers.parts.linear import LinearHasher
from nphash.hashers.parts.networks import targets

__all__ = ["SHTTM", "ridge", "tag_step", "tags_objective"]


def tags_objective(
    Y: Array, U: Array, T: Any, Theta: Array, absent: float, alpha: float, gamma: float
) -> float:
    """Return what is minimised: weighted squared errors of tags, and distance from the topics.

    Examples
    --------
    >>> tags_objective(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), 0.1, 2.0, 3.0)
    5.1
    """
    T = np.asarray(T, dtype=np.float64)
    weights = np.where(T > 0, 1.0, absent)  # (n, C)
    errors = (weights * (T - Y @ U.T) ** 2).sum()
    return float(errors + alpha * (U**2).sum() + gamma * ((Y - Theta) ** 2).sum())


def tag_step(T: Any, U: Array, anchor: Array, absent: float, pull: float) -> Array:
    """Return the rows y_i that minimise sum_j c_ij (T_ij - y_i u_j)^2 + pull |y_i - anchor_i|^2.

    Parameters
    ----------
    T
        Tags, boolean CSR (rows, C). The step for U takes the transpose.
    U
        Vectors of the columns, (C, L).
    anchor
        Where rows are pulled, (rows, L).
    absent, pull
        Weight of a tag a row has not, and of the distance from the anchor.

    Returns
    -------
    numpy.ndarray
        Shape (rows, L).

    Examples
    --------
    >>> T = scipy.sparse.csr_matrix([[1, 0]])
    >>> tag_step(T, np.array([[1.0], [1.0]]), np.zeros((1, 1)), absent=0.5, pull=0.5)
    array([[0.5]])
    """
    common = absent * (U.T @ U) + pull * np.eye(U.shape[1])  # (L, L) what all rows share
    rows = np.empty_like(anchor)
    right = T @ U + pull * anchor  # (rows, L), for a tag's weight is 1
    alike: dict[bytes, list[int]] = {}  # rows with the same tags have the same equations
    for i in range(T.shape[0]):
        alike.setdefault(T.indices[T.indptr[i] : T.indptr[i + 1]].tobytes(), []).append(i)
    for members in alike.values():
        first = members[0]
        own = U[T.indices[T.indptr[first] : T.indptr[first + 1]]]  # (tags of the row, L)
        left = common + (1 - absent) * (own.T @ own)
        rows[members] = np.linalg.solve(left, right[members].T).T
    return rows


def ridge(X: Any, Y: Array, penalty: float, threads: int | None = None, iterations: int = 200) -> Array:
    """Return W that minimises |X W - Y|^2 + penalty |W|^2, by conjugate gradients on all columns at once.

    Parameters
    ----------
    X
        CSR (n, V).
    Y
        (n, L).
    penalty
        Positive.

    Returns
    -------
    numpy.ndarray
        float64, shape (V, L).

    Examples
    --------
    >>> ridge(scipy.sparse.csr_matrix(np.eye(2)), np.array([[2.0], [4.0]]), penalty=1.0).ravel()
    array([1., 2.])
    """
    count = count_threads(threads)
    transposed = X.T.tocsr()
    W = np.zeros((X.shape[1], Y.shape[1]))
    residual = project(transposed, np.ascontiguousarray(Y, dtype=np.float64), count)  # (V, L)
    direction, squared = residual.copy(), (residual**2).sum(axis=0)  # (L,)
    enough = 1e-10 * np.maximum(squared, 1e-300)
    for _ in range(iterations):
        if (squared <= enough).all():
            break
        product = project(transposed, project(X, direction, count), count) + penalty * direction
        step = np.where(squared > enough, squared / np.maximum((direction * product).sum(axis=0), 1e-300), 0)
        W += step * direction
        residual -= step * product
        before, squared = squared, (residual**2).sum(axis=0)
        direction = residual + squared / np.maximum(before, 1e-300) * direction
    return W


class SHTTM(LinearHasher):
    """Semantic hashing with tags and topic modelling.

    Parameters
    ----------
    n_bits
        Length L of a code.
    absent
        Weight of a tag that a document has not, against 1 for one it has.
    alpha
        Weight of the tag vectors' size.
    gamma
        Weight of the distance from the topics.
    penalty
        Ridge penalty of the map from words to codes.
    iterations
        Turns of codes and tag vectors.
    random_state
        None, a number, a NumPy Generator or RandomState.
    threads
        Worker threads; None uses every processor. Results do not depend on it.

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

    def __init__(
        self,
        n_bits: int = 32,
        *,
        absent: float = 0.1,
        alpha: float = 0.1,
        gamma: float = 0.1,
        penalty: float = 1.0,
        iterations: int = 10,
        random_state: Any = None,
        threads: int | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.absent = absent
        self.alpha = alpha
        self.gamma = gamma
        self.penalty = penalty
        self.iterations = iterations
        self.random_state = random_state
        self.threads = threads

    def _fit(self, X: Any, y: Any, **options: Any) -> None:
        self._check()
        seed = seed_from(self.random_state)
        T = _indicator(*targets(y))  # (n, C)
        topics = fit_lsi(X, self.n_bits, seed).components  # (V, d)
        Theta = np.zeros((X.shape[0], self.n_bits))  # fewer topics than bits leave the others to the tags
        Theta[:, : topics.shape[1]] = normalise_rows(project(X, topics, count_threads(self.threads)))
        with single_threaded_blas():
            Y = self._codes(T, Theta)
            Y -= Y.mean(axis=0)
            Y = Y @ rotation(Y, self.n_bits, 50, seed)
            self.components_ = ridge(X, Y, self.penalty, self.threads).astype(np.float32)
        codes = project(X, self.components_, count_threads(self.threads))  # (n, L)
        self.thresholds_ = np.median(codes, axis=0).astype(np.float32)

    def _check(self) -> None:
        for name in ("absent", "alpha", "gamma", "penalty"):
            check_positive(getattr(self, name), name)
        if not is_count(self.iterations):
            raise InputError(f"iterations is {self.iterations!r}", "give 1 or more; 10 are usual")

    def _codes(self, T: Any, Theta: Array) -> Array:
        """Return the relaxed codes Y, starting from the topics."""
        transposed = T.T.tocsr()
        Y = Theta
        for _ in range(self.iterations):
            U = tag_step(transposed, Y, np.zeros((T.shape[1], self.n_bits)), self.absent, self.alpha)
            Y = tag_step(T, U, Theta, self.absent, self.gamma)
        return Y


def _indicator(labels: Any, count: int) -> Any:
    """Return labels as float CSR (n, C), whether they were classes or an indicator."""
    if labels.ndim == 2:
        return scipy.sparse.csr_matrix(labels, dtype=np.float64)
    n = len(labels)
    return scipy.sparse.csr_matrix((np.ones(n), (np.arange(n), labels)), shape=(n, count))
