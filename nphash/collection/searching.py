"""Search results: what is asked, what was found, and why; `nphash.collection.ranking` has the rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import EllipsisType
from typing import TYPE_CHECKING

import numpy as np

from nphash.codes import Codes, unpack
from nphash.collection.filters import Facets, Where
from nphash.collection.ranking import (
    Found,
    Mask,
    Words,
    best,
    best_that_match,
    distances_to,
    from_codes,
    from_words,
)
from nphash.core.arguments import check_count
from nphash.core.frames import one_column
from nphash.core.typing import Array, Ints
from nphash.corpus import Document
from nphash.errors import InputError, InputTypeError
from nphash.text.query import Node, Query, Term, matches, parse, plain
from nphash.text.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from nphash.collection.state import Learned, Segments

BY = ("both", "words", "codes")
QUERIES_AT_ONCE = 64


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Parameters
    ----------
    k
        Results a query; None for all of them.
    radius
        Only documents whose code differs in at most so many bits.
    by
        What decides the order: ``"both"`` words and codes, ``"words"`` alone (BM25; documents that hold none
        are left out), or ``"codes"`` alone (Hamming distance).
    """

    k: int | None = 10
    radius: int | None = None
    by: str = "both"

    def check(self) -> None:
        """Raise `InputError` for settings that ask for nothing."""
        if self.k is not None:
            check_count(self.k, "k", hint="ask for one result or more, or None for all")
        if self.radius is not None:
            check_count(self.radius, "radius", least=0, hint="give 0 or more differing bits")
        if self.by not in BY:
            raise InputError(f"by is {self.by!r}", f"choose one of {', '.join(BY)}", parameter="by")


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
            queries = list(one_column(texts, "queries"))
        except InputTypeError:
            what = repr(texts)
        else:
            for at, query in enumerate(queries):
                if not isinstance(query, str):
                    raise InputError(f"query {at} is of type {type(query).__name__}", "queries are strings")
            return queries
    raise InputError(f"texts is {what}, but a list of queries is needed", "write search([text])")


