"""Results as single numbers: distance and position packed into one unsigned 64-bit key.

``key = distance << 48 | position``. The order of keys as numbers *is* the order of results,
(distance, insertion order): partial results of several threads, segments or strategies are
merged by sorting keys, and the answer is the same however the work was divided.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["NONE", "POSITION_BITS", "Keys", "distances", "make", "merge", "positions"]

Keys = npt.NDArray[np.uint64]

POSITION_BITS = 48  # 2.8 * 10^14 rows; 16 bits are left for the distance
NONE = np.uint64(2**64 - 1)  # "no result": larger than every real key

_POSITION = np.uint64(2**POSITION_BITS - 1)
_SHIFT = np.uint64(POSITION_BITS)


def make(distance: npt.NDArray[np.integer], position: npt.NDArray[np.integer]) -> Keys:
    """Pack distances and positions.

    Examples
    --------
    >>> keys = make(np.array([3, 0]), np.array([10, 20]))
    >>> distances(keys).tolist(), positions(keys).tolist(), bool(keys[1] < keys[0])
    ([3, 0], [10, 20], True)
    """
    keys: Keys = (distance.astype(np.uint64) << _SHIFT) | position.astype(np.uint64)
    return keys


def distances(keys: Keys) -> npt.NDArray[np.int32]:
    """Return the distance of each key."""
    return (keys >> _SHIFT).astype(np.int32)


def positions(keys: Keys) -> npt.NDArray[np.int64]:
    """Return the position of each key."""
    return (keys & _POSITION).view(np.int64)


def merge(parts: list[Keys], k: int) -> Keys:
    """Return the ``k`` smallest keys of each row over all parts, sorted; each part is (Q, any), rows sorted.

    Examples
    --------
    >>> merge([np.array([[5, 9]], np.uint64), np.array([[7]], np.uint64)], k=2)
    array([[5, 7]], dtype=uint64)
    """
    if len(parts) == 1 and parts[0].shape[1] == k:
        return parts[0]
    together = np.sort(np.concatenate(parts, axis=1), axis=1)
    return together[:, :k]
