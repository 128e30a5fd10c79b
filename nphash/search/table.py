"""The rows of an index: codes, names, and which of them are still there.

Every change is checked completely before it begins, is made under a lock, and ends by putting a
new snapshot (`Rows`) in place of the old one. Whoever searches holds on to the snapshot he took.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, n_bytes
from nphash.errors import InputError
from nphash.search.columns import Column
from nphash.search.ids import Ids
from nphash.search.rows import ALL, Rows

__all__ = ["Table"]

Positions = npt.NDArray[np.int64]


class Table:
    """Codes of ``n_bits`` bits with names.

    Examples
    --------
    >>> table = Table(8)
    >>> table.add(np.zeros((3, 8), np.uint8), None)
    >>> table.remove([1])
    >>> table.names(table.rows).tolist()
    [0, 2]
    """

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits
        self.lock = threading.RLock()
        self.ids = Ids()
        self._codes = Column(np.empty((0, n_bytes(n_bits) // 8), np.uint64))
        self.rows = Rows(n_bits, (), 0, ALL, 0)

    def add(self, codes: Codes, ids: Any) -> None:
        """Append codes; see `HammingIndex.add`."""
        codes = check_codes(codes, self.n_bits)
        with self.lock:
            names = self.ids.check(ids, len(codes))
            before = self._codes.mark()
            try:
                self._codes.append(as_words(codes))
                self.ids.append(names, len(codes))
            except BaseException:  # no memory, or Ctrl-C
                self._codes.restore(before)
                raise
            rows = self.rows
            allowed = rows.allowed
            if len(allowed):
                allowed = np.concatenate([allowed, np.ones(len(codes), np.uint8)])
            segments, n = tuple(self._codes.parts()), len(self._codes)
            self.rows = Rows(self.n_bits, segments, n, allowed, rows.n_allowed + len(codes))

    def remove(self, ids: Any) -> None:
        """Mark codes as removed; see `HammingIndex.remove`."""
        with self.lock:
            positions = self.ids.positions(ids)
            if len(np.unique(positions)) < len(positions):
                raise InputError("an id to remove is given twice", "name each code once")
            if not len(positions):
                return
            keep = np.ones(self.rows.n, bool)
            keep[positions] = False
            self.ids.remove(positions)
            self.rows = self.rows.restricted(keep)

    @staticmethod
    def positions(rows: Rows) -> Positions:
        """Return the positions of the rows that may be found, ascending."""
        return np.flatnonzero(rows.allowed) if len(rows.allowed) else np.arange(rows.n)

    def names(self, rows: Rows) -> npt.NDArray[Any]:
        """Return the names of the rows that may be found."""
        return self.ids.at(self.positions(rows))

    def chosen(self, where: Any) -> Rows:
        """Return the rows with a filter: a boolean mask over those there, or a list of names.

        Raises
        ------
        InputError
            If the mask has another length, or a name is not there or given twice, as in a mask of integers.
        """
        with self.lock:
            rows = self.rows
            mask = np.zeros(rows.n, bool)
            given = np.asarray(where)
            if given.dtype != bool:
                positions = self.ids.positions(where)
                mask[positions] = True
                if np.count_nonzero(mask) < len(positions):
                    raise _repeated(self.ids.at(positions), rows.n_allowed)
            elif given.shape == (rows.n_allowed,):
                mask[self.positions(rows)[given]] = True
            else:
                raise InputError(
                    f"the mask has shape {given.shape}, but the index holds {rows.n_allowed} codes",
                    "give one value for each code, in insertion order",
                )
        return rows.restricted(mask)

    def arrays(self) -> dict[str, list[npt.NDArray[Any]]]:
        """Return what a file has to keep, in parts."""
        with self.lock:
            # As bytes: a big-endian machine must not turn the words round.
            codes = [words.view(np.uint8) for _, words in self._codes.parts()]
            removed = np.flatnonzero(self.rows.allowed == 0).astype(np.int64)
            names = {name: [array] for name, array in self.ids.arrays().items()}
            empty = np.empty((0, n_bytes(self.n_bits)), np.uint8)
            return {"codes": codes or [empty], "removed": [removed], **names}

    @classmethod
    def from_arrays(cls, n_bits: int, arrays: dict[str, npt.NDArray[Any]], next_number: int) -> Table:
        """Return the table kept by `arrays`.

        Raises
        ------
        InputError
            If the codes are not ``n_bits`` wide.
        """
        table = cls(n_bits)
        codes, removed = arrays["codes"], arrays["removed"].astype(np.int64)
        if codes.ndim != 2 or codes.shape[1] != n_bytes(n_bits):
            raise InputError(f"codes of shape {codes.shape} are not {n_bits} bits wide")
        n = len(codes)
        table._codes = Column(codes.view(np.uint64))
        table.ids = Ids.from_arrays(arrays, n, next_number, removed)
        table.rows = Rows(n_bits, tuple(table._codes.parts()), n, ALL, n)
        if len(removed):
            keep = np.ones(n, bool)
            keep[removed] = False
            table.rows = table.rows.restricted(keep)
        return table


def _repeated(names: npt.NDArray[Any], n_codes: int) -> InputError:
    """Return the error of a filter that names an id twice; what looks like a mask is told how to be one."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    hint = "name each id once; a mask is an array of bool, one for each code: where=mask.astype(bool)"
    return InputError(
        f"the filter names the id {found[counts > 1][0]} more than once ({len(names)} ids are given, and the "
        f"index holds {n_codes} codes)",
        hint,
    )
