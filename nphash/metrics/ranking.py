"""Retrieval figures of codes - precision at k and its relatives - with ties treated honestly.

A code of 32 bits has only 33 possible distances, so most documents are tied with many others
and the order inside a tie is an accident of storage. Every figure here is therefore computed
from *tie groups*: for each query and distance (or similarity), how many documents there are and how
many of them are relevant. Unless its name says otherwise a figure is the exact expectation over all
orders inside the ties (F. McSherry and M. Najork, *Computing information retrieval performance
measures efficiently in the presence of tied scores*, ECIR 2008).

Letters: Q queries, N documents in the database, G tie groups of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, unpack
from nphash.core.arguments import check_count
from nphash.core.threads import split_range
from nphash.core.typing import Array, Ints
from nphash.errors import InputError
from nphash.metrics.relevance import YLike, read_labels, relevance_blocks

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 1 << 19  # (query, document) pairs at a time: the arrays of one block stay in the cache


class Ranking(NamedTuple):
    """A block of queries: their tie groups from best to worst, and relevance in ranked order."""

    total: Ints  # (Q, G) documents in each group
    relevant: Ints  # (Q, G) relevant ones among them
    rank: Array  # (Q, N) group of each document
    hit: Bools  # (Q, N) whether it is relevant


def rank_by_score(scores: Array, hit: Bools) -> Ranking:
    """Make each set of equal scores a group, the largest score first."""
    order = np.argsort(-scores, axis=1)  # (Q, N) documents, nearest first
    ordered = np.take_along_axis(scores, order, axis=1)
    group = np.zeros(scores.shape, np.intp)  # of each rank: one more where the score changes
    np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1, out=group[:, 1:])
    rank = np.empty_like(group)
    np.put_along_axis(rank, order, group, axis=1)
    return tie_groups(rank, hit, scores.shape[1])


def tie_groups(rank: npt.NDArray[np.intp], hit: Bools, n_groups: int) -> Ranking:
    """Count the documents of each group, given the group (``rank``) of each and whether it is relevant."""
    # One count over (query, relevant or not, group) gives all groups of the block at once.
    query = np.arange(len(rank))[:, None] * 2
    cell = (query + hit) * n_groups + rank
    counts = np.bincount(cell.ravel(), minlength=2 * len(rank) * n_groups)
    counts = counts.reshape(len(rank), 2, n_groups)
    return Ranking(counts.sum(axis=1), counts[:, 1], rank, hit)


def _before(groups: Ints) -> Ints:
    """Return how many documents are ranked before each group."""
    return np.asarray(np.cumsum(groups, axis=1) - groups)


def _in_top(ranking: Ranking, k: int) -> Ints:
    """Return how many of the first ``k`` ranks each group takes."""
    return np.asarray(np.clip(k - _before(ranking.total), 0, ranking.total))


def ranking_precision(ranking: Ranking, k: int) -> Floats:
    """Return the expected precision at ``k`` of each query, shape (Q,)."""
    found = (_in_top(ranking, k) / np.maximum(ranking.total, 1) * ranking.relevant).sum(axis=1)
    return np.asarray(found / min(k, ranking.rank.shape[1]))


def ranking_figures(ranking: Ranking, k: int) -> dict[str, Floats]:
    """Return every figure for each query of the block; NaN where it has no value."""
    total, relevant, *_ = ranking
    in_top, precision = _in_top(ranking, k), ranking_precision(ranking, k)
    counted = min(k, ranking.rank.shape[1])
    all_relevant = relevant.sum(axis=1)
    undefined = np.where(all_relevant > 0, 1.0, np.nan)
    return {
        "precision": precision,
        "precision_worst": np.maximum(in_top - (total - relevant), 0).sum(axis=1) / counted,
        "precision_best": np.minimum(in_top, relevant).sum(axis=1) / counted,
        "precision_by_order": _precision_by_order(ranking, in_top, counted),
        "recall": undefined * precision * counted / np.maximum(all_relevant, 1),
        "map": undefined * _average_precision(ranking) / np.maximum(all_relevant, 1),
        "ndcg": undefined * _ndcg(ranking, k, all_relevant),
    }


def _precision_by_order(ranking: Ranking, in_top: Ints, counted: int) -> Floats:
    """Count the relevant in the top when ties keep the order of the database."""
    last = (np.cumsum(in_top, axis=1) < counted).sum(axis=1)  # (Q,) the group that takes the last rank
    whole = np.where(np.arange(in_top.shape[1]) < last[:, None], ranking.relevant, 0).sum(axis=1)
    tied = ranking.rank == last[:, None]  # (Q, N)
    first = np.cumsum(tied, axis=1) <= np.take_along_axis(in_top, last[:, None], axis=1)
    return np.asarray((whole + (tied & first & ranking.hit).sum(axis=1)) / counted)


def _average_precision(ranking: Ranking) -> Floats:
    """Return the expected sum of precisions at the ranks of relevant documents (McSherry & Najork, 3.3).

    Rank i of a group of t documents, r relevant, behind c documents of which b are relevant,
    holds a relevant one with probability r / t; then b + 1 + (i - 1)(r - 1)/(t - 1) of the
    c + i documents up to it are relevant. With harmonic numbers the sum over i has a closed form.
    """
    total, relevant, *_ = ranking
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ranking.rank.shape[1] + 1))])
    c, b = _before(total), _before(relevant)
    reciprocals = harmonic[c + total] - harmonic[c]  # sum over i of 1 / (c + i)
    slope = np.maximum(relevant - 1, 0) / np.maximum(total - 1, 1)
    inner = (b + 1) * reciprocals + slope * (total - (c + 1) * reciprocals)
    return np.asarray((relevant / np.maximum(total, 1) * inner).sum(axis=1))


def _ndcg(ranking: Ranking, k: int, all_relevant: Ints) -> Floats:
    """Return the expected discounted gain of the first ``k`` ranks, over the best possible one."""
    n = ranking.rank.shape[1]
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(n) + 2))])
    c = _before(ranking.total)
    gain = discount[np.minimum(c + ranking.total, k)] - discount[np.minimum(c, min(k, n))]
    expected = (ranking.relevant / np.maximum(ranking.total, 1) * gain).sum(axis=1)
    best = discount[np.minimum(all_relevant, k)]
    return np.asarray(expected / np.where(best > 0, best, 1))


def precision_at_k(
    query_codes: Codes, y_query: YLike, database_codes: Codes, y_database: YLike, n_bits: int, k: int = 100
) -> float:
    """Return the mean expected precision at ``k``: the figure by which models are selected.

    If s ranks are left for a tie group of t documents, r of them relevant, the group
    contributes s * r / t. With fewer than ``k`` documents, all are counted.

    Parameters
    ----------
    query_codes, database_codes
        Codes, uint8, of shape (Q, bytes) and (N, bytes).
    y_query, y_database
        Labels: class vectors, or indicator matrices (dense or sparse) of zeros and ones of the same
        labels. A dense column is a class vector, as in ``fit``.
    n_bits
        Bits of a code.
    k
        How many of the nearest documents count.

    Raises
    ------
    InputError
        For ``k`` below 1, codes of the wrong width, labels that cannot be read or do not match the codes.

    Examples
    --------
    >>> from nphash.codes import pack
    >>> database = pack([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> precision_at_k(pack([[0, 0]]), [1], database, [1, 1, 0, 0], n_bits=2, k=2)
    0.75
    """
    rankings = _rank_codes(query_codes, y_query, database_codes, y_database, n_bits, k)
    return float(np.mean(np.concatenate([ranking_precision(ranking, k) for ranking in rankings])))


def retrieval(
    query_codes: Codes, y_query: YLike, database_codes: Codes, y_database: YLike, n_bits: int, k: int = 100
) -> dict[str, float]:
    """Return every retrieval figure, averaged over the queries.

    * ``precision``: expected precision at ``k`` (see `precision_at_k`);
    * ``precision_worst``, ``precision_best``: over all orders inside ties;
    * ``precision_by_order``: ties in the order of the database, what `HammingIndex` returns;
    * ``recall``, ``ndcg``: expectations at ``k``; ``map``: expectation over the whole ranking.
      Queries without any relevant document have none of the three and are not counted;
    * ``precision_radius_2``: share of relevant documents within distance 2; 0 where none is.

    Parameters and errors are those of `precision_at_k`.

    Examples
    --------
    >>> from nphash.codes import pack
    >>> database = pack([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> figures = retrieval(pack([[0, 0]]), [1], database, [1, 1, 0, 0], n_bits=2, k=2)
    >>> figures["precision"], figures["precision_worst"], figures["precision_by_order"]
    (0.75, 0.5, 1.0)
    """
    figures = []
    for ranking in _rank_codes(query_codes, y_query, database_codes, y_database, n_bits, k):
        figures.append(ranking_figures(ranking, k))
        near_total = ranking.total[:, :3].sum(axis=1)  # groups are distances: 0, 1, 2
        near_relevant = ranking.relevant[:, :3].sum(axis=1)
        figures[-1]["precision_radius_2"] = near_relevant / np.maximum(near_total, 1)
    return _average(figures)


def retrieval_by_similarity(
    similarities: npt.ArrayLike | Callable[[int, int], Any],
    y_query: YLike,
    y_database: YLike,
    k: int = 100,
) -> dict[str, float]:
    """Return the figures of `retrieval` (but the radius) for real-valued similarities.

    It measures what hashing is compared with: cosine similarity of TF-IDF or LSI vectors.

    Parameters
    ----------
    similarities
        Shape (Q, N), larger is nearer; or, to save memory, a function of ``start`` and ``stop``
        that returns these rows, dense or sparse.
    y_query, y_database, k
        As for `precision_at_k`.

    Raises
    ------
    InputError
        For ``k`` below 1, similarities that are not numbers (NaN), or of another shape than the labels.

    Examples
    --------
    >>> figures = retrieval_by_similarity([[0.9, 0.5, 0.5, 0.1]], [1], [1, 0, 1, 0], k=2)
    >>> figures["precision"], figures["precision_worst"], figures["precision_best"]
    (0.75, 0.5, 1.0)
    """
    rows = similarities if callable(similarities) else _rows_of(similarities)
    y = read_labels(y_query, "y_query"), read_labels(y_database, "y_database")
    shape = y[0].shape[0], y[1].shape[0]
    relevant = relevance_blocks(*y)
    figures = []
    for start, stop in _blocks(*shape, k):
        scores = rows(start, stop)
        scores = _array(scores.toarray() if hasattr(scores, "toarray") else scores, np.float64)
        wanted = (stop - start, shape[1])
        if scores.shape != wanted or np.isnan(scores).any():
            raise InputError(
                f"similarities of queries {start} to {stop} have shape {scores.shape}"
                f"{' and hold NaN' if np.isnan(scores).any() else ''}, but numbers {wanted} are needed",
                "give one row for each query and one column for each document",
            )
        figures.append(ranking_figures(rank_by_score(scores, relevant(start, stop)), k))
    return _average(figures)


def _rows_of(similarities: npt.ArrayLike) -> Callable[[int, int], Array]:
    if hasattr(similarities, "toarray"):
        raise InputError(
            f"similarities are a sparse {type(similarities).__name__}, but an array or a function is needed",
            "give similarities.toarray(), or a function of start and stop that returns these rows",
        )
    scores = _array(similarities)  # large, so that only a block at a time becomes float64
    if scores.ndim != 2:
        raise InputError(
            f"similarities have shape {scores.shape}, but one row for each query is needed",
            "reshape those of a single query to (1, n_documents)",
        )
    return lambda start, stop: scores[start:stop]


def _array(scores: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Array:
    try:
        return np.asarray(scores, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"similarities are no numbers ({error})", "give an array of real numbers") from None


def code_statistics(codes: Codes, n_bits: int) -> dict[str, Any]:
    """Return how well ``codes`` use their bits.

    * ``balance``: share of ones for each bit, shape (n_bits,); 0.5 is best;
    * ``entropy``: of each bit in bits, shape (n_bits,); 1 is best;
    * ``correlation``: mean absolute correlation of two different bits (constant bits count 0);
    * ``distinct``: number of different codes; ``n``: number of codes.

    Raises
    ------
    InputError
        If there are no codes, or codes of the wrong width.

    Examples
    --------
    >>> from nphash.codes import pack
    >>> statistics = code_statistics(pack([[0, 1], [1, 1]]), n_bits=2)
    >>> statistics["balance"].tolist(), statistics["entropy"].tolist(), statistics["distinct"]
    ([0.5, 1.0], [1.0, 0.0], 2)
    """
    codes = check_codes(codes, n_bits)
    if not len(codes):
        raise InputError("there are no codes", "statistics need at least one")
    ones = np.zeros(n_bits)
    joint = np.zeros((n_bits, n_bits))
    rows = max(1, (1 << 22) // n_bits)
    for start in range(0, len(codes), rows):
        bits = unpack(codes[start : start + rows], n_bits).astype(np.float32)  # (rows, n_bits)
        ones += bits.sum(axis=0, dtype=np.float64)
        joint += bits.T @ bits  # whole numbers below 2^24: exact in float32
    p = ones / len(codes)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nan_to_num(p * np.log2(p)) - np.nan_to_num((1 - p) * np.log2(1 - p))
        spread = np.sqrt(p * (1 - p))
        correlation = np.nan_to_num((joint / len(codes) - np.outer(p, p)) / np.outer(spread, spread))
    np.fill_diagonal(correlation, 0)
    return {
        "balance": p,
        "entropy": entropy + 0.0,  # no minus zero
        "correlation": float(np.abs(correlation).sum() / max(1, n_bits * (n_bits - 1))),
        "distinct": len(np.unique(as_words(codes), axis=0)),
        "n": len(codes),
    }


def _blocks(n_queries: int, n_database: int, k: int) -> list[tuple[int, int]]:
    check_count(k, "k", hint="100 is usual")
    if not n_queries or not n_database:
        raise InputError(
            f"there are {n_queries} queries and {n_database} documents in the database",
            "retrieval can be measured with at least one of each",
        )
    return split_range(n_queries, max(1, _BLOCK // n_database))


def _rank_codes(
    query_codes: Codes, y_query: YLike, database_codes: Codes, y_database: YLike, n_bits: int, k: int
) -> Iterator[Ranking]:
    """Yield the tie groups, one for each distance 0 to ``n_bits``, of a block of queries at a time."""
    queries = as_words(check_codes(query_codes, n_bits))
    database = as_words(check_codes(database_codes, n_bits))
    y = read_labels(y_query, "y_query"), read_labels(y_database, "y_database")
    shapes = (len(queries), len(database)), (y[0].shape[0], y[1].shape[0])
    if shapes[0] != shapes[1]:
        raise InputError(
            f"there are codes of {shapes[0][0]} queries and {shapes[0][1]} documents, "
            f"but labels of {shapes[1][0]} and {shapes[1][1]}",
            "give the labels of exactly the documents whose codes are given",
        )
    relevant = relevance_blocks(*y)
    for start, stop in _blocks(*shapes[0], k):
        distance = np.zeros((stop - start, len(database)), np.intp)  # (Q, N)
        for word in range(queries.shape[1]):
            distance += np.bitwise_count(queries[start:stop, None, word] ^ database[None, :, word])
        yield tie_groups(distance, relevant(start, stop), n_bits + 1)


def _average(figures: list[dict[str, Floats]]) -> dict[str, float]:
    averages = {}
    for name in figures[0]:
        values = np.concatenate([block[name] for block in figures])
        values = values[~np.isnan(values)]
        averages[name] = float(values.mean()) if len(values) else float("nan")
    return averages
