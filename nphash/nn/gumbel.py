"""Random bits that gradients can pass: the Gumbel-max trick, its relaxation, straight-through.

The encoder gives each of L bits a logit for each of K categories (K = 2, category 1 standing for
the bit 1). A softmax depends on differences of logits only, and the difference of two Gumbel
draws is one logistic draw, so for K = 2 a single logit a = logits[..., 1] - logits[..., 0] with
logistic noise says the same: `relaxed_bits` and `straight_through_bits` are that form.

Noise is an argument, never drawn inside, so everything here can be replayed and differentiated.
Samples are in {0, 1}. The rule for ``(out, back)`` is that of `nphash.nn.ops`: noise and temperature
are constants, so each ``back`` returns the gradient of the logits alone.

Departures from the printed paper: its Gumbel sample lacks the outer minus (it must be
-log(-log U); for two categories the slip does no harm), and its equations 6 to 8 take the log of
a positive h, where the network's output is that logarithm itself, up to a constant: the logits.

Shapes: B documents of a batch, L bits, K categories.

References
----------
Maddison, Tarlow & Minka (2014), A* Sampling: the Gumbel-max trick.
Jang, Gu & Poole (2017), Categorical Reparameterization with Gumbel-Softmax.
Maddison, Mnih & Teh (2017), The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables.
Bengio, Leonard & Courville (2013), Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation: straight-through.
Shen et al. (2018), NASH: Toward End-to-End Neural Architecture for Generative Semantic Hashing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nphash.core.arguments import check_positive
from nphash.core.typing import Array, Back, Rng
from nphash.nn.ops import sigmoid, softmax

__all__ = [
    "gumbel_max", "gumbel_max_one_hot", "gumbel_noise", "gumbel_softmax", "gumbel_softmax_jacobian",
    "logistic_noise", "logit_difference", "relaxed_bits", "straight_through_bernoulli",
    "straight_through_bits", "straight_through_gumbel",
]  # fmt: skip


def gumbel_noise(rng: Rng, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> Array:
    """Draw standard Gumbel noise g = -log(-log U).

    Computed from an exponential draw E = -log U, which is never zero in practice and needs no
    clipping; drawn in float64 for every dtype, so that float32 sees the same noise, rounded.

    Examples
    --------
    >>> gumbel_noise(np.random.default_rng(0), (100_000,)).mean().round(2)  # Euler's constant
    np.float64(0.58)
    """
    tiny = np.finfo(np.float64).tiny
    return -np.log(np.maximum(rng.standard_exponential(shape), tiny)).astype(dtype)


def logistic_noise(rng: Rng | None, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> Array:
    """Draw standard logistic noise, the difference of two Gumbel draws; its middle, zeros, without a source.

    Examples
    --------
    >>> logistic_noise(np.random.default_rng(0), (100_000,)).var().round(1)  # pi^2 / 3
    np.float64(3.3)
    """
    return np.zeros(shape, dtype) if rng is None else rng.logistic(size=shape).astype(dtype)


def gumbel_max(logits: Array, noise: Array) -> Array:
    """Eq. (6)  k = argmax_i (log h_i + g_i), an exact draw from the categorical distribution h.

    Logits, log h up to a constant, and `gumbel_noise` have the shape (B, L, K), the category numbers (B, L).
    These have no gradient.

    Examples
    --------
    >>> gumbel_max(np.array([[[0.0, 1.0]]]), np.zeros((1, 1, 2)))
    array([[1]])
    """
    categories: Array = np.argmax(logits + noise, axis=-1)  # (B, L)
    return categories


def gumbel_max_one_hot(logits: Array, noise: Array) -> Array:
    """Eq. (7)  z = one_hot(argmax_i (log h_i + g_i)), the discrete latent code.

    Shapes are those of `gumbel_max`; z has shape (B, L, K), the dtype of the logits and no gradient.

    Examples
    --------
    >>> gumbel_max_one_hot(np.array([[[0.0, 1.0]]]), np.zeros((1, 1, 2)))
    array([[[0., 1.]]])
    """
    categories = gumbel_max(logits, noise)  # (B, L)
    z: Array = categories[..., None] == np.arange(logits.shape[-1])  # (B, L, K)
    return z.astype(logits.dtype)


def gumbel_softmax(logits: Array, noise: Array, temperature: float) -> tuple[Array, Back]:
    """Eq. (8)  y_k = exp((log h_k + g_k) / tau) / sum_j exp((log h_j + g_j) / tau).

    The tempered softmax that approaches the one-hot sample as tau goes to 0. Its Jacobian
    (`gumbel_softmax_jacobian`) is dy_k/dlogits_j = y_k ([k = j] - y_j) / tau.

    Parameters
    ----------
    logits, noise
        Shape (B, L, K); the noise is `gumbel_noise`.
    temperature
        tau, positive.

    Returns
    -------
    tuple
        y of shape (B, L, K); ``back(dy)`` returns dlogits of that shape.

    Raises
    ------
    InputError
        If the temperature is no positive number.

    Examples
    --------
    >>> y, back = gumbel_softmax(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), 0.5)
    >>> y, back(np.array([[[1.0, 0.0]]]))
    (array([[[0.5, 0.5]]]), array([[[ 0.5, -0.5]]]))
    """
    temperature = check_positive(temperature, "temperature")
    y, softmax_back = softmax((logits + noise) / temperature)  # (B, L, K)
    return y, lambda dy: softmax_back(dy) / temperature


def gumbel_softmax_jacobian(y: Array, temperature: float) -> Array:
    """Return the Jacobian of `gumbel_softmax`, dy_k/dlogits_j = y_k ([k = j] - y_j) / tau, written out.

    For its output y of shape (B, L, K) the Jacobian has shape (B, L, K, K). Errors are those of
    `gumbel_softmax`.

    Examples
    --------
    >>> gumbel_softmax_jacobian(np.array([[[0.5, 0.5]]]), 1.0)
    array([[[[ 0.25, -0.25],
             [-0.25,  0.25]]]])
    """
    temperature = check_positive(temperature, "temperature")
    identity = np.eye(y.shape[-1], dtype=y.dtype)  # (K, K)
    jacobian: Array = y[..., :, None] * (identity - y[..., None, :]) / temperature  # (B, L, K, K)
    return jacobian


def straight_through_gumbel(logits: Array, noise: Array, temperature: float) -> tuple[Array, Back]:
    """One-hot sample forward, Eq. (7), gradient of the relaxed sample backward, Eq. (8).

    The forward pass is a step function, so no numeric derivative agrees with ``back``: it is the one of
    `gumbel_softmax` at the same logits and noise, by construction, and so are the errors (Jang, Gu & Poole
    2017, section 2.2).

    Examples
    --------
    >>> z, back = straight_through_gumbel(np.array([[[0.0, 1.0]]]), np.zeros((1, 1, 2)), 1.0)
    >>> z, back(np.array([[[1.0, 0.0]]])).round(3)
    (array([[[0., 1.]]]), array([[[ 0.197, -0.197]]]))
    """
    _, back = gumbel_softmax(logits, noise, temperature)
    return gumbel_max_one_hot(logits, noise), back  # (B, L, K)


def logit_difference(logits: Array) -> tuple[Array, Back]:
    """Turn two logits a bit into one: a = logits[..., 1] - logits[..., 0], shape (B, L).

    Of Gumbel noise (B, L, 2) it makes the logistic noise under which both forms draw the same bits.

    Examples
    --------
    >>> a, back = logit_difference(np.array([[[1.0, 3.0]]]))
    >>> a, back(np.ones((1, 1)))
    (array([[2.]]), array([[[-1.,  1.]]]))
    """
    return logits[..., 1] - logits[..., 0], lambda da: np.stack([-da, da], axis=-1)


def relaxed_bits(logits: Array, noise: Array, temperature: float) -> tuple[Array, Back]:
    """Eq. (8), two categories: z = sigmoid((a + noise) / tau) of one logit a bit, dz/da = z (1 - z) / tau.

    The binary case of Maddison, Mnih & Teh (2017), appendix B.

    Parameters
    ----------
    logits, noise
        Shape (B, L); the noise is `logistic_noise`.
    temperature
        tau, positive.

    Returns
    -------
    tuple
        z of shape (B, L); ``back(dz)`` returns da of that shape.

    Raises
    ------
    InputError
        If the temperature is no positive number.

    Examples
    --------
    >>> z, back = relaxed_bits(np.zeros((1, 1)), np.zeros((1, 1)), 0.5)
    >>> z, back(np.ones((1, 1)))
    (array([[0.5]]), array([[0.5]]))
    """
    temperature = check_positive(temperature, "temperature")
    z, sigmoid_back = sigmoid((logits + noise) / temperature)  # (B, L)
    return z, lambda dz: sigmoid_back(dz) / temperature


def straight_through_bits(logits: Array, noise: Array, temperature: float) -> tuple[Array, Back]:
    """Eq. (7), two categories, and backward Eq. (8): z = [a + noise > 0], the gradient is `relaxed_bits`'.

    Examples
    --------
    >>> z, back = straight_through_bits(np.array([[2.0]]), np.zeros((1, 1)), 1.0)
    >>> z, back(np.ones((1, 1))).round(3)
    (array([[1.]]), array([[0.105]]))
    """
    _, back = relaxed_bits(logits, noise, temperature)
    return (logits + noise > 0).astype(logits.dtype), back  # (B, L)


def straight_through_bernoulli(logits: Array, uniform: Array) -> tuple[Array, Back]:
    """Eq. (5)  dz/dp ~ 1, the straight-through estimator of NASH: z = [p > u], p = sigmoid(a).

    The identity stands for the derivative of the step only; that of the sigmoid stays, so da = dz p (1 - p).
    Logits a and ``uniform`` u have the shape (B, L); u are draws from [0, 1), or 0.5 for the deterministic
    code (Bengio, Leonard & Courville 2013; Shen et al. 2018).

    Examples
    --------
    >>> z, back = straight_through_bernoulli(np.zeros((1, 2)), np.array([[0.3, 0.7]]))
    >>> z, back(np.ones((1, 2)))
    (array([[1., 0.]]), array([[0.25, 0.25]]))
    """
    p, back = sigmoid(logits)  # (B, L)
    return (p > uniform).astype(logits.dtype), back  # (B, L)
