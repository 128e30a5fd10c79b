"""Exercises 8 and 9: searching codes, and measuring what is found. No gradients here: values are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.core.typing import Array, Rng
from nphash.metrics.ranking import ranking_figures, tie_groups
from nphash.teaching.grading import Question


def _ones(codes: Array) -> Array:
    """Return the number of ones in each row of bytes."""
    return np.asarray(np.bitwise_count(codes).sum(axis=1, dtype=np.int64))


def _hamming(query: Array, codes: Array) -> Array:
    return _ones(codes ^ query)


def _some_codes(rng: Rng, n_bytes: int = 8) -> tuple[Any, ...]:
    codes = rng.integers(0, 256, (40, n_bytes), dtype=np.uint8)
    return codes[7] ^ np.uint8(1), codes


def _order(distances: Array, n_bits: int) -> Array:
    return np.argsort(distances, kind="stable")


def _places_stay(distances: Array, n_bits: int) -> Array:
    """Put every code of a group at the group's first place."""
    order = np.full(len(distances), -1)
    for position, distance in enumerate(distances):
        order[int((distances < distance).sum())] = position
    return order


_EXERCISE_8 = (
    Question(
        "hamming",
        _hamming,
        (
            _some_codes,
            lambda rng: _some_codes(rng, 3),
            lambda rng: (np.zeros(40, np.uint8), np.full((3, 40), 255, np.uint8)),  # beyond 255, so no byte
        ),
        (
            ("bytes that differ, not bits", lambda query, codes: (codes != query).sum(axis=1)),
            ("AND in place of XOR", lambda query, codes: _ones(codes & query)),
            ("OR in place of XOR", lambda query, codes: _ones(codes | query)),
            ("codes subtracted as numbers", lambda q, codes: np.abs(codes.astype(int) - q).sum(axis=1)),
            ("codes subtracted as numbers", lambda query, codes: _ones(codes - query)),
            ("bits that agree", lambda query, codes: 8 * len(query) - _hamming(query, codes)),
            ("not added up over the bytes", lambda query, codes: np.bitwise_count(codes ^ query)),
            ("sum overflows a byte", lambda query, codes: _hamming(query, codes) % 256),
        ),
        advice={
            "wrong shape": "one distance for each code: add up the bits of all its bytes (axis=1)",
            "sum overflows a byte": "add up in a wider type: .sum(axis=1, dtype=np.int64)",
            "AND in place of XOR": "a bit counts where the two differ: 1 ^ 0",
        },
    ),
    Question(
        "counting_sort",
        _order,
        (lambda rng: (rng.integers(0, 9, 60), 8), lambda rng: (np.array([8, 0, 8, 0, 8]), 8)),
        (
            ("ties in reverse order", lambda d, n_bits: np.lexsort((-np.arange(len(d)), d))),
            ("ranks, not positions", lambda d, n_bits: np.argsort(_order(d, n_bits))),
            ("distances, not positions", lambda d, n_bits: np.sort(d)),
            ("largest first", lambda d, n_bits: np.argsort(-d, kind="stable")),
            ("next free place not moved on", _places_stay),
        ),
        advice={
            "ties in reverse order": "go through the codes from first to last, so that ties keep their order",
            "next free place not moved on": "the next code of the group belongs behind: begin[distance] += 1",
            "ranks, not positions": "order[place] = position of the code, not place[position] = place",
            "the function raises": "distances run from 0 to n_bits: that is n_bits + 1 groups",
        },
    ),
)


def _figures(distances: Array, relevant: Array, k: int) -> dict[str, float]:
    ranking = tie_groups(distances[None, :], relevant[None, :], int(distances.max()) + 1)
    return {name: float(value[0]) for name, value in ranking_figures(ranking, k).items()}


def _expected(distances: Array, relevant: Array, k: int) -> float:
    return _figures(distances, relevant, k)["precision"]


def _last(distances: Array, k: int) -> int:
    """Return the distance of the group that straddles place k."""
    return int(np.sort(distances)[min(k, len(distances)) - 1])


def _places_given(places: Callable[[int, int], int]) -> Callable[[Array, Array, int], float]:
    """Return the precision with ``places(k, size of a group)`` for every group."""

    def precision(distances: Array, relevant: Array, k: int) -> float:
        k = min(k, len(distances))
        groups = [relevant[distances == distance] for distance in np.unique(distances)]
        return float(sum(places(k, len(group)) * group.mean() for group in groups)) / k

    return precision


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


_EXERCISE_9 = (
    Question(
        "expected_precision",
        _expected,
        (_ranking, lambda rng: (rng.integers(0, 3, 8), np.arange(8) % 3 == 0, 20)),
        (
            ("ties in the order of storage", lambda d, r, k: _figures(d, r, k)["precision_by_order"]),
            ("worst order of ties", lambda d, r, k: _figures(d, r, k)["precision_worst"]),
            ("best order of ties", lambda d, r, k: _figures(d, r, k)["precision_best"]),
            ("whole tie group counted", lambda d, r, k: float(r[d <= _last(d, k)].mean())),
            ("last tie group left out", lambda d, r, k: float(r[d < _last(d, k)].sum()) / k),
            ("places are not used up", _places_given(min)),
            ("share of a group not multiplied by its places", _places_given(lambda k, size: 1)),
            ("recall, not precision", lambda d, r, k: _expected(d, r, k) * k / max(1, int(r.sum()))),
            (
                "divided by k where fewer documents exist",
                lambda d, r, k: _expected(d, r, k) * min(k, len(d)) / k,
            ),
        ),
        advice={
            "ties in the order of storage": "within a group of t documents, r relevant, each place holds a "
            "relevant one with probability r / t",
            "whole tie group counted": "only s = k - (documents before) places are left for the last group",
            "last tie group left out": "the group that straddles place k fills the places left: s * r / t",
            "divided by k where fewer documents exist": "divide by the number of documents counted",
        },
    ),
    Question(
        "reported",
        lambda validation, test: float(test[np.argmax(validation)]),
        (_separate, _curves),
        (
            ("best epoch chosen on the test set", lambda validation, test: float(test.max())),
            ("validation figure reported", lambda validation, test: float(validation.max())),
            ("last epoch, not the chosen one", lambda validation, test: float(test[-1])),
            ("mean over the epochs", lambda validation, test: float(test.mean())),
            ("worst epoch chosen", lambda validation, test: float(test[np.argmin(validation)])),
            ("epoch, not figure", lambda validation, test: int(np.argmax(validation))),
        ),
        advice={
            "best epoch chosen on the test set": "a maximum of noisy figures is too high: choose on others",
            "validation figure reported": "it was the maximum of its curve: too high for the same reason",
        },
    ),
)

QUESTIONS: dict[int, tuple[Question, ...]] = {8: _EXERCISE_8, 9: _EXERCISE_9}
