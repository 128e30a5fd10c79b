"""Supervised hashing with kernels (Liu, Wang, Ji, Jiang & Chang 2012).

A document is described by its similarity to m anchors, k_i(x) = exp(-|x - x_i|^2 / (2 s)), less each
similarity's mean; s is the mean squared distance. (Distances are between documents projected on d singular
vectors and scaled to length one: by their words alone all documents are about equally far apart.) Bit j is
sign(k(x) a_j). Of l documents with labels, S holds 1 for two that share a label and -1 for two that do
not. Codes B in {-1, 1} shall have inner products L S, and bits are found one after the other: with R what
the earlier bits have left of L S,

    max over a of  b^T R b,   b = sign(K a).

Each starts at the top eigenvector of K^T R K a = lambda K^T K a and is refined on the smooth objective
-y^T R y, y = tanh(K a / 2), gradient -K^T [(R y) * (1 - y^2)], by Nesterov's accelerated descent with
step halving. The refined bit is taken only where its signs are better.

Rows of S depend on a document's set of labels alone, and R differs from L S by one outer product a bit: so
R is never written out, and a product with it costs about l (bits so far) instead of l^2.

Shapes: n documents, V words, d dimensions, m anchors, l documents with labels, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.arguments import check_count
from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import CSR, Array
from nphash.errors import InputError
from nphash.hashers.base import Hasher
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import product_in_blocks, project
from nphash.hashers.neighbours.spectral import fit_lsi, fix_signs
from nphash.hashers.networks import targets
from nphash.metrics.relevance import relevance
from nphash.nn.ops import normalise_rows, tanh

Times: TypeAlias = Callable[[Array], Array]  # product with R, a symmetric matrix (l, l)
Objective: TypeAlias = Callable[[Array], tuple[float, Callable[..., Array]]]


@dataclass(frozen=True)
class Residual:
    """R = L S - B B^T, as its product with vectors."""

    sets: csr_matrix  # (g, l), a one where a document has that set of labels
    between: Array  # (g, g) L times 1 or -1 for each two sets
    codes: Array  # (l, bits so far)

    def times(self, y: Array) -> Array:
        """Return R y for one vector (l,) or several as columns (l, k)."""
        product: Array = self.sets.T @ (self.between @ (self.sets @ y)) - self.codes @ (self.codes.T @ y)
        return product


def smooth_objective(a: Array, K: Array, times: Times) -> tuple[float, Callable[..., Array]]:
    """Return -y^T R y with y = tanh(K a / 2), K (l, m), a (m,): da = -K^T [(R y) * (1 - y^2)]."""
    y, tanh_back = tanh(K @ a / 2)  # (l,)
    pulled = times(y)  # (l,)

    def back(dcost: float = 1.0) -> Array:
        da: Array = tanh_back(-2 * dcost * pulled) @ K / 2  # (m,)
        return da

    return -float(y @ pulled), back


@dataclass(eq=False, repr=False, kw_only=True)
class KSH(Hasher):
    """Supervised hashing with kernels.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    anchors
        m, documents to compare with, drawn from those of training.
    pairs_among
        l, documents with labels, drawn from those of training, whose pairs are learned from.
    dims
        d, singular vectors in whose space distances are taken.
    iterations
        Most steps of descent a bit.

    Attributes
    ----------
    directions_ : ndarray of shape (n_words, d)
        Singular vectors.
    anchors_ : ndarray of shape (d, m)
        The anchors, as columns.
    width_ : float
        2 s.
    components_ : ndarray of shape (m, n_bits)
        a_j as columns.
    thresholds_ : ndarray of shape (n_bits,)
        Mean similarities times components.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Liu, Wang, Ji, Jiang & Chang (2012), Supervised Hashing with Kernels.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> KSH(n_bits=8, random_state=0).fit_transform(X, np.arange(60) % 3).shape
    (60, 8)
    """

    supervised = True

    anchors: int = 300
    pairs_among: int = 2000
    dims: int = 128
    iterations: int = 500

    def _fit(self, X: csr_matrix, y: csr_matrix | Array, **options: object) -> None:
        for name in ("anchors", "pairs_among", "dims", "iterations"):
            check_count(getattr(self, name), name)
        labels, _ = targets(y)
        seed = seed_from(self.random_state)
        rng = np.random.default_rng([seed])
        self.directions_ = fit_lsi(X, self.dims, seed).components  # (V, d)
        points = self._points(X)  # (n, d)
        with single_threaded_blas():
            self.anchors_ = np.ascontiguousarray(points[rng.permutation(len(points))[: self.anchors]].T)
            self.width_ = 1.0
            self.width_ = float(-2 * np.log(self._similarities(self.anchors_.T)).mean()) or 1.0
            labelled = rng.permutation(len(points))
            if not isinstance(labels, np.ndarray):  # some may have none
                labelled = labelled[np.asarray(labels.sum(axis=1)).ravel()[labelled] > 0]
            labelled = labelled[: self.pairs_among]
            sets, between = _label_sets(labels[labelled])
            K = self._similarities(points[labelled]).astype(np.float64)  # (l, m)
            means = K.mean(axis=0)  # (m,)
            components = self._bits(K - means, sets, self.n_bits * between)  # (m, L)
        self.components_ = components.astype(np.float32)
        self.thresholds_ = (means @ components).astype(np.float32)

    def _points(self, X: CSR) -> Array:
        return normalise_rows(project(X, self.directions_, count_threads(self.threads)))

    def _similarities(self, points: Array) -> Array:
        """Return exp(-|x - anchor|^2 / width), shape (n, m)."""
        lengths = np.einsum("ij,ij->i", points, points)[:, None]  # (n, 1), one unless the document is empty
        inner = product_in_blocks(points, self.anchors_)  # (n, m)
        distances = np.maximum(lengths + (self.anchors_**2).sum(axis=0) - 2 * inner, 0)  # (n, m)
        similarities: Array = np.exp(distances / np.float32(-self.width_))
        return similarities

    def _bits(self, K: Array, sets: csr_matrix, between: Array) -> Array:
        """Return the anchors' weights bit by bit, shape (m, L)."""
        from scipy.linalg import eigh  # 50 ms, which encoding a query can do without

        gram = K.T @ K  # (m, m)
        gram += np.eye(len(gram)) * max(1e-6 * np.trace(gram) / len(gram), 1e-12)  # anchors may be equal
        last = [len(gram) - 1, len(gram) - 1]
        codes, found = np.empty((len(K), 0)), np.empty((K.shape[1], self.n_bits))
        for bit in range(self.n_bits):
            times = Residual(sets, between, codes).times
            _, vectors = eigh(K.T @ times(K), gram, subset_by_index=last)
            a = fix_signs(vectors)[:, 0]
            a *= np.sqrt(len(K) / (a @ gram @ a))
            refined = _descend(partial(smooth_objective, K=K, times=times), a, self.iterations, 1e-2 * len(K))
            if _quality(K @ refined, times) > _quality(K @ a, times):
                a = refined
            codes = np.column_stack([codes, np.where(K @ a > 0, 1.0, -1.0)])  # (l, bit + 1)
            found[:, bit] = a
        return found

    def _decision(self, X: CSR) -> Array:
        scores = product_in_blocks(self._similarities(self._points(X)), self.components_)  # (n, L)
        difference: Array = scores - self.thresholds_
        return difference


