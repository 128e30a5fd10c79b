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

__all__ = ["check_count", "check_csr", "check_positive", "is_count", "is_number", "ones_of"]


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a setting is a real number, neither infinite nor NaN.

    Examples
    --------
    >>> import numpy as np
    >>> is_number(0.1), is_number(np.float32(0.1)), is_number(True), is_number("1"), is_number(np.inf)
    (True, True, False, False, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: object, least: int = 1) -> TypeGuard[int]:
    """Return whether a setting is a whole number, ``least`` or more.

    Examples
    --------
    >>> is_count(3), is_count(0), is_count(2.5), is_count(True)
    (True, False, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def check_count(value: object, name: str, least: int = 1, hint: str = "") -> int:
    """Return a whole number from `least` on as an int.

    Raises
    ------
    InputError
        For anything else; `name` is what the argument is called, `hint` what to give.

    Examples
    --------
    >>> check_count(0, "k", hint="10 is usual")
    Traceback (most recent call last):
    nphash.errors.InputError: k is 0, but at least 1 is needed: 10 is usual
    """
    if not is_count(value, least):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        needed = f"at least {least}" if whole else f"a whole number of at least {least}"
        raise InputError(f"{name} is {value!r}, but {needed} is needed", hint)
    return int(value)


def check_csr(X: object, name: str) -> None:
    """Raise unless ``X`` is in CSR format: the arrays of a CSC matrix, read as CSR, are its transpose.

    Raises
    ------
    InputError
        For anything else; says what ``name`` is.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> check_csr(csr_array([[0.0, 2.0]]), "X")
    """
    if getattr(X, "format", None) != "csr":
        raise InputError(
            f"{name} is a {type(X).__name__}, but a CSR matrix or CSR array of SciPy is needed",
            f"give scipy.sparse.csr_array({name})",
        )


def check_positive(value: object, name: str, hint: str = "give a positive number") -> float:
    """Return a positive number as a Python float, in whose products float32 arrays stay float32.

    Raises
    ------
    InputError
        For anything else; says what ``name`` is.

    Examples
    --------
    >>> check_positive(2, "temperature")
    2.0
    """
    if not is_number(value) or not value > 0:
        raise InputError(f"{name} is {value!r}", hint)
    return float(value)


def ones_of(values: Array, name: str, hint: str) -> Array:
    """Return where an array of zeros and ones is one, as an array of bool; one of bool as it is.

    Raises
    ------
    InputError
        If anything else is in it: signs, shares, NaN, None, words; says what, and in what.

    Examples
    --------
    >>> import numpy as np
    >>> ones_of(np.array([0.0, 1.0]), "y", "give 0 and 1")
    array([False,  True])
    """
    if values.dtype == bool:
        return values
    ones: Array = values == 1
    wrong = ~(ones | (values == 0))
    if wrong.any():
        raise InputError(f"{name} holds {values[wrong].tolist()[0]!r}, which is neither 0 nor 1", hint)
    return ones
