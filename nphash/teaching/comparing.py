"""Compare what a student's function returns with what is right: form first, then values.

A value is a number, an array, or a tuple, list or dictionary of such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["CLOSE", "copy_of", "equal", "first_difference", "flat", "form", "kind_of", "ratio_of", "same"]

CLOSE = 1e-9  # largest relative difference of two values that count as the same


def form(result: Any, wanted: Any) -> tuple[str, str] | None:
    """Compare kinds, numbers of outputs, names and shapes; return (cause, evidence) where they differ.

    Examples
    --------
    >>> form(np.ones((2, 3)), np.ones((3, 2)))
    ('transposed', 'it has shape (2, 3), but (3, 2) is needed')
    """
    if result is None:
        return "wrong form", "it returns nothing: is a return missing?"
    if isinstance(wanted, Mapping):
        if not isinstance(result, Mapping) or set(result) != set(wanted):
            return (
                "wrong form",
                f"it returns {kind_of(result)}, but a dictionary of {', '.join(wanted)} is needed",
            )
        pairs = [(name, result[name], wanted[name]) for name in wanted]
    elif isinstance(wanted, (tuple, list)):
        if not isinstance(result, (tuple, list)) or len(result) != len(wanted):
            return "wrong form", f"it returns {kind_of(result)}, but {len(wanted)} values are needed"
        pairs = [(f"value {i + 1}", a, b) for i, (a, b) in enumerate(zip(result, wanted, strict=True))]
    else:
        pairs = [("it", result, wanted)]
    for name, got, right in pairs:
        try:
            array, wish = np.asarray(got), np.asarray(right)
        except ValueError:  # a list of lists of different lengths
            return "wrong form", f"{name} is {kind_of(got)} of different lengths, but an array is needed"
        if array.dtype.kind not in "bifu":
            return "wrong form", f"{name} is {kind_of(got)}, but numbers are needed"
        if array.shape != wish.shape:
            turned = array.shape == wish.shape[::-1]
            cause = "transposed" if turned else "wrong shape"
            return cause, f"{name} has shape {array.shape}, but {wish.shape} is needed"
    return None


def flat(value: Any) -> list[Any]:
    """Return all arrays and numbers in a value, as arrays.

    Examples
    --------
    >>> flat({"b": 2, "a": (1, [3])})
    [array(1), array(3), array(2)]
    """
    return list(_parts_of(value))


def _parts_of(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name in sorted(value):
            yield from _parts_of(value[name])
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _parts_of(item)
    else:
        yield np.asarray(value)


def copy_of(value: Any) -> Any:
    """Return a value with copies of its arrays.

    Examples
    --------
    >>> given = (np.zeros(1), {"a": np.zeros(1)}, 0.5)
    >>> copied = copy_of(given)
    >>> copied[1]["a"] += 1
    >>> given
    (array([0.]), {'a': array([0.])}, 0.5)
    """
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {name: copy_of(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(copy_of(item) for item in value)
    return value


def equal(a: Any, b: Any) -> bool:
    """Return whether two values are the same to the last bit.

    Examples
    --------
    >>> equal(np.nan, np.nan), equal(1.0, 1.0 + 1e-15)
    (True, False)
    """
    first, second = flat(a), flat(b)
    return len(first) == len(second) and all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == y.dtype.kind == "f")
        for x, y in zip(first, second, strict=True)
    )


def same(a: Any, b: Any) -> bool:
    """Return whether two values of one form agree but for rounding; whole numbers and booleans exactly.

    Examples
    --------
    >>> same(1.0, 1.0 + 1e-15), same((1, 2.0), (2, 2.0))
    (True, False)
    """
    pairs = list(zip(flat(a), flat(b), strict=False))
    return all(x.shape == y.shape and _close(x, y) for x, y in pairs)


def _close(x: Any, y: Any) -> bool:
    if y.dtype.kind in "bui":
        return bool(np.array_equal(x, y))
    scale = float(np.abs(y[np.isfinite(y)]).max(initial=0.0))
    return bool(np.allclose(x, y, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True))


def first_difference(result: Any, wanted: Any) -> str:
    """Return where and by how much a value is wrong, in words; both have one form.

    Examples
    --------
    >>> first_difference(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    'the value at (1,) is 5, 2 is right'
    """
    several = isinstance(wanted, (tuple, list, Mapping))
    for number, (x, y) in enumerate(zip(flat(result), flat(wanted), strict=True), start=1):
        if _close(x, y):
            continue
        name = f"value {number}" if several else "the value"
        x, y = np.broadcast_arrays(x, y)
        gap = np.abs(x.astype(float) - y.astype(float))
        index = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), x.shape)
        at = f" at {tuple(map(int, index))}" if x.ndim else ""
        return f"{name}{at} is {x[index]:.6g}, {y[index]:.6g} is right"
    return ""


def ratio_of(result: Any, wanted: Any) -> float:
    """Return c if every number is c times the right one; NaN if there is none.

    Examples
    --------
    >>> ratio_of((2.0, np.array([4.0])), (1.0, np.array([2.0]))), ratio_of((2.0, 4.0), (1.0, 3.0))
    (2.0, nan)
    """
    a = np.concatenate([array.ravel().astype(float) for array in flat(result)])
    b = np.concatenate([array.ravel().astype(float) for array in flat(wanted)])
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if c and np.allclose(a, c * b, rtol=CLOSE, atol=CLOSE * np.abs(b).max()) else float("nan")


def kind_of(value: Any) -> str:
    """Return what a value is, in words.

    Examples
    --------
    >>> kind_of(np.ones(2)), kind_of({"W": 1}), kind_of("x")
    ('an array of shape (2,)', 'a dictionary of W', 'a str')
    """
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"{len(value)} values"
    if isinstance(value, Mapping):
        return f"a dictionary of {', '.join(map(str, value)) or 'nothing'}"
    return "nothing" if value is None else f"a {type(value).__name__}"
