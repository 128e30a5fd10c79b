"""The losses: word likelihood, the bound, classification; and the divergences of `nphash.nn.divergences`.

Each returns ``(loss, back)``. The loss is a Python float, the mean over the documents of the batch,
summed in float64 whatever the dtype; ``back(dloss=1.0)`` returns gradients by the rule of `nphash.nn.ops`
(targets, priors and weights are constants) in the dtype of the arguments.

Departures from the printed paper: in equation 1 the softmax's denominator sums over all words w_j; in
equations 2 and 3 the decoder is p_theta(x|z) and the encoder q_phi(z|x) throughout; the prior of
equation 4 is a product of categorical probabilities; equation 10 is read as the logistic loss of
sigmoid(eta_j^T z).

Shapes: B documents of a batch, V words, L bits, C labels.

References
----------
Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval: the equations.
Kingma & Welling (2014), Auto-Encoding Variational Bayes: the bound.
Higgins et al. (2017), beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework:
the weight of the divergence.
Miao, Yu & Blunsom (2016), Neural Variational Inference for Text Processing: the likelihood of words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.arguments import check_csr
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.nn.divergences import bernoulli_kl, categorical_kl, gaussian_kl, pooled_categorical_kl
from nphash.nn.ops import BackScalar, log_softmax, sigmoid, softplus

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
        SciPy CSR matrix or CSR array of shape (B, V): the weights t of the words (binary, counts or TF-IDF).

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dscores.

    Raises
    ------
    InputError
        If ``target`` is no CSR matrix of the scores' shape.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> loss, back = reconstruction(np.zeros((1, 2)), csr_array([[0.0, 1.0]]))
    >>> round(loss, 4), back()
    (0.6931, array([[ 0.5, -0.5]]))
    """
    check_csr(target, "target")
    _check_shapes("target", target.shape, scores.shape, scores)
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


def _check_shapes(name: str, given: tuple[int, ...], wanted: tuple[int, ...], scores: Array) -> None:
    # What broadcasts gives a loss and gradients too, of something else.
    if given != wanted:
        raise InputError(
            f"the shape of {name} is {given}, but scores of shape {scores.shape} need {wanted}",
            "give a row of scores, and what they should be, for each document",
        )


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

    Raises
    ------
    InputError
        If the shapes differ, ``labels`` are sparse, or some are outside 0 to 1.

    Examples
    --------
    >>> loss, back = logistic_loss(np.zeros((1, 2)), np.array([[1, 0]]))
    >>> round(loss, 4), back()
    (1.3863, array([[-0.5,  0.5]]))
    """
    _check_shapes("labels", np.shape(labels), scores.shape, scores)
    if hasattr(labels, "toarray"):
        raise InputError(f"labels are a {type(labels).__name__}", "give labels.toarray()")
    labels = np.asarray(labels)
    if labels.dtype.kind != "b" and not (labels.min(initial=0) >= 0 and labels.max(initial=1) <= 1):
        raise InputError("labels are not all between 0 and 1", "give 1 for a label, 0 for none")
    y = labels.astype(scores.dtype, copy=False)  # (B, C)
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
        Integers of shape (B,), each from 0 to C - 1.

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dscores.

    Raises
    ------
    InputError
        For classes of another shape, that are no integers, or outside 0 to C - 1.

    Examples
    --------
    >>> loss, back = cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), back()
    (0.6931, array([[-0.5,  0.5]]))
    """
    classes = np.asarray(classes)
    _check_shapes("classes", classes.shape, scores.shape[:-1], scores)
    highest = scores.shape[-1] - 1
    if classes.dtype.kind not in "iu" or classes.min(initial=0) < 0 or classes.max(initial=0) > highest:
        raise InputError(f"classes are not all integers from 0 to {highest}", "number the classes from 0")
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
