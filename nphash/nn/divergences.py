"""Divergences of a code's distribution from its prior, each a sum over bits of each bit's own.

The rule for ``(loss, back)`` is that of `nphash.nn.losses`, where these functions can be had as well: the loss
is the mean over the documents of the batch, a Python float, and priors are constants.

The published code of Doc2hash takes one softmax over the logits of all bits (`pooled_categorical_kl`, for
replication).

Shapes: B documents of a batch, L bits, K categories.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.arguments import is_number
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.nn.ops import BackScalar, log_softmax, sigmoid, softplus

__all__ = ["bernoulli_kl", "categorical_kl", "gaussian_kl", "pooled_categorical_kl"]

SLACK = 1e-5  # by which the probabilities of a prior, perhaps of float32, may miss the sum of 1


def categorical_kl(logits: Array, prior: Array | None = None) -> tuple[float, BackScalar]:
    """Eq. (4)  KL(q || p) = sum over bits of sum_k q_k log(q_k / p_k),  q = softmax(logits) for each bit.

    With D the divergence of one bit, its gradient is dlogits_k = q_k (log(q_k / p_k) - D).

    Parameters
    ----------
    logits
        Array of shape (B, L, K).
    prior
        Probabilities p, array that broadcasts to (B, L, K), all positive, of sum 1 over the categories;
        uniform (1 / K) if None.

    Returns
    -------
    tuple
        Mean divergence in nats a document; ``back()`` returns dlogits.

    Raises
    ------
    InputError
        For a prior of another shape, or that is no such distribution.

    References
    ----------
    Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval.

    Examples
    --------
    >>> loss, back = categorical_kl(np.array([[[0.0, 0.0]]]))
    >>> loss, back()
    (0.0, array([[[0., 0.]]]))
    """
    log_q, _ = log_softmax(logits)  # (B, L, K)
    q = np.exp(log_q)
    log_p = -math.log(logits.shape[-1]) if prior is None else _log_prior(prior, logits)
    log_ratio = log_q - log_p  # (B, L, K)
    divergence = (q * log_ratio).sum(axis=-1, keepdims=True)  # (B, L, 1)
    n = len(logits)

    def back(dloss: float = 1.0) -> Array:
        dlogits: Array = q * (log_ratio - divergence) * logits.dtype.type(dloss / n)
        return dlogits

    return float(divergence.sum(dtype=np.float64)) / n, back


def _log_prior(prior: Any, logits: Array) -> Array:
    p = np.asarray(prior)
    try:
        each = np.broadcast_to(p, logits.shape)  # a view, (B, L, K)
    except ValueError:
        raise InputError(
            f"prior has shape {p.shape}, which does not broadcast to {logits.shape} of the logits",
            "give one probability for each category",
        ) from None
    positive = p.dtype.kind == "f" and (p > 0).all()
    if not positive or not np.allclose(each.sum(axis=-1), 1, rtol=0, atol=SLACK):
        raise InputError("prior is no distribution over the categories", "give positive numbers of sum 1")
    log_p: Array = np.log(p).astype(logits.dtype)
    return log_p


def pooled_categorical_kl(logits: Array) -> tuple[float, BackScalar]:
    """Divergence as in Doc2hash's published code: one softmax w over the L K logits of all bits.

    It is sum_j w_j log(K w_j), with the minimum -log L: for bits of equal mass the sum over bits of
    `categorical_kl` divided by L, less log L. So a weight of 2 there is 2 / L a bit here. Only for
    replication.

    References
    ----------
    Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval.

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

    Raises
    ------
    InputError
        For a prior outside (0, 1).

    Examples
    --------
    >>> loss, back = bernoulli_kl(np.array([[0.0, 50.0]]))
    >>> round(loss, 4)  # no cost for a fair bit, log 2 for a certain one
    0.6931
    """
    if not (is_number(prior) and 0 < prior < 1):
        raise InputError(f"prior is {prior!r}", "give the probability of a one, above 0 and below 1")
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

    Raises
    ------
    InputError
        If both are not of the same shape.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    Examples
    --------
    >>> loss, back = gaussian_kl(np.array([[2.0]]), np.array([[0.0]]))
    >>> loss, back()
    (2.0, (array([[2.]]), array([[0.]])))
    """
    if mu.shape != log_variance.shape:
        raise InputError(
            f"mu has shape {mu.shape}, log_variance {log_variance.shape}", "give two arrays of one shape"
        )
    excess = np.expm1(log_variance)  # (B, L) e^lv - 1, exact near 0
    n = len(mu)

    def back(dloss: float = 1.0) -> tuple[Array, Array]:
        scale = mu.dtype.type(dloss / n)
        return scale * mu, scale / 2 * excess

    return float((mu * mu + excess - log_variance).sum(dtype=np.float64)) / (2 * n), back
