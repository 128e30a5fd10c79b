"""Groups of documents with nearly the same text, or with nearly the same code.

Texts are compared by TF-IDF cosine, where equal texts count 1, equal ones once. No pair at or above a
threshold is missed, and few others are looked at: of two unit vectors with cosine >= t, each sorted by a
common order of the words, the beginnings that leave a rest of norm < t share a word, since what the rests
add is less than t (Bayardo, Ma and Srikant, "Scaling up all pairs similarity search", WWW 2007). Rare words
come first, so a beginning is one word for t = 1 and three for 0.95, and each is in few documents.

A code of few bits is shared by documents that are merely about the same: a group by codes is no group of
copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components

from nphash.codes import hamming_distances
from nphash.core.typing import Array, Ints, Progress
from nphash.text.weighting import Statistics, tfidf

if TYPE_CHECKING:
    from nphash.collection.collection import Collection
    from nphash.text.vectorizer import Vectorizer

LEAST = 0.95  # by default; a twentieth of the words replaced leaves .96 in abstracts, a tenth .94
THRESHOLDS = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8)  # of a preview
AT_ONCE = 1_000  # texts in memory
PAIRS_AT_ONCE = 1 << 16  # pairs of rows in memory, some 1.3 KB each
ROUNDING = 1e-6  # weights are float32
SAME = 2.0  # similarity of equal texts, above any other

Near: TypeAlias = Callable[[Array, int, Ints], Array]  # cosines, position, others -> which are near it


def code_groups(collection: Collection, radius: int, progress: Progress | None = None) -> list[Ints]:
    """Return the positions of documents with codes that differ in at most `radius` bits, group by group.

    A document belongs to a group if it is that near to any other of it. Each ascends; ordered by their first.
    """
    if not len(collection):
        return []
    first, second, _ = collection.index.self_join(radius, distinct=True, progress=progress)
    return groups_of(first, second)


def groups_of(first: Array, second: Array) -> list[Ints]:
    """Return the connected groups that pairs of positions make; each ascending, ordered by their first."""
    positions, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    pairs = numbers[: len(first)], numbers[len(first) :]
    return _groups(positions, _merged(np.arange(len(positions)), *pairs))


def _groups(positions: Array, label: Ints) -> list[Ints]:
    """Return positions with the same label, where there are two or more."""
    order = np.argsort(label, kind="stable")
    parts = np.split(positions[order].astype(np.int64), np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((np.sort(part) for part in parts if len(part) > 1), key=lambda members: int(members[0]))


def _merged(label: Ints, first: Ints, second: Ints) -> Ints:
    """Return labels, from 0 to below their number, in which those of each pair are made one."""
    if not len(first):
        return label
    edges = (np.ones(len(first), np.int8), (label[first], label[second]))
    graph = coo_array(edges, shape=(len(label),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][label], dtype=np.int64)


@dataclass(frozen=True)
class GroupSimilarity:
    """Similarity of the texts of groups, one entry a document, group after group."""

    similarity: npt.NDArray[np.float64]  # with the first of the group, 1 where the texts are equal
    same_text: npt.NDArray[np.bool_]  # whether another of the group has it too, character by character


class Redundant(NamedTuple):
    """A document that can go, and the one that stays for it, by their positions."""

    position: int
    kept: int
    similarity: float
    same_text: bool


class Match(NamedTuple):
    """A document, and the most similar one of another collection, by their positions."""

    position: int
    other: int
    similarity: float
    same_text: bool


class Texts:
    """TF-IDF rows of the different texts of some groups of documents; a text belongs to one group.

    Parameters
    ----------
    collection
        Where the texts are, and the vectorizer that makes rows of them.
    groups
        Positions; only documents of the same group are compared. None for all documents as one.
    progress
        Called with (texts read, texts).
    """

    def __init__(
        self, collection: Collection, groups: list[Ints] | None = None, progress: Progress | None = None
    ) -> None:
        groups = [collection.segments.live_positions()] if groups is None else groups
        self.positions = np.concatenate([np.zeros(0, np.int64), *groups])
        self.group = np.repeat(np.arange(len(groups)), [len(one) for one in groups])
        self._order = np.argsort(self.positions, kind="stable")
        self.known: dict[tuple[int, bytes], int] = {}  # (group, digest) of a text -> its row
        self.number: Ints = np.zeros(len(self.positions), dtype=np.int64)  # row of each position
        self._lengths: list[int] = []
        self.vectorizer = collection.vectorizer
        self.rows = _rows(self.vectorizer, self._different(collection, progress))
        self.lengths: Ints = np.array(self._lengths, dtype=np.int64)  # characters of each row's text

    def _different(self, collection: Collection, progress: Progress | None) -> Iterator[str]:
        """Yield texts that have not been before, and number all."""
        for block, _, texts in _blocks(collection, self.positions, progress):
            for i, group, text in zip(
                range(block.start, block.stop), self.group[block].tolist(), texts, strict=True
            ):
                new = len(self.known)
                self.number[i] = self.known.setdefault((group, _digest(text)), new)
                if self.number[i] == new:
                    self._lengths.append(len(text))
                    yield text

    def rows_at(self, positions: Ints) -> Ints:
        """Return the row of the text at each of `positions`, which are among those compared."""
        at = np.searchsorted(self.positions, positions, sorter=self._order)
        return self.number[self._order[at]]

    def groups(self, least: float) -> list[Ints]:
        """Return the positions of documents that are at least that similar to any other of their group."""
        return next(self.preview([least]))

    def preview(self, thresholds: Iterable[float]) -> Iterator[list[Ints]]:
        """Yield the groups for each of `thresholds`, which descend: what is together stays so."""
        label = np.arange(self.rows.shape[0], dtype=np.int64)
        group = np.zeros_like(label)
        group[self.number] = self.group
        for least in thresholds:
            label = _connected(self.rows, group, least, label)
            yield _groups(self.positions, label[self.number])

    def similarity(self, groups: list[Ints]) -> GroupSimilarity:
        """Compare each document of `groups` with the first of its group; each text once."""
        sizes = [len(group) for group in groups]
        own = self.rows_at(np.concatenate([np.zeros(0, np.int64), *groups]))
        first = np.zeros(self.rows.shape[0], np.int64)
        first[own] = np.repeat(own[np.cumsum([0, *sizes])[:-1]], sizes)
        cosine, rows = np.zeros(len(first)), np.unique(own)
        cosine[rows] = _cosines(self.rows, rows, self.rows, first[rows], rows == first[rows])
        return GroupSimilarity(cosine[own], (np.bincount(self.number, minlength=len(first)) > 1)[own])

    def redundant(self, group: Ints, keep: str, near: Near) -> Iterator[Redundant]:
        """Yield what of a group can go, so that each document that does is near one that stays.

        The first, the longest (in characters; of equals the first) or the newest (added last) stays, and of
        those that are not near it the same again: the ends of a group may have little in common.
        """
        rows = self.rows_at(group)
        rest = np.arange(len(group))
        if keep == "newest":
            rest = rest[::-1]
        elif keep == "longest":
            rest = np.argsort(-self.lengths[rows], kind="stable")
        while len(rest):
            best, rest = rest[0], rest[1:]
            others, number = np.unique(rows[rest], return_inverse=True)
            same = others == rows[best]
            cosine = _cosines(self.rows, others, self.rows, np.full(len(others), rows[best]), same)
            gone = near(cosine[number], group[best], group[rest])
            for i in np.flatnonzero(gone).tolist():
                similarity = float(cosine[number[i]]), bool(same[number[i]])
                yield Redundant(int(group[rest[i]]), int(group[best]), *similarity)
            rest = rest[~gone]


def nearness(collection: Collection, radius: int | None, least: float | None) -> Near:
    """Return what says which documents are near one: by their texts, or by their codes alone."""
    if least is not None or radius is None:
        bound = (LEAST if least is None else least) - ROUNDING
        return lambda cosines, position, others: cosines >= bound
    codes_at = collection.segments.codes_at
    return lambda _, position, others: hamming_distances(codes_at([position]), codes_at(others))[0] <= radius


def matches(
    texts: Texts, other: Collection, least: float, progress: Progress | None = None
) -> Iterator[Match]:
    """Yield the documents of `texts` that `other` has with at least that cosine, in their order.

    `other` may have been fitted differently: its texts are read, and weighted as those of `texts`.
    """
    rows = texts.rows
    score, found = np.zeros(rows.shape[0]), np.full(rows.shape[0], -1, dtype=np.int64)
    mine = _prefixes(rows, least)
    for _, block, read in _blocks(other, other.segments.live_positions(), progress):
        theirs = _rows(texts.vectorizer, read)
        equal = np.array([texts.known.get((0, _digest(text)), -1) for text in read], dtype=np.int64)
        known = np.flatnonzero(equal >= 0)
        for second, first in chain([(known, equal[known])], _sharing(_prefixes(theirs, least), mine)):
            similar = np.where(equal[second] == first, SAME, _cosines(rows, first, theirs, second))
            better = (similar >= least - ROUNDING) & (similar > score[first])
            order = np.lexsort(
                (-second[better], similar[better])
            )  # the best is written last; of equals the first
            at = first[better][order]
            score[at], found[at] = similar[better][order], block[second[better][order]]
    for position, row in zip(texts.positions.tolist(), texts.number.tolist(), strict=True):
        if found[row] >= 0:
            yield Match(position, int(found[row]), min(1.0, float(score[row])), bool(score[row] == SAME))


def _blocks(
    collection: Collection, positions: Ints, progress: Progress | None
) -> Iterator[tuple[slice, Ints, list[str]]]:
    """Yield texts with their positions, and where these stand in `positions`."""
    for start in range(0, len(positions), AT_ONCE):
        block = slice(start, min(start + AT_ONCE, len(positions)))
        yield block, positions[block], collection.segments.texts_at(positions[block].tolist())
        if progress is not None:
            progress(block.stop, len(positions))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _rows(vectorizer: Vectorizer, texts: Iterable[str]) -> csr_matrix:
    """Return TF-IDF rows of unit norm, whatever weighting the hasher was trained with; rare words first."""
    counts = vectorizer.counts(texts)
    frequency = vectorizer.document_frequency_
    counts.data = tfidf(counts, Statistics(frequency, vectorizer.n_documents_, 1.0))
    rank = np.empty(len(frequency), counts.indices.dtype)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency))
    counts.indices = rank[counts.indices]
    counts.has_sorted_indices = False
    counts.sort_indices()
    return counts


def _prefixes(rows: csr_matrix, least: float) -> csr_matrix:
    """Return ones where the words of each row begin that leave less than a norm of `least`."""
    squares = rows.data.astype(np.float64) ** 2
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    sizes = np.diff(rows.indptr)
    before = sums[:-1] - np.repeat(sums[rows.indptr[:-1]], sizes)
    kept = 1.0 - before >= least**2 - 4 * ROUNDING
    ends = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
    return csr_matrix((np.ones(ends[-1], np.int32), rows.indices[kept], ends), shape=rows.shape)


def _sharing(left: csr_matrix, right: csr_matrix) -> Iterator[tuple[Ints, Ints]]:
    """Yield numbers of rows of both that share a word, some at a time."""
    columns = right.T.tocsr()
    work = left @ np.diff(columns.indptr).astype(np.int64)  # of each row
    part = np.cumsum(work) // PAIRS_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(work)]
    for start, stop in pairwise(bounds):
        shared = (left[start:stop] @ columns).tocoo()
        yield shared.row.astype(np.int64) + start, shared.col.astype(np.int64)


def _connected(rows: csr_matrix, group: Ints, least: float, label: Ints) -> Ints:
    """Return labels in which those of rows of a group with at least a cosine are made one."""
    prefixes = _prefixes(rows, least)
    # A word of each group is one of its own: rows of different groups share none.
    keys = np.repeat(group, np.diff(prefixes.indptr)) * rows.shape[1] + prefixes.indices
    different, first, columns = np.unique(keys, return_index=True, return_inverse=True)
    prefixes = csr_matrix((prefixes.data, columns, prefixes.indptr), (rows.shape[0], max(1, len(different))))

    def merge(label: Ints, first: Ints, second: Ints) -> Ints:
        different = label[first] != label[second]
        first, second = first[different], second[different]
        similar = _cosines(rows, first, rows, second) >= least - ROUNDING
        return _merged(label, first[similar], second[similar])

    # With the first row that has the word: what is similar in masses is one after that, in linear time.
    row = np.repeat(np.arange(rows.shape[0]), np.diff(prefixes.indptr))
    label = merge(label, row[first][columns], row)
    for one, other in _sharing(prefixes, prefixes):
        label = merge(label, one[one < other], other[one < other])
    return label


def _cosines(left: csr_matrix, i: Ints, right: csr_matrix, j: Ints, same: Array | None = None) -> Array:
    """Return cosines of rows i with rows j, from 0 to 1; 1 where they are the `same` text."""
    cosine = np.zeros(len(i)) if same is None else same.astype(np.float64)
    differ = np.arange(len(i)) if same is None else np.flatnonzero(~same)
    for start in range(0, len(differ), PAIRS_AT_ONCE):
        at = differ[start : start + PAIRS_AT_ONCE]
        products = left[i[at]].multiply(right[j[at]]).sum(axis=1, dtype=np.float64)
        cosine[at] = np.clip(np.asarray(products).ravel(), 0.0, 1.0)
    return cosine
