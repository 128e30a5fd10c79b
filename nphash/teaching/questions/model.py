"""Exercises 1 to 5: words, layers, random bits, their divergence, their gradients.

Shapes: B documents, V words, I inputs, O outputs, L bits, K categories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.nn import gumbel, ops
from nphash.teaching.grading import question

B, V, I, O, L, K = 5, 7, 4, 3, 4, 3  # noqa: E741
TAU = 0.7

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

_X, _BACK = "(logits + noise) / temperature", "(dy - (y * dy).sum(axis=-1, keepdims=True))"

_EXERCISE_3 = (
    question(
        3,
        "gumbel_noise",
        (lambda rng: (rng.uniform(0.01, 0.99, size=(B, L)),),),
        (
            ("outer minus missing", "-np.log(-", "np.log(-"),
            ("one logarithm only", "-np.log(-np.log(uniform))", "-np.log(uniform)"),
            (
                "logistic noise, not Gumbel noise",
                "-np.log(-np.log(uniform))",
                "np.log(uniform) - np.log(1 - uniform)",
            ),
            ("tail of the wrong side", "log(uniform)", "log(1 - uniform)"),
        ),
        advice={
            "sign": "so it stands in the paper, by a slip: P(G < g) = exp(-exp(-g)), solved for g",
            "outer minus missing": "so it stands in the paper, by a slip: solve exp(-exp(-g)) = u for g",
            "tail of the wrong side": "a draw all the same, but not the inverse of the distribution function",
        },
    ),
    question(
        3,
        "gumbel_softmax",
        (lambda rng: (rng.normal(size=(B, L, K)), gumbel.gumbel_noise(rng, (B, L, K)), TAU),),
        (
            ("noise outside the temperature", _X, "logits / temperature + noise"),
            ("temperature multiplied", _X, "(logits + noise) * temperature"),
            ("temperature missing", _X, "logits + noise"),
            ("noise not added", _X, "logits / temperature"),
            (
                "softmax over the wrong axis",
                *("x - x.max(axis=-1, keepdims=True)", "x"),
                *("e.sum(axis=-1", "e.sum(axis=1"),
            ),
            ("softmax over the wrong axis", "e.sum(axis=-1", "e.sum(axis=1"),
            ("softmax over the wrong axis", "(y * dy).sum(axis=-1", "(y * dy).sum(axis=1"),
            ("temperature missing in back", _BACK + " / temperature", _BACK),
            ("only the diagonal of the Jacobian", _BACK, "dy * (1 - y)"),
            ("y missing in the sum", "(y * dy).sum", "dy.sum"),
            ("y missing in front", "y * (dy", "(dy"),
            ("sign of the sum", "dy - (y", "dy + (y"),
            ("sum missing", _BACK, "dy"),
        ),
        gradient=True,
        constants=("noise",),
        advice={
            "softmax over the wrong axis": "the categories of one bit are the last axis: axis=-1",
            "temperature missing in back": "the logits are divided by tau, so their gradient is, too",
            "only the diagonal of the Jacobian": "raising one category lowers the others: subtract sum(y dy)",
        },
    ),
    question(
        3,
        "jacobian",
        (lambda rng: (ops.softmax(rng.normal(size=K))[0], TAU),),
        (
            ("temperature missing", " / temperature", ""),
            ("temperature multiplied", " / temperature", " * temperature"),
            ("diagonal term missing", "np.diag(y) - ", "-"),
            ("only the diagonal of the Jacobian", "np.diag(y) - np.outer(y, y)", "np.diag(y * (1 - y))"),
            ("off-diagonal term missing", " - np.outer(y, y)", ""),
            ("sign of the off-diagonal term", "np.diag(y) -", "np.diag(y) +"),
        ),
        advice={"diagonal term missing": "[k = j] is 1 on the diagonal: np.diag(y) or np.eye(len(y))"},
    ),
)

_MEAN = "documents are averaged, bits are added up: each bit adds to what the code says"
_LIMIT = "p log p goes to 0 with p, but 0 * log(0) is NaN: write KL = p a - log(1 + e^a) + log 2 instead"
_ALL = "axis=(1, 2)"

_EXERCISE_4 = (
    question(
        4,
        "categorical_kl",
        (lambda rng: (rng.normal(size=(B, L, K)),),),
        (
            ("KL(p || q) in place of KL(q || p)", "D.sum()", "-(ratio / logits.shape[-1]).sum()"),
            ("one softmax over all bits", "max(axis=-1", "max(" + _ALL, "sum(axis=-1", "sum(" + _ALL),
            ("mean over the bits too", "D.sum() / len(logits)", "D.mean()"),
            ("log K of the prior missing", "log_q + np.log(logits.shape[-1])", "log_q"),
            ("sum instead of mean", "D.sum() / len(logits)", "D.sum()"),
            # The logarithm alone differentiated: sum over k of q_k dlog q_k, which is zero.
            ("q taken as a constant", "q * (ratio - D)", "0 * q"),
            ("D not subtracted", "q * (ratio - D)", "q * ratio"),
            ("derivative of the softmax missing", "q * (ratio - D)", "(ratio + 1)"),
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
    question(
        4,
        "bernoulli_kl",
        (lambda rng: (rng.normal(size=(B, L)),), lambda rng: (800 * rng.normal(size=(B, L)),)),
        (
            ("mean over the bits too", ".sum() / len(logits)", ".mean()"),
            ("log 2 of the prior missing", " + np.log(2)", ""),
            (
                "term of the zeros missing",
                "p * logits - np.logaddexp(0, logits) + np.log(2)",
                "p * (np.log(2) - np.logaddexp(0, -logits))",
            ),
            ("derivative of the sigmoid missing", "p * (1 - p) * logits", "logits"),
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

_HARD, _BORROWED = "(logits + noise > 0).astype(float)", "dz * soft * (1 - soft) / temperature"
_ZERO = "a step is flat: its true derivative teaches nothing, so the relaxed sample's is borrowed"

_EXERCISE_5 = (
    question(
        5,
        "straight_through_bits",
        (lambda rng: (rng.normal(size=(B, L)), rng.logistic(size=(B, L)), TAU),),
        (
            ("relaxed bits forward", _HARD, "sigmoid((logits + noise) / temperature)"),
            ("noise not added", "logits + noise > 0", "logits > 0"),
            ("threshold at 1/2 of the logit", "noise > 0", "noise > 0.5"),
            ("derivative of the step itself", "soft * (1 - soft)", "z * (1 - z)"),
            ("derivative of the step itself", _BORROWED, "0 * dz"),
            ("identity on the logit", _BORROWED, "dz"),
            ("temperature missing in back", _BORROWED, "dz * soft * (1 - soft)"),
            ("noise missing in back", "sigmoid((logits + noise)", "sigmoid((logits)"),
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
    question(
        5,
        "straight_through_bernoulli",
        (lambda rng: (rng.normal(size=(B, L)), rng.random((B, L))),),
        (
            ("no draw: threshold at 1/2", "p > uniform", "p > 0.5"),
            ("probabilities forward", "(p > uniform).astype(float)", "p"),
            ("bits flipped", "p > uniform", "p <= uniform"),
            ("identity on the logit", "dz * p * (1 - p)", "dz"),
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

QUESTIONS = {1: _EXERCISE_1, 2: _EXERCISE_2, 3: _EXERCISE_3, 4: _EXERCISE_4, 5: _EXERCISE_5}
