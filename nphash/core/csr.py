"""Sparse documents from outside in CSR format: their index arrays are checked before compiled code sees them.

SciPy's constructors do not look at them, and its conversions, like our kernels, follow an index out of
range to wherever it leads. Only NumPy touches the arrays here until they are known to be right.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from nphash.core.typing import Array, MatrixLike
from nphash.errors import InputError

_AXES = {"csr": ("row", "column"), "csc": ("column", "row"), "bsr": ("block row", "block column")}
_RENUMBER = "number rows and columns from 0, with one column for each word of the vocabulary"
_REBUILD = "build the matrix again"


class _Sparse(Protocol):
    """A SciPy sparse matrix or array of any format; which attributes there are depends on it."""

    format: str
    shape: tuple[int, int]
    data: Array
    indices: Array
    indptr: Array
    row: Array
    col: Array
    offsets: Array

    def tocoo(self) -> _Sparse:
        """Return the same in coordinates."""


def to_csr(X: MatrixLike, name: str, dtype: npt.DTypeLike | None = None) -> Any:
    """Return a two-dimensional SciPy sparse matrix or array as CSR with sorted, distinct indices.

    Arrays of ``X``, of any of SciPy's formats, are not changed; the result may share them. Messages call it
    ``name``. Repeated entries are added up in ``dtype`` (None: their own), those beyond the last pointer are
    dropped; indices and pointers are int32 or int64. InputError for an index outside the shape, or pointers
    that do not ascend from 0 to the number of entries.
    """
    from scipy.sparse import csr_matrix

    given = cast(_Sparse, X)
    if given.format == "csr":
        return _canonical(*_checked_compressed(given, name, given.data), given.shape, dtype)
    if given.format == "csc":
        arrays = _checked_compressed(given, name, given.data)
    elif given.format == "bsr":
        arrays = _checked_blocks(given, name)
    else:
        return _from_coordinates(given, name, dtype)
    rebuilt: Any = type(X)  # with arrays that are known to be right
    made = csr_matrix(rebuilt(arrays, shape=given.shape))
    return _canonical(made.data, made.indices, made.indptr, made.shape, dtype)


def _checked_compressed(
    X: _Sparse, name: str, data: Array, shape: tuple[int, ...] | None = None
) -> tuple[Array, Array, Array]:
    """Return (data, indices, indptr) of CSR, CSC or BSR, whose blocks `shape` counts."""
    rows, columns = X.shape if shape is None else shape
    outer, inner = (columns, rows) if X.format == "csc" else (rows, columns)
    line, across = _AXES[X.format]
    indptr = _whole_numbers(X.indptr, f"{name}.indptr")
    indices = _whole_numbers(X.indices, f"{name}.indices")
    if indptr.size != outer + 1:
        raise InputError(
            f"{name}.indptr has {indptr.size} pointers for {outer} {line}s, but one more is needed",
            _REBUILD,
        )
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any() or indptr[-1] > min(len(indices), len(data)):
        raise InputError(
            f"{name}.indptr does not ascend from 0 to at most the {min(len(indices), len(data))} entries "
            "there are",
            _REBUILD,
        )
    used = int(indptr[-1])
    _check_range(indices[:used], inner, across, name)
    return data[:used], indices[:used], indptr


def _checked_blocks(X: _Sparse, name: str) -> tuple[Array, Array, Array]:
    data = X.data
    if data.ndim != 3 or min(data.shape[1:]) < 1 or any(np.remainder(X.shape, data.shape[1:])):
        raise InputError(f"{name} has blocks of shape {data.shape[1:]} for its shape {X.shape}", _REBUILD)
    (rows, columns), (height, width) = X.shape, data.shape[1:]
    return _checked_compressed(X, name, data, (rows // height, columns // width))


def _from_coordinates(X: _Sparse, name: str, dtype: npt.DTypeLike | None) -> Any:
    """Return CSR of any other format, which SciPy brings to coordinates without compiled loops."""
    from scipy.sparse import coo_matrix

    if X.format == "dia":
        _check_diagonals(X, name)
    X = X.tocoo()
    row, column = _whole_numbers(X.row, f"{name}.row"), _whole_numbers(X.col, f"{name}.col")
    if not len(row) == len(column) == len(X.data):
        raise InputError(
            f"{name} has {len(row)} rows, {len(column)} columns and {len(X.data)} values of entries", _REBUILD
        )
    _check_range(row, X.shape[0], "row", name)
    _check_range(column, X.shape[1], "column", name)
    made = coo_matrix((X.data, (row, column)), shape=X.shape).tocsr()
    return _canonical(made.data, made.indices, made.indptr, made.shape, dtype)


def _check_diagonals(X: _Sparse, name: str) -> None:
    offsets = _whole_numbers(X.offsets, f"{name}.offsets")
    if X.data.ndim != 2 or len(X.data) != len(offsets):
        raise InputError(f"{name} has {len(offsets)} offsets for data of shape {X.data.shape}", _REBUILD)


def _whole_numbers(numbers: object, name: str) -> Array:
    """Return an index array as int32 or int64."""
    if not isinstance(numbers, np.ndarray) or numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        kind = f"{numbers.dtype} of shape {numbers.shape}" if isinstance(numbers, np.ndarray) else "no array"
        raise InputError(f"{name} is {kind}, but whole numbers in one dimension are needed", _REBUILD)
    if numbers.dtype in (np.int32, np.int64):
        return numbers
    return numbers.astype(np.int64)  # of uint64 above 2^63 negative, and out of range as they were


def _check_range(indices: Array, size: int, line: str, name: str) -> None:
    if not indices.size:
        return
    least, most = int(indices.min()), int(indices.max())
    if least < 0 or most >= size:
        wrong = least if least < 0 else most
        there = f"{line}s are 0 to {size - 1}" if size else f"there is no {line}"
        raise InputError(f"{name} has an entry in {line} {wrong}, but {there}", _RENUMBER)


def ascends(indices: Array, indptr: Array) -> bool:
    """Return whether the indices of each row of CSR arrays ascend, without repetition."""
    ascending = indices[1:] > indices[:-1]
    ascending[indptr[(indptr > 0) & (indptr < indices.size)] - 1] = True  # between two rows
    return bool(ascending.all())


def _canonical(
    data: Array, indices: Array, indptr: Array, shape: tuple[int, int], dtype: npt.DTypeLike | None
) -> Any:
    """Return CSR arrays that are in range as a matrix; sorted, and repeated entries added up, in copies.

    SciPy's own flags are not asked: they are stale where an array was changed in place.
    """
    from scipy.sparse import csr_matrix

    copied = not ascends(indices, indptr)
    X = csr_matrix((data, indices, indptr), shape=shape, dtype=dtype, copy=copied)
    if copied:
        X.sum_duplicates()
    X.has_canonical_format = True
    return X
