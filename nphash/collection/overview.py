"""Figures of a collection for one page: bits, topics, a map, near-duplicates, sample searches.

They are of a sample where the collection is large, so that time and memory are bounded. No label is needed:
topics are clusters of codes, and their words those that are in a larger share of a cluster's documents than
of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array

from nphash.codes import hamming_distances, unpack
from nphash.collection.grouping import AT_ONCE, LEAST, Texts, code_groups
from nphash.core.typing import CSR, Array, Ints, Progress, Rng
from nphash.corpus import Document

if TYPE_CHECKING:
    from nphash.collection.collection import Collection
    from nphash.collection.searching import Hit

SAMPLE = 10_000  # documents whose codes and texts are looked at
MAPPED = 800  # documents on the map: all pairs of them are compared, in some seconds
TOPICS = 8
CHARACTERS_READ, CHARACTERS_SHOWN = 20_000, 1_000  # of a document
SHOWN = 8  # words of a topic, groups of duplicates
PERPLEXITY = 30.0


@dataclass(frozen=True)
class Topic:
    """A cluster of codes."""

    share: float  # of the documents looked at
    words: list[str]  # the most telling first
    examples: list[Document]  # those nearest to its centre


@dataclass(frozen=True)
class Point:
    """A document on the map."""

    x: float  # from 0 to 1
    y: float
    topic: int
    document: Document


@dataclass(frozen=True)
class Overview:
    """What a page about a collection shows."""

    n_looked_at: int
    ones: list[float]  # of each bit, the share of codes in which it is one
    words: list[tuple[str, float]]  # the most frequent, with their share of the documents learned from
    labels: list[tuple[str, float]]  # the most frequent, with their share of the documents looked at
    topics: list[Topic]  # the largest first
    points: list[Point]
    n_groups: int  # of near-duplicates among the documents looked at
    n_in_groups: int
    duplicates: list[tuple[float, list[Document]]]  # the two first of a group, and their similarity
    searches: list[tuple[str, list[Hit]]]


def overview(collection: Collection, progress: Progress | None = None) -> Overview:
    """Look at a collection, at `SAMPLE` of its documents if there are more."""
    rng = np.random.default_rng(0)
    live = collection.segments.live_positions()
    sample = np.sort(rng.permutation(live)[:SAMPLE])
    codes = collection.segments.codes_at(sample)
    bits = unpack(codes, collection.n_bits).astype(np.float32)  # (n, L)
    topic, centres = clusters(2 * bits - 1, TOPICS, rng)
    documents: list[Document] = []
    counts = collection.vectorizer.counts(_texts(collection, sample, documents))
    topics = _topics(collection, documents, counts, topic, 2 * bits - 1, centres)
    mapped = np.sort(rng.permutation(len(sample))[:MAPPED])
    places = neighbour_map(hamming_distances(codes[mapped], codes[mapped]), bits[mapped])
    points = [
        Point(float(x), float(y), int(topic[i]), documents[i])
        for i, (x, y) in zip(mapped.tolist(), places, strict=True)
    ]
    n_groups, n_in_groups, duplicates = _duplicates(collection, sample, progress)
    queries = [" ".join(one.words[:2]) for one in topics[:4] if one.words]
    return Overview(
        len(sample),
        bits.mean(axis=0).tolist() if len(bits) else [],
        _frequent_words(collection),
        _labels(documents),
        topics,
        points,
        n_groups,
        n_in_groups,
        duplicates,
        list(zip(queries, collection.search(queries, k=3) if queries else [], strict=True)),
    )


def clusters(x: Array, k: int, rng: Rng, rounds: int = 30) -> tuple[Ints, Array]:
    """Return the cluster of each row, the largest first, and the centres: k-means, begun as k-means++.

    Rows (n, L) of +-1; fewer clusters where there are fewer different rows.
    """
    centres = np.zeros((0, x.shape[1]), np.float32)
    nearest = np.full(len(x), np.inf)
    while len(centres) < k and nearest.sum() > 0:
        weight = np.where(np.isinf(nearest), 1.0, nearest)
        centres = np.vstack([centres, x[rng.choice(len(x), p=weight / weight.sum())]])
        nearest = np.minimum(nearest, ((x - centres[-1]) ** 2).sum(axis=1))
    own = np.zeros(len(x), np.int64)
    for _ in range(rounds if len(centres) else 0):
        before, own = own, np.argmax(x @ centres.T - 0.5 * (centres**2).sum(axis=1), axis=1)
        sizes = np.bincount(own, minlength=len(centres))
        sums = coo_array((np.ones(len(x), np.float32), (own, np.arange(len(x)))), (len(centres), len(x))) @ x
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        if (before == own).all():
            break
    sizes = np.bincount(own, minlength=len(centres))
    order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    rank = np.zeros(len(centres), np.int64)
    rank[order] = np.arange(len(order))
    return rank[own] if len(centres) else own, centres[order]


def _texts(collection: Collection, sample: Ints, documents: list[Document]) -> Iterator[str]:
    """Yield texts as far as words are looked at; add the documents, with as much of them as is shown."""
    for start in range(0, len(sample), AT_ONCE):
        block = sample[start : start + AT_ONCE].tolist()
        found = collection.segments.documents_at(block)
        for document in (found[position] for position in block):
            documents.append(replace(document, text=document.text[:CHARACTERS_SHOWN]))
            yield document.text[:CHARACTERS_READ]


def _topics(
    collection: Collection, documents: list[Document], counts: CSR, topic: Ints, x: Array, centres: Array
) -> list[Topic]:
    """Describe clusters by words: share within a cluster, times its logarithm against the share in all."""
    counts.data[:] = 1
    sizes = np.bincount(topic, minlength=len(centres))
    members = coo_array((np.ones(len(topic)), (topic, np.arange(len(topic)))), (len(centres), len(topic)))
    within = (members @ counts).toarray() / np.maximum(sizes, 1)[:, None]  # (k, V)
    overall = np.maximum(
        np.bincount(counts.indices, minlength=counts.shape[1]) / max(1, len(documents)), 1e-12
    )
    telling = within * np.log(np.maximum(within, 1e-12) / overall)
    vocabulary, topics = collection.vectorizer.vocabulary_, []
    for number, centre in enumerate(centres):
        best = np.argsort(-telling[number], kind="stable")[:SHOWN]
        own = np.flatnonzero(topic == number)
        nearest = own[np.argsort(-(x[own] @ centre), kind="stable")[:2]]
        topics.append(
            Topic(
                sizes[number] / len(topic),
                [vocabulary[i] for i in best.tolist() if telling[number, i] > 0],
                [documents[i] for i in nearest.tolist()],
            )
        )
    return topics


def neighbour_map(distances: Array, bits: Array, steps: int = 300) -> Array:
    """Return places (n, 2) from 0 to 1 in which neighbours by distance (n, n) are neighbours: t-SNE.

    Van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 2008, begun with two principal components
    of the bits (n, L).
    """
    n = len(distances)
    if n < 3:
        return np.asarray(np.full((n, 2), 0.5) + 0.25 * np.arange(n)[:, None])
    rng = np.random.default_rng(0)
    # Beside its code, by less than a bit: what has the same code would make a ring, and makes a heap.
    beside = rng.normal(scale=0.4, size=(n, 2))
    squares = distances.astype(np.float32) ** 2 + ((beside[:, None] - beside) ** 2).sum(axis=2)
    P = _affinities(squares, min(PERPLEXITY, (n - 1) / 6))
    centred = bits - bits.mean(axis=0)
    y = centred @ np.linalg.svd(centred.T @ centred)[0][:, :2]
    y = np.pad(y, ((0, 0), (0, 2 - y.shape[1])))
    y = 1e-2 * (y / max(float(y.std()), 1e-9) + 1e-2 * beside).astype(np.float32)
    velocity = np.zeros_like(y)
    for step in range(steps):
        norms = (y**2).sum(axis=1)
        kernel = 1 / (1 + norms[:, None] + norms - 2 * y @ y.T)  # Student's t, one degree of freedom
        np.fill_diagonal(kernel, 0)
        pull = ((12 if step < 100 else 1) * P - kernel / kernel.sum()) * kernel  # exaggerated at first
        gradient = 4 * (pull.sum(axis=1)[:, None] * y - pull @ y)
        velocity = (0.5 if step < 100 else 0.8) * velocity - max(n / 12, 50) * gradient
        y = y + velocity
        y -= y.mean(axis=0)
    span = float(np.ptp(y, axis=0).max()) or 1.0
    return np.asarray(np.clip((y - (y.max(axis=0) + y.min(axis=0)) / 2) / span + 0.5, 0, 1))


def _affinities(squares: Array, perplexity: float) -> Array:
    """Return probabilities (n, n) of neighbours by squared distances, by Gaussians of a perplexity."""
    least, most = np.full((2, len(squares), 1), [[[1e-6]], [[1e3]]])
    for _ in range(30):
        beta = np.sqrt(least * most)
        p = np.exp(-beta * squares)
        np.fill_diagonal(p, 0)
        total = np.maximum(p.sum(axis=1, keepdims=True), 1e-30)
        entropy = np.log(total) + beta * (squares * p).sum(axis=1, keepdims=True) / total
        least = np.where(entropy > np.log(perplexity), beta, least)
        most = np.where(entropy > np.log(perplexity), most, beta)
    p /= total
    return np.asarray((p + p.T) / (2 * len(p)), dtype=np.float32)


def _duplicates(
    collection: Collection, sample: Ints, progress: Progress | None
) -> tuple[int, int, list[tuple[float, list[Document]]]]:
    """Return the number of groups and of documents in them, and the beginnings of the closest groups."""
    among = [sample]
    if len(sample) < len(collection):  # a sample has few of the pairs, equal codes many
        groups = code_groups(collection, 0)
        ends = np.cumsum([0, *map(len, groups)])
        among = [group for group, end in zip(groups, ends[1:], strict=True) if end <= SAMPLE]
    texts = Texts(collection, among, progress)
    groups = texts.groups(LEAST)
    pairs = [np.array([group[0], group[1]]) for group in groups]
    like = texts.similarity(pairs).similarity[1::2]
    best = np.argsort(-like, kind="stable")[:SHOWN].tolist()
    found = collection.segments.documents_at([int(position) for i in best for position in pairs[i]])
    shown = [(float(like[i]), [found[int(position)] for position in pairs[i]]) for i in best]
    return len(groups), sum(map(len, groups)), shown


def _frequent_words(collection: Collection, most: int = 24) -> list[tuple[str, float]]:
    vectorizer = collection.vectorizer
    shares = vectorizer.document_frequency_ / max(1, vectorizer.n_documents_)
    order = np.argsort(-shares, kind="stable")[:most]
    return [(vectorizer.vocabulary_[i], float(shares[i])) for i in order.tolist()]


def _labels(documents: list[Document]) -> list[tuple[str, float]]:
    counts: dict[str, int] = {}
    for document in documents:
        for label in document.labels:
            counts[label] = counts.get(label, 0) + 1
    order = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [(label, count / len(documents)) for label, count in order]
