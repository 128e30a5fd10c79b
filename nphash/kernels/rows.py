"""Loops over one or two rows, for other kernels.

Compiled code knows array operations too, but Numba compiles the text of their error messages, for seconds.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nphash.kernels._jit import jit

__all__ = ["add_row", "add_scaled", "copy_row", "scale_row", "set_scaled"]

Array = npt.NDArray[Any]


@jit()
def copy_row(row: Array, other: Array) -> None:
    """Do row = other."""
    for i in range(row.size):
        row[i] = other[i]


@jit()
def add_row(row: Array, other: Array) -> None:
    """Do row += other."""
    for i in range(row.size):
        row[i] += other[i]


@jit()
def add_scaled(row: Array, other: Array, factor: float) -> None:
    """Do row += factor other."""
    for i in range(row.size):
        row[i] += factor * other[i]


@jit()
def scale_row(row: Array, factor: float) -> None:
    """Do row *= factor."""
    for i in range(row.size):
        row[i] *= factor


@jit()
def set_scaled(row: Array, other: Array, factor: float) -> None:
    """Do row = factor other."""
    for i in range(row.size):
        row[i] = factor * other[i]
