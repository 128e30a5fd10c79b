"""The losses: word likelihood, the bound, divergences from the prior, classification.

Each returns ``(loss, back)``. The loss is a Python float, the mean over the documents of the batch,
summed in float64 whatever the dtype; ``back(dloss=1.0)`` returns gradients by the rule of `nphash.ops`
(targets, priors and weights are constants) in the dtype of the arguments.

Departures from the printed paper: in equation 1 the softmax's denominator sums over all words w_j; in
equations 2 and 3 the decoder is p_theta(x|z) and the encoder q_phi(z|x) throughout; the prior of
equation 4 is a product of categorical probabilities; equation 10 is read as the logistic loss of
sigmoid(eta_j^T z). Divergences are sums over bits of each bit's own distribution, unlike the published
code, which takes one softmax over the logits of all bits (`pooled_categorical_kl`, for replication).

Shapes: B documents of a batch, V words, L bits, K categories, C labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.ops import Array, log_softmax, sigmoid, softplus

__all__ = [
    "bernoulli_kl",
    "bound_loss",
    "categorical_kl",
    "cross_entropy",
    "gaussian_kl",
    "l2_penalty",
    "logistic_loss",
    "lower_bound",
    "pooled_categorical_kl",
    "reconstruction",
    "supervised_loss",
]

BackScalar = Callable[..., Array]
BackScalars = Callable[..., tuple[float, ...]]


def reconstruction(scores: Array, target: Any) -> tuple[float, BackScalar]:
    """Eq. (1)  -log p(x|z) = -sum_i t_i log p(w_i|z),  p(w_i|z) = exp(s_i) / sum_j exp(s_j).

    With T = sum_i t_i the gradient is ds = (T softmax(s) - t) / B: dense but for a subtraction at
    the words of the documents.

    Parameters
    ----------
    scores
        Decoder scores s = z W + b, array of shape (B, V).
    target
        SciPy CSR matrix or array of shape (B, V): the weights t of the words (binary, counts or TF-IDF).

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dscores.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> loss, back = reconstruction(np.zeros((1, 2)), csr_array([[0.0, 1.0]]))
    >>> round(loss, 4), back()
    (0.6931, array([[ 0.5, -0.5]]))
    """
    shift = scores.max(axis=1, keepdims=True)  # (B, 1), so that no exponential overflows
    e = np.exp(scores - shift)  # (B, V)
    total = e.sum(axis=1, dtype=np.float64)  # (B,)
    target = _canonical(target)
    rows = np.repeat(np.arange(len(scores)), np.diff(target.indptr))  # (nnz,)
    mass = np.bincount(rows, target.data, minlength=len(scores))  # (B,) T, in float64
    hits = np.dot(target.data.astype(np.float64), scores[rows, target.indices].astype(np.float64))
    loss = (np.dot(mass, np.log(total) + shift[:, 0]) - hits) / len(scores)

    def back(dloss: float = 1.0) -> Array:
        scale = dloss / len(scores)
        dscores: Array = e * (scale * mass / total).astype(scores.dtype)[:, None]  # (B, V)
        dscores[rows, target.indices] -= (scale * target.data).astype(scores.dtype)
        return dscores

    return float(loss), back


def _canonical(target: Any) -> Any:
    # Repeated entries of a word would be subtracted only once by fancy indexing.
    if not target.has_canonical_format:
        target = target.copy()
        target.sum_duplicates()
    return target


def lower_bound(reconstruction: float, kl: float) -> tuple[float, BackScalars]:
    """Eq. (2)  log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)).

    Takes the mean reconstruction loss (minus the first term, of one draw of z) and the mean
    divergence, and returns the bound on the log-likelihood of a document.

    Examples
    --------
    >>> bound, back = lower_bound(3.0, 0.5)
    >>> bound, back()
    (-3.5, (-1.0, -1.0))
    """
    return -reconstruction - kl, lambda dbound=1.0: (-dbound, -dbound)


def bound_loss(reconstruction: float, kl: float, kl_weight: float = 1.0) -> tuple[float, BackScalars]:
    """Eq. (3)  loss = -E_q(z|x)[log p(x|z)] + beta KL(q(z|x) || p(z)), to be minimised over theta and phi.

    With beta = 1 it is minus `lower_bound`; ``kl_weight`` is the beta of a schedule and a constant.

    Examples
    --------
    >>> loss, back = bound_loss(3.0, 0.5, kl_weight=0.1)
    >>> round(loss, 2), back()
    (3.05, (1.0, 0.1))
    """
    return reconstruction + kl_weight * kl, lambda dloss=1.0: (dloss, kl_weight * dloss)


def categorical_kl(logits: Array, prior: Array | None = None) -> tuple[float, BackScalar]:
    """Eq. (4)  KL(q || p) = sum over bits of sum_k q_k log(q_k / p_k),  q = softmax(logits) for each bit.

    With D the divergence of one bit, its gradient is dlogits_k = q_k (log(q_k / p_k) - D).

    Parameters
    ----------
    logits
        Array of shape (B, L, K).
    prior
        Probabilities p, array that broadcasts to (B, L, K), all positive; uniform (1 / K) if None.

    Returns
    -------
    tuple
        Mean divergence in nats a document; ``back()`` returns dlogits.

    Examples
    --------
    >>> loss, back = categorical_kl(np.array([[[0.0, 0.0]]]))
    >>> loss, back()
    (0.0, array([[[0., 0.]]]))
    """
    log_q, _ = log_softmax(logits)  # (B, L, K)
    q = np.exp(log_q)
    log_p = -math.log(logits.shape[-1]) if prior is None else np.log(prior).astype(logits.dtype)
    log_ratio = log_q - log_p  # (B, L, K)
    divergence = (q * log_ratio).sum(axis=-1, keepdims=True)  # (B, L, 1)
    n = len(logits)

    def back(dloss: float = 1.0) -> Array:
        dlogits: Array = q * (log_ratio - divergence) * logits.dtype.type(dloss / n)
        return dlogits

    return float(divergence.sum(dtype=np.float64)) / n, back


def pooled_categorical_kl(logits: Array) -> tuple[float, BackScalar]:
    """Divergence as in Doc2hash's published code: one softmax w over the L K logits of all bits.

    It is sum_j w_j log(K w_j), with the minimum -log L: for bits of equal mass the sum over bits of
    `categorical_kl` divided by L, less log L. So a weight of 2 there is 2 / L a bit here. Only for
    replication.

    Examples
    --------
    >>> loss, back = pooled_categorical_kl(np.zeros((1, 4, 2)))
    >>> round(loss, 4)  # -log 4
    -1.3863
    """
    n, _, n_categories = logits.shape
    log_w, _ = log_softmax(logits.reshape(n, -1))  # (B, L K)
    w = np.exp(log_w)
    entropy = -(w * log_w).sum(axis=1, keepdims=True)  # (B, 1)

    def back(dloss: float = 1.0) -> Array:
        dlogits: Array = w * (log_w + entropy) * logits.dtype.type(dloss / n)  # (B, L K)
        return dlogits.reshape(logits.shape)

    return float(-entropy.sum(dtype=np.float64)) / n + float(np.log(n_categories)), back


def bernoulli_kl(logits: Array, prior: float = 0.5) -> tuple[float, BackScalar]:
    """Divergence of bits with one logit each from Bernoulli(prior): sum p log(p/r) + (1-p) log((1-p)/(1-r)).

    Equal to `categorical_kl` for two categories. The gradient is p (1 - p) (a - logit(prior)).

    Parameters
    ----------
    logits
        a, array of shape (B, L).
    prior
        r, the probability of a one, in (0, 1).

    Returns
    -------
    tuple
        Mean divergence in nats a document; ``back()`` returns da.

    Examples
    --------
    >>> loss, back = bernoulli_kl(np.array([[0.0, 50.0]]))
    >>> round(loss, 4)  # no cost for a fair bit, log 2 for a certain one
    0.6931
    """
    p, sigmoid_back = sigmoid(logits)  # (B, L)
    prior_logit = logits.dtype.type(np.log(prior) - np.log1p(-prior))
    # KL = p (a - logit r) - log(1 + e^a) - log(1 - r), which needs no log of a small p
    each = p * (logits - prior_logit) - softplus(logits)[0] - logits.dtype.type(np.log1p(-prior))  # (B, L)
    n = len(logits)

    def back(dloss: float = 1.0) -> Array:
        return sigmoid_back((logits - prior_logit) * logits.dtype.type(dloss / n))

    return float(each.sum(dtype=np.float64)) / n, back


def gaussian_kl(mu: Array, log_variance: Array) -> tuple[float, Callable[..., tuple[Array, Array]]]:
    """Divergence of N(mu, exp(log_variance)) from N(0, 1): sum (mu^2 + e^lv - 1 - lv) / 2.

    Parameters
    ----------
    mu, log_variance
        Arrays of shape (B, L).

    Returns
    -------
    tuple
        Mean divergence in nats a document; ``back()`` returns (dmu, dlog_variance).

    Examples
    --------
    >>> loss, back = gaussian_kl(np.array([[2.0]]), np.array([[0.0]]))
    >>> loss, back()
    (2.0, (array([[2.]]), array([[0.]])))
    """
    excess = np.expm1(log_variance)  # (B, L) e^lv - 1, exact near 0
    n = len(mu)

    def back(dloss: float = 1.0) -> tuple[Array, Array]:
        scale = mu.dtype.type(dloss / n)
        return scale * mu, scale / 2 * excess

    return float((mu * mu + excess - log_variance).sum(dtype=np.float64)) / (2 * n), back


def supervised_loss(bound: float, classification: float, alpha: float) -> tuple[float, BackScalars]:
    """Eq. (9)  loss = L_bound + alpha L_dis: the bound and the label head, alpha being a constant.

    Examples
    --------
    >>> loss, back = supervised_loss(3.0, 2.0, alpha=0.5)
    >>> loss, back()
    (4.0, (1.0, 0.5))
    """
    return bound + alpha * classification, lambda dloss=1.0: (dloss, alpha * dloss)


def logistic_loss(scores: Array, labels: Array) -> tuple[float, BackScalar]:
    """Eq. (10)  L_dis = -sum_j [y_j log sigmoid(s_j) + (1 - y_j) log(1 - sigmoid(s_j))],  s_j = eta_j^T z.

    For documents with several labels; `cross_entropy` is the form for one label.

    Parameters
    ----------
    scores
        Array of shape (B, C).
    labels
        Array of shape (B, C) of zeros and ones (or probabilities).

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dscores.

    Examples
    --------
    >>> loss, back = logistic_loss(np.zeros((1, 2)), np.array([[1, 0]]))
    >>> round(loss, 4), back()
    (1.3863, array([[-0.5,  0.5]]))
    """
    y = np.asarray(labels, dtype=scores.dtype)  # (B, C)
    each = softplus(scores)[0] - y * scores  # (B, C)
    n = len(scores)

    def back(dloss: float = 1.0) -> Array:
        dscores: Array = (sigmoid(scores)[0] - y) * scores.dtype.type(dloss / n)  # (B, C)
        return dscores

    return float(each.sum(dtype=np.float64)) / n, back


def cross_entropy(scores: Array, classes: Array) -> tuple[float, BackScalar]:
    """Softmax loss for documents with one label each: -log softmax(s)_y.

    Parameters
    ----------
    scores
        Array of shape (B, C).
    classes
        Integers of shape (B,), each below C.

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dscores.

    Examples
    --------
    >>> loss, back = cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), back()
    (0.6931, array([[-0.5,  0.5]]))
    """
    log_p, _ = log_softmax(scores)  # (B, C)
    n = len(scores)
    rows = np.arange(n)

    def back(dloss: float = 1.0) -> Array:
        dscores: Array = np.exp(log_p)  # (B, C)
        dscores[rows, classes] -= 1
        dscores *= dloss / n
        return dscores

    return float(-log_p[rows, classes].sum(dtype=np.float64)) / n, back


def l2_penalty(W: Array, weight: float) -> tuple[float, BackScalar]:
    """Weight decay: loss = weight / 2 * sum W^2, dW = weight W.

    Examples
    --------
    >>> loss, back = l2_penalty(np.array([3.0]), 0.1)
    >>> round(loss, 2), back().round(2)
    (0.45, array([0.3]))
    """
    loss = weight / 2 * float(np.square(W, dtype=np.float64).sum())
    return loss, lambda dloss=1.0: W.dtype.type(weight * dloss) * W
