"""One column out of data in whatever form: lists, arrays, data frames of any library, dicts of columns.

A data frame or a dict iterates over the names of its columns, and a two-dimensional array over its rows:
neither is what stands in the column. They are known by what they can do; no library of frames is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from nphash.errors import InputError, InputTypeError

NAMED = 10


def one_column(values: object, what: str) -> Iterable[Any]:
    """Return an iterable of the values of one column; what is no table is returned as it is.

    Tables are data frames (pandas, polars, Arrow), two-dimensional arrays and dicts of columns; messages
    call the values ``what``, in the plural. InputError for a table of several columns or none, or an array
    of another number of dimensions; InputTypeError for what is not iterable.
    """
    if isinstance(values, Mapping):
        return _of_mapping(values, what)
    columns = getattr(values, "columns", None)
    if columns is not None and hasattr(values, "__getitem__"):
        return _of_frame(values, getattr(values, "column_names", columns), what)
    n_dimensions = getattr(values, "ndim", 1)
    if n_dimensions != 1:
        array: Any = values
        shape = tuple(array.shape)
        if n_dimensions != 2 or shape[1] != 1:
            raise InputError(
                f"the {what} are an array of shape {shape}, but one column is needed",
                f"give one dimension, such as {what}[:, 0]" if n_dimensions == 2 else "give one dimension",
            )
        values = array[:, 0]
    if hasattr(values, "to_pylist"):  # Arrow's arrays iterate over scalars of their own
        return list(values.to_pylist())
    try:
        iter(values)  # type: ignore[call-overload]
    except TypeError:
        raise InputTypeError(
            f"the {what} are of type {type(values).__name__}, which gives none", "give a list"
        ) from None
    return cast(Iterable[Any], values)


class _Frame(Protocol):
    """A data frame, of whatever library."""

    def __getitem__(self, name: Any, /) -> Any:
        """Return a column."""


def _of_mapping(values: Mapping[Any, Any], what: str) -> Iterable[Any]:
    only = next(iter(values.values())) if len(values) == 1 else ""
    if isinstance(only, (str, bytes)):
        raise InputError(
            f"the {what} are a {type(values).__name__} with the keys {_named(values)}",
            "give a list, such as list(d.values())",
        )
    return one_column(only, what)


def _of_frame(frame: _Frame, columns: Iterable[Any], what: str) -> Iterable[Any]:
    names = list(columns)
    if len(names) != 1:
        raise InputError(
            f"the {what} are a {type(frame).__name__} of {len(names)} columns, but one is needed "
            f"(it has {_named(names) or 'none'})",
            f"give the column that holds the {what}, such as frame[{names[0]!r}]"
            if names
            else "give a column",
        )
    return one_column(frame[names[0]], what)


def _named(names: Iterable[Any]) -> str:
    listed = [str(name) for name in names]
    return f"{', '.join(listed[:NAMED])}{', ...' * (len(listed) > NAMED)}"
