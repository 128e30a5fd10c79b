"""An index but for its searches: what is in it, adding and removing, files, pickles and copies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, check_n_bits
from nphash.errors import CollectionError, InputError
from nphash.search import files
from nphash.search.executor import Engine
from nphash.search.table import Table

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Contents", "Names"]

Names = npt.NDArray[Any]


class Contents:
    """The codes of an index with their names; documented as `HammingIndex`, which searches them."""

    def __init__(self, n_bits: int, threads: int | None = None, strategy: str = "auto") -> None:
        self.n_bits = check_n_bits(n_bits)
        self._table = Table(self.n_bits)
        self._engine = Engine(strategy, threads)
        self._asked = threads
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
        >>> from nphash.search import HammingIndex
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
        >>> from nphash.search import HammingIndex
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
            Compare the content with its checksums, which reads the file once.
        threads, strategy
            As for the constructor.

        Raises
        ------
        CollectionError
            If the file is missing, no index, of a newer format, truncated or altered.
        """
        facts, arrays = files.read(path, mmap, verify)
        index = cls(facts["n_bits"], threads, strategy)
        try:
            index._restore(facts, arrays)
        except (InputError, KeyError) as error:
            raise CollectionError(f"{os.fspath(path)} is damaged ({error})", "build it again") from error
        return index

    def _state(self) -> tuple[dict[str, Any], dict[str, files.Parts]]:
        """Return what is in the index as facts and arrays in parts; the caller holds the table's lock."""
        facts = {"n_bits": self.n_bits, "next_number": self._table.ids.next_number}
        arrays = self._table.arrays()
        arrays.update({name: [array] for name, array in self._engine.arrays().items()})
        return facts, arrays

    def _restore(self, facts: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        self._table = Table.from_arrays(self.n_bits, arrays, facts["next_number"])
        self._engine.restore(arrays)

    def __getstate__(self) -> dict[str, Any]:
        # Locks and what searches have learned stay behind; arrays mapped from a file are copied.
        with self._table.lock:
            facts, arrays = self._state()
            whole = {name: np.concatenate(parts) for name, parts in arrays.items()}
        return {"threads": self._asked, "strategy": self.strategy, "facts": facts, "arrays": whole}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Contents.__init__(self, state["facts"]["n_bits"], state["threads"], state["strategy"])
        self._restore(state["facts"], state["arrays"])
