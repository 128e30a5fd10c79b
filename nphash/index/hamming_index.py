"""The index as its users see it. Rows stand in `table`, how a search is carried out in `engine`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes, check_n_bits
from nphash.errors import CollectionError, InputError
from nphash.index import files, joins, keys
from nphash.index.engine import Engine
from nphash.index.joins import Progress
from nphash.index.planner import Plan
from nphash.index.rows import Rows, Words
from nphash.index.table import Table

__all__ = ["HammingIndex"]

Distances = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Names = npt.NDArray[Any]


class HammingIndex:
    """Exact search of binary codes by Hamming distance.

    Results are ordered by (distance, insertion order), whatever the strategy and the number of
    threads. Several Python threads may search, add and remove at once: a search sees the index
    as it was when the search began.

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
        self._table = Table(self.n_bits)
        self._engine = Engine(strategy, threads)
        self.threads, self.strategy = self._engine.threads, strategy

    def __len__(self) -> int:
        return self._table.rows.n_allowed

    def __repr__(self) -> str:
        return f"<HammingIndex of {len(self):,} codes, {self.n_bits} bits>"

    @property
    def ids(self) -> Names:
        """Ids of all codes in insertion order: int64, or strings as objects."""
        return self._table.names(self._table.rows)

    @property
    def codes(self) -> Codes:
        """All codes in insertion order, a copy, uint8 of shape (len(index), bytes)."""
        rows = self._table.rows
        return rows.at(self._table.positions(rows)).view(np.uint8)

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
        self._table.add(codes, ids)

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
        self._table.remove(ids)

    def search(self, codes: Codes, k: int = 10, *, where: Any = None) -> tuple[Distances, Names]:
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
        found = self._engine.nearest(rows, queries, min(_check_k(k), rows.n_allowed))
        return keys.distances(found), self._table.ids.at(keys.positions(found))

    def within(self, codes: Codes, radius: int, *, where: Any = None) -> tuple[Offsets, Distances, Names]:
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
        offsets, found = self._engine.within(rows, queries, _check_radius(radius))
        return offsets, keys.distances(found), self._table.ids.at(keys.positions(found))

    def self_join(self, radius: int, *, progress: Progress | None = None) -> tuple[Names, Names, Distances]:
        """Return all pairs of codes at most ``radius`` bits apart: near-duplicates.

        Parameters
        ----------
        radius
            Largest distance, 0 or more.
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
        rows, radius = self._not_empty(self._table.rows, None), _check_radius(radius)
        positions = self._table.positions(rows)
        first, second, distances = joins.pairs(self._engine, rows, positions, radius, progress)
        return self._table.ids.at(first), self._table.ids.at(second), distances

    def search_self(self, k: int = 10, *, progress: Progress | None = None) -> tuple[Distances, Names]:
        """Return the ``k`` nearest *other* codes of every code: the neighbour graph.

        Parameters and errors are those of `search` and `self_join`. Rows are in insertion order
        (`ids`); there are min(k, len(index) - 1) columns.

        Examples
        --------
        >>> from nphash.codes import pack
        >>> index = HammingIndex(3)
        >>> index.add(pack([[0, 0, 0], [1, 1, 1], [0, 0, 1]]))
        >>> distances, ids = index.search_self(k=1)
        >>> ids.tolist()
        [[2], [2], [0]]
        """
        rows = self._not_empty(self._table.rows, None)
        k = min(_check_k(k), rows.n_allowed - 1)
        found = joins.neighbours(self._engine, rows, self._table.positions(rows), k, progress)
        return found[0], self._table.ids.at(found[1])

    def explain(self, queries: int | Codes = 1, k: int = 10) -> Plan:
        """Return what a search with these, or so many, queries would do, and why.

        Examples
        --------
        >>> index = HammingIndex(64, strategy="numpy")
        >>> index.add(np.zeros((3, 8), np.uint8))
        >>> print(index.explain(queries=100, k=2))
        numpy: asked for
        """
        rows = self._not_empty(self._table.rows, None)
        n_queries = queries if isinstance(queries, int) else len(check_codes(queries, self.n_bits))
        return self._engine.plan(rows, n_queries, min(_check_k(k), rows.n_allowed))

    def build(self) -> int:
        """Build (or extend) the multi-index now and return the bytes of memory it takes.

        With strategy ``auto`` that happens by itself once searches have lost more time without
        it than building takes.

        Raises
        ------
        InputError
            If the index is empty.
        """
        self._engine.build(self._not_empty(self._table.rows, None))
        return self._engine.buckets.nbytes if self._engine.buckets else 0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file, completely or not at all; an existing file is replaced.

        Raises
        ------
        CollectionError
            If the file cannot be written. The old one, if any, is then still there.
        """
        with self._table.lock:
            facts = {"n_bits": self.n_bits, "next_number": self._table.ids.next_number}
            arrays = self._table.arrays()
            arrays.update({name: [array] for name, array in self._engine.arrays().items()})
            files.write(path, facts, arrays)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmap: bool = True,
        *,
        verify: bool = True,
        threads: int | None = None,
        strategy: str = "auto",
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
        threads, strategy
            As for `HammingIndex`.

        Raises
        ------
        CollectionError
            If the file is missing, no index, of a newer format, truncated or altered.
        """
        facts, arrays = files.read(path, mmap, verify)
        index = cls(facts["n_bits"], threads, strategy)
        try:
            index._table = Table.from_arrays(index.n_bits, arrays, facts["next_number"])
        except (InputError, KeyError) as error:
            raise CollectionError(f"{os.fspath(path)} is damaged ({error})", "build it again") from error
        index._engine.restore(arrays)
        return index

    def _prepare(self, codes: Codes, where: Any) -> tuple[Words, Rows]:
        queries = as_words(check_codes(codes, self.n_bits))
        if not queries.flags.writeable:  # another type to Numba: every kernel would be compiled again
            queries = queries.copy()
        rows = self._table.rows if where is None else self._table.chosen(where)
        return queries, self._not_empty(rows, where)

    @staticmethod
    def _not_empty(rows: Rows, where: Any) -> Rows:
        if not rows.n_allowed:
            raise InputError(
                "there is nothing to search" + (" with this filter" if where is not None else ""),
                "let through at least one code" if where is not None else "add codes first",
            )
        return rows


def _check_k(k: Any, name: str = "k", least: int = 1, usual: int = 10) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < least:
        problem = f"{name} is {k!r}, but a whole number of at least {least} is needed"
        raise InputError(problem, f"{usual} is usual")
    return int(k)


def _check_radius(radius: Any) -> int:
    return _check_k(radius, "radius", least=0, usual=2)
