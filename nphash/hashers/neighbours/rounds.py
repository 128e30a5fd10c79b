"""Neighbours and teacher of `nphash.hashers.nphash`, found in rounds, each of which improves on the last.

1. Graph: each document and its few most similar ones, by the mean of two cosines, of word weights and of
   the coordinates of the last round (in the first round, of LSI). Words alone miss synonyms, coordinates
   alone blur.
2. Eigenmap of the graph: coordinates in which chains of similar documents are near.
3. Regression: a document's coordinates in the eigenmap are predicted from its words, by ridge regression.
   A document that a few chance neighbours have drawn away has the words of others, and is moved to these.
   The prediction takes the eigenmap's place; for new documents it is known as well.

A round loses something too: where topics are broad and overlap, the eigenmap sees small groups and forgets
the large axes that LSI has. The teacher therefore joins the prediction with the first axes of LSI. How many
rounds, and how large a share, the data say: of some documents the words are split into two halves, and
both halves should have the same neighbours. By coordinates that follow what a document is about they have; by
those that follow single words, or have lost their way, they have not (`HalvedDocuments`). No labels are
needed, and on six corpora it orders settings much as labels do (``python -m benchmarks.rounds``).

Of the 25 nearest documents of 20 Newsgroups, 60 in 100 share a label by LSI, 66 by the first eigenmap, 70
after its regression, 74 after eight rounds; of Reuters-21578 89, 89, 91 and 91. Without the regression,
rounds make it worse.

Letters: V vocabulary, n documents, d dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.threads import count_threads, run_blocks, single_threaded_blas, split_range
from nphash.core.typing import Array, Rng
from nphash.hashers.linear import project, ridge
from nphash.hashers.neighbours.nearest import approximate_cosine, top_cosine, top_of_candidates
from nphash.hashers.neighbours.spectral import fit_lsi, knn_graph, laplacian_eigenmap
from nphash.hashers.training.settings import NeighbourSettings
from nphash.nn.ops import normalise_rows

log = logging.getLogger(__name__)

# Below so many documents there is no graph worth having: every document is its own neighbour.
FEWEST_DOCUMENTS = 50

# Of more documents not all are compared in each round. Once they are, by words; and among so many nearest by
# words, and so many by coordinates, the nearest by both are sought: 99 in 100 are there, and neighbours share
# a label as often (of 100 of 20 Newsgroups .723 instead of .718, of 10,000 abstracts .419 instead of .417).
# Within cells of similar coordinates 95 are, but the edges between cells are missing, which are those that
# correct LSI: 20 Newsgroups then loses 12 points of precision.
MOST_COMPARED = 25_000
CANDIDATES = 30

# LSI's largest axes in the teacher, and the shares that the prediction may have of the teacher's cosines.
LSI_AXES = 32
SHARES = (1.0, 0.75, 0.5)

# So many documents are halved, if they have two words, and compared with so many others; how many of the
# nearest both halves have in common is counted at two scales, a fortieth and a twentieth of these. Closer by,
# single words count; farther away, the smaller topics of a corpus are left behind.
HALVED = 1024
OTHERS = 2048
SCALES = (40, 20)
HALVES_AT_ONCE = 128

# Rounds end where the halves agree less than in an earlier one by so many standard errors: later rounds may
# move documents together that share no words, which halves do not see, but do not lose the way.
CLEARLY = 2.0


@dataclass(frozen=True)
class Round:
    """Coordinates of one round, by graph and by words."""

    eigenmap: Array  # (n, d), about its mean
    W: Array  # (V, d), of the regression
    predicted: Array  # (n, d), X W, rows of length one
    length: float  # of these rows before, on average


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
    halved = HalvedDocuments(X, lsi, seed, threads)
    last, share = _last_round(rounds(X, u, settings, seed, threads), halved, settings)
    teacher = joined(u[:, :LSI_AXES], last.predicted, share)
    V_u = np.hstack([lsi, _rescaled(last.W, last.length, u)])
    return NeighbourTeacher(X, _nearest(teacher, settings, seed, threads), teacher, V_u)


def joined(u: Array, predicted: Array, share: float) -> Array:
    """Return coordinates side by side, rows of length one, whose cosines are the mean of the two, (n, d)."""
    if share == 1:
        return predicted
    parts = np.sqrt(1 - share) * normalise_rows(u), np.sqrt(share) * predicted
    return normalise_rows(np.hstack(parts).astype(predicted.dtype))


class HalvedDocuments:
    """Some documents' words in two halves, and other documents among which both look for neighbours.

    Parameters
    ----------
    X
        Documents, CSR (n, V).
    lsi
        Coordinates of words, (V, d), the largest axes first.
    seed
        Documents and halves are drawn from it.
    """

    def __init__(self, X: csr_matrix, lsi: Array, seed: int, threads: int | None = None) -> None:
        rng = np.random.default_rng([seed, *X.shape])
        halved = X[np.sort(rng.permutation(np.flatnonzero(np.diff(X.indptr) > 1))[:HALVED])]
        self._halves = _halves(halved, rng)
        self._others = X[np.sort(rng.permutation(X.shape[0])[:OTHERS])]
        self._threads = count_threads(threads)
        self._lsi = self._coordinates(np.ascontiguousarray(lsi[:, :LSI_AXES]))

    def overlaps(self, W: Array, shares: Sequence[float]) -> Array:
        """Return what neighbours of both halves have in common, (q, shares): for each share of W (V, d)."""
        *halves, others = self._coordinates(W)
        *by_lsi, others_by_lsi = self._lsi

        def one_block(start: int, stop: int) -> Array:
            a, a2 = (half[start:stop] @ others.T for half in halves)  # (rows, m) cosines by W
            b, b2 = (half[start:stop] @ others_by_lsi.T for half in by_lsi)
            return np.column_stack([overlap(s * a + (1 - s) * b, s * a2 + (1 - s) * b2) for s in shares])

        blocks = split_range(len(halves[0]), HALVES_AT_ONCE)
        with single_threaded_blas():
            found = run_blocks(one_block, blocks, self._threads)
        return np.vstack(found or [np.zeros((1, len(shares)))])  # documents of one word cannot be halved

    def _coordinates(self, W: Array) -> list[Array]:
        """Return coordinates of length one of first halves (q, d), second halves and the others (m, d)."""
        return [normalise_rows(project(X, W, self._threads)) for X in (*self._halves, self._others)]


def _halves(X: csr_matrix, rng: Rng) -> list[csr_matrix]:
    """Return two matrices of the shape of X, each with a random half of every document's words."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    order = np.lexsort((rng.random(X.nnz), rows))  # random within a document
    second = np.empty(X.nnz, bool)
    second[order] = (np.arange(X.nnz) - X.indptr[rows]) % 2 == 1
    return [csr_matrix((X.data * kept, X.indices, X.indptr), shape=X.shape) for kept in (~second, second)]


