"""How well a collection's codes find documents with the same labels, always by Hamming distance alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, hamming_distances, n_bytes
from nphash.corpus import label_matrix
from nphash.errors import InputError
from nphash.relevance import relevance_blocks
from nphash.ties import Ranking, figures, rank_by_score, tie_groups

if TYPE_CHECKING:
    from nphash.collection.collection import Collection

__all__ = ["Evaluation", "Sample", "cosine_of_own", "evaluate", "evaluate_own"]

PAIRS_AT_ONCE = 1 << 19  # (query, document) pairs compared at once; 8 bytes each for up to 64 bits

Ranker = Callable[[npt.NDArray[np.int64], npt.NDArray[np.bool_]], Ranking]


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation.

    Attributes
    ----------
    figures
        By name, as `nphash.metrics.retrieval` returns them.
    n_queries, n_documents
        How many queries were asked, and of how many documents.
    k
        Rank at which precision, recall and NDCG are taken.
    n_unlabelled
        Queries left out because they have no label.
    """

    figures: dict[str, float]
    n_queries: int
    n_documents: int
    k: int
    n_unlabelled: int = 0


def evaluate(
    collection: Collection, codes: Codes, labels: Sequence[tuple[str, ...]], k: int = 100
) -> Evaluation:
    """Measure queries from outside against all documents of a collection.

    Parameters
    ----------
    collection
        With labels.
    codes
        Codes of the queries, uint8, shape (q, n_bytes).
    labels
        Labels of the queries; those without any are left out.
    k
        At most the number of documents.

    Raises
    ------
    InputError
        If no query, or no document, has a label.
    """
    from nphash.metrics import retrieval

    labelled = np.array([bool(of_one) for of_one in labels], dtype=bool)
    if not labelled.any():
        raise InputError(
            "no query has a label", "name the field that holds labels, e.g. --label-field topics"
        )
    own = _own_labels(collection)
    y, names = label_matrix(own)
    y_query, _ = label_matrix([of_one for of_one in labels if of_one], names)
    k = min(k, len(collection))
    found = retrieval(codes[labelled], y_query, collection.codes, y, collection.n_bits, k)
    return Evaluation(found, int(labelled.sum()), len(collection), k, int((~labelled).sum()))


@dataclass(frozen=True)
class Sample:
    """Which of a collection's own documents are asked, and what counts as relevant to them.

    Parameters
    ----------
    size
        At most so many documents with labels.
    seed
        Draws them.
    labels
        Labels of all documents in place of their own, to measure one kind of label alone.
    """

    size: int = 1_000
    seed: int = 0
    labels: Sequence[tuple[str, ...]] | None = None


def evaluate_own(collection: Collection, k: int = 100, sample: Sample | None = None) -> Evaluation:
    """Measure a sample of the collection's own documents, each against all others.

    The figures are those of `evaluate` and ``precision_random``: the precision of a random order.

    Raises
    ------
    InputError
        If there are no two documents with labels.
    """
    codes = collection.codes
    n_groups = collection.n_bits + 2  # one for each distance, and a last one for the query itself

    def rank(rows: npt.NDArray[np.int64], hit: npt.NDArray[np.bool_]) -> Ranking:
        distances = hamming_distances(codes[rows], codes)
        distances[np.arange(len(rows)), rows] = n_groups - 1
        return tie_groups(distances, hit, n_groups)

    return _leave_one_out(collection, rank, k, sample or Sample(), within_2=True)


def cosine_of_own(collection: Collection, k: int = 100, sample: Sample | None = None) -> Evaluation:
    """Do `evaluate_own` by TF-IDF cosine of the text: what hashing gives up, or gains.

    It reads the text of all documents into memory as a sparse matrix.
    """
    from nphash.text.weighting import tfidf

    vectorizer = collection.vectorizer
    X = vectorizer.counts(document.text for document in collection.documents).astype(np.float32)
    X.data = tfidf(X, vectorizer.statistics)
    transposed = X.T.tocsr()

    def rank(rows: npt.NDArray[np.int64], hit: npt.NDArray[np.bool_]) -> Ranking:
        scores = (X[rows] @ transposed).toarray()
        scores[np.arange(len(rows)), rows] = -1.0
        return rank_by_score(scores, hit)

    return _leave_one_out(collection, rank, k, sample or Sample())


def _own_labels(collection: Collection) -> list[tuple[str, ...]]:
    labels = collection.segments.labels()
    if not any(labels):
        raise InputError(
            f"no document of {collection.path} has a label, and labels decide what is relevant",
            "fit with --label-field FIELD, or on a folder with one subfolder a class",
        )
    return labels


def _leave_one_out(
    collection: Collection, rank: Ranker, k: int, sample: Sample, within_2: bool = False
) -> Evaluation:
    """Average figures over sampled queries; the query itself stands last and counts as not relevant."""
    labels = _own_labels(collection) if sample.labels is None else list(sample.labels)
    labelled = np.flatnonzero([bool(of_one) for of_one in labels])
    if len(labels) < 2:
        raise InputError("the collection has one document", "a query needs another one to find")
    if sample.size < labelled.size:
        drawn = np.random.default_rng(sample.seed).choice(labelled, sample.size, replace=False)
        labelled = np.sort(drawn)
    y, _ = label_matrix(labels)
    relevant = relevance_blocks(y[labelled], y)
    n, k = len(labels), min(k, len(labels) - 1)
    step = max(1, PAIRS_AT_ONCE // (n * (n_bytes(collection.n_bits) // 8)))
    blocks: list[dict[str, npt.NDArray[Any]]] = []
    for start in range(0, labelled.size, step):
        rows = labelled[start : start + step]
        hit = relevant(start, start + len(rows)).copy()
        hit[np.arange(len(rows)), rows] = False
        ranking = rank(rows, hit)
        blocks.append({**figures(ranking, k), "precision_random": hit.sum(axis=1) / (n - 1)})
        if within_2:
            near, good = ranking.total[:, :3].sum(axis=1), ranking.relevant[:, :3].sum(axis=1)
            blocks[-1]["precision_radius_2"] = good / np.maximum(near, 1)
    averages = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        averages[name] = float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
    return Evaluation(averages, int(labelled.size), n - 1, k)
