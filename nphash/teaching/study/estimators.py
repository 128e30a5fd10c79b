"""Gradient estimators for random bits, beside the exact gradient they estimate.

The bits z of one document are independent, z_i = 1 with probability p_i = sigmoid(a_i), and the evidence
lower bound holds an expectation over them, E_q(z)[f(z)], where f is the reconstruction loss. For up to 14
bits the expectation is a sum over all codes, so its gradient with respect to the logits a is known exactly,
and every estimator can be judged: its bias, its variance, its direction. (The divergence in that bound has
a closed form, the same for every estimator, and is omitted.)

An objective is f itself, ``values, back = objective(z)``: values of shape (S,) for S codes or relaxed
codes of shape (S, L), and ``back(dvalues)`` of shape (S, L). Every estimator takes logits of shape (L,), an
objective and S rows of noise, and returns S independent estimates of shape (S, L).

Shapes: S draws, L bits, V words.

References
----------
Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning.
Bengio, Leonard & Courville (2013), Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation.
Jang, Gu & Poole (2017), Categorical Reparameterization with Gumbel-Softmax.
Maddison, Mnih & Teh (2017), The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables.
Yin & Zhou (2019), ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nphash.core.arguments import is_count
from nphash.core.typing import Array, Back
from nphash.errors import InputError
from nphash.nn.gumbel import relaxed_bits, straight_through_bernoulli, straight_through_bits
from nphash.nn.ops import log_softmax, sigmoid

Objective = Callable[[Array], tuple[Array, Back]]
Sample = Callable[..., tuple[Array, Back]]

MAX_EXACT_BITS = 14


def all_codes(n_bits: int) -> Array:
    """Return every code of ``n_bits`` bits, zeros and ones of shape (2**n_bits, n_bits), in order."""
    if not is_count(n_bits) or n_bits > MAX_EXACT_BITS:
        raise InputError(
            f"all codes of {n_bits} bits were asked for, but 1 to {MAX_EXACT_BITS} bits are possible",
            "the exact gradient adds up 2**bits terms: study fewer bits",
        )
    numbers = np.arange(2**n_bits)[:, None]  # (2**L, 1)
    return (numbers >> np.arange(n_bits)[::-1] & 1).astype(np.float64)  # (2**L, L)


def exact_gradient(logits: Array, objective: Objective) -> tuple[float, Array]:
    """Return E[f(z)] and its gradient with respect to the logits, summed over all codes.

    With q(z) = prod_i p_i^z_i (1 - p_i)^(1 - z_i) the gradient is sum_z q(z) f(z) (z - p).
    """
    p, _ = sigmoid(logits)  # (L,)
    total, gradient = 0.0, np.zeros_like(p)
    codes = all_codes(p.size)  # (2**L, L)
    for z in np.array_split(codes, max(1, len(codes) // 2048)):  # f may need V numbers a code
        q = np.prod(np.where(z == 1, p, 1 - p), axis=1)  # (block,)
        weighted = q * objective(z)[0]  # (block,)
        total += float(weighted.sum())
        gradient += weighted @ (z - p)  # (L,)
    return total, gradient


def _through(sample: Sample, logits: Array, objective: Objective, noise: Array, *tau: float) -> Array:
    """Return the gradients of f by the logits, through a sample z (S, L) and its backward pass."""
    z, sample_back = sample(np.broadcast_to(logits, noise.shape), noise, *tau)  # (S, L)
    values, back = objective(z)  # (S,)
    return sample_back(back(np.ones_like(values)))  # (S, L)


def straight_through(logits: Array, objective: Objective, uniform: Array) -> Array:
    """Estimate by the straight-through sample of NASH, z = [p > u], dz/dp := 1: Bengio et al. (2013).

    Biased wherever f is not linear in each bit; with ``uniform`` 0.5 throughout, the deterministic form.
    """
    return _through(straight_through_bernoulli, logits, objective, uniform)


def gumbel_softmax(logits: Array, objective: Objective, noise: Array, temperature: float) -> Array:
    """Estimate by relaxed bits, ``noise`` logistic: Jang, Gu & Poole (2017); Maddison, Mnih & Teh (2017).

    Biased for E[f(z)], not for E[f(relaxed z)]: a lower temperature trades bias for variance.
    """
    return _through(relaxed_bits, logits, objective, noise, temperature)


def straight_through_gumbel(logits: Array, objective: Objective, noise: Array, temperature: float) -> Array:
    """Estimate as Doc2hash, hard bits forward, relaxed backward: Jang, Gu & Poole (2017), section 2.2."""
    return _through(straight_through_bits, logits, objective, noise, temperature)


def reinforce(logits: Array, objective: Objective, uniform: Array, baseline: float = 0.0) -> Array:
    """Estimate by the score function: (f(z) - baseline) d log q(z) / da = (f(z) - baseline) (z - p).

    Unbiased for any baseline that does not depend on the draw, such as the mean of f: the less is left, the
    smaller the variance. Needs f only, not its derivative. Source: Williams (1992).
    """
    p, _ = sigmoid(logits)  # (L,)
    z = (p > uniform).astype(p.dtype)  # (S, L)
    values, _ = objective(z)  # (S,)
    gradient: Array = (values - baseline)[:, None] * (z - p)  # (S, L)
    return gradient


def arm(logits: Array, objective: Objective, uniform: Array) -> Array:
    """Estimate by augment-REINFORCE-merge: (f([u > sigmoid(-a)]) - f([u < sigmoid(a)])) (u - 1/2).

    Unbiased, from two evaluations of f on codes that share their noise. Source: Yin & Zhou (2019).
    """
    p, _ = sigmoid(logits)  # (L,)
    above = (uniform > sigmoid(-logits)[0]).astype(p.dtype)  # (S, L)
    below = (uniform < p).astype(p.dtype)  # (S, L)
    difference = objective(above)[0] - objective(below)[0]  # (S,)
    gradient: Array = difference[:, None] * (uniform - 0.5)  # (S, L)
    return gradient


def quadratic(target: Array) -> Objective:
    """Return the toy objective f(z) = sum_i (z_i - target_i)^2, for a target of shape (L,)."""

    def objective(z: Array) -> tuple[Array, Back]:
        gap = z - target  # (S, L)
        return (gap * gap).sum(axis=1), lambda d: 2 * d[:, None] * gap

    return objective


def document_loss(W: Array, b: Array, target: Array) -> Objective:
    """Return f(z) = -sum_i t_i log softmax(z W + b)_i, of one document; W (L, V), b and target t (V,)."""

    def objective(z: Array) -> tuple[Array, Back]:
        log_p, back = log_softmax(z @ W + b)  # (S, V)
        return -log_p @ target, lambda d: back(-d[:, None] * target) @ W.T

    return objective


# ---------------------------------------------------------------------- how good estimates are


def moments(estimates: Array, exact: Array) -> tuple[float, float, float, float]:
    """Return squared bias, variance, mean cosine and cosine of the mean, not relative to anything.

    The mean of S draws lies variance / S (squared) beside the expectation. This is subtracted, so
    that the squared bias is right on average, and may be negative for an unbiased estimator.
    """
    mean = estimates.mean(axis=0)  # (L,)
    variance = float(((estimates - mean) ** 2).sum()) / (len(estimates) - 1)
    squared_bias = float(((mean - exact) ** 2).sum()) - variance / len(estimates)
    size, tiny = float(np.linalg.norm(exact)), float(np.finfo(np.float64).tiny)
    cosine = float(np.mean(estimates @ exact / np.maximum(np.linalg.norm(estimates, axis=1) * size, tiny)))
    return squared_bias, variance, cosine, float(mean @ exact) / max(float(np.linalg.norm(mean)) * size, tiny)
