"""Exercises 3 to 5: random bits, their divergence, their gradients.

Shapes: B documents, L bits, K categories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.nn import gumbel, losses, ops
from nphash.teaching.grading import Question

B, L, K = 5, 4, 3
TAU = 0.7

_jacobian, _bernoulli = gumbel.gumbel_softmax_jacobian, gumbel.straight_through_bernoulli
_kl = losses.bernoulli_kl


def _softmax_of(scaled: Callable[[Array, Array, float], Array]) -> Callable[..., tuple[Any, Any]]:
    """Return the softmax of other logits; the value alone shows the mistake."""
    return lambda logits, noise, temperature: (ops.softmax(scaled(logits, noise, temperature))[0], None)


def _over_bits(logits: Array, noise: Array, temperature: float, shift: bool = False) -> tuple[Any, Any]:
    x = (logits + noise) / temperature
    e = np.exp(x - x.max(axis=-1, keepdims=True) if shift else x)
    return e / e.sum(axis=1, keepdims=True), None


def _softmax_back(through: Callable[[Array, Array], Array]) -> Callable[..., tuple[Any, Any]]:
    """Return the relaxed sample with ``dlogits = through(y, dy) / temperature``."""

    def sample(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
        y, _ = gumbel.gumbel_softmax(logits, noise, temperature)
        return y, lambda dy: through(y, dy) / temperature

    return sample


def _total(x: Array, axis: int = -1) -> Array:
    return np.asarray(x.sum(axis=axis, keepdims=True))


_EXERCISE_3 = (
    Question(
        "gumbel_noise",
        lambda uniform: -np.log(-np.log(uniform)),
        (lambda rng: (rng.uniform(0.01, 0.99, size=(B, L)),),),
        (
            ("outer minus missing", lambda uniform: np.log(-np.log(uniform))),
            ("one logarithm only", lambda uniform: -np.log(uniform)),
            ("logistic noise, not Gumbel noise", lambda u: np.log(u) - np.log(1 - u)),
            ("tail of the wrong side", lambda uniform: -np.log(-np.log(1 - uniform))),
        ),
        advice={
            "sign": "so it stands in the paper, by a slip: P(G < g) = exp(-exp(-g)), solved for g",
            "outer minus missing": "so it stands in the paper, by a slip: solve exp(-exp(-g)) = u for g",
            "tail of the wrong side": "a draw all the same, but not the inverse of the distribution function",
        },
    ),
    Question(
        "gumbel_softmax",
        gumbel.gumbel_softmax,
        (lambda rng: (rng.normal(size=(B, L, K)), gumbel.gumbel_noise(rng, (B, L, K)), TAU),),
        (
            ("noise outside the temperature", _softmax_of(lambda a, g, tau: a / tau + g)),
            ("temperature multiplied", _softmax_of(lambda a, g, tau: (a + g) * tau)),
            ("temperature missing", _softmax_of(lambda a, g, tau: a + g)),
            ("noise not added", _softmax_of(lambda a, g, tau: a / tau)),
            ("softmax over the wrong axis", _over_bits),
            ("softmax over the wrong axis", lambda a, g, tau: _over_bits(a, g, tau, True)),
            ("softmax over the wrong axis", _softmax_back(lambda y, dy: y * (dy - _total(y * dy, 1)))),
            ("temperature missing in back", lambda a, noise, tau: ops.softmax((a + noise) / tau)),
            ("only the diagonal of the Jacobian", _softmax_back(lambda y, dy: dy * y * (1 - y))),
            ("y missing in the sum", _softmax_back(lambda y, dy: y * (dy - _total(dy)))),
            ("y missing in front", _softmax_back(lambda y, dy: dy - _total(y * dy))),
            ("sign of the sum", _softmax_back(lambda y, dy: y * (dy + _total(y * dy)))),
            ("sum missing", _softmax_back(lambda y, dy: y * dy)),
        ),
        gradient=True,
        constants=("noise",),
        advice={
            "softmax over the wrong axis": "the categories of one bit are the last axis: axis=-1",
            "temperature missing in back": "the logits are divided by tau, so their gradient is, too",
            "only the diagonal of the Jacobian": "raising one category lowers the others: subtract sum(y dy)",
        },
    ),
    Question(
        "jacobian",
        _jacobian,
        (lambda rng: (ops.softmax(rng.normal(size=K))[0], TAU),),
        (
            ("temperature missing", lambda y, tau: _jacobian(y, 1.0)),
            ("temperature multiplied", lambda y, tau: _jacobian(y, 1 / tau)),
            ("diagonal term missing", lambda y, tau: -np.outer(y, y) / tau),
            ("only the diagonal of the Jacobian", lambda y, tau: np.diag(y * (1 - y)) / tau),
            ("off-diagonal term missing", lambda y, tau: np.diag(y) / tau),
            ("sign of the off-diagonal term", lambda y, tau: (np.diag(y) + np.outer(y, y)) / tau),
        ),
        advice={"diagonal term missing": "[k = j] is 1 on the diagonal: np.diag(y) or np.eye(len(y))"},
    ),
)


def _kl_changed(changed: Callable[[float], float]) -> Callable[[Array], tuple[Any, Any]]:
    """Return another value made of the right one, which alone shows the mistake."""
    return lambda logits: (changed(losses.categorical_kl(logits)[0]), None)


def _kl_back(gradient: Callable[[Array], Array]) -> Callable[[Array], tuple[Any, Any]]:
    """Return the right value with ``dlogits = dloss * gradient(log q) / B``."""

    def loss(logits: Array) -> tuple[Any, Any]:
        log_q, _ = ops.log_softmax(logits)
        return losses.categorical_kl(logits)[0], lambda dloss: dloss * gradient(log_q) / len(logits)

    return loss


def _reversed_kl(logits: Array) -> tuple[Any, Any]:
    log_q = ops.log_softmax(logits)[0]
    return float((-np.log(K) - log_q).sum()) / K / len(logits), None


def _ones_only(logits: Array) -> tuple[Any, Any]:
    p = ops.sigmoid(logits)[0]
    log_p = -np.logaddexp(0, -logits)
    return float((p * (np.log(2) + log_p)).sum()) / len(logits), None


_MEAN = "documents are averaged, bits are added up: each bit adds to what the code says"
_LIMIT = "p log p goes to 0 with p, but 0 * log(0) is NaN: write KL = p a - log(1 + e^a) + log 2 instead"

_EXERCISE_4 = (
    Question(
        "categorical_kl",
        losses.categorical_kl,
        (lambda rng: (rng.normal(size=(B, L, K)),),),
        (
            ("KL(p || q) in place of KL(q || p)", _reversed_kl),
            ("one softmax over all bits", losses.pooled_categorical_kl),
            ("mean over the bits too", _kl_changed(lambda kl: kl / L)),
            ("log K of the prior missing", _kl_changed(lambda kl: kl - L * np.log(K))),
            ("sum instead of mean", _kl_changed(lambda kl: kl * B)),
            # The logarithm alone differentiated: sum over k of q_k dlog q_k, which is zero.
            ("q taken as a constant", _kl_back(np.zeros_like)),
            ("D not subtracted", _kl_back(lambda log_q: np.exp(log_q) * (log_q + np.log(K)))),
            ("derivative of the softmax missing", _kl_back(lambda log_q: log_q + np.log(K) + 1)),
        ),
        gradient=True,
        advice={
            "one softmax over all bits": "so it is in the published code: each bit has its own distribution",
            "KL(p || q) in place of KL(q || p)": "the code is drawn from q: the mean is taken under q",
            "mean over the bits too": _MEAN,
            "log K of the prior missing": "a fair choice among K costs log K nats: log(q / (1/K))",
            "D not subtracted": "a gradient through a softmax adds up to zero over the categories",
            "derivative of the softmax missing": "log(q/p) + 1 is the derivative by q, not by the logits",
        },
    ),
    Question(
        "bernoulli_kl",
        _kl,
        (lambda rng: (rng.normal(size=(B, L)),), lambda rng: (800 * rng.normal(size=(B, L)),)),
        (
            ("mean over the bits too", lambda a: (_kl(a)[0] / L, None)),
            ("log 2 of the prior missing", lambda a: (_kl(a)[0] - L * np.log(2), None)),
            ("term of the zeros missing", _ones_only),
            ("derivative of the sigmoid missing", lambda a: (_kl(a)[0], lambda d: d * a / B)),
        ),
        gradient=True,
        advice={
            "mean over the bits too": _MEAN,
            "not finite": _LIMIT,
            "derivative of the sigmoid missing": "dKL/dp is the logit a; dp/da = p (1 - p) is still to come",
            "term of the zeros missing": "a bit has two categories: p log 2p and (1 - p) log 2(1 - p)",
        },
    ),
)


def _hard(logits: Array, noise: Array) -> Array:
    return np.asarray(logits + noise > 0, dtype=float)


def _hard_with(back: Callable[..., Array]) -> Callable[..., tuple[Any, Any]]:
    """Return the right sample with the gradient ``back(dz, z, logits, noise, temperature)``."""

    def sample(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
        z = _hard(logits, noise)
        return z, lambda dz: back(dz, z, logits, noise, temperature)

    return sample


def _relaxed_back(dz: Array, z: Array, logits: Array, noise: Array, temperature: float) -> Array:
    return gumbel.relaxed_bits(logits, noise, temperature)[1](dz)


_ZERO = "a step is flat: its true derivative teaches nothing, so the relaxed sample's is borrowed"

_EXERCISE_5 = (
    Question(
        "straight_through_bits",
        gumbel.straight_through_bits,
        (lambda rng: (rng.normal(size=(B, L)), rng.logistic(size=(B, L)), TAU),),
        (
            ("relaxed bits forward", lambda a, g, tau: (gumbel.relaxed_bits(a, g, tau)[0], None)),
            ("noise not added", lambda a, g, tau: (_hard(a, 0 * g), None)),
            ("threshold at 1/2 of the logit", lambda a, g, tau: (_hard(a - 0.5, g), None)),
            ("derivative of the step itself", _hard_with(lambda dz, z, *_: dz * z * (1 - z) / TAU)),
            ("derivative of the step itself", _hard_with(lambda dz, *_: np.zeros_like(dz))),
            ("identity on the logit", _hard_with(lambda dz, *_: dz)),
            ("temperature missing in back", _hard_with(lambda *args: TAU * _relaxed_back(*args))),
            ("noise missing in back", _hard_with(lambda dz, z, a, g, t: _relaxed_back(dz, z, a, 0 * g, t))),
        ),
        gradient=True,
        constants=("noise",),
        relaxed=gumbel.relaxed_bits,
        advice={
            "relaxed bits forward": "the decoder is to see zeros and ones: logits + noise > 0",
            "derivative of the step itself": _ZERO,
            "identity on the logit": "what is borrowed is soft (1 - soft) / tau, soft being the relaxed bit",
            "noise missing in back": "the relaxed bit has the same noise as the hard one",
        },
    ),
    Question(
        "straight_through_bernoulli",
        _bernoulli,
        (lambda rng: (rng.normal(size=(B, L)), rng.random((B, L))),),
        (
            ("no draw: threshold at 1/2", lambda a, u: (np.asarray(a > 0, dtype=float), None)),
            ("probabilities forward", lambda a, u: (ops.sigmoid(a)[0], None)),
            ("bits flipped", lambda a, u: (np.asarray(ops.sigmoid(a)[0] <= u, dtype=float), None)),
            ("identity on the logit", lambda a, uniform: (_bernoulli(a, uniform)[0], lambda dz: dz)),
        ),
        gradient=True,
        constants=("uniform",),
        relaxed=lambda logits, uniform: ops.sigmoid(logits),
        advice={
            "identity on the logit": "dz/dp := 1 stands for the step only; dp/da = p (1 - p) remains",
            "bits flipped": "u < p happens with probability p",
        },
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {3: _EXERCISE_3, 4: _EXERCISE_4, 5: _EXERCISE_5}
