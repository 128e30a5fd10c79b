"""Checks of arguments that every part of the package takes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from nphash.errors import InputError

__all__ = ["check_count", "is_count"]


def is_count(value: Any, least: int = 1) -> bool:
    """Return whether a setting is a whole number from `least` on; ``True`` is none.

    Examples
    --------
    >>> is_count(3), is_count(0), is_count(2.5), is_count(True)
    (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_count(value: Any, name: str, least: int = 1, hint: str = "") -> int:
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
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        needed = f"at least {least}" if whole else f"a whole number of at least {least}"
        raise InputError(f"{name} is {value!r}, but {needed} is needed", hint)
    return int(value)
