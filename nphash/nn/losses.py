"""The losses: word likelihood, the ELBO (lower bound), classification, KL divergences, distillation.

Each returns ``(loss, back)``. The loss is a Python float, the mean over the documents of the batch in nats,
summed in float64 whatever the dtype; ``back(dloss=1.0)`` returns gradients by the rule of `nphash.nn.ops`
(targets, priors and weights are constants, so most have one) in the dtype of the arguments.

Departures from the printed paper: in equation 1 the softmax's denominator sums over all words w_j; in
equations 2 and 3 the decoder is p_theta(x|z) and the encoder q_phi(z|x) throughout; the prior of equation 4
is a product of categorical probabilities; equation 10 is the logistic loss of sigmoid(eta_j^T z).

Shapes: B documents of a batch, V words, L bits, C labels.

References
----------
Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval: the equations.
Kingma & Welling (2014), Auto-Encoding Variational Bayes: the ELBO.
Higgins et al. (2017), beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework:
the weight of the divergence.
Miao, Yu & Blunsom (2016), Neural Variational Inference for Text Processing: the likelihood of words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.arguments import check_csr, check_positive, is_number
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.nn.ops import BackScalar, Operations, dense, log_softmax, relu, sigmoid, softplus, sparse_dense

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "NUMPY", "bernoulli_kl", "bound_loss", "categorical_kl", "cross_entropy", "gaussian_kl",
    "l2_penalty", "logistic_loss", "lower_bound", "pooled_categorical_kl", "reconstruct",
    "reconstruction", "similarity_distillation", "supervised_loss",
]  # fmt: skip

SLACK = 1e-5  # by which the probabilities of a prior, perhaps of float32, may miss the sum of 1

BackScalars = Callable[..., tuple[Any, ...]]


def reconstruction(scores: Array, target: csr_matrix) -> tuple[float, BackScalar]:
    """Eq. (1)  -log p(x|z) = -sum_i t_i log p(w_i|z),  p(w_i|z) = exp(s_i) / sum_j exp(s_j).

    With T = sum_i t_i the gradient is ds = (T softmax(s) - t) / B: dense but for a subtraction at the words
    of the documents.

    Parameters
    ----------
    scores
        s, shape (B, V).
    target
        t, word weights (binary, counts or TF-IDF), CSR (B, V).

    Returns
    -------
    tuple
        The mean loss in nats a document; ``back()`` returns ds of shape (B, V).

    Raises
    ------
    InputError
        If the target is not CSR, or of another shape.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> loss, back = reconstruction(np.zeros((1, 2)), csr_array([[0.0, 1.0]]))
    >>> round(loss, 4), back()
    (0.6931, array([[ 0.5, -0.5]]))
    """
    check_csr(target, "target")
    if target.shape != scores.shape:
        raise _misfit("target", target.shape, scores.shape, scores)
    shift = scores.max(axis=1, keepdims=True)  # (B, 1), so that no exponential overflows
    e = np.exp(scores - shift)  # (B, V)
    total = e.sum(axis=1, dtype=np.float64)  # (B,)
    if not target.has_canonical_format:  # fancy indexing would subtract a repeated word only once
        target = target.copy()
        target.sum_duplicates()
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


def reconstruct(code: Array, W: Array, b: Array, target: csr_matrix) -> tuple[float, BackScalars]:
    """Compute the decoder's scores s = code W + b and their `reconstruction`, Eq. (1).

    Parameters
    ----------
    code
        What the decoder reads, shape (B, L): signs 2z - 1 of the bits z, with or without noise, or the
        normal z of VDSH.
    W, b
        Shapes (L, V) and (V,).
    target
        CSR (B, V).

    Returns
    -------
    tuple
        The mean loss in nats a document; ``back()`` returns (dcode, dW, db).

    Raises
    ------
    InputError
        As `reconstruction`.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> loss, back = reconstruct(np.ones((1, 1)), np.zeros((1, 2)), np.zeros(2), csr_array([[0.0, 1.0]]))
    >>> round(loss, 4), back()
    (0.6931, (array([[0.]]), array([[ 0.5, -0.5]]), array([ 0.5, -0.5])))
    """
    scores, back_scores = dense(code, W, b)  # (B, V)
    loss, back_loss = reconstruction(scores, target)
    return loss, lambda dloss=1.0: back_scores(back_loss(dloss))  # (B, L), (L, V), (V,)


NUMPY = Operations(sparse_dense, dense, relu, reconstruct)
"""The four operations as their equations say."""


def _misfit(name: str, given: tuple[int, ...], wanted: tuple[int, ...], scores: Array) -> InputError:
    # What broadcasts would give a loss and gradients too, of something else.
    return InputError(
        f"the shape of {name} is {given}, but scores of shape {scores.shape} need {wanted}",
        "give a row of scores, and what they should be, for each document",
    )


def lower_bound(reconstruction: float, kl: float) -> tuple[float, BackScalars]:
    """Eq. (2)  log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)).

    Takes the mean reconstruction loss (minus the first term, of one draw of z) and the mean
    divergence, and returns the ELBO, which bounds the log-likelihood of a document from below.

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
    """Eq. (9)  loss = L_bound + alpha L_dis: the ELBO's loss and the classifier's, alpha being a constant.

    Examples
    --------
    >>> loss, back = supervised_loss(3.0, 2.0, alpha=0.5)
    >>> loss, back()
    (4.0, (1.0, 0.5))
    """
    return bound + alpha * classification, lambda dloss=1.0: (dloss, alpha * dloss)


