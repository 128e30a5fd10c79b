"""Retrieval figures of a collection: how well codes alone find documents with the same labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, hamming_distances, n_bytes
from nphash.collection.documents import storable
from nphash.core.typing import Array, Ints, Progress
from nphash.corpus import Document, label_matrix
from nphash.errors import InputError
from nphash.metrics.ranking import Ranking, rank_by_score, ranking_figures, tie_groups
from nphash.metrics.relevance import RelevantBlock, relevance_blocks
from nphash.text.weighting import tfidf

if TYPE_CHECKING:
    from nphash.collection.collection import Collection

PAIRS_AT_ONCE = 1 << 19  # (query, document) pairs compared at once; 8 bytes each for up to 64 bits

Rank = Callable[[slice, Ints, npt.NDArray[np.bool_]], Ranking]  # queries, their own rows, what is relevant


@dataclass(frozen=True)
class Evaluation:
    """Figures by name, as `nphash.metrics.retrieval` returns them, and what they were measured on."""

    figures: dict[str, float]
    n_queries: int
    n_documents: int
    k: int  # rank at which precision, recall and NDCG are taken
    n_unlabelled: int = 0  # queries left out because they have no label


def evaluate(
    collection: Collection,
    codes: Codes,
    labels: Sequence[tuple[str, ...]],
    k: int = 100,
    own: Ints | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure queries from outside, codes of shape (q, n_bytes), against all documents of a collection.

    With `own`, the `rows_of_queries`, each leaves itself out. `InputError` without labels on either side.
    """
    labelled = np.array([bool(of_one) for of_one in labels], dtype=bool)
    if not labelled.any():
        raise InputError(
            "no query has a label", "name the field that holds labels, e.g. --label-field topics"
        )
    y, names = label_matrix(_own_labels(collection))
    y_query, _ = label_matrix([of_one for of_one in labels if of_one], names)
    own = np.full(len(codes), -1) if own is None else own
    asked = _Asked(own[labelled], relevance_blocks(y_query, y), _by_distance(collection, codes[labelled]))
    k = max(1, min(k, len(collection) - int((asked.own >= 0).any())))
    found = _averages(_figures(collection, asked, k, progress))
    del found["precision_random"]
    return Evaluation(found, int(labelled.sum()), len(collection), k, int((~labelled).sum()))


def rows_of_queries(collection: Collection, queries: Sequence[Document]) -> Ints:
    """Return for each query its number among the documents of a collection, or -1 if it is none of them.

    A query is the document with its id; where the reader made that up, only if the text is the same.
    """
    found = collection.segments.positions_of([query.id for query in queries])
    there = [row for row, query in enumerate(queries) if query.id in found]
    positions = np.array([found[queries[row].id] for row in there], dtype=np.int64)
    texts = collection.segments.texts_at(positions.tolist())
    numbers = np.full(len(queries), -1, dtype=np.int64)
    for row, number, text in zip(
        there, np.searchsorted(collection.segments.live_positions(), positions).tolist(), texts, strict=True
    ):
        if not queries[row].generated_id or storable(queries[row].text) == text:
            numbers[row] = number
    return numbers


@dataclass(frozen=True)
class QuerySample:
    """Which of a collection's own documents are asked, and what counts as relevant to them."""

    size: int = 1_000  # at most so many documents with labels
    seed: int = 0
    labels: Sequence[tuple[str, ...]] | None = None  # of all documents, in place of their own


def evaluate_own(
    collection: Collection, k: int = 100, sample: QuerySample | None = None, progress: Progress | None = None
) -> Evaluation:
    """Measure a sample of the collection's own documents, each against all others.

    The figures are those of `evaluate` and ``precision_random``, that of a random order.
    """
    rows, relevant = _sampled(collection, sample or QuerySample())
    asked = _Asked(rows, relevant, _by_distance(collection, collection.codes[rows]))
    return _leave_one_out(collection, asked, k, progress)


