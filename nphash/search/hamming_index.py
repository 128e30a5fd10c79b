"""The index as its users see it. What is in it stands in `contents`, how a search goes in `engine`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, as_words, check_codes
from nphash.core.arguments import check_count
from nphash.core.typing import Words
from nphash.errors import InputError
from nphash.search import joins, keys
from nphash.search.contents import Contents, Names
from nphash.search.joins import Progress
from nphash.search.planner import Plan
from nphash.search.rows import Rows

__all__ = ["HammingIndex"]

Distances = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


class HammingIndex(Contents):
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

    def search(self, codes: Codes, k: int = 10, *, where: Any = None) -> tuple[Distances, Names]:
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
        rows = self._not_empty(self._table.rows, None)
        k = min(_check_k(k), rows.n_allowed - 1)
        found = joins.neighbours(self._engine, rows, self._table.positions(rows), k, progress)
        return found[0], self._table.ids.at(found[1])

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
        rows = self._not_empty(self._table.rows, None)
        if isinstance(queries, (int, np.integer)):
            n_queries = check_count(queries, "queries", least=0, hint="give their number, or codes")
        else:
            n_queries = len(check_codes(queries, self.n_bits))
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


def _check_k(k: Any) -> int:
    return check_count(k, "k", hint="10 is usual; len(index) gives all")


def _check_radius(radius: Any) -> int:
    return check_count(radius, "radius", least=0, hint="2 is usual")
