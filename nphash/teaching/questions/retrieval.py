"""Exercises 8 and 9: searching codes, and measuring what is found. No gradients here: values are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.typing import Rng
from nphash.teaching.grading import Question, question


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

QUESTIONS: dict[int, tuple[Question, ...]] = {8: _EXERCISE_8, 9: _EXERCISE_9}
