"""Exercises 3 to 5: random bits, their divergence, their gradients.

Shapes: B documents, L bits, K categories.
"""

from __future__ import annotations

from nphash.nn import gumbel, ops
from nphash.teaching.grading import Question, question

B, L, K = 5, 4, 3
TAU = 0.7

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

QUESTIONS: dict[int, tuple[Question, ...]] = {3: _EXERCISE_3, 4: _EXERCISE_4, 5: _EXERCISE_5}