@dataclass(frozen=True)
class Hit:
    """One result: a document and how well it fits.

    Attributes
    ----------
    rank
        From 1.
    document
        The document with its whole text.
    score
        What the order is by. Of words a document with the very words of the query has 1, and one that has
        them more often more; the codes add up to 0.2. Of codes alone it is the share of equal bits.
    bm25
        BM25 score of the words.
    distance
        Differing bits.
    """

    rank: int
    document: Document
    score: float
    bm25: float
    distance: int

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
        Words of both texts with their parts of the BM25 score, largest first.
    differing_bits
        Numbers of the bits in which the codes differ, from 0.
    from_words, from_codes
        The two parts of the score of words and codes together.
    """

    shared_words: list[tuple[str, float]]
    differing_bits: list[int]
    from_words: float
    from_codes: float


class Searcher:
    """Searches of one state of a collection, by position in its segments."""

    def __init__(self, segments: Segments, words: Words, learned: Learned, n_bits: int) -> None:
        self.segments, self.words, self.learned, self.n_bits = segments, words, learned, n_bits
        self.pattern = learned.vectorizer.settings.pattern

    @cached_property
    def facets(self) -> Facets:
        """What is known of all documents beside their text."""
        return self.segments.facets()

    def search(
        self, texts: Sequence[str], settings: SearchSettings, where: Where | None = None
    ) -> list[list[Hit]]:
        """Return the hits of each text, read as a query."""
        among = self._among(where)
        queries = [parse(text, self.pattern) for text in texts]
        hits: list[list[Hit]] = []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            block = queries[start : start + QUERIES_AT_ONCE]
            codes = self._encode(block)
            hits += [
                self._hits(QueryScores(self, query, codes[i : i + 1]), settings, among)
                for i, query in enumerate(block)
            ]
        return hits

    def search_like(self, position: int, settings: SearchSettings, where: Where | None = None) -> list[Hit]:
        """Return the hits of the document at `position`, without itself."""
        others = self._among(where)
        others[position] = False
        return self._hits(self._asked_like(position), settings, others)

    def explain(self, query: str, positions: Sequence[int]) -> list[Explanation]:
        """Return why the document at each of `positions` was found for a query."""
        asked = self.scores_of(parse(query, self.pattern))
        return [self._explanation(asked, position) for position in positions]

    def explain_like(self, like: int, positions: Sequence[int]) -> list[Explanation]:
        """Return why the document at each of `positions` was found like another."""
        asked = self._asked_like(like)
        return [self._explanation(asked, position) for position in positions]

    def _among(self, where: Where | None) -> Mask:
        """Return which positions may be found."""
        live = self.words.live
        return live.copy() if where is None else live & self.facets.mask(where, len(live))

    def terms(self, text: str, is_plain: bool = False) -> tuple[list[Term], list[Term]]:
        """Return the terms of a query, or of a plain text, that some document holds, and the others."""
        terms = list((plain if is_plain else parse)(text, self.pattern).counts)
        there = [bool(self.words.find(term).positions.size) for term in terms]
        known = [term for term, is_there in zip(terms, there, strict=True) if is_there]
        return known, [term for term in terms if term not in known]

    def scores_of(self, query: Query) -> QueryScores:
        """Return what all documents have of a query."""
        return QueryScores(self, query, self._encode([query]))

    def _encode(self, queries: Sequence[Query]) -> Codes:
        X = self.learned.vectorizer.transform([query.text for query in queries])
        return self.learned.hasher.transform(X)

    def _asked_like(self, position: int) -> QueryScores:
        text = self.segments.texts_at([position])[0]
        return QueryScores(self, plain(text, self.pattern), self.segments.codes_at([position]))

    def _hits(self, asked: QueryScores, settings: SearchSettings, among: Mask) -> list[Hit]:
        scores, allowed = asked.scores(settings.by), among & asked.may_be_found(settings.by)
        if settings.radius is not None:
            allowed &= asked.distances <= settings.radius
        positions = self._best(scores, allowed, settings.k, asked.query.condition)
        documents = self.segments.documents_at(positions.tolist())
        return [
            Hit(rank, documents[at], float(scores[at]), float(asked.bm25[at]), int(asked.distances[at]))
            for rank, at in enumerate(positions.tolist(), start=1)
        ]

    def _best(self, scores: Array, allowed: Mask, k: int | None, condition: Node | None) -> Ints:
        if condition is None:
            return best(scores, allowed, k)
        certain, possible = self.words.bounds(condition)
        words = make_tokenizer(self.pattern)

        def hold(positions: Ints) -> Mask:
            texts = self.segments.texts_at(positions.tolist())
            return np.array([matches(condition, list(words(text))) for text in texts], np.bool_)

        return best_that_match(scores, allowed & certain, allowed & possible, k, hold)

    def _explanation(self, asked: QueryScores, position: int) -> Explanation:
        shared = []
        for term, found in asked.found.items():
            at = int(np.searchsorted(found.positions, position))
            if at < len(found.positions) and found.positions[at] == position:
                one = Found(found.positions[at : at + 1], found.counts[at : at + 1], found.idf)
                shared.append((str(term), float(self.words.parts_of_score(one)[0])))
        bits = unpack(asked.code ^ self.segments.codes_at([position]), self.n_bits)[0]
        return Explanation(
            sorted(shared, key=lambda word: -word[1]),
            np.flatnonzero(bits).tolist(),
            float(asked.from_words[position]),
            float(asked.from_codes[position]),
        )


class QueryScores:
    """A query with its code, and what each document has of both: arrays of shape (n_rows,).

    ``bm25`` is K, ``own`` K*, ``share_known`` v of `nphash.collection.ranking`; ``found`` the terms that some
    document holds or the codes know.
    """

    def __init__(self, searcher: Searcher, query: Query, code: Codes) -> None:
        self.query, self.code, self.n_bits, words = query, code, searcher.n_bits, searcher.words
        every = {term: words.find(term) for term in query.counts}
        known = {t for t in every if t.word in searcher.learned.known_words and not t.is_prefix}
        # Misspelt words count nowhere.
        self.found = {term: one for term, one in every.items() if term in known or one.positions.size}
        self.bm25 = words.score(self.found.values())
        self.own = words.own_score(query, self.found)
        self.distances = distances_to(code, searcher.segments.codes)
        total = sum(one.idf for one in self.found.values())
        self.share_known = sum(self.found[term].idf for term in known) / total if known else 0.0

    @cached_property
    def from_words(self) -> Array:
        """What the words add to the score of each document, float32."""
        return from_words(self.bm25, self.own)

    @cached_property
    def from_codes(self) -> Array:
        """What the codes add to the score of each document, float32."""
        return from_codes(self.distances, self.n_bits, self.share_known)

    def scores(self, by: str) -> Array:
        """Return what documents are ordered by, float32."""
        if by == "codes":
            return np.float32(1.0) - self.distances.astype(np.float32) / np.float32(self.n_bits)
        return self.from_words if by == "words" else self.from_words + self.from_codes

    def may_be_found(self, by: str) -> Mask:
        """Return which documents have to do with the query: all, where the codes know a word of it."""
        if by == "codes" or (by == "both" and self.share_known):
            return np.full(len(self.bm25), self.share_known > 0)
        return self.bm25 > 0
