"""Exercise 7: the whole loss of Doc2hash.

Shapes: B documents, V words, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nphash.core.typing import Array, Params, Rng
from nphash.gradcheck import Model
from nphash.nn import gumbel, losses, ops
from nphash.teaching.grading import Mistake, Part

__all__ = ["PARTS"]


B, V, H, L = 5, 9, 6, 4


def _model(
    params: Params,
    x: Array,
    noise: Array,
    temperature: float,
    kl_weight: float,
    signs: bool = True,
    slope: int = 2,
    relu: bool = True,
) -> tuple[Any, Any]:
    hidden, back_hidden = ops.dense(x, params["W_1"], params["b_1"])
    h, back_relu = ops.relu(hidden)
    a, back_a = ops.dense(h, params["W_a"], params["b_a"])
    z, back_z = gumbel.relaxed_bits(a, noise, temperature)
    code = 2 * z - 1 if signs else z
    s, back_s = ops.dense(code, params["W_s"], params["b_s"])
    words, back_words = losses.reconstruction(s, csr_array(x))
    kl, back_kl = losses.bernoulli_kl(a)

    def back(dloss: float = 1.0) -> Params:
        dcode, dW_s, db_s = back_s(back_words(dloss))
        da = back_z(slope * dcode) + back_kl(kl_weight * dloss)
        dh, dW_a, db_a = back_a(da)
        _, dW_1, db_1 = back_hidden(back_relu(dh) if relu else dh)
        return {"W_1": dW_1, "b_1": db_1, "W_a": dW_a, "b_a": db_a, "W_s": dW_s, "b_s": db_s}

    return words + kl_weight * kl, back


def _loss(params: Params, x: Array, noise: Array, temperature: float, kl_weight: float) -> tuple[Any, Any]:
    return _model(params, x, noise, temperature, kl_weight)


def _other_loss(**changed: Any) -> Callable[..., tuple[Any, Any]]:
    """Return the loss with a setting of its own."""

    def loss(params: Params, x: Array, noise: Array, temperature: float, kl_weight: float) -> tuple[Any, Any]:
        settings = {"noise": noise, "temperature": temperature, "kl_weight": kl_weight, **changed}
        return _model(params, x, **settings)[0], None

    return loss


def _other_back(**changed: Any) -> Callable[..., tuple[Any, Any]]:
    """Return the right loss with the way back of another setting."""

    def loss(params: Params, x: Array, noise: Array, temperature: float, kl_weight: float) -> tuple[Any, Any]:
        settings: dict[str, Any] = {"noise": noise, "temperature": temperature, "kl_weight": kl_weight}
        value, _ = _model(params, x, **settings)
        return value, _model(params, x, **{**settings, **changed})[1]

    return loss


def _upstream_ignored(*args: Any) -> tuple[Any, Any]:
    value, back = _model(*args)
    return value, lambda dloss: back(1.0)


def _without_relu(x: Params, *args: Any) -> tuple[Any, Any]:
    shifted = {**x, "b_1": x["b_1"] + 1e6}  # so far up that relu does nothing
    away = x["b_a"] - 1e6 * x["W_a"].sum(axis=0)
    return _model({**shifted, "b_a": away}, *args)[0], None


def _weights(rng: Rng) -> Params:
    return {
        "W_1": 0.5 * rng.normal(size=(V, H)),
        "b_1": 0.5 * rng.normal(size=H),
        "W_a": 0.5 * rng.normal(size=(H, L)),
        "b_a": 0.5 * rng.normal(size=L),
        "W_s": 0.5 * rng.normal(size=(L, V)),
        "b_s": rng.normal(size=V),
    }


def _batch(rng: Rng) -> tuple[Any, ...]:
    x = rng.random((B, V)) * (rng.random((B, V)) < 0.5)
    x[:, 0] += 0.3  # no empty document
    return _weights(rng), x, rng.logistic(size=(B, L)), 0.7, 0.13


def _as_model(function: Callable[..., Any], args: tuple[Any, ...]) -> Model:
    params, x, noise, temperature, kl_weight = args

    def words(values: Params) -> float:
        return float(_model(values, x, noise, temperature, 0.0)[0])

    def kl(values: Params) -> float:
        return float(_model(values, x, noise, temperature, 1.0)[0]) - words(values)

    def loss(values: Params) -> tuple[float, Callable[..., Params]]:
        value, back = function(values, x, noise, temperature, kl_weight)

        def checked_back(dloss: float = 1.0) -> Params:
            grads: Params = back(dloss)
            if isinstance(grads, dict) and set(grads) != set(params):
                odd = ", ".join(sorted(set(grads) ^ set(params)))
                raise TypeError(f"back and params do not have the same names: {odd}")
            return grads

        return value, checked_back

    return Model(
        "loss",
        params,
        loss,
        {"reconstruction": words, "KL": kl},
        {"kl_weight": kl_weight, "temperature": temperature},
    )


def _encode(params: Params, x: Array) -> Array:
    h = np.maximum(x @ params["W_1"] + params["b_1"], 0)
    return np.asarray(h @ params["W_a"] + params["b_a"] > 0)


def _encode_without_relu(params: Params, x: Array) -> Array:
    h = x @ params["W_1"] + params["b_1"]
    return np.asarray(h @ params["W_a"] + params["b_a"] > 0)


def _logits(params: Params, x: Array) -> Array:
    h = np.maximum(x @ params["W_1"] + params["b_1"], 0)
    result: Array = h @ params["W_a"] + params["b_a"]
    return result


_EXERCISE_7 = (
    Part(
        "loss",
        _loss,
        (_batch,),
        (
            Mistake("kl_weight missing", _other_loss(kl_weight=1.0)),
            Mistake("KL missing", _other_loss(kl_weight=0.0)),
            Mistake("noise not added", _other_loss(noise=np.zeros((B, L)))),
            Mistake("temperature missing", _other_loss(temperature=1.0)),
            Mistake("decoder sees z, not the signs 2z - 1", _other_loss(signs=False)),
            Mistake("activation missing", _without_relu),
            Mistake("factor 2 of the signs missing in back", _other_back(slope=1)),
            Mistake("activation derivative missing", _other_back(relu=False)),
            Mistake("kl_weight missing in back", _other_back(kl_weight=1.0)),
            Mistake("branch not propagated", _other_back(kl_weight=0.0)),
            Mistake("upstream gradient ignored", _upstream_ignored),
        ),
        gradient=True,
        model=_as_model,
        advice={
            "branch not propagated": "the logits a are used by the sample and by the KL: add both gradients",
            "kl_weight missing in back": "the KL's gradient is weighed like the KL itself",
            "wrong form": "back returns a dictionary with a gradient for each name in params",
        },
    ),
    Part(
        "encode",
        _encode,
        (lambda rng: _batch(rng)[:2],),
        (
            Mistake("logits, not bits", _logits),
            Mistake("probabilities, not bits", lambda params, x: ops.sigmoid(_logits(params, x))[0]),
            Mistake("threshold at 1/2 of the logit", lambda params, x: _logits(params, x) > 0.5),
            Mistake("bits flipped", lambda params, x: ~_encode(params, x)),
            Mistake("activation missing", _encode_without_relu),
        ),
        advice={"threshold at 1/2 of the logit": "p > 1/2 is a > 0"},
    ),
)

PARTS: dict[int, tuple[Part, ...]] = {7: _EXERCISE_7}
