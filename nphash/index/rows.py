"""What one search looks at: a snapshot of the rows, never changed afterwards.

Adding and removing replace the index's snapshot by another, so a search in one Python thread is
not disturbed by changes made in another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ALL", "Rows", "Words"]

Words = npt.NDArray[np.uint64]
Allowed = npt.NDArray[np.uint8]

ALL: Allowed = np.empty(0, np.uint8)  # "every row may be found"


class Rows(NamedTuple):
    """The codes to search and which of them may be found."""

    n_bits: int
    segments: tuple[tuple[int, Words], ...]  # (position of the first row, words), in insertion order
    n: int  # rows in all segments
    allowed: Allowed  # (n,) 0 where a row must not be found; or ALL
    n_allowed: int

    def restricted(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """Return the same rows, of which only those in ``mask``, shape (n,), may be found."""
        allowed = mask.astype(np.uint8)
        if len(self.allowed):
            allowed &= self.allowed
        return self._replace(allowed=allowed, n_allowed=int(np.count_nonzero(allowed)))

    def since(self, position: int) -> Rows:
        """Return only the rows at or behind ``position``; they keep their positions."""
        segments = tuple(
            (max(first, position), words[max(0, position - first) :])
            for first, words in self.segments
            if first + len(words) > position
        )
        allowed = self.allowed
        count = int(np.count_nonzero(allowed[position:])) if len(allowed) else self.n - position
        return self._replace(segments=segments, n_allowed=count)
