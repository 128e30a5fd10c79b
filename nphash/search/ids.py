"""The names of rows: insertion numbers, integers of the user's, or strings.

Insertion numbers cost no memory. A dictionary from name to row is built only when it is first
needed (to remove, to filter by id, or to check new names), not to search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.core.arguments import is_count
from nphash.core.frames import one_column
from nphash.errors import InputError
from nphash.search.columns import Column

__all__ = ["Ids"]

Positions = npt.NDArray[np.int64]


class Ids:
    """Names of the rows of an index, in insertion order; those in use are different from each other.

    Examples
    --------
    >>> ids = Ids()
    >>> ids.append(ids.check(["a", "b"], 2), 2)
    >>> ids.positions(["b"]).tolist(), ids.at(np.array([0]))
    ([1], array(['a'], dtype=object))
    """

    def __init__(self) -> None:
        self.n = 0
        self.next_number = 0
        self._numbers: Column | None = None  # None: row i is called i
        self._texts: _Texts | None = None
        self._rows: dict[Any, int] | None = None  # name -> row, of the rows in use
        self._gone: set[int] = set()

    @property
    def kind(self) -> str:
        """``insertion``, ``integer`` or ``text``."""
        if self._texts is not None:
            return "text"
        return "insertion" if self._numbers is None else "integer"

    def check(self, ids: Any, n: int) -> npt.NDArray[np.int64] | list[str] | None:
        """Return new names ready for `append`; nothing is changed.

        Raises
        ------
        InputError
            For a wrong number of ids, ids that are no integers or strings (NaN, floats), of the other kind
            than those already there, or twice the same.
        """
        if ids is None:
            if self.kind == "text" and n:
                raise InputError(
                    "no ids were given, but the ids of this index are strings", "give one for each code"
                )
            return None
        names = _as_names(ids)
        if len(names) != n:
            raise InputError(f"there are {n} codes but {len(names)} ids", "give one id for each code")
        is_text = isinstance(names, list)
        if self.n and is_text != (self.kind == "text"):
            kinds = ("strings", "integers") if is_text else ("integers", "strings")
            raise InputError(
                f"the new ids are {kinds[0]}, but those of this index are {kinds[1]}", "use one kind"
            )
        if isinstance(names, list):
            _check_writable(names)
        self._check_new(names)
        return names

    def _check_new(self, names: npt.NDArray[np.int64] | list[str]) -> None:
        if (
            isinstance(names, np.ndarray)
            and (names[:1] >= self.next_number).all()
            and (np.diff(names) > 0).all()
        ):
            return  # ascending and larger than every id so far: no dictionary needed
        listed = names if isinstance(names, list) else names.tolist()
        seen: set[Any] = set()
        for name in listed:
            if name in seen:
                raise InputError(f"id {name!r} is given twice", "ids name one code each")
            seen.add(name)
        rows = self._rows_by_name() if self.n else {}
        taken = next((name for name in listed if name in rows), None)
        if taken is not None:
            raise InputError(f"id {taken!r} is already in the index", "remove it first to replace its code")

    def append(self, names: npt.NDArray[np.int64] | list[str] | None, n: int) -> None:
        """Name ``n`` new rows; ``names`` come from `check`. All are named or, after an error, none."""
        if isinstance(names, list):
            texts = self._texts or _Texts.empty()
            texts.append(names)
            self._texts = texts
            listed: list[Any] = names
        else:
            if names is None:
                numbers = np.arange(self.next_number, self.next_number + n, dtype=np.int64)
                column = self._numbers
            else:
                numbers = names
                column = self._numbers or Column(np.arange(self.n, dtype=np.int64))
            if column is not None:
                column.append(numbers)
                self._numbers = column
            self.next_number = int(max(self.next_number, numbers.max(initial=-1) + 1))
            listed = numbers.tolist() if self._rows is not None else []
        if self._rows is not None:
            self._rows.update(zip(listed, range(self.n, self.n + n), strict=True))
        self.n += n

    def at(self, positions: Positions) -> npt.NDArray[Any]:
        """Return the names of rows, in the shape of ``positions``: int64, or strings as objects."""
        if self._texts is not None:
            return self._texts.at(positions)
        if self._numbers is None:
            return positions.astype(np.int64, copy=False)
        return self._numbers.take(positions)

    def positions(self, ids: Any) -> Positions:
        """Return the rows that ``ids`` name.

        Raises
        ------
        InputError
            For ids that are not there, or of the wrong kind.
        """
        names = _as_names(ids)
        if isinstance(names, np.ndarray) and self.kind == "insertion":
            rows = names
            known = (names >= 0) & (names < self.n)
            if self._gone:
                known &= np.array([name not in self._gone for name in names.tolist()], bool)
        else:
            listed = names if isinstance(names, list) else names.tolist()
            table = self._rows_by_name()
            rows = np.array([table.get(name, -1) for name in listed], dtype=np.int64)
            known = rows >= 0
        if not known.all():
            missing = names[int(np.flatnonzero(~known)[0])]
            name = missing if isinstance(missing, str) else int(missing)
            raise InputError(
                f"id {name!r} is not in the index ({int((~known).sum())} such of {len(names)})",
                "give ids that were added and not removed",
            )
        return rows

    def remove(self, positions: Positions) -> None:
        """Forget the names of rows; they may be given to new rows, but numbers given by us never return."""
        if self._rows is not None:
            for name in self.at(positions).tolist():
                self._rows.pop(name, None)
        self._gone.update(positions.tolist())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a file has to keep."""
        if self._texts is not None:
            return self._texts.arrays()
        if self._numbers is None:
            return {}
        return {"ids": self._numbers.take(np.arange(self.n))}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, npt.NDArray[Any]], n: int, next_number: int, gone: Positions
    ) -> Ids:
        """Return the names kept by `arrays`, of which rows ``gone`` are no longer in use."""
        ids = cls()
        ids.n, ids.next_number, ids._gone = n, next_number, set(gone.tolist())
        if "id_bytes" in arrays:
            ids._texts = _Texts(arrays["id_bytes"], arrays["id_ends"])
        elif "ids" in arrays:
            ids._numbers = Column(arrays["ids"])
        return ids

    def _rows_by_name(self) -> dict[Any, int]:
        if self._rows is None:
            names = self.at(np.arange(self.n)).tolist()
            self._rows = {name: row for row, name in enumerate(names) if row not in self._gone}
        return self._rows


