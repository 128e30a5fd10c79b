"""Exercises 1 and 2: the likelihood of words, layers and branches.

Shapes: B documents, V words, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nphash.core.typing import Array, Rng
from nphash.nn import losses, ops
from nphash.teaching.grading import Question

B, V, I, O = 5, 7, 4, 3  # noqa: E741


_DISTANT_ROWS = 1000 * np.arange(B)[:, None]  # for each its own large number


def _scores(shift: Array | int) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: (rng.normal(size=(B, V)) + shift,)


def _normalised(e: Array, axis: int | None) -> Array:
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _less_maximum(scores: Array, axis: int | None = 1) -> Array:
    return np.asarray(scores - scores.max(axis=axis, keepdims=True))


def _with_counts(scores: Array, rng: Rng) -> tuple[Any, ...]:
    counts = rng.integers(0, 3, scores.shape).astype(np.float64)
    counts[:, 0] += 1  # no empty document
    return scores, counts


def _word_loss(scores: Array, counts: Array) -> tuple[Any, Any]:
    return losses.reconstruction(scores, csr_array(counts))


def _rows(scores: Array) -> Array:
    return ops.softmax(scores)[0]


def _gradient(wrong: Callable[[Array, Array], Array]) -> Callable[[Array, Array], tuple[Any, Any]]:
    """Return the right loss with ``dscores = dloss * wrong(p, counts) / B``, p the softmax of the scores."""

    def loss(scores: Array, counts: Array) -> tuple[Any, Any]:
        return _word_loss(scores, counts)[0], lambda dloss: dloss * wrong(_rows(scores), counts) / B

    return loss


def _of_logarithms(log_p: Callable[[Array], Array], mean: float = 1 / B) -> Callable[..., tuple[Any, Any]]:
    """Return the loss of other logarithms of probabilities; the value alone shows the mistake."""
    return lambda scores, counts: (-float((counts * log_p(scores)).sum()) * mean, None)


def _base_two(scores: Array) -> Array:
    shifted = _less_maximum(scores)
    return np.asarray(shifted - np.log2(np.exp(shifted).sum(axis=1, keepdims=True)))


def _other_counts(changed: Callable[[Array], Array]) -> Callable[[Array, Array], tuple[Any, Any]]:
    return lambda scores, counts: (_word_loss(scores, changed(counts))[0], None)


_OVERFLOW = "exp(1000) is infinite: subtract the largest score of each row first, softmax does not change"
_ONE_MAXIMUM = (
    "a row far below the largest score of the batch is exp(-1000) = 0 throughout: axis=1, keepdims=True"
)

_EXERCISE_1 = (
    Question(
        "softmax",
        _rows,
        (_scores(0), _scores(1000), _scores(_DISTANT_ROWS)),
        (
            ("softmax over the wrong axis", lambda s: _normalised(np.exp(_less_maximum(s, None)), 0)),
            ("softmax over the wrong axis", lambda s: _normalised(np.exp(_less_maximum(s)), 0)),
            ("one sum over the whole batch", lambda s: _normalised(np.exp(s - s.max()), None)),
            ("one sum over the whole batch", lambda s: _normalised(np.exp(_less_maximum(s)), None)),
            ("not divided by the sum", np.exp),
            ("not divided by the sum", lambda s: np.exp(_less_maximum(s))),
            ("maximum of the whole batch", lambda s: _normalised(np.exp(s - s.max()), 1)),
            ("log-probabilities, not probabilities", lambda scores: ops.log_softmax(scores)[0]),
        ),
        advice={
            "not finite": _OVERFLOW,
            "maximum of the whole batch": _ONE_MAXIMUM,
            "softmax over the wrong axis": "each row is a document, and its probabilities add up to 1",
            "one sum over the whole batch": "each row is a document, and its probabilities add up to 1",
        },
    ),
    Question(
        "word_loss",
        _word_loss,
        (
            lambda rng: _with_counts(rng.normal(size=(B, V)), rng),
            lambda rng: _with_counts(1000 * rng.normal(size=(B, V)), rng),
            lambda rng: _with_counts(rng.normal(size=(B, V)) + _DISTANT_ROWS, rng),
        ),
        (
            ("target mass forgotten", _gradient(lambda p, counts: p - counts)),
            ("mass of the whole batch", _gradient(lambda p, counts: counts.sum() * p - counts)),
            ("mass over the wrong axis", _gradient(lambda p, counts: counts.sum(axis=0) * p - counts)),
            ("observed counts missing", _gradient(lambda p, c: c.sum(axis=1, keepdims=True) * p)),
            ("logarithm to the base 2", _of_logarithms(_base_two)),
            ("counts divided by their sum", _other_counts(lambda c: c / c.sum(axis=1, keepdims=True))),
            ("counts read as presence", _other_counts(lambda c: (c > 0).astype(float))),
            ("mean over the words too", _of_logarithms(lambda s: ops.log_softmax(s)[0], 1 / (B * V))),
            ("softmax over the wrong axis", _of_logarithms(lambda s: ops.log_softmax(s.T)[0].T)),
            ("denominator of the softmax missing", _of_logarithms(lambda s: s)),
        ),
        gradient=True,
        constants=("counts",),
        advice={
            "not finite": "log(softmax) is -infinity where softmax rounds to 0: compute the logarithm of the "
            "sum instead, log softmax = s - max - log(sum(exp(s - max))), with the max of each row",
            "target mass forgotten": "the normaliser is subtracted once for every word of the document, so "
            "softmax is multiplied by their number T",
            "mean over the words too": "add up the words of a document; the mean is over documents",
        },
    ),
)


def _tanh_layer(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    a, back_dense = ops.dense(x, W, b)
    y, back_tanh = ops.tanh(a)
    return y, lambda dy: back_dense(back_tanh(dy))


def _residual_with(
    back: Callable[[Array, tuple[Array, ...]], tuple[Array, ...]],
) -> Callable[..., tuple[Any, Any]]:
    """Return the right sum with ``back(dy, gradients of the layer)``."""

    def residual(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
        y, back_layer = _tanh_layer(x, W, b)
        return x + y, lambda dy: back(dy, back_layer(dy))

    return residual


def _tanh_with(derivative: Callable[[Array, Array], Array | int]) -> Callable[..., tuple[Any, Any]]:
    """Return the right layer with ``da = dy * derivative(a, y)``."""

    def layer(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
        a, back = ops.dense(x, W, b)
        y = np.tanh(a)
        return y, lambda dy: back(dy * derivative(a, y))

    return layer


def _layer_arguments(rng: Rng, n_in: int, n_out: int) -> tuple[Any, ...]:
    return rng.normal(size=(B, n_in)), 0.5 * rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)


_EXERCISE_2 = (
    Question(
        "tanh_layer",
        _tanh_layer,
        (lambda rng: _layer_arguments(rng, I, O),),
        (
            ("activation missing", lambda x, W, b: (x @ W + b, None)),
            ("activation derivative missing", _tanh_with(lambda a, y: 1)),
            ("activation derivative taken at the wrong place", _tanh_with(lambda a, y: 1 - a * a)),
            ("derivative of another activation", _tanh_with(lambda a, y: y * (1 - y))),
            ("square missing in 1 - y^2", _tanh_with(lambda a, y: 1 - y)),
            ("bias missing", lambda x, W, b: (np.tanh(x @ W), None)),
        ),
        gradient=True,
        advice={
            "activation derivative missing": "dy first has to go back through tanh: da = dy (1 - y^2)",
            "derivative of another activation": "y (1 - y) belongs to the sigmoid; tanh has 1 - y^2",
            "activation derivative taken at the wrong place": "1 - y^2 holds for the output y of tanh",
        },
    ),
    Question(
        "residual",
        _residual_with(lambda dy, grads: (grads[0] + dy, *grads[1:])),
        (lambda rng: _layer_arguments(rng, I, I),),
        (
            ("branch not propagated", _residual_with(lambda dy, grads: grads)),
            ("branch not propagated", _residual_with(lambda dy, grads: (dy, *grads[1:]))),
            ("branches multiplied, not added", _residual_with(lambda dy, g: (dy * g[0], *g[1:]))),
            ("values multiplied, not added", lambda x, W, b: (x * _tanh_layer(x, W, b)[0], None)),
            ("shortcut missing", lambda x, W, b: (_tanh_layer(x, W, b)[0], None)),
        ),
        gradient=True,
        advice={"branch not propagated": "x goes two ways, so dx is the sum of what comes back from both"},
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {1: _EXERCISE_1, 2: _EXERCISE_2}