def cosine_of_own(collection: Collection, k: int = 100, sample: QuerySample | None = None) -> Evaluation:
    """Do `evaluate_own` by TF-IDF cosine: what hashing gives up; all texts are in memory as sparse rows."""
    vectorizer = collection.vectorizer
    X = vectorizer.counts(document.text for document in collection.documents).astype(np.float32)
    X.data = tfidf(X, vectorizer.statistics)
    transposed = X.T.tocsr()
    rows, relevant = _sampled(collection, sample or QuerySample())

    def rank(block: slice, own: Ints, hit: npt.NDArray[np.bool_]) -> Ranking:
        scores = (X[rows[block]] @ transposed).toarray()
        scores[np.arange(len(own)), own] = -1.0
        return rank_by_score(scores, hit)

    found = _leave_one_out(collection, _Asked(rows, relevant, rank), k)
    del found.figures["precision_radius_2"]  # groups are similarities here
    return found


@dataclass(frozen=True)
class _Asked:
    """Queries to measure, each with the number of the document that it is itself, or -1.

    ``rank`` is given a block of them, their own numbers, and what is relevant, (block, n_documents).
    """

    own: Ints
    relevant: RelevantBlock
    rank: Rank


def _by_distance(collection: Collection, queries: Codes) -> Rank:
    codes, n_groups = collection.codes, collection.n_bits + 2  # one a distance, a last one for itself

    def rank(block: slice, own: Ints, hit: npt.NDArray[np.bool_]) -> Ranking:
        distances = hamming_distances(queries[block], codes)
        itself = np.flatnonzero(own >= 0)
        distances[itself, own[itself]] = n_groups - 1
        return tie_groups(distances, hit, n_groups)

    return rank


def _own_labels(collection: Collection) -> list[tuple[str, ...]]:
    if not len(collection):
        raise InputError(f"the collection {collection.path} is empty", "add documents to it first")
    labels = collection.segments.labels()
    if not any(labels):
        raise InputError(
            f"no document of {collection.path} has a label, and labels decide what is relevant",
            "fit with --label-field FIELD, or on a folder with one subfolder a class",
        )
    return labels


def _sampled(collection: Collection, sample: QuerySample) -> tuple[Ints, RelevantBlock]:
    """Return the numbers of the documents to ask, and what is relevant to them."""
    labels = _own_labels(collection) if sample.labels is None else list(sample.labels)
    labelled = np.flatnonzero([bool(of_one) for of_one in labels])
    if len(labels) < 2:
        raise InputError("the collection has one document", "a query needs another one to find")
    if sample.size < labelled.size:
        drawn = np.random.default_rng(sample.seed).choice(labelled, sample.size, replace=False)
        labelled = np.sort(drawn)
    y, _ = label_matrix(labels)
    return labelled, relevance_blocks(y[labelled], y)


def _leave_one_out(
    collection: Collection, asked: _Asked, k: int, progress: Progress | None = None
) -> Evaluation:
    n, k = len(collection), min(k, len(collection) - 1)
    found = _averages(_figures(collection, asked, k, progress))
    return Evaluation(found, len(asked.own), n - 1, k)


def _figures(
    collection: Collection, asked: _Asked, k: int, progress: Progress | None
) -> Iterator[dict[str, Array]]:
    """Yield the figures of blocks of queries; a query itself stands last and counts as not relevant."""
    n, total = len(collection), len(asked.own)
    step = max(1, PAIRS_AT_ONCE // (n * (n_bytes(collection.n_bits) // 8)))
    for start in range(0, total, step):
        block = slice(start, min(start + step, total))
        own = asked.own[block]
        hit = asked.relevant(block.start, block.stop).copy()
        itself = np.flatnonzero(own >= 0)
        hit[itself, own[itself]] = False
        ranking = asked.rank(block, own, hit)
        near, good = ranking.total[:, :3].sum(axis=1), ranking.relevant[:, :3].sum(axis=1)
        yield {
            **ranking_figures(ranking, k),
            "precision_radius_2": good / np.maximum(near, 1),
            "precision_random": hit.sum(axis=1) / (n - (own >= 0)),
        }
        if progress is not None:
            progress(block.stop, total)


def _averages(blocks: Iterable[dict[str, Array]]) -> dict[str, float]:
    every = list(blocks)
    values = {name: np.concatenate([block[name] for block in every]) for name in every[0]}
    return {
        name: float("nan") if np.isnan(of_one).all() else float(np.nanmean(of_one))
        for name, of_one in values.items()
    }
