"""The index as its users see it: what is in it, searches, files, pickles and copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, check_n_bits
from nphash.core.arguments import check_count
from nphash.core.checksums import LARGE
from nphash.core.typing import Array, Ints, Progress, Words
from nphash.errors import CollectionError, InputError
from nphash.search import files, keys
from nphash.search.columns import IdsLike
from nphash.search.executor import SearchExecutor
from nphash.search.planner import Plan
from nphash.search.table import Rows, Table

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HammingIndex"]

Distances = npt.NDArray[np.int32]
Names = Array  # ids: int64, or strings as objects


_check_k = partial(check_count, name="k", hint="10 is usual; len(index) gives all")
_check_radius = partial(check_count, name="radius", least=0, hint="2 is usual")


class HammingIndex:
    """Exact search of binary codes by Hamming distance.

    Results are ordered by (distance, insertion order), whatever the strategy and the number of
    threads. Several Python threads may search, add and remove at once: a search sees the index
    as it was when the search began. An index can be saved, pickled and copied.

    Parameters
    ----------
    n_bits
        Bits of a code, 1 to 4096.
    threads
        Threads of one search; by default as many as there are processors.
    strategy
        ``auto``: the fastest for each search (see `explain`), or always one of ``numpy``,
        ``popcount``, ``bit-sliced`` and ``multi-index``.

    Raises
    ------
    InputError
        For an impossible number of bits or threads, or an unknown strategy.

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
        self.strategy = strategy
        self._unchecked_table = Table(self.n_bits)
        self._check: Callable[[], None] | None = None  # of a file that was not compared when it was opened
        self._executor, self._threads_given = SearchExecutor(strategy, threads), threads
        self.threads = self._executor.threads

    def __len__(self) -> int:
        return self._table.rows.n_allowed

    def __repr__(self) -> str:
        return f"<HammingIndex of {len(self):,} codes, {self.n_bits} bits>"

    @property
    def ids(self) -> Names:
        """Ids of all codes in insertion order: int64, or strings as objects."""
        return self._table.ids_of(self._table.rows)

    @property
    def codes(self) -> Codes:
        """All codes in insertion order, a copy, uint8 of shape (len(index), bytes)."""
        rows = self._table.rows
        return rows.at(rows.positions()).view(np.uint8)

    def add(self, codes: Codes, ids: IdsLike | None = None) -> None:
        """Append codes: all of them or, after an error, none.

        Parameters
        ----------
        codes
            uint8 of shape (n, bytes).
        ids
            One for each code: integers or strings, different from each other and from those in
            the index; by default the numbers 0, 1, 2, ... in order of insertion.

        Raises
        ------
        InputError
            For codes of another width or type, and for ids that cannot be used.
        """
        self._table.add(codes, ids)

    def remove(self, ids: IdsLike) -> None:
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
        self._table.remove(ids)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file, completely or not at all; an existing file is replaced.

        Raises
        ------
        CollectionError
            If the file cannot be written. The old one, if any, is then still there.
        """
        with self._table.lock:
            files.write(path, *self._state())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmap: bool = True,
        *,
        verify: bool = True,
        threads: int | None = None,
        strategy: str = "auto",
    ) -> Self:
        """Open a file written by `save`.

        Parameters
        ----------
        path
            The file.
        mmap
            Map it into memory: opening is immediate and processes share the pages. The file is
            never changed; codes added later stay in memory until `save`.
        verify
            Compare the content with its checksums now, which reads the file once. Without, mapped arrays of
            more than 32 MB are compared when the index is first used.
        threads, strategy
            As for the constructor.

        Raises
        ------
        CollectionError
            If the file is missing, no index, of a newer format, truncated or altered.
        """
        facts, arrays, check = files.map_file(path)
        later = [name for name, array in arrays.items() if array.nbytes > LARGE and name != "removed"]
        if verify or not mmap:
            later = []
        check(arrays.keys() - set(later))
        if not mmap:  # copies, in this machine's byte order
            arrays = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()}
        if not later:
            files.check_sense(Path(path), facts, arrays)
        index = cls(facts["n_bits"], threads, strategy)
        try:
            index._restore(facts, arrays)
        except (KeyError, ValueError, IndexError, TypeError) as error:  # InputError is a ValueError
            raise CollectionError(f"{os.fspath(path)} is damaged ({error})", "build it again") from error

        def check_all() -> None:
            check(later)
            files.check_sense(Path(path), facts, arrays)

        index._check = check_all if later else None
        return index

    @property
    def _table(self) -> Table:
        """The rows; what a file may have wrong is noticed before they are looked at."""
        if self._check is not None:
            self._check()
            self._check = None
        return self._unchecked_table

    def search(self, codes: Codes, k: int = 10, *, where: IdsLike | None = None) -> tuple[Distances, Names]:
        """Return the ``k`` nearest codes of each query.

        Parameters
        ----------
        codes
            Queries, uint8 of shape (Q, bytes).
        k
            How many; if the index has fewer, all of them are returned: ``len(index)`` asks for all.
        where
            Search only these: ids, each once, or a mask over the codes in insertion order. Only an array
            of bool is a mask: one of the integers 0 and 1 is taken for ids, and refused as they repeat.

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
        queries, rows = self._queries(codes), self._rows(where)
        found = self._executor.nearest(rows, queries, min(_check_k(k), rows.n_allowed))
        return keys.distances(found), self._ids(found)

    def within(
        self, codes: Codes, radius: int, *, where: IdsLike | None = None
    ) -> tuple[Ints, Distances, Names]:
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
        queries, rows = self._queries(codes), self._rows(where)
        offsets, found = self._executor.within(rows, queries, _check_radius(radius))
        return offsets, keys.distances(found), self._ids(found)

    def self_join(
        self, radius: int, *, distinct: bool = False, progress: Progress | None = None
    ) -> tuple[Names, Names, Distances]:
        """Return all pairs of codes at most ``radius`` bits apart: near-duplicates.

        Parameters
        ----------
        radius
            Largest distance, 0 or more.
        distinct
            Pair only the first of equal codes with others, and each of the rest with that first one. There
            are so many fewer pairs where many codes are equal, and they connect the same groups.
        progress
            Called with (codes done, codes) now and then; an exception from it stops the join.

        Returns
        -------
        first, second
            Ids of each pair, the earlier one first; ordered by first, distance, second.
        distances
            int32.

        Raises
        ------
        InputError
            For a negative radius, or an empty index.

        Examples
        --------
        >>> from nphash.codes import pack
        >>> index = HammingIndex(3)
        >>> index.add(pack([[0, 0, 0], [1, 1, 1], [0, 0, 1]]), ids=["a", "b", "c"])
        >>> [part.tolist() for part in index.self_join(radius=1)]
        [['a'], ['c'], [1]]
        """
        first, found = self._executor.pairs(self._rows(), _check_radius(radius), distinct, progress)
        return self._table.ids.at(first), self._ids(found), keys.distances(found)

    def search_self(self, k: int = 10, *, progress: Progress | None = None) -> tuple[Distances, Names]:
        """Return the ``k`` nearest *other* codes of every code: the neighbour graph.

        Parameters
        ----------
        k
            How many; if there are fewer others, all of them are returned.
        progress
            As for `self_join`.

        Returns
        -------
        distances
            int32 of shape (len(index), min(k, len(index) - 1)), ascending in each row; rows are in
            insertion order, as `ids` is.
        ids
            int64, or strings as objects, of the same shape.

        Raises
        ------
        InputError
            For ``k`` below 1, or an empty index.

        Examples
        --------
        >>> from nphash.codes import pack
        >>> index = HammingIndex(3)
        >>> index.add(pack([[0, 0, 0], [1, 1, 1], [0, 0, 1]]))
        >>> distances, ids = index.search_self(k=1)
        >>> ids.tolist()
        [[2], [2], [0]]
        """
        rows = self._rows()
        found = self._executor.neighbours(rows, min(_check_k(k), rows.n_allowed - 1), progress)
        return keys.distances(found), self._ids(found)

    def explain(self, queries: int | Codes = 1, k: int = 10) -> Plan:
        """Return what a search with these, or so many, queries would do, and why.

        Parameters
        ----------
        queries
            How many there are, or the queries themselves, uint8 of shape (Q, bytes).
        k
            As for `search`.

        Returns
        -------
        Plan
            Says why as ``str(plan)``; has the name of the ``strategy`` and the estimated ``costs`` of each.

        Raises
        ------
        InputError
            As `search`.

        Examples
        --------
        >>> index = HammingIndex(64, strategy="numpy")
        >>> index.add(np.zeros((3, 8), np.uint8))
        >>> print(index.explain(queries=100, k=2))
        numpy: asked for
        """
        rows = self._rows()
        if isinstance(queries, (int, np.integer)):
            n_queries = check_count(queries, "queries", least=0, hint="give their number, or codes")
        else:
            n_queries = len(check_codes(queries, self.n_bits))
        return self._executor.plan(rows, n_queries, min(_check_k(k), rows.n_allowed))

    def build(self) -> int:
        """Build (or extend) the multi-index now and return the bytes of memory it takes.

        With strategy ``auto`` that happens by itself once searches have lost more time without
        it than building takes. Where nothing is compiled (`nphash info`) there is none, and this returns 0.

        Raises
        ------
        InputError
            If the index is empty.
        """
        self._executor.build(self._rows())
        return self._executor.buckets.nbytes if self._executor.buckets else 0

    def _state(self) -> tuple[dict[str, Any], dict[str, files.Parts]]:
        """Return what is in the index as facts and arrays in parts; the caller holds the table's lock."""
        facts = {"n_bits": self.n_bits, "next_number": self._table.ids.next_number}
        buckets = {name: [array] for name, array in self._executor.arrays().items()}
        return facts, {**self._table.arrays(), **buckets}

    def _restore(self, facts: dict[str, Any], arrays: dict[str, Array]) -> None:
        self._unchecked_table = Table.from_arrays(self.n_bits, arrays, facts["next_number"])
        self._executor.restore(arrays)

    def __getstate__(self) -> dict[str, Any]:
        # Locks and what searches have learned stay behind; arrays mapped from a file are copied.
        with self._table.lock:
            facts, arrays = self._state()
            whole = {name: np.concatenate(parts) for name, parts in arrays.items()}
        return {"threads": self._threads_given, "strategy": self.strategy, "facts": facts, "arrays": whole}

    def __setstate__(self, state: dict[str, Any]) -> None:
        HammingIndex.__init__(self, state["facts"]["n_bits"], state["threads"], state["strategy"])
        self._restore(state["facts"], state["arrays"])

    def _queries(self, codes: Codes) -> Words:
        queries = as_words(check_codes(codes, self.n_bits))
        # What may not be written is another type to Numba: every kernel would be compiled again.
        return queries if queries.flags.writeable else queries.copy()

    def _rows(self, where: IdsLike | None = None) -> Rows:
        rows = self._table.rows if where is None else self._table.filtered(where)
        if rows.n_allowed:
            return rows
        if where is None:
            raise InputError("there is nothing to search", "add codes first")
        raise InputError("there is nothing to search with this filter", "let through at least one code")

    def _ids(self, found: keys.Keys) -> Names:
        return self._table.ids.at(keys.positions(found))
