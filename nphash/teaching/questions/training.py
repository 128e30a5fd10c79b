"""Exercises 6 and 7: Adam's step and clipping, and the whole loss of Doc2hash.

Shapes: B documents, V words, H hidden units, L bits (or entries of a parameter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nphash.core.typing import CSR, Array, Params, Rng
from nphash.gradcheck import Model
from nphash.hashers.doc2hash import model
from nphash.hashers.training.trainer import Batch
from nphash.nn import gumbel, losses, ops
from nphash.nn.ops import Operations
from nphash.nn.optim import adam_step
from nphash.teaching.grading import Question

B, V, H, L = 5, 9, 6, 4


def _adam_with(
    *,
    unbias: Callable[[float, int], float] = lambda beta, t: 1 - beta**t,
    step: Callable[[Array, Array], Array] = lambda m, v: m / (np.sqrt(v) + 1e-8),
    second: Callable[[Array], Array] = np.square,
    betas: tuple[float, float] = (0.9, 0.999),
    shares: tuple[float, float] = (0.1, 0.001),
    sign: int = -1,
) -> Callable[..., tuple[Any, ...]]:
    """Return Adam's step with one piece replaced."""

    def adam_step(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
        m = betas[0] * m + shares[0] * g
        v = betas[1] * v + shares[1] * second(g)
        mhat, vhat = m / unbias(betas[0], t), v / unbias(betas[1], t)
        return w + sign * learning_rate * step(mhat, vhat), m, v

    return adam_step


def _epsilon_outside(w: Array, g: Array, m: Array, v: Array, t: int, learning_rate: float) -> tuple[Any, ...]:
    _, m, v = adam_step(w, g, m, v, t, learning_rate)
    mhat, vhat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return w - learning_rate * mhat / np.sqrt(vhat) + 1e-8, m, v


def _moments_corrected(*args: Any) -> tuple[Any, ...]:
    w, m, v = adam_step(*args)
    return w, m / (1 - 0.9 ** args[4]), v / (1 - 0.999 ** args[4])


def _later_step(rng: Rng) -> tuple[Any, ...]:
    g = 1e-5 * rng.normal(size=L)  # so small that the place of epsilon matters
    return rng.normal(size=L), g, 1e-5 * rng.normal(size=L), 1e-10 * rng.random(L), 7, 0.01


def _norm(gradients: list[Array]) -> float:
    return float(np.sqrt(sum(float((g * g).sum()) for g in gradients)))


def _clip_with(
    norm: Callable[[list[Array]], float] = _norm, most: float = 1.0
) -> Callable[[list[Array], float], list[Array]]:
    """Return clipping by another norm, or by another largest factor than 1."""
    return lambda gradients, c: [min(most, c / norm(gradients)) * g for g in gradients]


def _two_gradients(scale: float) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: ([scale * rng.normal(size=(3, 2)), scale * rng.normal(size=4)], 1.5)


_CORRECTION = "m and v start at zero: after t steps they hold the share 1 - beta^t of a full average"

_EXERCISE_6 = (
    Question(
        "adam_step",
        adam_step,
        (
            _later_step,
            lambda rng: (rng.normal(size=L), rng.normal(size=L), np.zeros(L), np.zeros(L), 1, 0.01),
        ),
        (
            ("bias not corrected", _adam_with(unbias=lambda beta, t: 1.0)),
            ("bias corrected by beta, not beta^t", _adam_with(unbias=lambda beta, t: 1 - beta)),
            ("steps counted from 0 or from 2", _adam_with(unbias=lambda beta, t: 1 - beta ** (t + 1))),
            ("steps counted from 0 or from 2", _adam_with(unbias=lambda beta, t: 1 - beta ** (t - 1))),
            ("bias corrected by beta t, not beta^t", _adam_with(unbias=lambda beta, t: 1 - beta * t)),
            ("v corrected by the beta of m", _adam_with(unbias=lambda beta, t: 1 - 0.9**t)),
            ("corrected moments returned", _moments_corrected),
            ("epsilon outside the fraction", _epsilon_outside),
            ("epsilon inside the root", _adam_with(step=lambda m, v: m / np.sqrt(v + 1e-8))),
            ("epsilon missing", _adam_with(step=lambda m, v: m / np.sqrt(v))),
            ("root missing", _adam_with(step=lambda m, v: m / (v + 1e-8))),
            ("gradient not squared", _adam_with(second=lambda g: g)),
            ("gradient not squared", _adam_with(second=np.abs)),
            ("betas exchanged", _adam_with(betas=(0.999, 0.9), shares=(0.001, 0.1))),
            ("1 - beta missing", _adam_with(shares=(1.0, 1.0))),
            ("1 - beta missing", _adam_with(shares=(1.0, 0.001))),
            ("1 - beta missing", _adam_with(shares=(0.1, 1.0))),
            ("uphill", _adam_with(sign=1)),
        ),
        advice={
            "bias not corrected": _CORRECTION,
            "bias corrected by beta, not beta^t": _CORRECTION,
            "epsilon inside the root": "sqrt(vhat) + epsilon: inside, 1e-8 becomes 1e-4 after the root",
            "corrected moments returned": "the next step goes on from m and v, not from mhat and vhat",
            "epsilon missing": "where a gradient was always zero, 0 / 0 would be NaN",
            "uphill": "the loss is to become smaller: subtract",
            "1 - beta missing": "an average: the shares of the old and the new value add up to 1",
        },
    ),
    Question(
        "clip",
        _clip_with(),
        (_two_gradients(2.0), _two_gradients(0.01)),
        (
            ("scaled up as well", _clip_with(most=np.inf)),
            ("each gradient by its own norm", lambda gs, c: [_clip_with()([g], c)[0] for g in gs]),
            ("sum of the norms, not norm of all", _clip_with(lambda gs: sum(_norm([g]) for g in gs))),
            ("root of the norm missing", _clip_with(lambda gs: _norm(gs) ** 2)),
            (
                "mean of the squares, not their sum",
                _clip_with(lambda gs: float(np.sqrt(sum((g * g).mean() for g in gs)))),
            ),
            ("largest entry, not the norm", _clip_with(lambda gs: max(np.abs(g).max() for g in gs))),
            ("entries clipped, not the norm", lambda gs, c: [np.clip(g, -c, c) for g in gs]),
        ),
        advice={
            "scaled up as well": "gradients that are small enough stay as they are: min(1, ...)",
            "each gradient by its own norm": "one factor for all keeps the direction of the step",
        },
    ),
)


# ---------------------------------------------------------------------- the whole loss


def _loss(
    params: Params,
    x: Array,
    noise: Array,
    temperature: float,
    kl_weight: float,
    operations: Operations = losses.NUMPY,
) -> tuple[Any, Any]:
    """Return the loss of the library's model on documents ``x``, whose bits have this noise."""
    X = csr_array(x)
    batch = Batch(X, X, operations=operations, tau=temperature, beta=kl_weight)
    terms, back = model(params, batch, None, noise, gumbel.relaxed_bits)
    return terms["loss"], lambda dloss=1.0: {name: dloss * grad for name, grad in back().items()}


def _value_with(**changed: Any) -> Callable[..., tuple[Any, Any]]:
    """Return the loss with an argument or an operation of its own."""
    return lambda *args: (_loss(**{**_named(args), **changed})[0], None)


def _back_with(**changed: Any) -> Callable[..., tuple[Any, Any]]:
    """Return the right loss with the backward pass of another argument or operation."""
    return lambda *args: (_loss(*args)[0], _loss(**{**_named(args), **changed})[1])


def _named(args: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("params", "x", "noise", "temperature", "kl_weight"), args, strict=True))


