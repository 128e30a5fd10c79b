"""Restricted Boltzmann machines and their training by contrastive divergence (Hinton 2002).

Letters: B batch, V visible units (words), H hidden units.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.typing import Array
from nphash.hashers.parts.networks import log_unigram
from nphash.nn.ops import dense, sigmoid, softmax, sparse_dense

__all__ = ["contrastive_divergence", "pretrain", "scale_to_counts"]


PRETRAINING_BATCH = 100
DECAY = 2e-4  # of weights, a step, times the learning rate
MOMENTUM = 0.9


def scale_to_counts(X: csr_matrix) -> csr_matrix:
    """Return documents scaled so that the mean weight of each one's words is one; empty ones stay empty.

    Examples
    --------
    >>> scale_to_counts(csr_matrix([[0.1, 0.3, 0.0]])).toarray()
    array([[0.5, 1.5, 0. ]])
    """
    words = np.diff(X.indptr)  # (n,)
    mass = np.asarray(X.sum(axis=1), dtype=X.dtype).ravel()  # (n,)
    scale = np.divide(words, mass, out=np.zeros_like(mass), where=mass > 0)
    data = X.data * np.repeat(scale, words)
    return csr_matrix((data, X.indices, X.indptr), shape=X.shape)


def contrastive_divergence(
    v: csr_matrix | Array, W: Array, b: Array, c: Array, uniform: Array
) -> tuple[tuple[Array, Array, Array], Array]:
    """Return the directions (dW, db, dc) in which CD-1 moves a machine, and p(h|v), (B, H).

    Data v (B, V) are CSR, words, whose layer is constrained Poisson; or dense, probabilities of binary units.
    A machine has weights W (V, H) and biases of hidden units b (H,) and visible ones c (V,). A hidden unit
    is one where its probability is larger than ``uniform`` (B, H), random numbers in [0, 1).

    Examples
    --------
    >>> v = np.array([[1.0, 0.0]])
    >>> moves, p = contrastive_divergence(v, np.zeros((2, 1)), np.zeros(1), np.zeros(2), np.zeros((1, 1)))
    >>> moves[0].ravel(), p  # the reconstruction is a half everywhere
    (array([ 0.25, -0.25]), array([[0.5]]))
    """
    n = v.shape[0]
    words = hasattr(v, "indptr")
    a, back = sparse_dense(v, W, b) if words else dense(v, W, b)
    p, _ = sigmoid(a)  # (B, H)
    sampled = (uniform < p).astype(p.dtype)  # (B, H)
    scores = sampled @ W.T + c  # (B, V)
    if words:
        length = np.asarray(v.sum(axis=1), dtype=p.dtype).reshape(-1, 1)  # (B, 1)
        again = length * softmax(scores)[0]  # (B, V)
    else:
        again = sigmoid(scores)[0]
    p_again, _ = sigmoid(again @ W + b)  # (B, H)
    positive = back(p)[-2:]  # the transposed products v^T p and sum p
    visible = np.asarray(v.sum(axis=0), dtype=p.dtype).ravel()  # (V,)
    dW = (positive[0] - again.T @ p_again) / n  # (V, H)
    db = (positive[1] - p_again.sum(axis=0)) / n
    return (dW, db, (visible - again.sum(axis=0)) / n), p


def pretrain(
    v: csr_matrix | Array, n_hidden: int, epochs: int, rate: float, seed: list[int]
) -> tuple[Array, Array, Array]:
    """Return the weights and biases (W, b, c) of one machine trained by CD-1 with momentum.

    ``v`` are all data (n, V), ``rate`` is the size of a step, ``seed`` the key of initial weights, order and
    draws.

    Examples
    --------
    >>> W, b, c = pretrain(np.eye(4), 2, epochs=1, rate=0.1, seed=[0])
    >>> W.shape, b.shape, c.shape
    ((4, 2), (2,), (4,))
    """
    n, n_visible = v.shape
    rng = np.random.default_rng(seed)
    W = (0.1 * rng.standard_normal((n_visible, n_hidden))).astype(v.dtype)
    c = np.zeros(n_visible, v.dtype) if isinstance(v, np.ndarray) else log_unigram(v).astype(v.dtype)
    weights = [W, np.zeros(n_hidden, v.dtype), c]
    speeds = [np.zeros_like(array) for array in weights]
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, PRETRAINING_BATCH):
            rows = np.sort(order[start : start + PRETRAINING_BATCH])
            uniform = rng.random((len(rows), n_hidden), dtype=np.float32)
            moves, _ = contrastive_divergence(v[rows], weights[0], weights[1], weights[2], uniform)
            for array, speed, move in zip(weights, speeds, moves, strict=True):
                speed *= MOMENTUM
                speed += v.dtype.type(rate) * move
                if array.ndim == 2:
                    speed -= v.dtype.type(rate * DECAY) * array
                array += speed
    return weights[0], weights[1], weights[2]
