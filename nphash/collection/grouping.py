"""Groups of documents with nearly the same code, and what their texts say about them.

A code of few bits is shared by documents that are merely about the same, so a group is no group of copies
until its texts are compared: by TF-IDF cosine, where equal texts count 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components

from nphash.core.typing import Array, Ints, Progress
from nphash.text.vectorizer import Vectorizer
from nphash.text.weighting import Statistics, tfidf

if TYPE_CHECKING:
    from nphash.collection.collection import Collection

AT_ONCE = 1_000  # documents whose texts are in memory; a larger group is compared as a whole
PAIRS_AT_ONCE = 1 << 21  # similarities in memory, 12 bytes each
ROUNDING = 1e-9


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
    if not len(positions):
        return []
    pairs = numbers[: len(first)], numbers[len(first) :]
    graph = coo_array((np.ones(len(first), np.int8), pairs), shape=(len(positions),) * 2)
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order])) + 1
    return sorted(np.split(positions[order].astype(np.int64), starts), key=lambda members: int(members[0]))


@dataclass(frozen=True)
class GroupSimilarity:
    """Similarity of the texts of groups, one entry a document, group after group."""

    similarity: npt.NDArray[np.float64]  # with the first of the group, 1 where the texts are equal
    same_text: npt.NDArray[np.bool_]  # whether another of the group has it too, character by character


def group_similarity(
    collection: Collection, groups: list[Ints], progress: Progress | None = None
) -> GroupSimilarity:
    """Compare the texts of each group with its first, a thousand at a time."""
    if not groups:
        return GroupSimilarity(np.zeros(0), np.zeros(0, dtype=bool))
    sizes = [len(group) for group in groups]
    positions = np.concatenate(groups)
    firsts = np.repeat([group[0] for group in groups], sizes)
    vectorizer, texts_at = collection.vectorizer, collection.segments.texts_at
    similarity, keys = np.zeros(len(positions)), np.zeros(len(positions), dtype=np.int64)
    for start in range(0, len(positions), AT_ONCE):
        block = slice(start, start + AT_ONCE)
        texts = texts_at(positions[block].tolist())
        different, number = np.unique(firsts[block], return_inverse=True)
        beginnings = texts_at(different.tolist())
        cosine = _rows(vectorizer, texts).multiply(_rows(vectorizer, beginnings)[number]).sum(axis=1)
        equal = [text == beginnings[i] for text, i in zip(texts, number.tolist(), strict=True)]
        similarity[block] = np.where(equal, 1.0, np.clip(np.asarray(cosine).ravel(), 0.0, 1.0))
        keys[block] = [hash(text) for text in texts]
        if progress is not None:
            progress(min(start + AT_ONCE, len(positions)), len(positions))
    group = np.repeat(np.arange(len(groups)), sizes)
    pairs = np.stack([group, keys], axis=1)
    _, of_text, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return GroupSimilarity(similarity, counts[of_text.ravel()] > 1)


def text_groups(
    collection: Collection, groups: list[Ints], least: float, progress: Progress | None = None
) -> list[Ints]:
    """Return the parts of groups in which each document is at least that similar to any other of the part."""
    pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    done, total = 0, sum(map(len, groups))
    for positions, group in _batches(groups):
        texts = collection.segments.texts_at(positions.tolist())
        leaders: dict[tuple[int, str], int] = {}  # the first of equal texts stands for them
        leader = np.array(
            [leaders.setdefault(key, i) for i, key in enumerate(zip(group.tolist(), texts, strict=True))]
        )
        copies = leader != np.arange(len(leader))
        pairs.append((positions[leader[copies]], positions[copies]))
        alone = np.array(list(leaders.values()))
        rows = _rows(collection.vectorizer, [texts[i] for i in alone.tolist()])
        pairs += [
            (positions[alone[i]], positions[alone[j]]) for i, j in _similar_pairs(rows, group[alone], least)
        ]
        done += len(positions)
        if progress is not None:
            progress(done, total)
    first, second = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return groups_of(first, second)


def _batches(groups: list[Ints]) -> Iterator[tuple[Ints, Ints]]:
    """Yield positions and the numbers of their groups: of some small groups together, or of a large one."""
    start, size = 0, 0
    for stop, group in enumerate(groups, start=1):
        size += len(group)
        if size >= AT_ONCE or stop == len(groups):
            some = groups[start:stop]
            yield np.concatenate(some), np.repeat(np.arange(len(some)), [len(one) for one in some])
            start, size = stop, 0


def _similar_pairs(rows: csr_matrix, group: Ints, least: float) -> Iterator[tuple[Ints, Ints]]:
    """Yield (row, later row) of the same group with at least a cosine, a block of rows at a time."""
    step = max(1, PAIRS_AT_ONCE // rows.shape[0])
    for start in range(0, rows.shape[0], step):
        cosines = rows[start : start + step] @ rows[start:].T
        cosines.data[cosines.data < least - ROUNDING] = 0.0
        cosines.eliminate_zeros()
        first, second = (numbers.astype(np.int64) + start for numbers in cosines.nonzero())
        found = (first < second) & (group[first] == group[second])
        yield first[found], second[found]


def _rows(vectorizer: Vectorizer, texts: list[str]) -> csr_matrix:
    """Return TF-IDF rows of unit length or zero, whatever weighting the hasher was trained with."""
    counts = vectorizer.counts(texts)
    weights = tfidf(counts, Statistics(vectorizer.document_frequency_, vectorizer.n_documents_, 1.0))
    return csr_matrix((weights, counts.indices, counts.indptr), shape=counts.shape)
