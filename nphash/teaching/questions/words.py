"""Exercises 1 and 2: the likelihood of words, layers and branches.

Shapes: B documents, V words, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.teaching.grading import Question, question

B, V, I, O = 5, 7, 4, 3  # noqa: E741

_DISTANT_ROWS = 1000 * np.arange(B)[:, None]  # for each its own large number


def _scores(shift: Array | int) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: (rng.normal(size=(B, V)) + shift,)


def _with_counts(shift: Array | int, scale: int = 1) -> Callable[[Rng], tuple[Any, ...]]:
    def draw(rng: Rng) -> tuple[Any, ...]:
        scores = scale * rng.normal(size=(B, V)) + shift
        counts = rng.integers(0, 3, scores.shape).astype(np.float64)
        counts[:, 0] += 1  # no empty document
        return scores, counts

    return draw


def _layer(n_out: int) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: (rng.normal(size=(B, I)), 0.5 * rng.normal(size=(I, n_out)), rng.normal(size=n_out))


_MAX, _SUM, _NORMALISED = (
    "max(axis=1, keepdims=True)",
    "sum(axis=1, keepdims=True)",
    " / e.sum(axis=1, keepdims=True)",
)
_SHIFTED, _LOG_P = (
    "scores - scores.max(axis=1, keepdims=True)",
    "shifted - np.log(np.exp(shifted)." + _SUM + ")",
)
_OVERFLOW = "exp(1000) is infinite: subtract the largest score of each row first, softmax does not change"
_ONE_MAXIMUM = (
    "a row far below the largest score of the batch is exp(-1000) = 0 throughout: axis=1, keepdims=True"
)

_EXERCISE_1 = (
    question(
        1,
        "softmax",
        (_scores(0), _scores(1000), _scores(_DISTANT_ROWS)),
        (
            ("softmax over the wrong axis", _MAX, "max()", "sum(axis=1", "sum(axis=0"),
            ("softmax over the wrong axis", "sum(axis=1", "sum(axis=0"),
            ("one sum over the whole batch", _MAX, "max()", _SUM, "sum()"),
            ("one sum over the whole batch", _SUM, "sum()"),
            ("not divided by the sum", _SHIFTED, "scores", _NORMALISED, ""),
            ("not divided by the sum", _NORMALISED, ""),
            ("maximum of the whole batch", _MAX, "max()"),
            ("log-probabilities, not probabilities", "e" + _NORMALISED, "shifted - np.log(e." + _SUM + ")"),
        ),
        advice={
            "not finite": _OVERFLOW,
            "maximum of the whole batch": _ONE_MAXIMUM,
            "softmax over the wrong axis": "each row is a document, and its probabilities add up to 1",
            "one sum over the whole batch": "each row is a document, and its probabilities add up to 1",
        },
    ),
    question(
        1,
        "word_loss",
        (_with_counts(0), _with_counts(0, 1000), _with_counts(_DISTANT_ROWS)),
        (
            ("target mass forgotten", "mass * np.exp", "np.exp"),
            ("mass of the whole batch", "mass = counts." + _SUM, "mass = counts.sum()"),
            ("mass over the wrong axis", "mass = counts." + _SUM, "mass = counts.sum(axis=0)"),
            ("observed counts missing", "np.exp(log_p) - counts", "np.exp(log_p)"),
            ("logarithm to the base 2", "np.log(", "np.log2("),
            ("counts divided by their sum", "counts * log_p", "counts / counts." + _SUM + " * log_p"),
            ("counts read as presence", "counts * log_p", "(counts > 0) * log_p"),
            ("mean over the words too", ".sum() / len(scores)", ".mean()"),
            ("softmax over the wrong axis", "max(axis=1", "max(axis=0", "sum(axis=1", "sum(axis=0"),
            ("denominator of the softmax missing", _LOG_P, "scores"),
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

_EXERCISE_2 = (
    question(
        2,
        "tanh_layer",
        (_layer(O),),
        (
            ("activation missing", "np.tanh(x @ W + b)", "x @ W + b"),
            ("activation derivative missing", "dy * (1 - y * y)", "dy"),
            ("activation derivative taken at the wrong place", "y * y", "(x @ W + b) ** 2"),
            ("derivative of another activation", "(1 - y * y)", "y * (1 - y)"),
            ("square missing in 1 - y^2", "y * y", "y"),
            ("bias missing", " + b)", ")"),
        ),
        gradient=True,
        advice={
            "activation derivative missing": "dy first has to go back through tanh: da = dy (1 - y^2)",
            "derivative of another activation": "y (1 - y) belongs to the sigmoid; tanh has 1 - y^2",
            "activation derivative taken at the wrong place": "1 - y^2 holds for the output y of tanh",
        },
    ),
    question(
        2,
        "residual",
        (_layer(I),),
        (
            ("branch not propagated", "dx + dy", "dx"),
            ("branch not propagated", "dx + dy", "dy"),
            ("branches multiplied, not added", "dx + dy", "dx * dy"),
            ("values multiplied, not added", "x + y", "x * y"),
            ("shortcut missing", "x + y", "y"),
        ),
        gradient=True,
        advice={"branch not propagated": "x goes two ways, so dx is the sum of what comes back from both"},
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {1: _EXERCISE_1, 2: _EXERCISE_2}
