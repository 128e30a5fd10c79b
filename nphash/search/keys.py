"""Results as single numbers: distance and position packed into one unsigned 64-bit key.

``key = distance << 48 | position``: their order *is* that of the results, (distance, insertion order), so
parts are merged by sorting, however the work was divided.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Ints

Keys = npt.NDArray[np.uint64]

SHIFT = np.uint64(48)  # 2.8 * 10^14 rows; 16 bits are left for the distance
NONE = np.uint64(2**64 - 1)  # "no result": larger than every real key
EMPTY: Keys = np.empty(0, np.uint64)

_POSITION = np.uint64(2**48 - 1)


def make(distance: npt.NDArray[np.integer], position: npt.NDArray[np.integer]) -> Keys:
    """Return the keys of distances and positions."""
    keys: Keys = (distance.astype(np.uint64) << SHIFT) | position.astype(np.uint64)
    return keys


def distances(keys: Keys) -> npt.NDArray[np.int32]:
    """Return the distance of each key."""
    return (keys >> SHIFT).astype(np.int32)


def positions(keys: Keys) -> Ints:
    """Return the position of each key."""
    return (keys & _POSITION).view(np.int64)


def merge(parts: list[Keys], k: int) -> Keys:
    """Return the ``k`` smallest keys of each row of all parts, sorted; each part is (Q, any), rows sorted."""
    if len(parts) == 1 and parts[0].shape[1] == k:
        return parts[0]
    return np.sort(np.concatenate(parts, axis=1), axis=1)[:, :k]


def by_query(parts: list[tuple[Ints, Keys]], n_queries: int) -> tuple[Ints, Keys]:
    """Return (offsets, keys): the sorted keys of each query, of parts that name the query of each key."""
    query = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
    keys = np.concatenate([EMPTY, *(part[1] for part in parts)])
    counts = np.bincount(query, minlength=n_queries)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), keys[np.lexsort((keys, query))]
