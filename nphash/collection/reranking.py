"""Second look at the nearest codes: TF-IDF cosine between the query and the stored text.

A query of three words makes a poor code, but the documents near it can be compared word by word.
Only the candidates' text is read, so the cost does not grow with the collection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Array
from nphash.text.vectorizer import Vectorizer
from nphash.text.weighting import Counts, Statistics, tfidf

__all__ = ["Reranker"]


class Reranker:
    """TF-IDF rows of unit length for queries and candidates, with the vocabulary of a vectorizer.

    The weights are TF-IDF whatever weighting the hasher was trained with.

    Parameters
    ----------
    vectorizer
        A fitted vectorizer.
    """

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

    Words of an ASCII text are parts of its lower-case form. Others may be normalised first, so that
    only counting tells.
    """
    if not text.isascii():
        return True
    text = text.lower()
    return any(word in text for word in words)
