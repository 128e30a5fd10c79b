"""Searching an index with its own codes: near-duplicate pairs, and the neighbour graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Ints
from nphash.search import keys as packed
from nphash.search.executor import Engine
from nphash.search.rows import Rows

__all__ = ["Progress", "neighbours", "pairs"]

Progress = Callable[[int, int], None]

_CHUNK = 4096  # rows that are queries at a time


def pairs(
    engine: Engine, rows: Rows, positions: Ints, radius: int, progress: Progress | None
) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
    """Return (position, later position, distance) of all pairs at most ``radius`` apart.

    Ordered by the first position, then the distance, then the second. ``positions`` are those of
    the rows that may be found. Each chunk is searched among itself and what stands behind it.
    """
    engine.expect_join(rows, len(positions), radius)
    parts = [(np.empty(0, np.int64), np.empty(0, np.uint64))]
    for start in range(0, len(positions), _CHUNK):
        chunk = positions[start : start + _CHUNK]
        offsets, found = engine.within(rows.since(int(chunk[0])), rows.at(chunk), radius)
        first = np.repeat(chunk, np.diff(offsets))
        later = packed.positions(found) > first
        parts.append((first[later], found[later]))
        if progress:
            progress(start + len(chunk), len(positions))
    first, found = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return first, packed.positions(found), packed.distances(found)


def neighbours(
    engine: Engine, rows: Rows, positions: Ints, k: int, progress: Progress | None
) -> tuple[npt.NDArray[np.int32], Ints]:
    """Return (distances, positions), shape (len(positions), k), of the ``k`` nearest *other* rows.

    A row is looked up with k + 1 neighbours and taken out of its own list. With more than k
    duplicates in front of it, it is not in the list; then the last one is taken out instead.
    """
    distances = np.empty((len(positions), k), np.int32)
    nearest = np.empty((len(positions), k), np.int64)
    for start in range(0, len(positions), _CHUNK):
        chunk = positions[start : start + _CHUNK]
        found = engine.nearest(rows, rows.at(chunk), k + 1)
        itself = packed.positions(found) == chunk[:, None]
        itself[:, -1] |= ~itself.any(axis=1)
        found = found[~itself].reshape(len(chunk), k)
        distances[start : start + len(chunk)] = packed.distances(found)
        nearest[start : start + len(chunk)] = packed.positions(found)
        if progress:
            progress(start + len(chunk), len(positions))
    return distances, nearest
