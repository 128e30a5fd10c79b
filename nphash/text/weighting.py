"""Weights of counted words: binary, tf, tfidf, bm25.

Each weighting takes counts as the three CSR arrays and returns the new ``data`` array only: the
pattern of words never changes. Nothing here needs SciPy, so that one query is weighted quickly.

====== ==================================================================================
binary 1
tf     1 + ln(tf)
tfidf  (1 + ln(tf)) (ln((1 + n) / (1 + df)) + 1), rows scaled to unit L2 norm
bm25   idf tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)), k1 = 1.2, b = 0.75,
       idf = ln(1 + (n - df + 1/2) / (df + 1/2))
====== ==================================================================================

with tf the count of the word in the document, n the number of documents, df the number of
documents that hold the word, and length the number of counted words in the document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nphash.core.typing import Array
from nphash.errors import InputError


class Counts(NamedTuple):
    """Word counts of n documents in CSR form: any CSR matrix has these three attributes."""

    data: Array  # (nnz,) positive counts
    indices: Array  # (nnz,) word numbers
    indptr: Array  # (n + 1,)


@dataclass(frozen=True)
class Statistics:
    """Figures of the training corpus that weightings use."""

    document_frequency: Array  # (n_words,) number of documents that hold each word
    n_documents: int
    mean_length: float  # mean number of counted words in a document, for BM25


def binary(counts: Counts, statistics: Statistics) -> Array:
    """Weight 1 for every word that occurs; float32 of shape (nnz,)."""
    return np.ones(len(counts.data), np.float32)


def tf(counts: Counts, statistics: Statistics) -> Array:
    """Sublinear term frequency, ``1 + ln(tf)``; float32 of shape (nnz,)."""
    return np.asarray(1.0 + np.log(counts.data), dtype=np.float32)


def tfidf(counts: Counts, statistics: Statistics) -> Array:
    """Sublinear term frequency times smoothed IDF, rows of unit L2 norm; float32 of shape (nnz,)."""
    idf = np.log((1.0 + statistics.n_documents) / (1.0 + statistics.document_frequency)) + 1.0  # (V,)
    weights = (1.0 + np.log(counts.data)) * idf[counts.indices]  # (nnz,)
    norms = np.sqrt(_row_sums(weights * weights, counts.indptr))  # (n,)
    return np.asarray(weights / np.repeat(norms, np.diff(counts.indptr)), dtype=np.float32)


def bm25(counts: Counts, statistics: Statistics, k1: float = 1.2, b: float = 0.75) -> Array:
    """Okapi BM25 weight of each word in its document; float32 of shape (nnz,)."""
    frequency = statistics.document_frequency.astype(np.float64)  # (V,)
    idf = np.log1p((statistics.n_documents - frequency + 0.5) / (frequency + 0.5))  # (V,)
    lengths = _row_sums(counts.data.astype(np.float64), counts.indptr)  # (n,)
    shares = lengths / statistics.mean_length if statistics.mean_length > 0 else np.ones_like(lengths)
    brakes = np.repeat(k1 * (1.0 - b + b * shares), np.diff(counts.indptr))  # (nnz,)
    weights = idf[counts.indices] * counts.data * (k1 + 1.0) / (counts.data + brakes)
    return np.asarray(weights, dtype=np.float32)


#: Weightings by the name that settings and the command line use.
WEIGHTINGS: dict[str, Callable[[Counts, Statistics], Array]]
WEIGHTINGS = {"binary": binary, "tf": tf, "tfidf": tfidf, "bm25": bm25}


def weigh(name: str, counts: Counts, statistics: Statistics) -> Array:
    """Return the weights, float32 of shape (nnz,); InputError for a name that is not in `WEIGHTINGS`."""
    if name not in WEIGHTINGS:
        raise InputError(f"{name!r} is no weighting", f"choose one of {', '.join(WEIGHTINGS)}")
    return WEIGHTINGS[name](counts, statistics)


def _row_sums(values: Array, indptr: Array) -> Array:
    """Sum each row in its own order: the same bits for one row alone as inside a large matrix."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(rows, weights=values, minlength=len(indptr) - 1)