def _check_writable(names: Sequence[str]) -> None:
    """Refuse what no file could keep, before it is in the index."""
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(
                f"id {name!r} holds half of a surrogate pair, which cannot be written as UTF-8",
                "it may be a file name that is not UTF-8: give another id, for example "
                "os.fsencode(name).decode('utf-8', 'replace')",
            ) from None


class _Texts:
    """Strings as UTF-8 bytes with the end of each (may be memory-mapped), and a list of later ones."""

    def __init__(self, characters: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self._characters, self._ends = characters, ends
        self._later: list[str] = []

    @classmethod
    def empty(cls) -> _Texts:
        return cls(np.empty(0, np.uint8), np.empty(0, np.int64))

    def append(self, names: Sequence[str]) -> None:
        self._later.extend(names)

    def at(self, positions: Positions) -> npt.NDArray[Any]:
        found = np.empty(positions.shape, dtype=object)
        flat = found.reshape(-1)
        for i, row in enumerate(positions.reshape(-1).tolist()):
            flat[i] = self._one(row)
        return found

    def _one(self, row: int) -> str:
        if row >= len(self._ends):
            return self._later[row - len(self._ends)]
        start = int(self._ends[row - 1]) if row else 0
        return self._characters[start : int(self._ends[row])].tobytes().decode("utf-8")

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        later = [name.encode("utf-8") for name in self._later]
        lengths = np.fromiter(map(len, later), np.int64, len(later))
        ends = np.cumsum(lengths) + len(self._characters)
        characters = np.frombuffer(b"".join(later), np.uint8)
        return {
            "id_bytes": np.concatenate([self._characters, characters]),
            "id_ends": np.concatenate([self._ends, ends]),
        }


def _as_names(ids: Any) -> npt.NDArray[np.int64] | list[str]:
    """Return ids as int64 numbers or as a list of strings."""
    if isinstance(ids, (str, int, np.integer)):
        ids = [ids]
    ids = one_column(ids, "ids")
    array = ids if isinstance(ids, np.ndarray) else None
    if array is None:
        ids = list(ids)
        texts = sum(isinstance(name, str) for name in ids)
        if texts and texts == len(ids):
            return [str(name) for name in ids]
        if not ids or all(is_count(number, -(2**63)) for number in ids):
            return _as_numbers(ids)
        array = np.asarray(ids, dtype=object if texts else None)
    if array.ndim == 1 and array.dtype.kind in "iu":
        return _as_numbers(array)
    names: list[Any] = array.tolist()
    if array.ndim == 1 and array.dtype.kind in "UOT" and all(isinstance(name, str) for name in names):
        return names
    raise InputError(
        f"ids are {array.dtype} of shape {array.shape}, but a list of integers or of strings is needed",
        "NaN, floating-point or mixed ids cannot name a code",
    )


def _as_numbers(numbers: Any) -> npt.NDArray[np.int64]:
    """Return whole numbers, an array or a list, as int64."""
    largest = max(map(int, numbers), default=0) if isinstance(numbers, list) else numbers.max(initial=0)
    if largest > np.iinfo(np.int64).max:
        raise InputError(f"id {largest} does not fit into 64 signed bits", "use smaller numbers or strings")
    return np.array(numbers, dtype=np.int64)