def _half_of_the_way(signs: Array, W: Array, b: Array, target: CSR) -> tuple[float, Any]:
    """Forget that signs 2z - 1 move twice as far as bits."""
    value, back = losses.reconstruct(signs, W, b, target)

    def halved(*dloss: float) -> tuple[Array, ...]:
        dsigns, *grads = back(*dloss)
        return (dsigns / 2, *grads)

    return value, halved


_THROUGH_RELU = losses.NUMPY._replace(relu=lambda x: (ops.relu(x)[0], lambda dy: dy))
_NO_RELU = losses.NUMPY._replace(relu=lambda x: (x, lambda dy: dy))
_BITS_DECODED = losses.NUMPY._replace(reconstruct=lambda s, *rest: losses.reconstruct((s + 1) / 2, *rest))
_HALF_OF_THE_WAY = losses.NUMPY._replace(reconstruct=_half_of_the_way)


def _upstream_ignored(*args: Any) -> tuple[Any, Any]:
    value, back = _loss(*args)
    return value, lambda dloss: back(1.0)


def _weights(rng: Rng) -> Params:
    return {
        "W_1": 0.1 * rng.normal(size=(V, H)),
        "b_1": 0.5 * rng.normal(size=H),
        "W_a": 0.5 * rng.normal(size=(H, L)),
        "b_a": 0.5 * rng.normal(size=L),
        "W_s": 0.5 * rng.normal(size=(L, V)),
        "b_s": rng.normal(size=V),
    }


