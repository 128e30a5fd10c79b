"""Filters on what is known of documents beside their text: ``label=sport``, ``date>=2020-01-01``.

Names are ``id``, ``label``, ``split``, and those of fields. A label is met by any one of a document's labels.
What both sides write as numbers is compared as numbers, all else as text, letter by letter: dates compare
rightly where they begin with the year, also with a year alone. Otherwise a number is neither less nor more
than a text: ``year>1000`` is not met by ``n/a``. A document without the field meets ``!=`` alone.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nphash.corpus import Document
from nphash.errors import InputError

#: One filter, several that all must be met, or a mask of the documents in their order.
Where: TypeAlias = str | Sequence[str] | npt.NDArray[np.bool_]

_OPERATORS: dict[str, Callable[[str | float, str | float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_FILTER = re.compile(r"\s*([^<>=!]*[^<>=!\s])\s*(<=|>=|!=|<|>|=)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d.*", re.DOTALL)
_YEAR = re.compile(r"\d{4}")
HINT = "write label=sport or 'date>=2020-01-01', with one of = != < <= > >="
SHOWN = 10


@dataclass(frozen=True)
class Filter:
    """A condition on one value of a document."""

    name: str
    operator: str
    value: str

    def meets(self, values: Iterable[str]) -> bool:
        """Return whether one of the values meets the condition; with ``!=``, whether none is equal."""
        if self.operator == "!=":
            return not any(_compare("=", value, self.value) for value in values)
        return any(_compare(self.operator, value, self.value) for value in values)


def _compare(sign: str, one: str, other: str) -> bool:
    n_numbers = sum(_NUMBER.fullmatch(text) is not None for text in (one, other))
    if n_numbers == 2:
        return _OPERATORS[sign](float(one), float(other))
    if n_numbers == 1 and sign != "=" and not _are_dates(one, other):
        return False
    return _OPERATORS[sign](one, other)


def _are_dates(*texts: str) -> bool:
    """Return whether each is a date that begins with the year, or a year alone."""
    return all(_DATE.fullmatch(text) or _YEAR.fullmatch(text) for text in texts)


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> parse_filter("date >= 2020-01-01")
    Filter(name='date', operator='>=', value='2020-01-01')
    """
    found = _FILTER.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"{text!r} is no filter", HINT)
    return Filter(*found.groups())


def values_of(document: Document, name: str) -> tuple[str, ...]:
    """Return what a document has under a name: its labels, or one value, or none."""
    if name == "label":
        return document.labels
    if name in {"id", "split"}:
        value = document.id if name == "id" else document.split
        return (value,) if value else ()
    return (document.fields[name],) if name in document.fields else ()


class Facets:
    """What is known of all documents, without their text; `documents` in order, `positions` theirs."""

    def __init__(self, documents: list[Document], positions: list[int]) -> None:
        self.documents, self.positions = documents, positions
        self.names = ["id", "label", "split", *dict.fromkeys(name for d in documents for name in d.fields)]

    def count(self, name: str) -> dict[str, int]:
        """Return how many documents have each value under a name, the most frequent first."""
        self._check(name)
        counts = Counter(value for d in self.documents for value in dict.fromkeys(values_of(d, name)))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def mask(self, where: Where, n_rows: int) -> npt.NDArray[np.bool_]:
        """Return which positions of `n_rows` meet all filters; `InputError` for one that cannot be met."""
        meets = np.zeros(n_rows, dtype=bool)
        if isinstance(where, np.ndarray):
            if where.dtype != bool or where.shape != (len(self.documents),):
                raise InputError(
                    f"where is {where.dtype} of shape {where.shape}, but there are {len(self.documents):,} "
                    "documents",
                    "give one bool for each, in the order of collection.documents, or filters as text",
                )
            meets[self.positions] = where
            return meets
        filters = [parse_filter(text) for text in ([where] if isinstance(where, str) else where)]
        for one in filters:
            self._check(one.name)
        meets[self.positions] = [
            all(one.meets(values_of(document, one.name)) for one in filters) for document in self.documents
        ]
        return meets

    def _check(self, name: str) -> None:
        if name not in self.names:
            shown = ", ".join(self.names[:SHOWN]) + (" ..." if len(self.names) > SHOWN else "")
            raise InputError(f"no document has the field {name!r}", f"there are {shown}")
