"""The operations, each a pure function that returns its output and its backward pass.

``out, back = op(...)``: ``back(dout)`` takes the gradient of the loss with respect to ``out``
and returns the gradients with respect to the arguments, in their order. Arguments that are
constants to the model have no gradient and are left out: sparse documents, masks, noise,
targets, temperatures, settings. One gradient comes as an array, several come as a tuple.

Nothing is drawn, stored or changed inside, so ``back`` may be called as often as one likes.
Every operation runs in float32 and in float64 and keeps the dtype of its arguments.

Shapes: B documents of a batch, V words, H hidden units, L bits, K categories, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.arguments import check_csr, is_number
from nphash.core.typing import Array, Back, Backs, Rng
from nphash.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "Operations", "dense", "dropout", "dropout_mask", "gaussian_sample", "log_softmax",
    "normal_noise", "normalise_rows", "relu", "scale_rows", "sigmoid", "softmax", "softplus",
    "sparse_dense", "tanh",
]  # fmt: skip

BackScalar = Callable[..., Array]  # of a loss: its gradient by it is 1 unless given


class Operations(NamedTuple):
    """The four operations whose cost grows with vocabulary and width, handed to a model.

    `nphash.nn.losses.NUMPY` are the functions of this package; an engine has others with the same results.
    """

    sparse_dense: Callable[[Any, Array, Array], tuple[Array, Backs]]  # X (B, V), W (V, H), b -> h (B, H)
    dense: Callable[[Array, Array, Array], tuple[Array, Backs]]  # x (B, I), W (I, O), b -> y (B, O)
    relu: Callable[[Array], tuple[Array, Back]]
    reconstruct: Callable[[Array, Array, Array, Any], tuple[float, Callable[..., tuple[Any, ...]]]]


def dense(x: Array, W: Array, b: Array) -> tuple[Array, Backs]:
    """Fully connected layer: y = x W + b.

    x, W and b have the shapes (B, I), (I, O) and (O,); y (B, O), and ``back(dy)`` returns (dx, dW, db).

    Examples
    --------
    >>> y, back = dense(np.ones((1, 2)), np.eye(2), np.zeros(2))
    >>> y
    array([[1., 1.]])
    """
    y = x @ W + b  # (B, O)

    def back(dy: Array) -> tuple[Array, ...]:
        return dy @ W.T, x.T @ dy, dy.sum(axis=0)  # (B, I), (I, O), (O,)

    return y, back


def sparse_dense(X: csr_matrix, W: Array, b: Array) -> tuple[Array, Backs]:
    """First layer, on sparse documents: h = X W + b. The documents are data and have no gradient.

    Parameters
    ----------
    X
        SciPy CSR matrix or array (B, V).
    W, b
        Shapes (V, H) and (H,).

    Returns
    -------
    tuple
        h of shape (B, H); ``back(dh)`` returns (dW, db).

    Raises
    ------
    InputError
        If X is no CSR matrix, or has not as many columns as W has rows.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> h, back = sparse_dense(csr_array([[0.0, 2.0]]), np.eye(2), np.zeros(2))
    >>> h
    array([[0., 2.]])
    """
    check_csr(X, "X")
    if X.shape[1:] != W.shape[:1]:
        raise InputError(
            f"X has shape {X.shape} and W {W.shape}, but a column of X is needed for each row of W",
            "weigh the documents with the vocabulary that W was made for",
        )

    def back(dh: Array) -> tuple[Array, ...]:
        return np.asarray(X.T @ dh, dtype=dh.dtype), dh.sum(axis=0)  # (V, H), (H,)

    return np.asarray(X @ W, dtype=W.dtype) + b, back  # (B, H)


def scale_rows(X: csr_matrix, length: float) -> csr_matrix:
    """Return sparse documents scaled to one Euclidean length, in their dtype; empty ones stay empty.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> scale_rows(csr_array([[3.0, 4.0], [0.0, 0.0]]), 10.0).toarray()
    array([[6., 8.],
           [0., 0.]])
    """
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))  # (nnz,)
    squares = np.bincount(rows, X.data.astype(np.float64) ** 2, minlength=X.shape[0])  # (B,)
    scale = length / np.sqrt(np.where(squares > 0, squares, 1.0))
    scaled = copy(X)  # with the same arrays: SciPy's constructor would look at all word numbers again
    scaled.data = (X.data * scale[rows]).astype(X.dtype)
    return scaled


def relu(x: Array) -> tuple[Array, Back]:
    """Rectifier: y = max(x, 0), with derivative 0 at x = 0.

    Examples
    --------
    >>> y, back = relu(np.array([-1.0, 2.0]))
    >>> y, back(np.ones(2))
    (array([0., 2.]), array([0., 1.]))
    """
    y = np.maximum(x, 0)
    return y, lambda dy: dy * (y > 0)


def sigmoid(x: Array) -> tuple[Array, Back]:
    """Logistic function: y = 1 / (1 + exp(-x)), dy/dx = y (1 - y).

    Examples
    --------
    >>> y, back = sigmoid(np.array([0.0, -1000.0]))
    >>> y, back(np.ones(2))
    (array([0.5, 0. ]), array([0.25, 0.  ]))
    """
    e = np.exp(-np.abs(x))  # of a negative number, so that it cannot overflow
    y = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return y, lambda dy: dy * (e / (1 + e) ** 2)  # y (1 - y), exact also where y rounds to 1


def tanh(x: Array) -> tuple[Array, Back]:
    """Hyperbolic tangent: y = tanh x, dy/dx = 1 - y^2.

    Examples
    --------
    >>> y, back = tanh(np.array([0.0]))
    >>> y, back(np.ones(1))
    (array([0.]), array([1.]))
    """
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


def softplus(x: Array) -> tuple[Array, Back]:
    """Smooth rectifier: y = log(1 + exp x), dy/dx = sigmoid(x).

    Examples
    --------
    >>> y, back = softplus(np.array([0.0, 1000.0]))
    >>> y[1], back(np.ones(2))  # y[0] is log 2
    (np.float64(1000.0), array([0.5, 1. ]))
    """
    y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y, lambda dy: dy * sigmoid(x)[0]


def dropout(x: Array, mask: Array) -> tuple[Array, Back]:
    """Inverted dropout: y = x * mask, for a mask of `dropout_mask`. When encoding, leave it out.

    References
    ----------
    Srivastava et al. (2014), Dropout: A Simple Way to Prevent Neural Networks from Overfitting.

    Examples
    --------
    >>> y, back = dropout(np.ones(2), np.array([0.0, 1.25]))
    >>> y, back(np.ones(2))
    (array([0.  , 1.25]), array([0.  , 1.25]))
    """
    return x * mask, lambda dy: dy * mask


def dropout_mask(
    rng: Rng | None, shape: tuple[int, ...], rate: float, dtype: npt.DTypeLike = np.float64
) -> Array | None:
    """Draw a dropout mask: 0 with probability ``rate``, else 1 / (1 - rate), so that the mean is 1.

    None, for no dropout, at a rate of 0 or without a source of noise.

    Raises
    ------
    InputError
        For a rate outside 0 to below 1.

    Examples
    --------
    >>> np.unique(dropout_mask(np.random.default_rng(0), (100,), 0.2))
    array([0.  , 1.25])
    """
    if not (is_number(rate) and 0 <= rate < 1):
        raise InputError(f"rate is {rate!r}", "give the share of units left out, from 0 to below 1")
    if rng is None or rate == 0:
        return None
    mask: Array = (rng.random(shape, dtype=np.float32) >= rate).astype(dtype)
    mask /= 1 - rate
    return mask


def softmax(x: Array) -> tuple[Array, Back]:
    """Probabilities over the last axis: y_k = exp(x_k) / sum_j exp(x_j).

    The Jacobian is dy_k/dx_j = y_k ([k = j] - y_j), hence dx = y (dy - sum_k y_k dy_k).

    Examples
    --------
    >>> y, back = softmax(np.array([[0.0, 0.0]]))
    >>> y, back(np.array([[1.0, 0.0]]))
    (array([[0.5, 0.5]]), array([[ 0.25, -0.25]]))
    """
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, lambda dy: y * (dy - (y * dy).sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> tuple[Array, Back]:
    """Log-probabilities over the last axis: y = x - log sum_j exp(x_j), by log-sum-exp.

    Backward: dx = dy - softmax(x) sum_k dy_k.

    Examples
    --------
    >>> y, back = log_softmax(np.array([[1000.0, 1000.0]]))
    >>> y.round(4), back(np.array([[1.0, 0.0]]))
    (array([[-0.6931, -0.6931]]), array([[ 0.5, -0.5]]))
    """
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


def normal_noise(rng: Rng | None, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> Array:
    """Draw standard normal noise; its middle, zeros, without a source.

    Examples
    --------
    >>> normal_noise(np.random.default_rng(0), (100_000,)).var().round(2)
    np.float64(1.0)
    """
    return np.zeros(shape, dtype) if rng is None else rng.standard_normal(shape).astype(dtype)


def gaussian_sample(mu: Array, log_variance: Array, noise: Array) -> tuple[Array, Backs]:
    """Reparameterised normal draw: y = mu + exp(log_variance / 2) * noise, noise ~ N(0, 1).

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes.

    Examples
    --------
    >>> y, back = gaussian_sample(np.array([1.0]), np.array([0.0]), np.array([3.0]))
    >>> y, back(np.ones(1))
    (array([4.]), (array([1.]), array([1.5])))
    """
    spread = np.exp(log_variance / 2) * noise
    return mu + spread, lambda dy: (dy, dy * spread / 2)


def normalise_rows(rows: Array) -> Array:
    """Return rows of length one; rows of zeros stay zero. For constants: it has no backward pass.

    Examples
    --------
    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]  # (n, 1)
    normalised: Array = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return normalised
