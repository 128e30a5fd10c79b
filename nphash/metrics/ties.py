"""Retrieval figures of one block of queries, computed from tie groups: the formulas behind `metrics`.

A tie group is the set of documents at one distance (or with one similarity). For a ranking with
ties only two numbers of each group matter: how many documents it has and how many are relevant.

Letters: Q queries, N documents in the database, G tie groups of a query.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Ranking", "figures", "precision", "rank_by_score", "tie_groups"]

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Ranking(NamedTuple):
    """A block of queries: their tie groups from best to worst, and relevance in ranked order."""

    total: Counts  # (Q, G) documents in each group
    relevant: Counts  # (Q, G) relevant ones among them
    rank: npt.NDArray[Any]  # (Q, N) group of each document
    hit: npt.NDArray[np.bool_]  # (Q, N) whether it is relevant


def rank_by_score(scores: npt.NDArray[Any], hit: npt.NDArray[np.bool_]) -> Ranking:
    """Make each set of equal scores a group, the largest score first."""
    order = np.argsort(-scores, axis=1)  # (Q, N) documents, nearest first
    ordered = np.take_along_axis(scores, order, axis=1)
    group = np.zeros(scores.shape, np.intp)  # of each place: one more where the score changes
    np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1, out=group[:, 1:])
    rank = np.empty_like(group)
    np.put_along_axis(rank, order, group, axis=1)
    return tie_groups(rank, hit, scores.shape[1])


def tie_groups(rank: npt.NDArray[np.intp], hit: npt.NDArray[np.bool_], n_groups: int) -> Ranking:
    """Count the documents of each group, given the group (``rank``) of each and whether it is relevant."""
    # One count over (query, relevant or not, group) gives all groups of the block at once.
    query = np.arange(len(rank))[:, None] * 2
    cell = (query + hit) * n_groups + rank
    counts = np.bincount(cell.ravel(), minlength=2 * len(rank) * n_groups)
    counts = counts.reshape(len(rank), 2, n_groups)
    return Ranking(counts.sum(axis=1), counts[:, 1], rank, hit)


def _before(groups: Counts) -> Counts:
    """Return how many documents stand in front of each group."""
    before: Counts = np.cumsum(groups, axis=1) - groups
    return before


def _places(ranking: Ranking, k: int) -> Counts:
    """Return how many of the first ``k`` places each group gets."""
    places: Counts = np.clip(k - _before(ranking.total), 0, ranking.total)
    return places


def _relevant_in_top(ranking: Ranking, k: int) -> Floats:
    share = _places(ranking, k) / np.maximum(ranking.total, 1)
    found: Floats = (share * ranking.relevant).sum(axis=1)
    return found


def precision(ranking: Ranking, k: int) -> Floats:
    """Return the expected precision at ``k`` of each query, shape (Q,)."""
    share: Floats = _relevant_in_top(ranking, k) / min(k, ranking.rank.shape[1])
    return share


def figures(ranking: Ranking, k: int) -> dict[str, Floats]:
    """Return every figure for each query of the block; NaN where it has no value."""
    total, relevant, *_ = ranking
    places = _places(ranking, k)
    counted = min(k, ranking.rank.shape[1])
    all_relevant = relevant.sum(axis=1)
    undefined = np.where(all_relevant > 0, 1.0, np.nan)
    found = _relevant_in_top(ranking, k)
    return {
        "precision": found / counted,
        "precision_worst": np.maximum(places - (total - relevant), 0).sum(axis=1) / counted,
        "precision_best": np.minimum(places, relevant).sum(axis=1) / counted,
        "precision_by_order": _precision_by_order(ranking, places, counted),
        "recall": undefined * found / np.maximum(all_relevant, 1),
        "map": undefined * _average_precision(ranking) / np.maximum(all_relevant, 1),
        "ndcg": undefined * _ndcg(ranking, k, all_relevant),
    }


def _precision_by_order(ranking: Ranking, places: Counts, counted: int) -> Floats:
    """Count the relevant among the first places when ties keep the order of the database."""
    last = (np.cumsum(places, axis=1) < counted).sum(axis=1)  # (Q,) the group that fills the last place
    whole = np.where(np.arange(places.shape[1]) < last[:, None], ranking.relevant, 0).sum(axis=1)
    tied = ranking.rank == last[:, None]  # (Q, N)
    first = np.cumsum(tied, axis=1) <= np.take_along_axis(places, last[:, None], axis=1)
    by_order: Floats = (whole + (tied & first & ranking.hit).sum(axis=1)) / counted
    return by_order


def _average_precision(ranking: Ranking) -> Floats:
    """Return the expected sum of precisions at the relevant places (McSherry & Najork, section 3.3).

    Place i of a group of t documents, r relevant, behind c documents of which b are relevant,
    holds a relevant one with probability r / t; then b + 1 + (i - 1)(r - 1)/(t - 1) of the
    c + i documents up to it are relevant. With harmonic numbers the sum over i has a closed form.
    """
    total, relevant, *_ = ranking
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ranking.rank.shape[1] + 1))])
    c, b = _before(total), _before(relevant)
    reciprocals = harmonic[c + total] - harmonic[c]  # sum over i of 1 / (c + i)
    slope = np.maximum(relevant - 1, 0) / np.maximum(total - 1, 1)
    inner = (b + 1) * reciprocals + slope * (total - (c + 1) * reciprocals)
    expected: Floats = (relevant / np.maximum(total, 1) * inner).sum(axis=1)
    return expected


def _ndcg(ranking: Ranking, k: int, all_relevant: Counts) -> Floats:
    """Return the expected discounted gain of the first ``k`` places, over the best possible one."""
    n = ranking.rank.shape[1]
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(n) + 2))])
    c = _before(ranking.total)
    gain = discount[np.minimum(c + ranking.total, k)] - discount[np.minimum(c, min(k, n))]
    expected = (ranking.relevant / np.maximum(ranking.total, 1) * gain).sum(axis=1)
    best = discount[np.minimum(all_relevant, k)]
    ndcg: Floats = expected / np.where(best > 0, best, 1)
    return ndcg