def logistic_loss(scores: Array, labels: Array) -> tuple[float, BackScalar]:
    """Eq. (10)  L_dis = -sum_j [y_j log sigmoid(s_j) + (1 - y_j) log(1 - sigmoid(s_j))],  s_j = eta_j^T z.

    For documents with several labels; `cross_entropy` is the form for one label. Scores and labels, zeros and
    ones (or probabilities), have the shape (B, C).

    Raises
    ------
    InputError
        If the shapes differ, labels are sparse, or some are outside 0 to 1.

    Examples
    --------
    >>> loss, back = logistic_loss(np.zeros((1, 2)), np.array([[1, 0]]))
    >>> round(loss, 4), back()
    (1.3863, array([[-0.5,  0.5]]))
    """
    if np.shape(labels) != scores.shape:
        raise _misfit("labels", np.shape(labels), scores.shape, scores)
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

    Scores have the shape (B, C), classes (B,).

    Raises
    ------
    InputError
        If classes are not integers from 0 to C - 1, one for each document.

    Examples
    --------
    >>> loss, back = cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), back()
    (0.6931, array([[-0.5,  0.5]]))
    """
    classes = np.asarray(classes)
    if classes.shape != scores.shape[:-1]:
        raise _misfit("classes", classes.shape, scores.shape[:-1], scores)
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


def categorical_kl(logits: Array, prior: Array | None = None) -> tuple[float, BackScalar]:
    """Eq. (4)  KL(q || p) = sum over bits of sum_k q_k log(q_k / p_k),  q = softmax(logits) for each bit.

    With D the divergence of one bit, its gradient is dlogits_k = q_k (log(q_k / p_k) - D).

    Logits have the shape (B, L, K); the prior p broadcasts to it; None is uniform, 1 / K.

    Raises
    ------
    InputError
        If the prior is of another shape, not positive, or does not sum to 1 over the categories.

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


def _log_prior(prior: Array, logits: Array) -> Array:
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
    """Eq. (4), two categories: KL(q || r) = sum over bits of p log(p/r) + (1 - p) log((1 - p) / (1 - r)).

    Bits have one logit a each, (B, L), and p = sigmoid(a). The gradient is da = p (1 - p) (a - logit(r)).

    Raises
    ------
    InputError
        If the prior r, the probability of a one, is not above 0 and below 1.

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

    Both have the shape (B, L); ``back()`` returns (dmu, dlog_variance) (Kingma & Welling 2014, appendix B).

    Raises
    ------
    InputError
        If the shapes differ.

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


def similarity_distillation(z: Array, P: Array, temperature: float) -> tuple[float, Callable[..., Array]]:
    """Distil similarities from a teacher: -sum_j P_ij log Q_ij, Q_ij ~ exp(z_i.z_j / (L tau)), j != i.

    The stochastic-neighbour form: for each document a distribution over the others of its batch.
    With G = (Q - P) / (B L tau) the gradient is dz = (G + G^T) z.

    Parameters
    ----------
    z
        Signs, of bits or relaxed ones, shape (B, L).
    P
        The teacher's distributions, shape (B, B): rows sum to 1, the diagonal is 0.
    temperature
        tau, positive.

    Raises
    ------
    InputError
        For a P of another shape, or a temperature that is no positive number.

    References
    ----------
    Hinton & Roweis (2002), Stochastic Neighbor Embedding.
    Hinton, Vinyals & Dean (2015), Distilling the Knowledge in a Neural Network.

    Examples
    --------
    >>> z = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> P = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    >>> loss, back = similarity_distillation(z, P, temperature=1.0)
    >>> round(loss, 4), back().shape
    (0.4399, (3, 2))
    """
    temperature = check_positive(temperature, "temperature")
    n, n_bits = z.shape
    if P.shape != (n, n):
        raise InputError(
            f"P has shape {P.shape}, but {n} codes need {(n, n)}", "give a row for each document"
        )
    scores = z @ z.T / z.dtype.type(n_bits * temperature)  # (B, B)
    np.fill_diagonal(scores, -np.inf)  # a document is not its own neighbour
    log_q, _ = log_softmax(scores)  # (B, B)
    np.fill_diagonal(log_q, 0)  # 0 log 0
    q = np.exp(log_q)
    np.fill_diagonal(q, 0)

    def back(dloss: float = 1.0) -> Array:
        G = (q - P) * z.dtype.type(dloss / (n * n_bits * temperature))  # (B, B)
        dz: Array = (G + G.T) @ z  # (B, L)
        return dz

    return -float((P * log_q).sum(dtype=np.float64)) / n, back
