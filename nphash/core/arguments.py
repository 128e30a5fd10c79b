"""Checks of arguments: Python's and NumPy's numbers, zeros and ones, documents in CSR format.

GridSearchCV hands over NumPy's numbers, which are no ``int`` or ``float``. True is a number to Python, and
any number a truth value: both are seldom meant.
"""

from __future__ import annotations

import math
import numbers
from typing import TypeGuard

from nphash.core.typing import Array
from nphash.errors import InputError


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a setting is a real number, neither infinite nor NaN."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: object, least: int = 1) -> TypeGuard[int]:
    """Return whether a setting is a whole number, ``least`` or more."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def check_that(good: bool, name: str, value: object, hint: str) -> None:
    """Raise `InputError` for a parameter's value that is not good."""
    if not good:
        raise InputError(f"{name} is {value!r}", hint, parameter=name)


def check_choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    """Raise `InputError` unless a parameter is one of some words; anything may be given."""
    check_that(value in choices, name, value, f"give one of {', '.join(choices)}")


def check_count(value: object, name: str, least: int = 1, hint: str = "") -> int:
    """Return a whole number from `least` on as an int; `InputError`, with `name` and `hint`, for others."""
    if not is_count(value, least):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        needed = f"at least {least}" if whole else f"a whole number of at least {least}"
        raise InputError(f"{name} is {value!r}, but {needed} is needed", hint, parameter=name)
    return int(value)


def check_csr(X: object, name: str) -> None:
    """Raise `InputError` unless ``X`` is in CSR format: arrays of a CSC matrix are its transpose to us."""
    if getattr(X, "format", None) != "csr":
        raise InputError(
            f"{name} is a {type(X).__name__}, but a CSR matrix or CSR array of SciPy is needed",
            f"give scipy.sparse.csr_array({name})",
        )


def check_positive(value: object, name: str, hint: str = "give a positive number") -> float:
    """Return a positive number as a Python float, in whose products float32 arrays stay float32."""
    if not is_number(value) or not value > 0:
        raise InputError(f"{name} is {value!r}", hint, parameter=name)
    return float(value)


def ones_of(values: Array, name: str, hint: str) -> Array:
    """Return where an array of zeros and ones is one, as bool; `InputError` for any other value in it."""
    if values.dtype == bool:
        return values
    ones: Array = values == 1
    wrong = ~(ones | (values == 0))
    if wrong.any():
        raise InputError(f"{name} holds {values[wrong].tolist()[0]!r}, which is neither 0 nor 1", hint)
    return ones
