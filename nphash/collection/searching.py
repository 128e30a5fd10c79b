"""Search results: candidates by Hamming distance, then their order by TF-IDF cosine with the stored text.

A query of three words makes a poor code, but the documents near it can be compared word by word. Only the
candidates' text is read, so the cost does not grow with the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, unpack
from nphash.core.arguments import check_count
from nphash.core.frames import one_column
from nphash.core.typing import Array, Ints
from nphash.corpus import Document
from nphash.errors import InputError, InputTypeError
from nphash.text.vectorizer import Vectorizer
from nphash.text.weighting import Counts, Statistics, tfidf

if TYPE_CHECKING:
    from nphash.collection.state import Segments
    from nphash.search import HammingIndex

# Reading and weighing 5,000 abstracts takes 0.1 to 0.4 s, with the length of the query. Of 50,000 abstracts
# it finds 0.74 of the ten most similar to a title; 2,000 find 0.6, and 10,000 in nearly twice the time 0.82.
MIN_CANDIDATES, MAX_CANDIDATES = 2_000, 5_000
SHARE = 10  # one of so many documents is a candidate, between these bounds
CANDIDATES_PER_HIT = 10
TIES_BOUND = 2  # at most so many times the candidates, when the last of them are tied


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Parameters
    ----------
    k
        Results a query; None for all of them, every document where no `radius` is given.
    radius
        Only documents whose code differs in at most so many bits.
    rerank
        Order candidates by TF-IDF cosine of their text; without it by Hamming distance alone.
    candidates
        How many nearest codes are looked at again; None for a tenth of the documents, at least 2,000 and at
        most 5,000, but never fewer than ten times `k`. Documents tied with the last one are taken in, up to
        twice the number.
    """

    k: int | None = 10
    radius: int | None = None
    rerank: bool = True
    candidates: int | None = None

    def check(self) -> None:
        """Raise `InputError` for settings that ask for nothing."""
        if self.k is not None:
            check_count(self.k, "k", hint="ask for one result or more, or None for all")
        if self.radius is not None:
            check_count(self.radius, "radius", least=0, hint="give 0 or more differing bits")
        if self.candidates is not None:
            check_count(self.candidates, "candidates", hint="give k or more")
            if self.candidates < (self.k or 1):
                raise InputError(
                    f"candidates is {self.candidates}, fewer than the k={self.k} results", "give k or more"
                )

    def n_candidates(self, n_documents: int) -> int | None:
        """Nearest codes of `n_documents` to fetch; None for all."""
        if self.k is None:
            return None
        if not self.rerank:
            return self.k
        share = min(max(n_documents // SHARE, MIN_CANDIDATES), MAX_CANDIDATES)
        return self.candidates or max(CANDIDATES_PER_HIT * self.k, share)


def chosen(settings: SearchSettings | None, k: int | EllipsisType | None) -> SearchSettings:
    """Return checked settings, with `k` in place of theirs unless it is ``...``."""
    settings = SearchSettings() if settings is None else settings
    if not isinstance(settings, SearchSettings):
        raise InputError(f"settings is {settings!r}", "give a nphash.collection.SearchSettings or None")
    if not isinstance(k, EllipsisType):
        settings = replace(settings, k=k)
    settings.check()
    return settings


def as_queries(texts: Iterable[str]) -> list[str]:
    """Return queries as a list; `InputError` for one string, or a table of several columns."""
    what = "one string"
    if not isinstance(texts, (str, bytes)):
        try:
            return list(one_column(texts, "queries"))
        except InputTypeError:
            what = repr(texts)
    raise InputError(f"texts is {what}, but a list of queries is needed", "write search([text])")


@dataclass(frozen=True)
class Hit:
    """One result: a document and how near it is.

    Attributes
    ----------
    rank
        From 1.
    document
        The document with its whole text.
    distance
        Differing bits.
    similarity
        TF-IDF cosine with the query, from 0 to 1.
    """

    rank: int
    document: Document
    distance: int
    similarity: float

    @property
    def id(self) -> str:
        """The document's id."""
        return self.document.id


@dataclass(frozen=True)
class Explanation:
    """Why a document was found.

    Attributes
    ----------
    shared_words
        Words of both texts with their parts of the similarity, largest first.
    differing_bits
        Numbers of the bits in which the codes differ, from 0.
    """

    shared_words: list[tuple[str, float]]
    differing_bits: list[int]


class Searcher:
    """Searches of one state of a collection; ids of the index are positions in the segments."""

    def __init__(self, index: HammingIndex, segments: Segments, reranker: Reranker, n_bits: int) -> None:
        self.index, self.segments, self.reranker, self.n_bits = index, segments, reranker, n_bits

    def search(self, texts: Sequence[str], codes: Codes, settings: SearchSettings) -> list[list[Hit]]:
        """Return the hits of each text; `codes` are the texts' codes."""
        found = candidates(self.index, codes, settings)
        return [self._hits(text, *near, settings) for text, near in zip(texts, found, strict=True)]

    def search_like(self, position: int, settings: SearchSettings) -> list[Hit]:
        """Return the hits of the document at `position`, without itself."""
        text = self.segments.documents_at([position])[position].text
        one_more = replace(
            settings,
            k=None if settings.k is None else settings.k + 1,
            candidates=None if settings.candidates is None else settings.candidates + 1,
        )
        [(distances, positions)] = candidates(self.index, self.segments.codes_at([position]), one_more)
        others = positions != position  # it may be missing itself, behind many equal codes
        return self._hits(text, distances[others], positions[others], settings)

    def explain(self, query: str, code: Codes, position: int) -> Explanation:
        """Return why the document at `position` was found."""
        text = self.segments.documents_at([position])[position].text
        bits = unpack(code ^ self.segments.codes_at([position]), self.n_bits)[0]
        return Explanation(self.reranker.shared_words(query, text), np.flatnonzero(bits).tolist())

    def _hits(self, text: str, distances: Array, positions: Ints, settings: SearchSettings) -> list[Hit]:
        if not settings.rerank:
            distances, positions = distances[: settings.k], positions[: settings.k]
        similarities = self.reranker.similarities(text, self.segments.texts_at(positions.tolist()))
        best = order(distances, positions, similarities) if settings.rerank else np.arange(len(positions))
        best = best[: settings.k]
        documents = self.segments.documents_at(positions[best].tolist())
        return [
            Hit(rank, documents[int(positions[i])], int(distances[i]), float(similarities[i]))
            for rank, i in enumerate(best.tolist(), start=1)
        ]


class Reranker:
    """TF-IDF rows of unit length, whatever weighting the hasher was trained with, by a fitted vectorizer."""

    def __init__(self, vectorizer: Vectorizer) -> None:
        self.vectorizer = vectorizer
        self._statistics = Statistics(vectorizer.document_frequency_, vectorizer.n_documents_, 1.0)

    def rows(self, texts: Sequence[str]) -> Counts:
        """Return TF-IDF weights of `texts` in CSR form, rows of unit L2 norm or zero."""
        counts = self.vectorizer.counts(texts)
        weights = tfidf(counts, self._statistics)
        return Counts(weights, counts.indices, counts.indptr)

    def similarities(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the cosine between `query` and each text, float64, shape (n_texts,), from 0 to 1."""
        similarities = np.zeros(len(texts))
        mine = self.rows([query])
        words = [self.vectorizer.vocabulary_[column] for column in mine.indices.tolist()]
        some = [number for number, text in enumerate(texts) if _may_hold(text, words)]
        if words and some:
            weights, rows = self._dense(mine), self.rows([texts[number] for number in some])
            owners = np.repeat(np.arange(len(some)), np.diff(rows.indptr))
            sums = np.bincount(owners, weights=rows.data * weights[rows.indices], minlength=len(some))
            similarities[some] = np.clip(sums, 0.0, 1.0)  # rounding may leave 1.0000001
        return similarities

    def shared_words(self, query: str, text: str) -> list[tuple[str, float]]:
        """Return the words that query and text share with their part of the cosine, largest first."""
        mine, other = self.rows([query]), self.rows([text])
        parts = other.data * self._dense(mine)[other.indices]
        order = np.lexsort((other.indices, -parts))
        words = self.vectorizer.vocabulary_
        return [(words[other.indices[i]], float(parts[i])) for i in order if parts[i] > 0]

    def _dense(self, row: Counts) -> Array:
        weights = np.zeros(len(self.vectorizer.vocabulary_))
        weights[row.indices] = row.data
        return weights


def _may_hold(text: str, words: Sequence[str]) -> bool:
    """Return whether a text may hold one of `words`: most candidates do not, and need no counting.

    Words of an ASCII text are parts of its lower-case form; others may be normalised first, so it may.
    """
    if not text.isascii():
        return True
    text = text.lower()
    return any(word in text for word in words)


def candidates(index: HammingIndex, codes: Codes, settings: SearchSettings) -> list[tuple[Array, Ints]]:
    """Return for each code, shape (q, n_bytes), distances and positions of its candidates, in that order."""
    wanted = settings.n_candidates(len(index))
    if not len(index):  # all documents were removed
        return [(np.zeros(0, np.int64), np.zeros(0, np.int64))] * len(codes)
    if settings.radius is not None:
        offsets, distances, positions = index.within(codes, settings.radius)
        found = [
            (distances[start:stop], positions[start:stop])
            for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        ]
    else:
        most = len(index) if wanted is None else wanted * (TIES_BOUND if settings.rerank else 1)
        distances, positions = index.search(codes, min(most, len(index)))
        found = list(zip(distances, positions, strict=True))
    return [(d[:last], p[:last]) for d, p in found for last in [_with_ties(d, wanted, settings.rerank)]]


def _with_ties(distances: Array, wanted: int | None, ties: bool) -> int:
    """Return how many of the ascending distances to keep: `wanted` and, up to a bound, ties with the last."""
    if wanted is None or wanted >= len(distances):
        return len(distances)
    if not ties:
        return wanted
    return min(int(np.searchsorted(distances, distances[wanted - 1], side="right")), TIES_BOUND * wanted)


def order(distances: Array, positions: Ints, similarities: npt.NDArray[np.float64]) -> Ints:
    """Return the order of results: most similar first, then by distance and position."""
    return np.lexsort((positions, distances, -similarities))
