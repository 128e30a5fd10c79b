"""Exercises 3 to 5: random bits, their divergence, their gradients.

Shapes: B documents, L bits, K categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.nn import gumbel, losses, ops
from nphash.teaching.grading import Mistake, Question

__all__ = ["QUESTIONS"]


B, L, K = 5, 4, 3
TAU = 0.7


def _categories(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=(B, L, K)), gumbel.gumbel_noise(rng, (B, L, K)), TAU


def _noise(uniform: Array) -> Array:
    result: Array = -np.log(-np.log(uniform))
    return result


def _value(x: Array) -> tuple[Any, Any]:
    return ops.softmax(x)[0], None


def _over_bits(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    x = (logits + noise) / temperature
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), None


def _shifted_over_bits(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    x = (logits + noise) / temperature
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), None


def _no_temperature_back(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    return ops.softmax((logits + noise) / temperature)


def _diagonal_back(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    y, _ = gumbel.gumbel_softmax(logits, noise, temperature)
    return y, lambda dy: dy * y * (1 - y) / temperature


def _back_over_bits(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    y, _ = gumbel.gumbel_softmax(logits, noise, temperature)
    return y, lambda dy: y * (dy - (y * dy).sum(axis=1, keepdims=True)) / temperature


def _softmax_back(through: Any) -> Any:
    """Return the relaxed sample with ``dlogits = through(y, dy) / temperature``."""

    def sample(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
        y, _ = gumbel.gumbel_softmax(logits, noise, temperature)
        return y, lambda dy: through(y, dy) / temperature

    return sample


def _total(x: Array) -> Array:
    total: Array = x.sum(axis=-1, keepdims=True)
    return total


def _jacobian(y: Array, temperature: float) -> Array:
    return gumbel.gumbel_softmax_jacobian(y, temperature)


def _probabilities(rng: Rng) -> tuple[Any, ...]:
    return ops.softmax(rng.normal(size=K))[0], TAU


_EXERCISE_3 = (
    Question(
        "gumbel_noise",
        _noise,
        (lambda rng: (rng.uniform(0.01, 0.99, size=(B, L)),),),
        (
            Mistake("outer minus missing", lambda uniform: np.log(-np.log(uniform))),
            Mistake("one logarithm only", lambda uniform: -np.log(uniform)),
            Mistake("logistic noise, not Gumbel noise", lambda u: np.log(u) - np.log(1 - u)),
            Mistake("tail of the wrong side", lambda uniform: -np.log(-np.log(1 - uniform))),
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
        (_categories,),
        (
            Mistake("noise outside the temperature", lambda logits, g, tau: _value(logits / tau + g)),
            Mistake("temperature multiplied", lambda logits, g, tau: _value((logits + g) * tau)),
            Mistake("temperature missing", lambda logits, g, tau: _value(logits + g)),
            Mistake("noise not added", lambda logits, g, tau: _value(logits / tau)),
            Mistake("softmax over the wrong axis", _over_bits),
            Mistake("softmax over the wrong axis", _shifted_over_bits),
            Mistake("softmax over the wrong axis", _back_over_bits),
            Mistake("temperature missing in back", _no_temperature_back),
            Mistake("only the diagonal of the Jacobian", _diagonal_back),
            Mistake("y missing in the sum", _softmax_back(lambda y, dy: y * (dy - _total(dy)))),
            Mistake("y missing in front", _softmax_back(lambda y, dy: dy - _total(y * dy))),
            Mistake("sign of the sum", _softmax_back(lambda y, dy: y * (dy + _total(y * dy)))),
            Mistake("sum missing", _softmax_back(lambda y, dy: y * dy)),
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
        (_probabilities,),
        (
            Mistake("temperature missing", lambda y, tau: _jacobian(y, 1.0)),
            Mistake("temperature multiplied", lambda y, tau: _jacobian(y, 1 / tau)),
            Mistake("diagonal term missing", lambda y, tau: -np.outer(y, y) / tau),
            Mistake("only the diagonal of the Jacobian", lambda y, tau: np.diag(y * (1 - y)) / tau),
            Mistake("off-diagonal term missing", lambda y, tau: np.diag(y) / tau),
            Mistake("sign of the off-diagonal term", lambda y, tau: (np.diag(y) + np.outer(y, y)) / tau),
        ),
        advice={"diagonal term missing": "[k = j] is 1 on the diagonal: np.diag(y) or np.eye(len(y))"},
    ),
)


def _kl(logits: Array) -> tuple[Any, Any]:
    return losses.categorical_kl(logits)


def _reversed_kl(logits: Array) -> tuple[Any, Any]:
    log_q = ops.log_softmax(logits)[0]
    return float((-np.log(K) - log_q).sum()) / K / len(logits), None


def _mean_over_bits(logits: Array) -> tuple[Any, Any]:
    return losses.categorical_kl(logits)[0] / logits.shape[1], None


def _negative_entropy(logits: Array) -> tuple[Any, Any]:
    return losses.categorical_kl(logits)[0] - logits.shape[1] * np.log(K), None


def _sum_over_documents(logits: Array) -> tuple[Any, Any]:
    return losses.categorical_kl(logits)[0] * len(logits), None


def _q_taken_as_constant(logits: Array) -> tuple[Any, Any]:
    """Differentiate the logarithm only: sum over k of q_k dlog q_k, which is zero."""
    loss, _ = losses.categorical_kl(logits)
    return loss, lambda dloss: np.zeros_like(logits)


def _not_centred(logits: Array) -> tuple[Any, Any]:
    loss, _ = losses.categorical_kl(logits)
    log_q = ops.log_softmax(logits)[0]
    return loss, lambda dloss: dloss * np.exp(log_q) * (log_q + np.log(K)) / len(logits)


def _by_probability(logits: Array) -> tuple[Any, Any]:
    loss, _ = losses.categorical_kl(logits)
    log_q = ops.log_softmax(logits)[0]
    return loss, lambda dloss: dloss * (log_q + np.log(K) + 1) / len(logits)


def _bernoulli_by_probability(logits: Array) -> tuple[Any, Any]:
    return losses.bernoulli_kl(logits)[0], lambda dloss: dloss * logits / len(logits)


def _bernoulli_entropy(logits: Array) -> tuple[Any, Any]:
    return losses.bernoulli_kl(logits)[0] - logits.shape[1] * np.log(2), None


def _ones_only(logits: Array) -> tuple[Any, Any]:
    p = ops.sigmoid(logits)[0]
    log_p = -np.logaddexp(0, -logits)
    return float((p * (np.log(2) + log_p)).sum()) / len(logits), None


def _large_logits(rng: Rng) -> tuple[Any, ...]:
    return (800 * rng.normal(size=(B, L)),)


_MEAN = "documents are averaged, bits are added up: each bit is one more thing the code tells"
_LIMIT = "p log p goes to 0 with p, but 0 * log(0) is NaN: write KL = p a - log(1 + e^a) + log 2 instead"

_EXERCISE_4 = (
    Question(
        "categorical_kl",
        _kl,
        (lambda rng: (rng.normal(size=(B, L, K)),),),
        (
            Mistake("KL(p || q) in place of KL(q || p)", _reversed_kl),
            Mistake("one softmax over all bits", losses.pooled_categorical_kl),
            Mistake("mean over the bits too", _mean_over_bits),
            Mistake("log K of the prior missing", _negative_entropy),
            Mistake("sum instead of mean", _sum_over_documents),
            Mistake("q taken as a constant", _q_taken_as_constant),
            Mistake("D not subtracted", _not_centred),
            Mistake("derivative of the softmax missing", _by_probability),
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
        lambda logits: losses.bernoulli_kl(logits),
        (lambda rng: (rng.normal(size=(B, L)),), _large_logits),
        (
            Mistake("mean over the bits too", lambda a: (losses.bernoulli_kl(a)[0] / a.shape[1], None)),
            Mistake("log 2 of the prior missing", _bernoulli_entropy),
            Mistake("term of the zeros missing", _ones_only),
            Mistake("derivative of the sigmoid missing", _bernoulli_by_probability),
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


def _identity(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    return _hard(logits, noise), lambda dz: dz


def _true_derivative(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    return _hard(logits, noise), lambda dz: np.zeros_like(dz)


def _no_temperature(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    _, back = gumbel.relaxed_bits(logits, noise, temperature)
    return _hard(logits, noise), lambda dz: temperature * back(dz)


def _without_noise(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    _, back = gumbel.relaxed_bits(logits, 0 * noise, temperature)
    return _hard(logits, noise), back


def _hard_derivative(logits: Array, noise: Array, temperature: float) -> tuple[Any, Any]:
    z = _hard(logits, noise)
    return z, lambda dz: dz * z * (1 - z) / temperature


def _bits(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=(B, L)), rng.logistic(size=(B, L)), TAU


def _relaxed_bernoulli(logits: Array, uniform: Array) -> tuple[Any, Any]:
    return ops.sigmoid(logits)


def _bernoulli_identity(logits: Array, uniform: Array) -> tuple[Any, Any]:
    return gumbel.straight_through_bernoulli(logits, uniform)[0], lambda dz: dz


def _flipped(logits: Array, uniform: Array) -> tuple[Any, Any]:
    return np.asarray(ops.sigmoid(logits)[0] <= uniform, dtype=float), None


_ZERO = "a step is flat: its true derivative teaches nothing, so the relaxed sample's is borrowed"

_EXERCISE_5 = (
    Question(
        "straight_through_bits",
        gumbel.straight_through_bits,
        (_bits,),
        (
            Mistake("relaxed bits forward", lambda a, g, tau: (gumbel.relaxed_bits(a, g, tau)[0], None)),
            Mistake("noise not added", lambda a, g, tau: (_hard(a, 0 * g), None)),
            Mistake("threshold at 1/2 of the logit", lambda a, g, tau: (_hard(a - 0.5, g), None)),
            Mistake("derivative of the step itself", _hard_derivative),
            Mistake("derivative of the step itself", _true_derivative),
            Mistake("identity on the logit", _identity),
            Mistake("temperature missing in back", _no_temperature),
            Mistake("noise missing in back", _without_noise),
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
        gumbel.straight_through_bernoulli,
        (lambda rng: (rng.normal(size=(B, L)), rng.random((B, L))),),
        (
            Mistake("no draw: threshold at 1/2", lambda a, u: (np.asarray(a > 0, dtype=float), None)),
            Mistake("probabilities forward", lambda a, u: (ops.sigmoid(a)[0], None)),
            Mistake("bits flipped", _flipped),
            Mistake("identity on the logit", _bernoulli_identity),
        ),
        gradient=True,
        constants=("uniform",),
        relaxed=_relaxed_bernoulli,
        advice={
            "identity on the logit": "dz/dp := 1 stands for the step only; dp/da = p (1 - p) remains",
            "bits flipped": "u < p happens with probability p",
        },
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {3: _EXERCISE_3, 4: _EXERCISE_4, 5: _EXERCISE_5}
