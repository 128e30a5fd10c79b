"""Neighbours and teacher of `nphash.hashers.nphash`, found in rounds, each of which improves on the last.

1. Graph: each document and its few most similar ones, by the mean of two cosines, of word weights and of
   the coordinates of the last round (in the first round, of LSI). Words alone miss synonyms, coordinates
   alone blur.
2. Eigenmap of the graph: coordinates in which chains of similar documents are near.
3. Regression: a document's coordinates in the eigenmap are predicted from its words, by ridge regression.
   A document that a few chance neighbours have drawn away has the words of others, and is moved to these.
   The prediction takes the eigenmap's place; for new documents it is known as well.

Stopping rule: when words predict the coordinates much better than at first, the rounds end: from there on
they only confirm themselves.

Of the 25 nearest documents of 20 Newsgroups, 60 in 100 share a label by LSI, 66 by the first eigenmap, 70
after its regression, 74 after eight rounds; of Reuters-21578 89, 89, 91 and 91 (``benchmarks/rounds.py``).
Without the regression, rounds make it worse.

Letters: V vocabulary, n documents, d dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.typing import Array
from nphash.hashers.linear import project, ridge
from nphash.hashers.neighbours.nearest import MOST_EXACT, approximate_cosine, top_cosine, top_of_candidates
from nphash.hashers.neighbours.spectral import fit_lsi, knn_graph, laplacian_eigenmap
from nphash.hashers.training.settings import NeighbourSettings
from nphash.nn.ops import normalise_rows

log = logging.getLogger(__name__)

# Below so many documents there is no graph worth having: every document is its own neighbour.
FEWEST_DOCUMENTS = 50

# Among so many nearest by words, and so many by coordinates, the nearest by both are sought where comparing
# all takes too long: 99 in 100 are there. Within cells of similar coordinates 95 are, but the edges between
# cells are missing, which are those that correct LSI: 20 Newsgroups then loses 12 points of precision.
CANDIDATES = 30

# The stopping rule: by so much more than in the first round may prediction and eigenmap agree (mean cosine).
# Beyond, the graph follows what was predicted, and is easier to predict each time. It happens where words say
# little, in TMC with its 500 words, and costs 4 points there by the eighth round.
STOP_ABOVE_FIRST = 0.03


@dataclass(frozen=True)
class Round:
    """Coordinates of one round, by graph and by words."""

    eigenmap: Array  # (n, d), about its mean
    W: Array  # (V, d), of the regression
    predicted: Array  # (n, d), X W, rows of length one
    length: float  # of these rows before, on average
    agreement: float  # mean cosine of prediction and eigenmap


@dataclass(frozen=True)
class NeighbourTeacher:
    """Neighbours and coordinates of the training documents, worked out before the first step."""

    target: csr_matrix  # (n, V)
    neighbours: Array  # (n, k)
    teacher: Array  # (n, d), rows of length one
    V_u: Array  # (V, d'), coordinates of any document as sums over its words: LSI, then the teacher's


def neighbour_rounds(
    X: csr_matrix, settings: NeighbourSettings, seed: int, threads: int | None = None
) -> NeighbourTeacher:
    """Return the neighbours of documents X (n, V), rows of length one, and their coordinates as a teacher.

    Start vectors of the eigensolvers are drawn from the seed. The result does not depend on the threads.
    """
    n = X.shape[0]
    log.info("neighbours: LSI of %s documents", f"{n:,}")
    lsi = fit_lsi(X, min(settings.lsi, *X.shape), seed).components  # (V, 256)
    u = project(X, lsi[:, : settings.graph_lsi], threads)  # (n, 64)
    if n < FEWEST_DOCUMENTS:
        return NeighbourTeacher(X, np.arange(n)[:, None], normalise_rows(u), lsi)
    last = _last_round(rounds(X, u, settings, seed, threads), settings.rounds)
    V_u = np.hstack([lsi, _rescaled(last.W, last.length, u)])
    return NeighbourTeacher(X, _nearest(last.predicted, settings, seed, threads), last.predicted, V_u)


def _last_round(found: Iterator[Round], most: int) -> Round:
    """Return the last round before the stopping rule holds."""
    first = last = next(found)
    for following in islice(found, most - 1):
        if following.agreement > first.agreement + STOP_ABOVE_FIRST:
            break
        last = following
    return last


def rounds(
    X: csr_matrix, u: Array, settings: NeighbourSettings, seed: int, threads: int | None = None
) -> Iterator[Round]:
    """Yield what each round finds, without end, starting from coordinates u (n, d)."""
    teacher = normalise_rows(u)
    near_by_words = _candidates(X, settings, threads)
    dims = min(settings.eigenmap, X.shape[0] // 8)
    for i in count(1):
        log.info("neighbours: round %d of at most %d", i, settings.rounds)
        graph = _graph(X, teacher, near_by_words, settings, seed, threads)
        eigenmap = normalise_rows(laplacian_eigenmap(graph, dims, seed))  # (n, d)
        eigenmap = eigenmap - eigenmap.mean(axis=0)
        W = ridge(X, eigenmap, settings.penalty, threads)  # (V, d)
        predicted = project(X, W, threads)  # (n, d)
        length = float(np.linalg.norm(predicted, axis=1).mean())
        predicted = normalise_rows(predicted)
        agreement = float((predicted * normalise_rows(eigenmap)).sum(axis=1).mean())
        yield Round(eigenmap, W, predicted, length, agreement)
        teacher = predicted


def _rescaled(W: Array, length: float, u: Array) -> Array:
    """Return W rescaled so that its coordinates are as long as those of LSI: a ridge shortens them."""
    lsi_length = np.linalg.norm(u, axis=1).mean()
    rescaled: Array = W * W.dtype.type(lsi_length / length if length > 0 else 1)
    return rescaled


def _candidates(X: csr_matrix, settings: NeighbourSettings, threads: int | None) -> Array | None:
    """Return the documents near by words alone, (n, 30), if there are too many to compare in each round."""
    if X.shape[0] <= MOST_EXACT:
        return None
    log.info("neighbours: the words of %s documents", f"{X.shape[0]:,}")
    return top_cosine(X, max(CANDIDATES, settings.edges), threads=threads)[0]


def _graph(
    X: csr_matrix,
    coordinates: Array,
    near_by_words: Array | None,
    settings: NeighbourSettings,
    seed: int,
    threads: int | None,
) -> csr_matrix:
    """Return the graph of the documents nearest by words and coordinates, of many documents by candidates."""
    k = min(settings.edges, X.shape[0] - 1)
    if near_by_words is None:
        near, similarities = top_cosine([X, coordinates], k, threads=threads)
    else:
        near_by_coordinates, _ = approximate_cosine(coordinates, CANDIDATES, seed, threads=threads)
        candidates = np.hstack([near_by_words, near_by_coordinates])  # (n, 60)
        near, similarities = top_of_candidates([X, coordinates], candidates, k, threads=threads)
    return knn_graph(near, similarities, symmetry="mean", weighted=False)


def _nearest(coordinates: Array, settings: NeighbourSettings, seed: int, threads: int | None) -> Array:
    """Return the nearest documents by cosine, (n, k): fewer than asked for where there are few in all."""
    n = len(coordinates)
    k = int(np.clip(n // 40, 1, settings.neighbours))
    if n > MOST_EXACT:
        return approximate_cosine(coordinates, k, seed, threads=threads)[0]
    return top_cosine(coordinates, k, threads=threads)[0]
