"""The index: add, remove, search, within, save, load. How a search is carried out stands elsewhere."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, check_n_bits, n_bytes
from nphash.errors import CollectionError, InputError
from nphash.index import files, keys
from nphash.index.columns import Column
from nphash.index.engine import Engine
from nphash.index.ids import Ids
from nphash.index.rows import ALL, Rows

__all__ = ["HammingIndex"]

Distances = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


class HammingIndex:
    """Exact search of binary codes by Hamming distance.

    Results are ordered by (distance, insertion order), whatever the number of threads. Several
    Python threads may search, add and remove at once: a search sees the index as it was when
    the search began.

    Parameters
    ----------
    n_bits
        Bits of a code, 1 to 4096.
    threads
        Threads of one search; by default as many as there are processors.

    Raises
    ------
    InputError
        For an impossible number of bits or threads.

    Examples
    --------
    >>> from nphash.codes import pack
    >>> index = HammingIndex(4)
    >>> index.add(pack([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]]))
    >>> distances, ids = index.search(pack([[0, 0, 1, 1]]), k=2)
    >>> distances.tolist(), ids.tolist()
    ([[1, 2]], [[2, 0]])
    """

    def __init__(self, n_bits: int, threads: int | None = None, strategy: str = "auto") -> None:
        self.n_bits = check_n_bits(n_bits)
        self._engine = Engine(strategy, threads)
        self._codes = Column(np.empty((0, n_bytes(self.n_bits) // 8), np.uint64))
        self._ids = Ids()
        self._change = threading.RLock()
        self._rows = Rows(self.n_bits, (), 0, ALL, 0)

    def __len__(self) -> int:
        return self._rows.n_allowed

    def __repr__(self) -> str:
        return f"<HammingIndex of {len(self)} codes, {self.n_bits} bits>"

    @property
    def ids(self) -> npt.NDArray[Any]:
        """Ids of all codes in insertion order: int64, or strings as objects."""
        return self._ids.at(self._positions(self._rows))

    @property
    def codes(self) -> Codes:
        """All codes in insertion order, a copy, uint8 of shape (len(index), bytes)."""
        rows = self._rows
        return self._codes.take(self._positions(rows)).view(np.uint8)

    def add(self, codes: Codes, ids: Any = None) -> None:
        """Append codes: all of them or, after an error, none.

        Parameters
        ----------
        codes
            uint8 of shape (n, bytes).
        ids
            A name for each: integers or strings, different from each other and from those in
            the index; by default the numbers 0, 1, 2, ... in order of insertion.

        Raises
        ------
        InputError
            For codes of another width or type, and for ids that cannot be used.

        Examples
        --------
        >>> index = HammingIndex(8)
        >>> index.add(np.zeros((2, 8), np.uint8), ids=["a", "b"])
        >>> index.ids.tolist()
        ['a', 'b']
        """
        codes = check_codes(codes, self.n_bits)
        with self._change:
            names = self._ids.check(ids, len(codes))
            self._codes.append(as_words(codes))
            self._ids.append(names, len(codes))
            rows, n = self._rows, len(self._codes)
            allowed = rows.allowed
            if len(allowed):
                allowed = np.concatenate([allowed, np.ones(len(codes), np.uint8)])
            segments = tuple(self._codes.parts())
            self._rows = Rows(self.n_bits, segments, n, allowed, rows.n_allowed + len(codes))

    def remove(self, ids: Any) -> None:
        """Remove the codes with these ids: all of them or, after an error, none.

        Raises
        ------
        InputError
            For an id that is not in the index, or given twice.

        Examples
        --------
        >>> index = HammingIndex(8)
        >>> index.add(np.zeros((3, 8), np.uint8))
        >>> index.remove([0, 1])
        >>> index.ids.tolist()
        [2]
        """
        with self._change:
            positions = self._ids.positions(ids)
            if len(np.unique(positions)) < len(positions):
                raise InputError("an id to remove is given twice", "name each code once")
            rows = self._rows
            keep = np.ones(rows.n, bool)
            keep[positions] = False
            self._ids.remove(positions)
            self._rows = rows.restricted(keep)

    def search(self, codes: Codes, k: int = 10, *, where: Any = None) -> tuple[Distances, npt.NDArray[Any]]:
        """Return the ``k`` nearest codes of each query.

        Parameters
        ----------
        codes
            Queries, uint8 of shape (Q, bytes).
        k
            How many; if the index has fewer, all of them are returned.
        where
            Search only these: a list of ids, or a boolean mask over the codes in insertion order.

        Returns
        -------
        distances
            int32 of shape (Q, min(k, codes searched)), ascending.
        ids
            int64, or strings as objects, of the same shape.

        Raises
        ------
        InputError
            For queries of another width or type, ``k`` below 1, an unusable ``where``, or nothing to search.
        """
        queries, rows = self._prepare(codes, where)
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise InputError(f"k is {k!r}, but a whole number of at least 1 is needed", "10 is usual")
        found = self._engine.nearest(rows, queries, min(int(k), rows.n_allowed))
        return keys.distances(found), self._ids.at(keys.positions(found))

    def within(
        self, codes: Codes, radius: int, *, where: Any = None
    ) -> tuple[Offsets, Distances, npt.NDArray[Any]]:
        """Return all codes at most ``radius`` bits from each query.

        Parameters
        ----------
        codes, where
            As for `search`.
        radius
            Largest distance, 0 or more.

        Returns
        -------
        offsets
            int64 of shape (Q + 1,): the results of query i stand at ``offsets[i]:offsets[i + 1]``.
        distances
            int32, ascending for each query.
        ids
            int64, or strings as objects, of the same shape as ``distances``.

        Raises
        ------
        InputError
            As `search`; or for a negative radius.

        Examples
        --------
        >>> from nphash.codes import pack
        >>> index = HammingIndex(3)
        >>> index.add(pack([[0, 0, 0], [0, 0, 1], [1, 1, 1]]))
        >>> offsets, distances, ids = index.within(pack([[0, 0, 0], [1, 1, 1]]), radius=1)
        >>> offsets.tolist(), distances.tolist(), ids.tolist()
        ([0, 2, 3], [0, 1, 0], [0, 1, 2])
        """
        queries, rows = self._prepare(codes, where)
        if isinstance(radius, bool) or not isinstance(radius, (int, np.integer)) or radius < 0:
            raise InputError(
                f"radius is {radius!r}, but a whole number of at least 0 is needed", "2 is usual"
            )
        offsets, found = self._engine.within(rows, queries, int(radius))
        return offsets, keys.distances(found), self._ids.at(keys.positions(found))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file, completely or not at all; an existing file is replaced.

        Raises
        ------
        CollectionError
            If the file cannot be written. The old one, if any, is then still there.
        """
        with self._change:
            rows = self._rows
            arrays: dict[str, files.Parts] = {
                "codes": [words for _, words in self._codes.parts()]
                or [self._codes.take(np.empty(0, np.int64))]
            }
            # Words are bytes in the file: their order must not be "corrected" on a big-endian machine.
            arrays["codes"] = [words.view(np.uint8) for words in arrays["codes"]]
            arrays.update({name: [array] for name, array in self._ids.arrays().items()})
            removed = np.flatnonzero(rows.allowed == 0) if len(rows.allowed) else np.empty(0, np.int64)
            arrays["removed"] = [removed.astype(np.int64)]
            facts = {"n_bits": self.n_bits, "next_number": self._ids.next_number}
            files.write(path, facts, arrays)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmap: bool = True,
        *,
        verify: bool = True,
        threads: int | None = None,
    ) -> HammingIndex:
        """Open a file written by `save`.

        Parameters
        ----------
        path
            The file.
        mmap
            Map it into memory: opening is immediate and processes share the pages. The file is
            never changed; codes added later stay in memory until `save`.
        verify
            Compare the content with its checksums, which reads the file once.
        threads
            As for `HammingIndex`.

        Raises
        ------
        CollectionError
            If the file is missing, no index, of a newer format, truncated or altered.
        """
        facts, arrays = files.read(path, mmap, verify)
        index = cls(facts["n_bits"], threads)
        codes, removed = arrays.pop("codes"), arrays.pop("removed").astype(np.int64)
        if codes.ndim != 2 or codes.shape[1] != n_bytes(index.n_bits):
            raise CollectionError(f"{os.fspath(path)} is damaged: codes of the wrong width", "build it again")
        n = len(codes)
        index._codes = Column(codes.view(np.uint64))
        index._ids = Ids.from_arrays(arrays, n, facts["next_number"], removed)
        index._rows = Rows(index.n_bits, tuple(index._codes.parts()), n, ALL, n)
        if len(removed):
            keep = np.ones(n, bool)
            keep[removed] = False
            index._rows = index._rows.restricted(keep)
        return index

    def _prepare(self, codes: Codes, where: Any) -> tuple[npt.NDArray[np.uint64], Rows]:
        queries = as_words(check_codes(codes, self.n_bits))
        rows = self._rows
        if where is not None:
            rows = rows.restricted(self._mask(where, rows))
        if not rows.n_allowed:
            raise InputError(
                "there is nothing to search" + (" with this filter" if where is not None else ""),
                "let through at least one code" if where is not None else "add codes first",
            )
        return queries, rows

    def _mask(self, where: Any, rows: Rows) -> npt.NDArray[np.bool_]:
        mask = np.zeros(rows.n, bool)
        given = np.asarray(where)
        if given.dtype == bool:
            if given.shape != (rows.n_allowed,):
                raise InputError(
                    f"the mask has shape {given.shape}, but the index holds {rows.n_allowed} codes",
                    "give one value for each code, in insertion order",
                )
            mask[self._positions(rows)[given]] = True
        else:
            with self._change:
                mask[self._ids.positions(where)] = True
        return mask

    @staticmethod
    def _positions(rows: Rows) -> npt.NDArray[np.int64]:
        if not len(rows.allowed):
            return np.arange(rows.n)
        return np.flatnonzero(rows.allowed)
