"""Exercises 1 and 2: the likelihood of words, layers and branches.

Shapes: B documents, V words, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from nphash.core.typing import Array, Rng
from nphash.nn import losses, ops
from nphash.teaching.grading import Mistake, Question

__all__ = ["QUESTIONS"]


B, V, I, O = 5, 7, 4, 3  # noqa: E741


def _scores(rng: Rng) -> tuple[Any, ...]:
    return (rng.normal(size=(B, V)),)


def _large_scores(rng: Rng) -> tuple[Any, ...]:
    return (rng.normal(size=(B, V)) + 1000,)


def _rows_apart(rng: Rng) -> tuple[Any, ...]:
    return (rng.normal(size=(B, V)) + 1000 * np.arange(B)[:, None],)


def _softmax_over(x: Array, axis: int | None) -> Array:
    e = np.exp(x - x.max())
    result: Array = e / e.sum(axis=axis, keepdims=True)
    return result


def _shifted_rows(scores: Array, axis: int | None) -> Array:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=axis, keepdims=True)
    return result


def _with_counts(scores: Array, rng: Rng) -> tuple[Any, ...]:
    counts = rng.integers(0, 3, scores.shape).astype(np.float64)
    counts[:, 0] += 1  # no empty document
    return scores, counts


def _word_loss(scores: Array, counts: Array) -> tuple[Any, Any]:
    return losses.reconstruction(scores, csr_array(counts))


def _one_word_a_document(scores: Array, counts: Array) -> tuple[Any, Any]:
    """Forget in the gradient that a document has several words."""
    loss, _ = _word_loss(scores, counts)
    p = _rows(scores)
    return loss, lambda dloss: dloss * (p - counts) / len(scores)


def _rows(scores: Array) -> Array:
    return ops.softmax(scores)[0]


def _whole_mass(scores: Array, counts: Array) -> tuple[Any, Any]:
    loss, _ = _word_loss(scores, counts)
    return loss, lambda dloss: dloss * (counts.sum() * _rows(scores) - counts) / len(scores)


def _mass_of_words(scores: Array, counts: Array) -> tuple[Any, Any]:
    loss, _ = _word_loss(scores, counts)
    return loss, lambda dloss: dloss * (counts.sum(axis=0) * _rows(scores) - counts) / len(scores)


def _expected_only(scores: Array, counts: Array) -> tuple[Any, Any]:
    loss, _ = _word_loss(scores, counts)
    mass = counts.sum(axis=1, keepdims=True)
    return loss, lambda dloss: dloss * mass * _rows(scores) / len(scores)


def _base_two(scores: Array, counts: Array) -> tuple[Any, Any]:
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log2(np.exp(shifted).sum(axis=1, keepdims=True))
    return -float((counts * log_p).sum()) / len(scores), None


def _shares(scores: Array, counts: Array) -> tuple[Any, Any]:
    return _word_loss(scores, counts / counts.sum(axis=1, keepdims=True))[0], None


def _presence(scores: Array, counts: Array) -> tuple[Any, Any]:
    return _word_loss(scores, (counts > 0).astype(float))


def _mean_of_words(scores: Array, counts: Array) -> tuple[Any, Any]:
    return -float((counts * ops.log_softmax(scores)[0]).mean()), None


def _log_of_softmax_over_documents(scores: Array, counts: Array) -> tuple[Any, Any]:
    return -float((counts * ops.log_softmax(scores.T)[0].T).sum()) / len(scores), None


def _without_softmax(scores: Array, counts: Array) -> tuple[Any, Any]:
    return -float((counts * scores).sum()) / len(scores), None


_OVERFLOW = "exp(1000) is infinite: subtract the largest score of each row first, softmax does not change"
_ONE_MAXIMUM = (
    "a row far below the largest score of the batch is exp(-1000) = 0 throughout: axis=1, keepdims=True"
)

_EXERCISE_1 = (
    Question(
        "softmax",
        _rows,
        (_scores, _large_scores, _rows_apart),
        (
            Mistake("softmax over the wrong axis", lambda scores: _softmax_over(scores, 0)),
            Mistake("softmax over the wrong axis", lambda s: _shifted_rows(s, 0)),
            Mistake("one sum over the whole batch", lambda scores: _softmax_over(scores, None)),
            Mistake("one sum over the whole batch", lambda s: _shifted_rows(s, None)),
            Mistake("not divided by the sum", lambda scores: np.exp(scores)),
            Mistake("not divided by the sum", lambda s: np.exp(s - s.max(axis=1, keepdims=True))),
            Mistake("maximum of the whole batch", lambda scores: _softmax_over(scores, 1)),
            Mistake("log-probabilities, not probabilities", lambda scores: ops.log_softmax(scores)[0]),
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
            lambda rng: _with_counts(_rows_apart(rng)[0], rng),
        ),
        (
            Mistake("target mass forgotten", _one_word_a_document),
            Mistake("mass of the whole batch", _whole_mass),
            Mistake("mass over the wrong axis", _mass_of_words),
            Mistake("observed counts missing", _expected_only),
            Mistake("logarithm to the base 2", _base_two),
            Mistake("counts divided by their sum", _shares),
            Mistake("counts read as presence", _presence),
            Mistake("mean over the words too", _mean_of_words),
            Mistake("softmax over the wrong axis", _log_of_softmax_over_documents),
            Mistake("denominator of the softmax missing", _without_softmax),
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


def _residual(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    y, back_layer = _tanh_layer(x, W, b)

    def back(dy: Array) -> tuple[Array, ...]:
        dx, dW, db = back_layer(dy)
        return dx + dy, dW, db

    return x + y, back


def _no_shortcut(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    y, back = _tanh_layer(x, W, b)
    return x + y, back


def _only_shortcut(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    y, back = _residual(x, W, b)
    return y, lambda dy: (dy, *back(dy)[1:])


def _no_tanh(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    _, back = ops.dense(x, W, b)
    return _tanh_layer(x, W, b)[0], back


def _derivative_of_another(derivative: Any) -> Any:
    def layer(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
        a, back = ops.dense(x, W, b)
        y = np.tanh(a)
        return y, lambda dy: back(dy * derivative(y))

    return layer


def _multiplied(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    y, back_layer = _tanh_layer(x, W, b)

    def back(dy: Array) -> tuple[Array, ...]:
        dx, dW, db = back_layer(dy)
        return dx * dy, dW, db

    return x + y, back


def _derivative_at_input(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    a, back = ops.dense(x, W, b)
    return np.tanh(a), lambda dy: back(dy * (1 - a * a))


def _linear_only(x: Array, W: Array, b: Array) -> tuple[Any, Any]:
    return x @ W + b, None


def _layer_arguments(rng: Rng, n_in: int, n_out: int) -> tuple[Any, ...]:
    return rng.normal(size=(B, n_in)), 0.5 * rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)


_EXERCISE_2 = (
    Question(
        "tanh_layer",
        _tanh_layer,
        (lambda rng: _layer_arguments(rng, I, O),),
        (
            Mistake("activation missing", _linear_only),
            Mistake("activation derivative missing", _no_tanh),
            Mistake("activation derivative taken at the wrong place", _derivative_at_input),
            Mistake("derivative of another activation", _derivative_of_another(lambda y: y * (1 - y))),
            Mistake("square missing in 1 - y^2", _derivative_of_another(lambda y: 1 - y)),
            Mistake("bias missing", lambda x, W, b: (np.tanh(x @ W), None)),
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
        _residual,
        (lambda rng: _layer_arguments(rng, I, I),),
        (
            Mistake("branch not propagated", _no_shortcut),
            Mistake("branch not propagated", _only_shortcut),
            Mistake("branches multiplied, not added", _multiplied),
            Mistake("values multiplied, not added", lambda x, W, b: (x * _tanh_layer(x, W, b)[0], None)),
            Mistake("shortcut missing", lambda x, W, b: (_tanh_layer(x, W, b)[0], None)),
        ),
        gradient=True,
        advice={"branch not propagated": "x goes two ways, so dx is the sum of what comes back from both"},
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {1: _EXERCISE_1, 2: _EXERCISE_2}