def overlap(first: Array, second: Array) -> Array:
    """Return the share of the nearest that rows of cosines (q, m) have in common, mean over scales, (q,).

    Of columns as near as the first that is left out, none counts: a document at the origin has no neighbours.
    """
    m = first.shape[1]
    least = np.sort(first, axis=1), np.sort(second, axis=1)  # faster than to partition at several places
    shares = []
    for k in (max(1, m // scale) for scale in SCALES):
        both = (first > least[0][:, [m - k - 1]]) & (second > least[1][:, [m - k - 1]])
        shares.append(both.sum(axis=1) / k)
    return np.asarray(np.mean(shares, axis=0))


def _last_round(
    found: Iterator[Round], documents: HalvedDocuments, settings: NeighbourSettings
) -> tuple[Round, float]:
    """Return the last round before halves agree clearly less than at best, and its share of the teacher."""
    last, highest = None, np.zeros(1)
    for one in islice(found, settings.rounds):
        overlaps = documents.overlaps(one.W, SHARES)  # (q, shares)
        share = int(overlaps.sum(axis=0).argmax())
        own = overlaps[:, share]  # (q,)
        if last is not None and _clearly_less(own, highest):
            break
        if last is None or own.sum() > highest.sum():
            highest = own
        last = one, SHARES[share]
    assert last is not None  # there is one round at least
    return last


def _clearly_less(own: Array, highest: Array) -> bool:
    """Return whether overlaps of the same documents are less by more than chance explains."""
    difference = highest - own
    return bool(difference.sum() > CLEARLY * difference.std() * np.sqrt(len(difference)))


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
        yield Round(eigenmap, W, predicted, length)
        teacher = predicted


def _rescaled(W: Array, length: float, u: Array) -> Array:
    """Return W rescaled so that its coordinates are as long as those of LSI: a ridge shortens them."""
    lsi_length = np.linalg.norm(u, axis=1).mean()
    rescaled: Array = W * W.dtype.type(lsi_length / length if length > 0 else 1)
    return rescaled


def _candidates(X: csr_matrix, settings: NeighbourSettings, threads: int | None) -> Array | None:
    """Return the documents near by words alone, (n, 30), if there are too many to compare in each round."""
    if X.shape[0] <= MOST_COMPARED:
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
    if n > MOST_COMPARED:
        return approximate_cosine(coordinates, k, seed, threads=threads)[0]
    return top_cosine(coordinates, k, threads=threads)[0]
