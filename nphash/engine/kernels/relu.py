"""Loops over one or two rows, for other kernels.

Compiled code knows array operations too, but Numba compiles the text of their error messages, for seconds.
"""

from __future__ import annotations

from nphash.core.jit import jit
from nphash.core.typing import Array

__all__ = ["add_row", "add_scaled", "copy_row", "pass_positive", "rectify", "scale_row", "set_scaled"]


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


@jit()
def rectify(row: Array, out: Array) -> None:
    """Do out = max(row, 0); a NaN stays one."""
    for i in range(row.size):
        out[i] = 0 if row[i] < 0 else row[i]


@jit()
def pass_positive(row: Array, other: Array, out: Array) -> None:
    """Do out = row where other > 0, and 0 elsewhere."""
    for i in range(row.size):
        out[i] = row[i] if other[i] > 0 else 0
