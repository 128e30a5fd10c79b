"""The order of results: BM25 over all words and the distance of codes, one score for every document.

With K the BM25 score of a document, and K* the one that a document equal to the query would get::

    score = (K / K*)^2 + w v (1 - d / n_bits),   w = 1/5

where d is the Hamming distance of the codes, and v how much of the query the codes know: the share of its
words in the vocabulary, each weighed with its IDF. Words that no document holds and the codes do not know
count nowhere. Each document is given its score, there are no candidates; equal ones keep the order of the
documents. Why this rule: docs/finding.rst.

All of it is sums over documents and so the same however they are spread over segments. Documents that were
removed are counted nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words
from nphash.collection.word_index import Part, WordIndex
from nphash.core.typing import Array, Ints
from nphash.text.query import All, Any, Node, Not, Phrase, Query, Term

K1, B = 1.2, 0.75
WEIGHT = 0.2  # of the codes
AT_ONCE = 32  # documents whose text is compared with a condition, twice as many each time
Mask = npt.NDArray[np.bool_]


# ---------------------------------------------------------------------- words


@dataclass(frozen=True)
class Found:
    """The documents with a term: positions, int64, ascending; how often, float32; and its IDF."""

    positions: Ints
    counts: Array
    idf: float


class Words:
    """The words of all documents that were not removed."""

    def __init__(self, indexes: Sequence[WordIndex], removed: Ints) -> None:
        self._parts: list[tuple[int, Part]] = []
        self.n_rows = 0
        for part in (part for index in indexes for part in index.parts):
            self._parts.append((self.n_rows, part))
            self.n_rows += part.n_documents
        self._removed = removed
        self.n_documents = self.n_rows - len(removed)

    @cached_property
    def live(self) -> Mask:
        """Whether the document at each position is there still, shape (n_rows,)."""
        live = np.ones(self.n_rows, dtype=bool)
        live[self._removed] = False
        return live

    @cached_property
    def mean_length(self) -> float:
        """Mean number of words of a document."""
        return float(self._lengths[self.live].sum()) / max(self.n_documents, 1)

    @cached_property
    def _lengths(self) -> Ints:
        lengths = [part.lengths().astype(np.int64) for _, part in self._parts]
        return np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)

    @cached_property
    def _brakes(self) -> Array:
        """k1 (1 - b + b length / mean length) of each document, float32, shape (n_rows,)."""
        return self._brake(self._lengths).astype(np.float32)

    def _brake(self, length: Ints | int) -> Array:
        return np.asarray(K1 * (1.0 - B + B * length / (self.mean_length or 1.0)))

    def find(self, term: Term) -> Found:
        """Return the documents with a term; one that is the beginning of words is counted as one word."""
        found = [self._in_part(part, term) for _, part in self._parts]
        starts = [start for start, _ in self._parts]
        none = np.zeros(0, dtype=np.int64)
        positions = np.concatenate([none, *(p + start for (p, _), start in zip(found, starts, strict=True))])
        counts = np.concatenate([np.zeros(0, np.float32), *(c for _, c in found)])
        if len(self._removed):
            live = self.live[positions]
            positions, counts = positions[live], counts[live]
        idf = math.log1p((self.n_documents - len(positions) + 0.5) / (len(positions) + 0.5))
        return Found(positions, counts, idf)

    @staticmethod
    def _in_part(part: Part, term: Term) -> tuple[Ints, Array]:
        numbers = part.numbers(term.word, term.is_prefix)
        if len(numbers) == 1:
            return part.postings(numbers[0])
        total = np.zeros(part.n_documents, dtype=np.float32)
        for number in numbers:
            documents, counts = part.postings(number)
            total[documents] += counts
        documents = np.flatnonzero(total).astype(np.int64)
        return documents, total[documents]

    def parts_of_score(self, found: Found) -> Array:
        """Return what a term adds to the BM25 score of each document that has it, float32."""
        counts = found.counts
        weight = np.float32(found.idf * (K1 + 1.0))
        return np.asarray(weight * counts / (counts + self._brakes[found.positions]))

    def score(self, found: Iterable[Found]) -> Array:
        """Return the BM25 score K of every document, float32, shape (n_rows,)."""
        scores = np.zeros(self.n_rows, dtype=np.float32)
        for one in found:
            scores[one.positions] += self.parts_of_score(one)  # no position comes twice
        return scores

    def own_score(self, query: Query, found: dict[Term, Found]) -> float:
        """Return the BM25 score K* of a document that is the terms `found` as often as the query has them."""
        counts = {term: query.counts[term] for term in found}
        brake = float(self._brake(sum(counts.values())))
        return sum(found[term].idf * n * (K1 + 1.0) / (n + brake) for term, n in counts.items())

    def bounds(self, node: Node) -> tuple[Mask, Mask]:
        """Return which documents meet a condition for certain, and which may.

        They differ for phrases and NEAR: the order of words is not in the index.
        """
        nothing = np.zeros(self.n_rows, dtype=bool)
        if isinstance(node, Not):
            certain, possible = self.bounds(node.item)
            return ~possible, ~certain
        if isinstance(node, Phrase):
            if len(node.terms) == 1:
                nothing[self.find(node.terms[0]).positions] = True
                return nothing, nothing
            words = All(tuple(Phrase((term,)) for term in node.terms))
            return nothing, self.bounds(words)[1]
        if isinstance(node, (All, Any)):
            join = np.logical_and if isinstance(node, All) else np.logical_or
            both = [self.bounds(item) for item in node.items]
            return join.reduce([certain for certain, _ in both]), join.reduce([may for _, may in both])
        return nothing, self.bounds(All(node.phrases))[1]

    def n_words(self) -> int:
        """Return how many different words there are, those of removed documents included."""
        return len(set[bytes]().union(*(part.words() for _, part in self._parts)))


# ---------------------------------------------------------------------- words and codes


def distances_to(code: Codes, codes: Iterable[Codes]) -> Ints:
    """Return the Hamming distance from one code, shape (1, n_bytes), to all of a run of arrays of codes."""
    query = as_words(np.ascontiguousarray(code))
    found = [np.bitwise_count(as_words(some) ^ query).sum(axis=1, dtype=np.int64) for some in codes]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def from_words(words: Array, own: float) -> Array:
    """Return (K / K*)^2 of each document, float32."""
    return (words / np.float32(own)) ** 2 if own > 0 else np.zeros(len(words), np.float32)


def from_codes(distances: Ints, n_bits: int, share_known: float) -> Array:
    """Return w v (1 - d / n_bits) of each document, float32."""
    near = np.float32(1.0) - distances.astype(np.float32) / np.float32(n_bits)
    return np.float32(WEIGHT * share_known) * near


def best(scores: Array, allowed: Mask, k: int | None) -> Ints:
    """Return the positions of the `k` best of those allowed, best first; equal ones in their order."""
    positions = np.flatnonzero(allowed)
    values = scores[positions]
    if k is not None and k < len(positions):
        least = np.partition(values, len(values) - k)[len(values) - k]
        above = np.flatnonzero(values > least)
        equal = np.flatnonzero(values == least)[: k - len(above)]
        chosen = np.concatenate([above, equal])
        positions, values = positions[chosen], values[chosen]
    return positions[np.lexsort((positions, -values))].astype(np.int64)


def best_that_match(
    scores: Array, certain: Mask, possible: Mask, k: int | None, matches: Callable[[Ints], Mask]
) -> Ints:
    """Return the `k` best of what is certain or what `matches`, which is asked from the best on."""
    certain, possible, at_once = certain.copy(), possible.copy(), AT_ONCE
    while not certain[found := best(scores, possible, k)].all():
        doubtful = best(scores, possible & ~certain, at_once)
        hold = matches(doubtful)
        certain[doubtful[hold]] = True
        possible[doubtful[~hold]] = False
        at_once *= 2
    return found
