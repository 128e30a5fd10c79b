"""The rows of an index: snapshots for searches, and the table that changes.

Every change is checked completely before it begins, is made under a lock, and ends by replacing the
snapshot (`Rows`) with a new one. A search keeps the snapshot it began with, so changes made in another
Python thread do not disturb it.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, n_bytes
from nphash.core.typing import Array, Ints, Words
from nphash.errors import InputError
from nphash.search.columns import Column, Ids, IdsLike

Allowed = npt.NDArray[np.uint8]

ALL: Allowed = np.empty(0, np.uint8)  # "every row may be found"


class Rows(NamedTuple):
    """A snapshot: the codes to search and which of them may be found; never changed."""

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

    def positions(self) -> Ints:
        """Return the positions of the rows that may be found, ascending."""
        if len(self.allowed):
            return np.flatnonzero(self.allowed[self.start :]) + self.start
        return np.arange(self.start, self.n)

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
        """Return the rows between two positions in order, in pieces of at most ``size`` rows."""
        found = []
        for first, words in self.segments:
            for low in range(max(start, first), min(stop, first + len(words)), size):
                high = min(low + size, stop, first + len(words))
                found.append((low, words[low - first : high - first]))
        return found

    def at(self, positions: Ints) -> Words:
        """Return a copy of the rows at ``positions``, which are ascending."""
        parts = [np.empty((0, self.n_words), np.uint64)]
        for first, words in self.segments:
            low, high = np.searchsorted(positions, [first, first + len(words)])
            parts.append(words[positions[low:high] - first])
        return np.concatenate(parts)

    def sample(self, size: int) -> Words:
        """Return up to ``size`` rows that may be found: one at random from each of ``size`` intervals."""
        interval = max(1, (self.n - self.start) // size)
        positions = np.arange(self.start, self.n - interval + 1, interval)
        if interval > 1:  # always the same ones, but no period of the data's can agree with theirs
            positions += np.random.default_rng(0).integers(0, interval, len(positions))
        if len(self.allowed):
            positions = positions[self.allowed[positions] != 0]
        return self.at(positions)

    def compact(self) -> tuple[Rows, Ints]:
        """Return copies of only the rows that may be found, numbered from 0, and their positions here."""
        positions = self.positions()
        words = self.at(positions)
        return Rows(self.n_bits, ((0, words),), len(words), ALL, len(words)), positions


class Table:
    """Codes of ``n_bits`` bits with ids."""

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits
        self.lock = threading.RLock()
        self.ids = Ids()
        self._codes = Column(np.empty((0, n_bytes(n_bits) // 8), np.uint64))
        self.rows = Rows(n_bits, (), 0, ALL, 0)

    def add(self, codes: Codes, ids: IdsLike | None) -> None:
        """Append codes; see `HammingIndex.add`."""
        codes = check_codes(codes, self.n_bits)
        with self.lock:
            new_ids = self.ids.check(ids, len(codes))
            before = self._codes.state
            try:
                self._codes.append(as_words(codes))
                self.ids.append(new_ids, len(codes))
            except BaseException:  # no memory, or Ctrl-C
                self._codes.state = before
                raise
            allowed, n_allowed = self.rows.allowed, self.rows.n_allowed + len(codes)
            if len(allowed):
                allowed = np.concatenate([allowed, np.ones(len(codes), np.uint8)])
            self.rows = Rows(self.n_bits, tuple(self._codes.parts()), len(self._codes), allowed, n_allowed)

    def remove(self, ids: IdsLike) -> None:
        """Mark codes as removed; see `HammingIndex.remove`."""
        with self.lock:
            positions = self.ids.positions(ids)
            if len(np.unique(positions)) < len(positions):
                raise InputError("an id to remove is given twice", "name each code once")
            if len(positions):
                self.ids.remove(positions)
                self.rows = self.rows.restricted(~_mask(self.rows.n, positions))

    def ids_of(self, rows: Rows) -> Array:
        """Return the ids of the rows that may be found."""
        return self.ids.at(rows.positions())

    def filtered(self, where: IdsLike) -> Rows:
        """Return the rows that a filter lets through: a boolean mask over those present, or a list of ids."""
        with self.lock:
            rows, given = self.rows, np.asarray(where)
            if given.dtype != bool:
                positions = self.ids.positions(where)
                mask = _mask(rows.n, positions)
                if np.count_nonzero(mask) < len(positions):
                    raise _repeated(self.ids.at(positions), rows.n_allowed)
                return rows.restricted(mask)
        if given.shape != (rows.n_allowed,):
            problem = f"the mask has shape {given.shape}, but the index holds {rows.n_allowed} codes"
            raise InputError(problem, "give one value for each code, in insertion order")
        return rows.restricted(_mask(rows.n, rows.positions()[given]))

    def arrays(self) -> dict[str, list[Array]]:
        """Return what a file has to keep, in parts."""
        with self.lock:
            # As bytes: a big-endian machine must not swap them.
            codes = [words.view(np.uint8) for _, words in self._codes.parts()]
            codes = codes or [np.empty((0, n_bytes(self.n_bits)), np.uint8)]
            removed = np.flatnonzero(self.rows.allowed == 0).astype(np.int64)
            return {"codes": codes, "removed": [removed], **{k: [v] for k, v in self.ids.arrays().items()}}

    @classmethod
    def from_arrays(cls, n_bits: int, arrays: dict[str, Array], next_number: int) -> Table:
        """Return the table kept by `arrays`; `InputError` if its codes are not ``n_bits`` wide."""
        table = cls(n_bits)
        codes, removed = arrays["codes"], arrays["removed"].astype(np.int64)
        if codes.ndim != 2 or codes.shape[1] != n_bytes(n_bits):
            raise InputError(f"codes of shape {codes.shape} are not {n_bits} bits wide")
        n = len(codes)
        table._codes = Column(codes.view(np.uint64))
        table.ids = Ids.from_arrays(arrays, n, next_number, removed)
        table.rows = Rows(n_bits, tuple(table._codes.parts()), n, ALL, n)
        if len(removed):
            table.rows = table.rows.restricted(~_mask(n, removed))
        return table


def _mask(n: int, positions: Ints) -> npt.NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    mask[positions] = True
    return mask


def _repeated(names: Array, n_codes: int) -> InputError:
    """Return the error of a filter that names an id twice, with the way to convert what looks like a mask."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    sizes = f"({len(names)} ids are given, and the index holds {n_codes} codes)"
    hint = "name each id once; a mask is an array of bool, one for each code: where=mask.astype(bool)"
    return InputError(f"the filter names the id {found[counts > 1][0]} more than once {sizes}", hint)
