"""Columns that only grow: codes or numbers, and the ids of rows.

Appending never moves or rewrites rows that are there, so a search that began before an append
goes on undisturbed over the rows it started with. Chunks are never changed (the first may be
memory-mapped); the tail doubles when it is full, up to 64 MB; then the next one begins, so that
a large index never needs twice its memory to grow.

Ids are insertion numbers, which cost no memory, or the user's integers or strings. A dictionary from id to
row is built only when it is first needed (to remove, to filter by id, or to check new ids), not to search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nphash.core.frames import one_column
from nphash.core.typing import Array, Ints
from nphash.errors import InputError

__all__ = ["Column", "Ids", "IdsLike"]

_CHUNK = 1 << 26  # bytes

IdsLike: TypeAlias = npt.ArrayLike | Iterable[int] | Iterable[str]  # what a user may give
NewIds: TypeAlias = Ints | list[str] | None  # None: the next insertion numbers
Mark: TypeAlias = tuple[int, int, Array, int]


class Column:
    """Rows of one NumPy type that are only ever appended to.

    Parameters
    ----------
    base
        The first rows, of shape (n, ...). They are kept as they are: no copy is made.

    Examples
    --------
    >>> column = Column(np.array([5, 6]))
    >>> column.append(np.array([7]))
    >>> len(column), column.take(np.array([2, 0])).tolist()
    (3, [7, 5])
    """

    def __init__(self, base: Array) -> None:
        self._chunks = [base]
        self._closed = len(base)  # rows in all chunks
        self._tail = np.empty((0, *base.shape[1:]), base.dtype)
        self._used = 0
        self._most = max(1, _CHUNK // (base.dtype.itemsize * int(np.prod(base.shape[1:]))))

    def __len__(self) -> int:
        return self._closed + self._used

    def append(self, rows: Array) -> None:
        """Add ``rows``, a copy of them: all or, when memory runs out, none."""
        before = self.mark()
        try:
            self._append(rows)
        except BaseException:
            self.restore(before)
            raise

    def mark(self) -> Mark:
        """Return what `restore` needs to take back everything appended from now on."""
        return len(self._chunks), self._closed, self._tail, self._used

    def restore(self, mark: Mark) -> None:
        """Forget what was appended since ``mark``."""
        n_chunks, self._closed, self._tail, self._used = mark
        del self._chunks[n_chunks:]

    def _append(self, rows: Array) -> None:
        while len(rows):
            if self._used == self._most:
                self._chunks.append(self._tail)
                self._closed += self._used
                self._tail, self._used = self._tail[:0], 0
            part = rows[: self._most - self._used]
            self._append_to_tail(part)
            rows = rows[len(part) :]

    def _append_to_tail(self, rows: Array) -> None:
        needed = self._used + len(rows)
        if needed > len(self._tail):
            size = min(self._most, max(needed, 2 * len(self._tail)))
            larger = np.empty((size, *self._tail.shape[1:]), self._tail.dtype)
            larger[: self._used] = self._tail[: self._used]
            self._tail = larger
        self._tail[self._used : needed] = rows
        self._used = needed

    def parts(self) -> list[tuple[int, Array]]:
        """Return (number of the first row, rows) of all chunks and the tail, without empty ones."""
        parts, first = [], 0
        for rows in (*self._chunks, self._tail[: self._used]):
            if len(rows):
                parts.append((first, rows))
            first += len(rows)
        return parts

    def take(self, positions: Ints) -> Array:
        """Return the rows at ``positions`` (any shape), as a new array."""
        rows = np.empty((*positions.shape, *self._tail.shape[1:]), self._tail.dtype)
        for first, part in self.parts():
            here = (positions >= first) & (positions < first + len(part))
            rows[here] = part[positions[here] - first]
        return rows


class Ids:
    """Ids of the rows of an index, in insertion order; those in use are different from each other.

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
        self._numbers: Column | None = None  # None: row i has id i
        self._texts: _Texts | None = None
        self._rows: dict[Any, int] | None = None  # id -> row, of the rows in use
        self._removed: set[int] = set()

    @property
    def kind(self) -> str:
        """``insertion``, ``integer`` or ``text``."""
        if self._texts is not None:
            return "text"
        return "insertion" if self._numbers is None else "integer"

    def check(self, ids: IdsLike | None, n: int) -> NewIds:
        """Return new ids ready for `append`; nothing is changed.

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
        if not n:
            return None  # of no kind
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

    def _check_new(self, names: Ints | list[str]) -> None:
        if isinstance(names, list):
            listed: list[Any] = names
        elif (names[:1] >= self.next_number).all() and (np.diff(names) > 0).all():
            return  # ascending and larger than every id so far: no dictionary needed
        else:
            listed = names.tolist()
        seen: set[Any] = set()
        for name in listed:
            if name in seen:
                raise InputError(f"id {name!r} is given twice", "ids name one code each")
            seen.add(name)
        rows = self._rows_by_id() if self.n else {}
        taken = next((name for name in listed if name in rows), None)
        if taken is not None:
            raise InputError(f"id {taken!r} is already in the index", "remove it first to replace its code")

    def append(self, names: NewIds, n: int) -> None:
        """Give ids, which come from `check`, to ``n`` new rows: to all or, after an error, to none."""
        listed: list[Any] = []
        if isinstance(names, list):
            texts = self._texts or _Texts(np.empty(0, np.uint8), np.empty(0, np.int64))
            texts.append(names)
            self._texts, listed = texts, names
        else:
            column = self._numbers
            if names is None:
                names = np.arange(self.next_number, self.next_number + n, dtype=np.int64)
            elif column is None:
                column = Column(np.arange(self.n, dtype=np.int64))
            if column is not None:
                column.append(names)
                self._numbers = column
            self.next_number = int(max(self.next_number, names.max(initial=-1) + 1))
            if self._rows is not None:
                listed = names.tolist()
        if self._rows is not None:
            self._rows.update(zip(listed, range(self.n, self.n + n), strict=True))
        self.n += n

    def at(self, positions: Ints) -> Array:
        """Return the ids of rows, in the shape of ``positions``: int64, or strings as objects."""
        if self._texts is not None:
            return self._texts.at(positions)
        if self._numbers is None:
            return positions.astype(np.int64, copy=False)
        return self._numbers.take(positions)

    def positions(self, ids: IdsLike) -> Ints:
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
            if self._removed:
                known &= np.array([name not in self._removed for name in names.tolist()], bool)
        else:
            listed = names if isinstance(names, list) else names.tolist()
            table = self._rows_by_id()
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

    def remove(self, positions: Ints) -> None:
        """Free the ids of rows for new rows; insertion numbers are never given again."""
        if self._rows is not None:
            for name in self.at(positions).tolist():
                self._rows.pop(name, None)
        self._removed.update(positions.tolist())

    def arrays(self) -> dict[str, Array]:
        """Return what a file has to keep."""
        if self._texts is not None:
            return self._texts.arrays()
        if self._numbers is None:
            return {}
        return {"ids": self._numbers.take(np.arange(self.n))}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array], n: int, next_number: int, removed: Ints) -> Ids:
        """Return the ids kept by `arrays`, of which rows ``removed`` are no longer in use."""
        ids = cls()
        ids.n, ids.next_number, ids._removed = n, next_number, set(removed.tolist())
        if "id_bytes" in arrays:
            ids._texts = _Texts(arrays["id_bytes"], arrays["id_ends"])
        elif "ids" in arrays:
            ids._numbers = Column(arrays["ids"])
        return ids

    def _rows_by_id(self) -> dict[Any, int]:
        if self._rows is None:
            names = self.at(np.arange(self.n)).tolist()
            self._rows = {name: row for row, name in enumerate(names) if row not in self._removed}
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

    def __init__(self, characters: Array, ends: Ints) -> None:
        self._characters, self._ends = characters, ends
        self._later: list[str] = []

    def append(self, names: list[str]) -> None:
        self._later.extend(names)

    def at(self, positions: Ints) -> Array:
        found = np.empty(positions.shape, dtype=object)
        flat = found.reshape(-1)
        for i, row in enumerate(positions.reshape(-1).tolist()):
            flat[i] = self._one(row)
        return found

    def _one(self, row: int) -> str:
        if row >= len(self._ends):
            return self._later[row - len(self._ends)]
        start = int(self._ends[row - 1]) if row else 0
        return bytes(self._characters[start : int(self._ends[row])]).decode("utf-8")

    def arrays(self) -> dict[str, Array]:
        later = [name.encode("utf-8") for name in self._later]
        lengths = np.fromiter(map(len, later), np.int64, len(later))
        ends = np.cumsum(lengths) + len(self._characters)
        characters = np.frombuffer(b"".join(later), np.uint8)
        return {
            "id_bytes": np.concatenate([self._characters, characters]),
            "id_ends": np.concatenate([self._ends, ends]),
        }


def _as_names(ids: IdsLike) -> Ints | list[str]:
    """Return ids as int64 numbers or as a list of strings."""
    given: Any = [ids] if isinstance(ids, (str, int, np.integer)) else one_column(ids, "ids")
    array = given if isinstance(given, np.ndarray) else None
    if array is None:
        given = list(given)
        texts = sum(isinstance(name, str) for name in given)
        if texts and texts == len(given):
            return [str(name) for name in given]
        array = np.asarray(given, dtype=object if texts else None)
        # Of integers too large for int64 NumPy makes floats; as objects they stay what they are.
        if array.dtype.kind in "fO" and all(isinstance(name, (int, np.integer)) for name in given):
            _check_range(given)
            array = np.array(given, dtype=object).astype(np.int64)
    if array.ndim == 1 and array.dtype.kind in "iu":
        if array.size and array.dtype == np.uint64:
            _check_range([int(array.max())])
        return array.astype(np.int64)
    names: list[Any] = array.tolist()
    if array.ndim == 1 and array.dtype.kind in "UOT" and all(isinstance(name, str) for name in names):
        return names
    raise InputError(
        f"ids are {array.dtype} of shape {array.shape}, but a list of integers or of strings is needed",
        "NaN, floating-point or mixed ids cannot name a code",
    )


def _check_range(numbers: list[int]) -> None:
    for number in (max(numbers, default=0), min(numbers, default=0)):
        if not -(2**63) <= number < 2**63:
            raise InputError(
                f"id {number} does not fit into 64 signed bits", "use smaller numbers or strings"
            )