def _label_sets(labels: csr_matrix | Array) -> tuple[csr_matrix, Array]:
    """Return who has which set of labels, CSR (g, l), and for each two sets 1 if they meet, else -1."""
    if isinstance(labels, np.ndarray):  # a class each
        sets, group = np.unique(labels, return_inverse=True)
    else:
        sets, group = np.unique(labels.toarray(), axis=0, return_inverse=True)
    between = np.where(relevance(sets, sets), 1.0, -1.0)  # (g, g)
    if (between > 0).all():
        raise InputError("all documents share a label, as if there were one class", "give labels that differ")
    n = labels.shape[0]
    members = csr_matrix((np.ones(n), (group.reshape(-1), np.arange(n))), shape=(len(sets), n))
    return members, between


def _quality(scores: Array, times: Times) -> float:
    b = np.where(scores > 0, 1.0, -1.0)
    return float(b @ times(b))


def _descend(objective: Objective, a: Array, iterations: int, tolerance: float) -> Array:
    """Return a minimum by Nesterov's accelerated gradient descent with step halving."""
    cost, back = objective(a)
    gradient = back()
    step = 1 / max(float(np.linalg.norm(gradient)), 1e-12)
    before, momentum = a, 1.0
    for _ in range(iterations):
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        probe = a + (momentum - 1) / following * (a - before)
        cost_probe, back = objective(probe)
        gradient = back()
        squared = float(gradient @ gradient)
        while True:
            new = probe - step * gradient
            new_cost, _ = objective(new)
            if new_cost <= cost_probe - step / 2 * squared or step < 1e-12:
                break
            step /= 2
        before, a, momentum = a, new, following
        if abs(cost - new_cost) <= tolerance:
            break
        cost = new_cost
    return a
