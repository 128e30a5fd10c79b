"""Lines of numbers to arrays: the body of Matrix Market and UCI files.

SciPy has a faster parser for the first, but a damaged file can crash the whole process in it
(seen with SciPy 1.17: entries that are missing, a comment inside); NumPy's only raises.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from nphash.core.typing import Array
from nphash.corpus.matrices import foreign_parser
from nphash.corpus.records import show
from nphash.errors import CorpusError

__all__ = ["check_range", "read_numbers"]


def read_numbers(
    lines: Iterator[tuple[int, str]], source: str, rows: int, columns: int, dtype: DTypeLike = np.float64
) -> Array:
    """Read so many rows of so many numbers; blank lines are skipped.

    Parameters
    ----------
    lines
        Numbered lines that remain of the file.
    source
        For messages.
    rows, columns
        What the header of the file promises.
    dtype
        Type of the numbers.

    Returns
    -------
    ndarray
        Of shape (rows, columns).

    Raises
    ------
    CorpusError
        When there are more or fewer, or something is no number.

    Examples
    --------
    >>> read_numbers(iter([(1, "1 2"), (2, "3 4")]), "f", 2, 2).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    with foreign_parser(source, "rows of numbers"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are none
        texts = (line for _, line in lines)
        found = np.loadtxt(texts, dtype=dtype, ndmin=2, comments=None, max_rows=rows + 1)
    if found.size == 0:
        found = found.reshape(0, columns)
    if found.shape[1] != columns:
        raise CorpusError(
            f"{show(source)} has {found.shape[1]} numbers on a line where {columns} are expected",
            "the file is damaged or not of this format",
        )
    if len(found) != rows:
        have = "more" if len(found) > rows else f"only {len(found)}"
        raise CorpusError(
            f"the header of {show(source)} promises {rows} lines of entries, and there are {have}",
            "the file is not complete",
        )
    return found


def check_range(numbers: Array, size: int, what: str, source: str) -> Array:
    """Return 1-based numbers as 0-based int64.

    Raises
    ------
    CorpusError
        Naming the first that is not a whole number in 1..size.

    Examples
    --------
    >>> check_range(np.array([1.0, 3.0]), 3, "row", "f").tolist()
    [0, 2]
    """
    bad = np.flatnonzero(~((numbers >= 1) & (numbers <= size) & (numbers == np.floor(numbers))))
    if len(bad):
        raise CorpusError(
            f"{show(source)}, entry {bad[0] + 1}: the {what} {numbers[bad[0]]:g} is not in 1..{size}",
            "the header must hold the numbers of rows (documents) and columns (words)",
        )
    return numbers.astype(np.int64) - 1
