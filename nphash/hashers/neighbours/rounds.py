"""Which documents are alike: neighbours and teacher of `nphash.hashers.nphash`.

Found in rounds, each of which improves on the last:

1. Graph: each document and its few most similar ones, by the mean of two cosines, of word weights and of
   the coordinates of the last round (in the first round, of LSI). Words alone miss synonyms, coordinates
   alone blur.
2. Eigenmap of the graph: coordinates in which chains of similar documents are near.
3. Regression: where a document lies in the eigenmap is predicted from its words, by ridge regression.
   A document that a few chance neighbours have drawn to a wrong place has the words of others, and is
   moved to these. The prediction takes the eigenmap's place; for new documents it is known as well.

When words tell the places much better than at first, the rounds end: from there on they only confirm
themselves.

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
from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.hashers.neighbours.approximate import MOST_EXACT, approximate_cosine
from nphash.hashers.neighbours.eigenmap import laplacian_eigenmap
from nphash.hashers.neighbours.exact import knn_graph, top_cosine, top_of_candidates
from nphash.hashers.neighbours.lsi import fit_lsi, normalise_rows, project
from nphash.hashers.neighbours.ridge import ridge
from nphash.hashers.training.settings import NeighbourSettings

__all__ = ["Alike", "Round", "find_alike", "rounds"]

log = logging.getLogger(__name__)

# Below so many documents there is no graph worth having: every document is its own neighbour.
FEWEST_DOCUMENTS = 50

# Among so many nearest by words, and so many by place, the nearest by both are sought where comparing all
# takes too long: 99 in 100 are there. Within cells of similar coordinates 95 are, but the edges between cells
# are missing, which are those that correct LSI: 20 Newsgroups then loses 12 points of precision.
CANDIDATES = 30

# By so much more than in the first round may words tell where a document lies (mean cosine). Beyond, the
# rounds have begun to hear their own echo: the graph follows what was predicted, and is easier to predict
# each time. It happens where words say little, in TMC with its 500 words, and costs 4 points there by the
# eighth round.
ECHO = 0.03


@dataclass(frozen=True)
class Round:
    """What one round found."""

    place: Array  # (n, d), the eigenmap about its mean
    W: Array  # (V, d), of the regression
    predicted: Array  # (n, d), X W, rows of length one
    length: float  # of these rows before, on average
    told: float  # mean cosine of prediction and place


@dataclass(frozen=True)
class Alike:
    """What was worked out about the training documents before the first step."""

    target: Any  # CSR (n, V)
    neighbours: Array  # (n, k)
    teacher: Array  # (n, d), rows of length one
    V_u: Array  # (V, d'), coordinates of any document as sums over its words: LSI, then the teacher's


def find_alike(X: Any, settings: NeighbourSettings, seed: int, threads: int | None = None) -> Alike:
    """Return every document's neighbours and its place in the teacher's space.

    Parameters
    ----------
    X
        Documents, CSR (n, V), rows of length one.
    settings
        Sizes of LSI, graph and eigenmap; number of rounds.
    seed
        Of the start vectors of the eigensolvers.
    threads
        How many threads; the result is the same for any number.
    """
    n = X.shape[0]
    log.info("neighbours: LSI of %s documents", f"{n:,}")
    lsi = fit_lsi(X, min(settings.lsi, *X.shape), seed).components  # (V, 256)
    u = project(X, lsi[:, : settings.graph_lsi], threads)  # (n, 64)
    if n < FEWEST_DOCUMENTS:
        return Alike(X, np.arange(n)[:, None], normalise_rows(u), lsi)
    last = _last_round(rounds(X, u, settings, seed, threads), settings.rounds)
    V_u = np.hstack([lsi, _longer(last.W, last.length, u)])
    return Alike(X, _nearest(last.predicted, settings, seed, threads), last.predicted, V_u)


def _last_round(found: Iterator[Round], most: int) -> Round:
    """Return the last round before they hear their own echo."""
    first = last = next(found)
    for following in islice(found, most - 1):
        if following.told > first.told + ECHO:
            break
        last = following
    return last


def rounds(
    X: Any, u: Array, settings: NeighbourSettings, seed: int, threads: int | None = None
) -> Iterator[Round]:
    """Yield what each round finds, without end, starting from coordinates u (n, d)."""
    teacher = normalise_rows(u)
    near_by_words = _candidates(X, settings, threads)
    dims = min(settings.eigenmap, X.shape[0] // 8)
    for i in count(1):
        log.info("neighbours: round %d of at most %d", i, settings.rounds)
        graph = _graph(X, teacher, near_by_words, settings, seed, threads)
        place = normalise_rows(laplacian_eigenmap(graph, dims, seed))  # (n, d)
        place = place - place.mean(axis=0)
        W = ridge(X, place, settings.penalty, threads)  # (V, d)
        predicted = project(X, W, threads)  # (n, d)
        length = float(np.linalg.norm(predicted, axis=1).mean())
        predicted = normalise_rows(predicted)
        told = float((predicted * normalise_rows(place)).sum(axis=1).mean())
        yield Round(place, W, predicted, length, told)
        teacher = predicted


def _longer(W: Array, length: float, u: Array) -> Array:
    """Return W stretched so that its coordinates are as long as those of LSI: a ridge shortens them."""
    lsi_length = np.linalg.norm(u, axis=1).mean()
    longer: Array = W * W.dtype.type(lsi_length / length if length > 0 else 1)
    return longer


def _candidates(X: Any, settings: NeighbourSettings, threads: int | None) -> Array | None:
    """Return the documents near by words alone, (n, 30), if there are too many to compare in each round."""
    if X.shape[0] <= MOST_EXACT:
        return None
    log.info("neighbours: the words of %s documents", f"{X.shape[0]:,}")
    return top_cosine(X, max(CANDIDATES, settings.edges), threads=threads)[0]


def _graph(
    X: Any,
    place: Array,
    near_by_words: Array | None,
    settings: NeighbourSettings,
    seed: int,
    threads: int | None,
) -> Any:
    """Return the graph of the documents nearest by words and place, if need be among candidates by either."""
    k = min(settings.edges, X.shape[0] - 1)
    if near_by_words is None:
        near, similarities = top_cosine([X, place], k, threads=threads)
    else:
        near_by_place, _ = approximate_cosine(place, CANDIDATES, seed, threads=threads)
        candidates = np.hstack([near_by_words, near_by_place])  # (n, 60)
        near, similarities = top_of_candidates([X, place], candidates, k, threads=threads)
    return knn_graph(near, similarities, symmetry="mean", weighted=False)


def _nearest(place: Array, settings: NeighbourSettings, seed: int, threads: int | None) -> Array:
    """Return the nearest documents by cosine, (n, k): fewer than asked for where there are few in all."""
    k = int(np.clip(len(place) // 40, 1, settings.neighbours))
    if len(place) > MOST_EXACT:
        return approximate_cosine(place, k, seed, threads=threads)[0]
    return top_cosine(place, k, threads=threads)[0]
