"""What one search looks at: a snapshot of the rows, never changed afterwards.

Adding and removing replace the index's snapshot by another, so a search in one Python thread is
not disturbed by changes made in another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Words

__all__ = ["ALL", "Allowed", "Rows"]

Allowed = npt.NDArray[np.uint8]

ALL: Allowed = np.empty(0, np.uint8)  # "every row may be found"


class Rows(NamedTuple):
    """The codes to search and which of them may be found."""

    n_bits: int
    segments: tuple[tuple[int, Words], ...]  # (position of the first row, words), in insertion order
    n: int  # positions: one more than the last
    allowed: Allowed  # (n,) 0 where a row must not be found; or ALL
    n_allowed: int

    @property
    def start(self) -> int:
        """The first position."""
        return self.segments[0][0] if self.segments else self.n

    @property
    def n_words(self) -> int:
        """Words of a code."""
        return -(-self.n_bits // 64)

    def restricted(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """Return the same rows, of which only those in ``mask``, shape (n,), may be found."""
        allowed = mask.astype(np.uint8)
        if len(self.allowed):
            allowed &= self.allowed
        return self._replace(allowed=allowed, n_allowed=int(np.count_nonzero(allowed)))

    def since(self, position: int) -> Rows:
        """Return only the rows at or behind ``position``; they keep their positions."""
        segments = tuple(self.pieces(position, self.n, self.n or 1))
        count = int(np.count_nonzero(self.allowed[position:])) if len(self.allowed) else self.n - position
        return self._replace(segments=segments, n_allowed=count)

    def pieces(self, start: int, stop: int, size: int) -> list[tuple[int, Words]]:
        """Return the rows between two positions in order, cut into at most ``size`` rows each."""
        found = []
        for first, words in self.segments:
            for low in range(max(start, first), min(stop, first + len(words)), size):
                high = min(low + size, stop, first + len(words))
                found.append((low, words[low - first : high - first]))
        return found

    def at(self, positions: npt.NDArray[np.int64]) -> Words:
        """Return a copy of the rows at ``positions``, which are ascending."""
        parts = [np.empty((0, self.n_words), np.uint64)]
        for first, words in self.segments:
            low, high = np.searchsorted(positions, [first, first + len(words)])
            parts.append(words[positions[low:high] - first])
        return np.concatenate(parts)

    def sample(self, size: int) -> Words:
        """Return up to ``size`` rows that may be found: one at random from each of so many stretches."""
        stretch = max(1, (self.n - self.start) // size)
        positions = np.arange(self.start, self.n - stretch + 1, stretch)
        if stretch > 1:  # always the same ones, but no period of the data's can agree with theirs
            positions += np.random.default_rng(0).integers(0, stretch, len(positions))
        if len(self.allowed):
            positions = positions[self.allowed[positions] != 0]
        return self.at(positions)

    def compact(self) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Return copies of only the rows that may be found, numbered from 0, and their positions here."""
        positions = np.arange(self.start, self.n)
        if len(self.allowed):
            positions = positions[self.allowed[self.start :] != 0]
        words = self.at(positions)
        return Rows(self.n_bits, ((0, words),), len(words), ALL, len(words)), positions
