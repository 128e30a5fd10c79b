"""Exercises 6 to 9: Adam's step, the whole loss of Doc2hash, searching codes, and measuring what is found.

Shapes: B documents, V words, H hidden units, L bits (or entries of a parameter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Params, Rng
from nphash.gradcheck import Model
from nphash.teaching.grading import question, solved

B, V, H, L = 5, 9, 6, 4


def _later_step(rng: Rng) -> tuple[Any, ...]:
    g = 1e-5 * rng.normal(size=L)  # so small that the place of epsilon matters
    return rng.normal(size=L), g, 1e-5 * rng.normal(size=L), 1e-10 * rng.random(L), 7, 0.01


def _first_step(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=L), rng.normal(size=L), np.zeros(L), np.zeros(L), 1, 0.01


def _two_gradients(scale: float) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: ([scale * rng.normal(size=(3, 2)), scale * rng.normal(size=4)], 1.5)


def _for_both(new: str) -> tuple[str, ...]:
    """Replace the power beta^t in both corrections."""
    return "BETA1**t", new.replace("beta", "BETA1"), "BETA2**t", new.replace("beta", "BETA2")


_CORRECTION = "m and v start at zero: after t steps they hold the share 1 - beta^t of a full average"
# As in section 2 of Kingma & Ba (2015): the corrections in the step size, epsilon beside the root of v.
_UNSCALED = (
    "learning_rate * mhat / (np.sqrt(vhat) + EPSILON)",
    "learning_rate * np.sqrt(1 - BETA2**t) / (1 - BETA1**t) * m / (np.sqrt(v) + EPSILON)",
)
_DENOMINATOR = "(np.sqrt(vhat) + EPSILON)"
_NORM = "np.sqrt(sum((g * g).sum() for g in gradients))"
_FACTOR = "min(1, max_norm / norm)"

_EXERCISE_6 = (
    question(
        6,
        "adam_step",
        (_later_step, _first_step),
        (
            ("bias not corrected", " / (1 - BETA1**t)", "", " / (1 - BETA2**t)", ""),
            ("bias of one moment corrected only", " / (1 - BETA1**t)", ""),
            ("bias of one moment corrected only", " / (1 - BETA2**t)", ""),
            ("bias corrected by beta, not beta^t", *_for_both("beta")),
            ("steps counted from 0 or from 2", *_for_both("beta ** (t + 1)")),
            ("steps counted from 0 or from 2", *_for_both("beta ** (t - 1)")),
            ("bias corrected by beta t, not beta^t", *_for_both("beta * t")),
            ("v corrected by the beta of m", "BETA2**t", "BETA1**t"),
            ("corrected moments returned", "EPSILON), m, v", "EPSILON), mhat, vhat"),
            ("epsilon outside the fraction", _DENOMINATOR, "np.sqrt(vhat) + EPSILON"),
            ("epsilon inside the root", _DENOMINATOR, "np.sqrt(vhat + EPSILON)"),
            ("epsilon missing", _DENOMINATOR, "np.sqrt(vhat)"),
            ("root missing", _DENOMINATOR, "(vhat + EPSILON)"),
            ("gradient not squared", "g * g", "g"),
            ("gradient not squared", "g * g", "np.abs(g)"),
            ("betas exchanged", "    m = BETA1", "    BETA1, BETA2 = 0.999, 0.9\n    m = BETA1"),
            ("1 - beta missing", "(1 - BETA1) * g", "g", "(1 - BETA2) * g", "g"),
            ("1 - beta missing", "(1 - BETA1) * g", "g"),
            ("1 - beta missing", "(1 - BETA2) * g", "g"),
            ("uphill", "w - learning", "w + learning"),
        ),
        also=[_UNSCALED],
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
    question(
        6,
        "clip",
        (_two_gradients(2.0), _two_gradients(0.01)),
        (
            ("scaled up as well", _FACTOR, "(max_norm / norm)"),
            ("each gradient by its own norm", _FACTOR, "min(1, max_norm / np.sqrt((g * g).sum()))"),
            ("sum of the norms, not norm of all", _NORM, "sum(np.sqrt((g * g).sum()) for g in gradients)"),
            ("root of the norm missing", _NORM, "sum((g * g).sum() for g in gradients)"),
            ("mean of the squares, not their sum", "(g * g).sum()", "(g * g).mean()"),
            ("largest entry, not the norm", _NORM, "max(np.abs(g).max() for g in gradients)"),
            ("entries clipped, not the norm", "g * " + _FACTOR, "np.clip(g, -max_norm, max_norm)"),
        ),
        advice={
            "scaled up as well": "gradients that are small enough stay as they are: min(1, ...)",
            "each gradient by its own norm": "one factor for all keeps the direction of the step",
        },
    ),
)


# ---------------------------------------------------------------------- the whole loss


def _batch(rng: Rng) -> tuple[Any, ...]:
    params = {
        "W_1": 0.1 * rng.normal(size=(V, H)),
        "b_1": 0.5 * rng.normal(size=H),
        "W_a": 0.5 * rng.normal(size=(H, L)),
        "b_a": 0.5 * rng.normal(size=L),
        "W_s": 0.5 * rng.normal(size=(L, V)),
        "b_s": rng.normal(size=V),
    }
    x = rng.random((B, V)) * (rng.random((B, V)) < 0.5)
    x[:, 0] += 0.3  # no empty document
    x *= 10 / np.linalg.norm(x, axis=1, keepdims=True)  # to this length the model scales documents itself
    return params, x, rng.logistic(size=(B, L)), 0.7, 0.13


def _as_model(function: Callable[..., Any], args: tuple[Any, ...]) -> Model:
    params, x, noise, temperature, kl_weight = args
    right = solved(7, "loss")

    def words(values: Params) -> float:
        return float(right(values, x, noise, temperature, 0.0)[0])

    def kl(values: Params) -> float:
        return float(right(values, x, noise, temperature, 1.0)[0]) - words(values)

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


_LOGITS = 'h @ params["W_a"] + params["b_a"]'
_HIDDEN = 'x @ params["W_1"] + params["b_1"]'

_EXERCISE_7 = (
    question(
        7,
        "loss",
        (_batch,),
        (
            ("kl_weight missing", "kl_weight * kl", "kl"),
            ("KL missing", " + kl_weight * kl", ""),
            ("noise not added", "relaxed_bits(a, noise", "relaxed_bits(a, 0 * noise"),
            ("temperature missing", "noise, temperature)", "noise, 1.0)"),
            ("decoder sees z, not the signs 2z - 1", "2 * z - 1", "z"),
            ("activation missing", "h, back_relu = relu(h)", "back_relu = lambda dh: dh"),
            ("factor 2 of the signs missing in back", "2 * dsigns", "dsigns"),
            ("activation derivative missing", "back_relu(dh)", "dh"),
            ("kl_weight missing in back", "kl_weight * dloss", "dloss"),
            ("branch not propagated", " + back_kl(kl_weight * dloss)", ""),
            ("upstream gradient ignored", "_words(dloss)", "_words(1.0)", "kl_weight * dloss", "kl_weight"),
        ),
        gradient=True,
        model=_as_model,
        advice={
            "branch not propagated": "the logits a are used by the sample and by the KL: add both gradients",
            "kl_weight missing in back": "the KL's gradient is weighed like the KL itself",
            "wrong form": "back returns a dictionary with a gradient for each name in params",
        },
    ),
    question(
        7,
        "encode",
        (lambda rng: _batch(rng)[:2],),
        (
            ("logits, not bits", " > 0", ""),
            ("probabilities, not bits", _LOGITS + " > 0", f"1 / (1 + np.exp(-({_LOGITS})))"),
            ("threshold at 1/2 of the logit", " > 0", " > 0.5"),
            ("bits flipped", " > 0", " <= 0"),
            ("activation missing", f"np.maximum({_HIDDEN}, 0)", _HIDDEN),
        ),
        advice={"threshold at 1/2 of the logit": "p > 1/2 is a > 0"},
    ),
)


# ---------------------------------------------------------------------- search and measuring


def _some_codes(rng: Rng, n_bytes: int = 8) -> tuple[Any, ...]:
    codes = rng.integers(0, 256, (40, n_bytes), dtype=np.uint8)
    return codes[7] ^ np.uint8(1), codes


_COUNTED = "np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)"

_EXERCISE_8 = (
    question(
        8,
        "hamming",
        (
            _some_codes,
            lambda rng: _some_codes(rng, 3),
            lambda rng: (np.zeros(40, np.uint8), np.full((3, 40), 255, np.uint8)),  # beyond 255, so no byte
        ),
        (
            ("bytes that differ, not bits", _COUNTED, "(codes != query).sum(axis=1)"),
            ("AND in place of XOR", "^", "&"),
            ("OR in place of XOR", "^", "|"),
            ("codes subtracted as numbers", _COUNTED, "np.abs(codes.astype(int) - query).sum(axis=1)"),
            ("codes subtracted as numbers", "^", "-"),
            ("bits that agree", _COUNTED, f"8 * len(query) - {_COUNTED}"),
            ("sum overflows a byte", "int64", "uint8"),
        ),
        advice={
            "wrong shape": "one distance for each code: add up the bits of all its bytes (axis=1)",
            "sum overflows a byte": "add up in a wider type: .sum(axis=1, dtype=np.int64)",
            "AND in place of XOR": "a bit counts where the two differ: 1 ^ 0",
        },
    ),
    question(
        8,
        "counting_sort",
        (lambda rng: (rng.integers(0, 9, 60), 8), lambda rng: (np.array([8, 0, 8, 0, 8]), 8)),
        (
            ("ties in reverse order", "enumerate(distances)", "reversed(list(enumerate(distances)))"),
            (
                "ranks, not positions",
                "order[begin[distance]] = position",
                "order[position] = begin[distance]",
            ),
            ("distances, not positions", "] = position", "] = distance"),
            ("largest first", "np.cumsum(counts) - counts", "len(distances) - np.cumsum(counts)"),
            ("next free place not moved on", "\n        begin[distance] += 1", ""),
        ),
        advice={
            "ties in reverse order": "go through the codes from first to last, so that ties keep their order",
            "next free place not moved on": "the next code of the group belongs behind: begin[distance] += 1",
            "ranks, not positions": "order[place] = position of the code, not place[position] = place",
            "the function raises": "distances run from 0 to n_bits: that is n_bits + 1 groups",
        },
    ),
)


def _ranking(rng: Rng) -> tuple[Any, ...]:
    """Draw a ranking whose place 10 lies within a group, where each order of ties counts differently."""
    distances = rng.permutation(np.repeat(np.arange(4), (4, 9, 9, 8)))
    relevant = rng.random(30) < 0.3
    relevant[distances == 1] = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0], dtype=bool)
    relevant[np.flatnonzero(distances == 0)[:2]] = True, False
    return distances, relevant, 10


def _curves(rng: Rng) -> tuple[Any, ...]:
    true = np.array([0.40, 0.48, 0.50, 0.50, 0.49, 0.48, 0.46])
    return true + 0.02 * rng.normal(size=7), true + 0.02 * rng.normal(size=7)


def _separate(rng: Rng) -> tuple[Any, ...]:
    """Draw curves whose best epochs differ, so that every mistake shows."""
    validation, test = _curves(rng)
    validation[2], test[4], test[2] = 0.6, 0.62, 0.5
    return validation, test


def _first(order: str) -> tuple[str, str]:
    """Count the first k of an order."""
    return "found / k", f"relevant[{order}[:k]].mean()"


_LAST = "np.sort(distances)[k - 1]"  # distance of the group that straddles place k

_EXERCISE_9 = (
    question(
        9,
        "expected_precision",
        (_ranking, lambda rng: (rng.integers(0, 3, 8), np.arange(8) % 3 == 0, 20)),
        (
            ("ties in the order of storage", *_first("np.argsort(distances, kind='stable')")),
            ("worst order of ties", *_first("np.lexsort((relevant, distances))")),
            ("best order of ties", *_first("np.lexsort((~relevant, distances))")),
            ("whole tie group counted", "found / k", f"relevant[distances <= {_LAST}].mean()"),
            ("last tie group left out", "found / k", f"relevant[distances < {_LAST}].sum() / k"),
            ("places are not used up", "\n        left -= taken", ""),
            ("share of a group not multiplied by its places", "taken * relevant", "relevant"),
            ("recall, not precision", "found / k", "found / max(1, relevant.sum())"),
            ("divided by k where fewer documents exist", "    k = min(k, len(distances))\n", ""),
        ),
        advice={
            "ties in the order of storage": "within a group of t documents, r relevant, each place holds a "
            "relevant one with probability r / t",
            "whole tie group counted": "only s = k - (documents before) places are left for the last group",
            "last tie group left out": "the group that straddles place k fills the places left: s * r / t",
            "divided by k where fewer documents exist": "divide by the number of documents counted",
        },
    ),
    question(
        9,
        "reported",
        (_separate, _curves),
        (
            ("best epoch chosen on the test set", "test[np.argmax(validation)]", "test.max()"),
            ("validation figure reported", "test[np.argmax(validation)]", "validation.max()"),
            ("last epoch, not the chosen one", "np.argmax(validation)", "-1"),
            ("mean over the epochs", "test[np.argmax(validation)]", "test.mean()"),
            ("worst epoch chosen", "argmax", "argmin"),
            ("epoch, not figure", "test[np.argmax(validation)]", "np.argmax(validation)"),
        ),
        advice={
            "best epoch chosen on the test set": "a maximum of noisy figures is too high: choose on others",
            "validation figure reported": "it was the maximum of its curve: too high for the same reason",
        },
    ),
)

QUESTIONS = {6: _EXERCISE_6, 7: _EXERCISE_7, 8: _EXERCISE_8, 9: _EXERCISE_9}