def _batch(rng: Rng) -> tuple[Any, ...]:
    x = rng.random((B, V)) * (rng.random((B, V)) < 0.5)
    x[:, 0] += 0.3  # no empty document
    x *= 10 / np.linalg.norm(x, axis=1, keepdims=True)  # to this length the model scales documents itself
    return _weights(rng), x, rng.logistic(size=(B, L)), 0.7, 0.13


def _as_model(function: Callable[..., Any], args: tuple[Any, ...]) -> Model:
    params, x, noise, temperature, kl_weight = args

    def words(values: Params) -> float:
        return float(_loss(values, x, noise, temperature, 0.0)[0])

    def kl(values: Params) -> float:
        return float(_loss(values, x, noise, temperature, 1.0)[0]) - words(values)

    def loss(values: Params) -> tuple[float, Callable[..., Params]]:
        value, back = function(values, x, noise, temperature, kl_weight)

        def checked_back(dloss: float = 1.0) -> Params:
            grads: Params = back(dloss)
            if isinstance(grads, dict) and set(grads) != set(params):
                odd = ", ".join(sorted(set(grads) ^ set(params)))
                raise TypeError(f"back and params do not have the same names: {odd}")
            return grads

        return value, checked_back

    constants = {"kl_weight": kl_weight, "temperature": temperature}
    return Model("loss", params, loss, {"reconstruction": words, "KL": kl}, constants)


def _logits(params: Params, x: Array, least: float = 0.0) -> Array:
    """Return the logits (B, L); without the ReLU where ``least`` is minus infinity."""
    h = np.maximum(x @ params["W_1"] + params["b_1"], least)
    return np.asarray(h @ params["W_a"] + params["b_a"])


_EXERCISE_7 = (
    Question(
        "loss",
        _loss,
        (_batch,),
        (
            ("kl_weight missing", _value_with(kl_weight=1.0)),
            ("KL missing", _value_with(kl_weight=0.0)),
            ("noise not added", _value_with(noise=np.zeros((B, L)))),
            ("temperature missing", _value_with(temperature=1.0)),
            ("decoder sees z, not the signs 2z - 1", _value_with(operations=_BITS_DECODED)),
            ("activation missing", _value_with(operations=_NO_RELU)),
            ("factor 2 of the signs missing in back", _back_with(operations=_HALF_OF_THE_WAY)),
            ("activation derivative missing", _back_with(operations=_THROUGH_RELU)),
            ("kl_weight missing in back", _back_with(kl_weight=1.0)),
            ("branch not propagated", _back_with(kl_weight=0.0)),
            ("upstream gradient ignored", _upstream_ignored),
        ),
        gradient=True,
        model=_as_model,
        advice={
            "branch not propagated": "the logits a are used by the sample and by the KL: add both gradients",
            "kl_weight missing in back": "the KL's gradient is weighed like the KL itself",
            "wrong form": "back returns a dictionary with a gradient for each name in params",
        },
    ),
    Question(
        "encode",
        lambda params, x: _logits(params, x) > 0,
        (lambda rng: _batch(rng)[:2],),
        (
            ("logits, not bits", _logits),
            ("probabilities, not bits", lambda params, x: ops.sigmoid(_logits(params, x))[0]),
            ("threshold at 1/2 of the logit", lambda params, x: _logits(params, x) > 0.5),
            ("bits flipped", lambda params, x: _logits(params, x) <= 0),
            ("activation missing", lambda params, x: _logits(params, x, -np.inf) > 0),
        ),
        advice={"threshold at 1/2 of the logit": "p > 1/2 is a > 0"},
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {6: _EXERCISE_6, 7: _EXERCISE_7}
