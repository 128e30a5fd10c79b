"""Numba's two ways to add an operation to compiled code, with types that a checker can follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba.extending

__all__ = ["intrinsic", "overload"]

F = TypeVar("F", bound=Callable[..., Any])


def intrinsic(function: F) -> Callable[..., Any]:
    """Make a function that returns (signature, emitter of instructions) callable in compiled code."""
    return cast("Callable[..., Any]", numba.extending.intrinsic(function))


def overload(target: Callable[..., Any], inline: str = "never") -> Callable[[F], F]:
    """Let compiled code that calls ``target`` use what the decorated function returns instead."""
    return cast("Callable[[F], F]", numba.extending.overload(target, inline=inline))
