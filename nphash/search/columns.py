"""Columns that only grow: codes or numbers, and the ids of rows.

Appending never moves rows that are there, so a search goes on undisturbed over the rows it started with. The
tail doubles when it is full, up to 64 MB; then the next one begins, so that a large index never needs twice
its memory to grow. A dictionary from id to row is built only when it is first needed, which is not to search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nphash.core.frames import one_column
from nphash.core.typing import Array, Ints
from nphash.errors import CollectionError, InputError

_CHUNK = 1 << 26  # bytes

IdsLike: TypeAlias = npt.ArrayLike | Iterable[int] | Iterable[str]  # what a user may give
NewIds: TypeAlias = Ints | list[str] | None  # None: the next insertion numbers


class Column:
    """Rows of one NumPy type, shape (n, ...), only ever appended to; the first, ``base``, are not copied."""

    def __init__(self, base: Array) -> None:
        self._most = max(1, _CHUNK // (base.dtype.itemsize * int(np.prod(base.shape[1:]))))  # rows of a tail
        # Full chunks, the tail, and rows used of it. Replaced as a whole: an append is complete or has not
        # been. Keep it and put it back to undo what was appended since.
        self.state: tuple[tuple[Array, ...], Array, int] = (base,), base[:0], 0

    def __len__(self) -> int:
        chunks, _, used = self.state
        return sum(map(len, chunks)) + used

    def append(self, rows: Array) -> None:
        """Add ``rows``, a copy of them: all or, when memory runs out, none."""
        chunks, tail, used = self.state
        while len(rows):
            if used == self._most:
                chunks, tail, used = (*chunks, tail), tail[:0], 0
            part = rows[: self._most - used]
            needed = used + len(part)
            if needed > len(tail):
                larger = np.empty((min(self._most, max(needed, 2 * len(tail))), *tail.shape[1:]), tail.dtype)
                larger[:used] = tail[:used]
                tail = larger
            tail[used:needed] = part
            used, rows = needed, rows[len(part) :]
        self.state = chunks, tail, used

    def parts(self) -> list[tuple[int, Array]]:
        """Return (number of the first row, rows) of all chunks and the tail, without empty ones."""
        chunks, tail, used = self.state
        parts, first = [], 0
        for rows in (*chunks, tail[:used]):
            if len(rows):
                parts.append((first, rows))
            first += len(rows)
        return parts

    def take(self, positions: Ints) -> Array:
        """Return the rows at ``positions`` (any shape), as a new array."""
        tail = self.state[1]
        rows = np.empty((*positions.shape, *tail.shape[1:]), tail.dtype)
        for first, part in self.parts():
            here = (positions >= first) & (positions < first + len(part))
            rows[here] = part[positions[here] - first]
        return rows


class Ids:
    """Ids of the rows of an index, in insertion order; those in use are different from each other."""

    def __init__(self) -> None:
        self.n = 0
        self.next_number = 0
        self._numbers: Column | None = None  # None: row i has id i
        self._texts: _Texts | None = None
        self._rows: dict[int | str, int] | None = None  # id -> row, of the rows in use
        self._removed: set[int] = set()

    @property
    def kind(self) -> str:
        """``insertion``, ``integer`` or ``text``."""
        if self._texts is not None:
            return "text"
        return "insertion" if self._numbers is None else "integer"

    def check(self, ids: IdsLike | None, n: int) -> NewIds:
        """Return new ids ready for `append`, or raise `InputError`; nothing is changed."""
        if ids is None:
            if self.kind == "text" and n:
                problem = "no ids were given, but the ids of this index are strings"
                raise InputError(problem, "give one for each code")
            return None
        names = _as_names(ids)
        if len(names) != n:
            raise InputError(f"there are {n} codes but {len(names)} ids", "give one id for each code")
        if not n:
            return None  # of no kind
        is_text = isinstance(names, list)
        if self.n and is_text != (self.kind == "text"):
            kinds = ("strings", "integers") if is_text else ("integers", "strings")
            problem = f"the new ids are {kinds[0]}, but those of this index are {kinds[1]}"
            raise InputError(problem, "use one kind")
        if isinstance(names, list):
            _check_writable(names)
        elif (names[:1] >= self.next_number).all() and (np.diff(names) > 0).all():
            return names  # ascending and larger than every id so far: no dictionary needed
        rows = self._rows_by_id() if self.n else {}
        seen = set()
        for name in _listed(names):
            if name in seen:
                raise InputError(f"id {name!r} is given twice", "ids name one code each")
            if name in rows:
                problem = f"id {name!r} is already in the index"
                raise InputError(problem, "remove it first to replace its code")
            seen.add(name)
        return names

    def append(self, names: NewIds, n: int) -> None:
        """Give ids, which come from `check`, to ``n`` new rows: to all or, after an error, to none."""
        if isinstance(names, list):
            self._texts = self._texts or _Texts(np.empty(0, np.uint8), np.empty(0, np.int64))
            self._texts.later.extend(names)
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
            self._rows.update(zip(_listed(names), range(self.n, self.n + n), strict=True))
        self.n += n

    def at(self, positions: Ints) -> Array:
        """Return the ids of rows, in the shape of ``positions``: int64, or strings as objects."""
        if self._texts is not None:
            return self._texts.at(positions)
        if self._numbers is None:
            return positions.astype(np.int64, copy=False)
        return self._numbers.take(positions)

    def positions(self, ids: IdsLike) -> Ints:
        """Return the rows that ``ids`` name; `InputError` if one is not there, or of the wrong kind."""
        names = _as_names(ids)
        if isinstance(names, np.ndarray) and self.kind == "insertion":
            rows = np.where((names >= 0) & (names < self.n), names, -1)
            if self._removed:
                rows = np.array([-1 if row in self._removed else row for row in rows.tolist()], np.int64)
        else:
            known = self._rows_by_id()
            rows = np.array([known.get(name, -1) for name in _listed(names)], np.int64)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            name = _listed(names)[missing[0]]
            problem = f"id {name!r} is not in the index ({len(missing)} such of {len(names)})"
            raise InputError(problem, "give ids that were added and not removed")
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
        return {} if self._numbers is None else {"ids": self._numbers.take(np.arange(self.n))}

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

    def _rows_by_id(self) -> dict[int | str, int]:
        if self._rows is None:
            names = self.at(np.arange(self.n)).tolist()
            self._rows = {name: row for row, name in enumerate(names) if row not in self._removed}
        return self._rows


def _check_writable(names: list[str]) -> None:
    """Refuse what no file could keep, before it is in the index."""
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            problem = f"id {name!r} holds half of a surrogate pair, which cannot be written as UTF-8"
            hint = "it may be a file name that is not UTF-8: give another id, for example "
            raise InputError(problem, hint + "os.fsencode(name).decode('utf-8', 'replace')") from None


class _Texts:
    """Strings as UTF-8 bytes with the end of each (may be memory-mapped), and a list of later ones."""

    def __init__(self, characters: Array, ends: Ints) -> None:
        self._characters, self._ends = characters, ends
        self.later: list[str] = []

    def at(self, positions: Ints) -> Array:
        found = np.empty(positions.shape, dtype=object)
        found.reshape(-1)[:] = [self._one(row) for row in positions.reshape(-1).tolist()]
        return found

    def _one(self, row: int) -> str:
        if row >= len(self._ends):
            return self.later[row - len(self._ends)]
        start = int(self._ends[row - 1]) if row else 0
        try:
            return bytes(self._characters[start : int(self._ends[row])]).decode("utf-8")
        except UnicodeDecodeError:
            raise CollectionError(f"the id of code {row:,} is no UTF-8", "build the index again") from None

    def arrays(self) -> dict[str, Array]:
        later = [name.encode("utf-8") for name in self.later]
        ends = np.cumsum([len(self._characters), *map(len, later)])[1:]
        characters = np.concatenate([self._characters, np.frombuffer(b"".join(later), np.uint8)])
        return {"id_bytes": characters, "id_ends": np.concatenate([self._ends, ends])}


def _listed(names: Ints | list[str]) -> Sequence[int | str]:
    return names if isinstance(names, list) else names.tolist()


def _as_names(ids: IdsLike) -> Ints | list[str]:
    """Return ids as int64 numbers or as a list of strings."""
    given = [ids] if isinstance(ids, (str, int, np.integer)) else one_column(ids, "ids")
    if isinstance(given, np.ndarray):
        array = given
    else:
        given = list(given)
        texts = sum(isinstance(name, str) for name in given)
        if texts and texts == len(given):
            return [str(name) for name in given]
        array = np.asarray(given, dtype=object if texts else None)
        # Of integers too large for int64 NumPy makes floats; as objects they stay what they are.
        if array.dtype.kind in "fO" and all(isinstance(name, (int, np.integer)) for name in given):
            _check_range([int(name) for name in given])
            array = np.array(given, dtype=object).astype(np.int64)
    if array.ndim == 1 and array.dtype.kind in "iu":
        if array.size and array.dtype == np.uint64:
            _check_range([int(array.max())])
        return array.astype(np.int64)
    names: list[str] = array.tolist()
    if array.ndim == 1 and array.dtype.kind in "UOT" and all(isinstance(name, str) for name in names):
        return names
    problem = f"ids are {array.dtype} of shape {array.shape}, but a list of integers or of strings is needed"
    raise InputError(problem, "NaN, floating-point or mixed ids cannot name a code")


def _check_range(numbers: list[int]) -> None:
    for number in (max(numbers, default=0), min(numbers, default=0)):
        if not -(2**63) <= number < 2**63:
            problem = f"id {number} does not fit into 64 signed bits"
            raise InputError(problem, "use smaller numbers or strings")
