"""Products of a CSR batch of documents with a dense matrix, and their transposes.

Shapes: B documents, V words, H columns of the dense matrix. A document has some 50 to 100 of V
words, so both products touch a hundredth of what the dense product would.
"""

from __future__ import annotations

import numpy as np

from nphash.core.jit import COMPILED, jit
from nphash.core.threads import count_threads, cut, run_blocks
from nphash.core.typing import Array

__all__ = [
    "COMPILED",
    "csr_times_dense",
    "csr_transpose_times_dense",
    "row_sums",
    "scaled_rows",
    "sum_rows",
    "take_rows",
]

CSR = tuple[Array, Array, Array]
"""indptr (B + 1,), indices (nnz,) and data (nnz,)."""

_ROWS = 16  # documents in a block, at most
_BLOCKS = 10  # of a batch, at least: with few, some threads would wait for others
_WORDS = 2048  # rows of the gradient in a block: 4 MB for H = 500 in float32


@jit()
def _times_dense(
    indptr: Array, indices: Array, data: Array, dense: Array, out: Array, start: int, stop: int
) -> None:
    for row in range(start, stop):
        sum_rows(indices, data, dense, indptr[row], indptr[row + 1], out[row])


@jit()
def sum_rows(indices: Array, data: Array, dense: Array, position: int, end: int, target: Array) -> None:
    """Write the sum of data[i] dense[indices[i]] for i from ``position`` to ``end`` - 1 into ``target``."""
    target[:] = 0
    # Four rows at once: the sum is loaded and stored once for the four, and the memory fetches
    # them side by side. The order of the additions stays that of the indices. Unsigned numbers of rows
    # need no look whether they count from the end.
    while position + 4 <= end:
        row0, row1 = np.uintp(indices[position]), np.uintp(indices[position + 1])
        row2, row3 = np.uintp(indices[position + 2]), np.uintp(indices[position + 3])
        w0, w1, w2, w3 = data[position], data[position + 1], data[position + 2], data[position + 3]
        for h in range(np.uintp(target.size)):
            both = target[h] + w0 * dense[row0, h] + w1 * dense[row1, h]
            target[h] = both + w2 * dense[row2, h] + w3 * dense[row3, h]
        position += 4
    while position < end:
        row0, w0 = np.uintp(indices[position]), data[position]
        for h in range(np.uintp(target.size)):
            target[h] += w0 * dense[row0, h]
        position += 1


@jit()
def _transpose_times_dense(
    indptr: Array, indices: Array, data: Array, dense: Array, out: Array, first: int, last: int
) -> None:
    # Every block reads all indices and adds only to its own words: no two threads write the same
    # row, each row is summed in document order, and no transposed copy of the batch is needed.
    out[first:last] = 0
    for row in range(dense.shape[0]):
        source = dense[row]
        for position in range(indptr[row], indptr[row + 1]):
            word = indices[position]
            if first <= word < last:
                weight = data[position]
                target = out[word]
                for h in range(source.size):
                    target[h] += weight * source[h]


@jit()
def _count(indptr: Array, rows: Array, starts: Array) -> None:
    starts[0] = 0
    for i in range(rows.size):
        starts[i + 1] = starts[i] + indptr[rows[i] + 1] - indptr[rows[i]]


@jit()
def _copy_rows(indptr: Array, rows: Array, source: tuple[Array, Array], out: CSR) -> None:
    indices, data = source
    starts, out_indices, out_data = out
    for i in range(rows.size):
        shift = indptr[rows[i]] - starts[i]
        for place in range(starts[i], starts[i + 1]):
            out_indices[place] = indices[place + shift]
            out_data[place] = data[place + shift]


def take_rows(indptr: Array, indices: Array, data: Array, rows: Array) -> CSR:
    """Return (indptr, indices, data) of some rows, which a kernel does not check to exist.

    Examples
    --------
    >>> take_rows(np.array([0, 1, 3]), np.array([5, 6, 7]), np.array([0.1, 0.2, 0.3]), np.array([1]))
    (array([0, 2]), array([6, 7]), array([0.2, 0.3]))
    """
    starts = np.empty(rows.size + 1, indptr.dtype)
    _count(indptr, rows, starts)
    out = starts, np.empty(starts[-1], indices.dtype), np.empty(starts[-1], data.dtype)
    _copy_rows(indptr, rows, (indices, data), out)
    return out


@jit()
def row_sums(indptr: Array, data: Array, out: Array) -> None:
    """Write the sum of each row's entries into ``out`` (B,), added up in its dtype."""
    for row in range(out.size):
        total = out.dtype.type(0)
        for position in range(indptr[row], indptr[row + 1]):
            total += data[position]
        out[row] = total


@jit()
def scaled_rows(indptr: Array, data: Array, length: float, out: Array) -> None:
    """Write the entries (nnz,) of rows scaled to one Euclidean length into ``out``."""
    for row in range(indptr.size - 1):
        square = np.float64(0)
        for position in range(indptr[row], indptr[row + 1]):
            square += np.float64(data[position]) * np.float64(data[position])
        scale = length / np.sqrt(square) if square > 0 else 0.0
        for position in range(indptr[row], indptr[row + 1]):
            out[position] = data[position] * scale


def csr_times_dense(
    indptr: Array, indices: Array, data: Array, dense: Array, threads: int | None = 1
) -> Array:
    """Return ``X @ dense`` for the CSR matrix X of the first three arguments.

    Parameters
    ----------
    indptr, indices, data
        CSR arrays of shapes (B + 1,), (nnz,), (nnz,). Column numbers must lie below V: a kernel
        does not check them. Repeated entries add up.
    dense
        Array of shape (V, H), float32 or float64; the result has its dtype.
    threads
        How many threads; None for all. The result is the same for any number.

    Returns
    -------
    numpy.ndarray
        Array of shape (B, H).

    Examples
    --------
    >>> csr_times_dense(np.array([0, 1]), np.array([2]), np.array([3.0]), np.eye(3))
    array([[0., 0., 3.]])
    """
    dense = np.ascontiguousarray(dense)  # (V, H)
    data = data.astype(dense.dtype, copy=False)  # (nnz,)
    n_rows = indptr.size - 1
    out = np.empty((n_rows, dense.shape[1]), dtype=dense.dtype)  # (B, H)
    run_blocks(
        lambda start, stop: _times_dense(indptr, indices, data, dense, out, start, stop),
        cut(n_rows, min(_ROWS, max(1, -(-n_rows // _BLOCKS)))),
        count_threads(threads),
    )
    return out


def csr_transpose_times_dense(
    indptr: Array,
    indices: Array,
    data: Array,
    dense: Array,
    n_words: int,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Return ``X.T @ dense`` as a dense array: the gradient of a layer whose input is X.

    Parameters
    ----------
    indptr, indices, data
        CSR arrays of X as in `csr_times_dense`.
    dense
        Array of shape (B, H), float32 or float64; the result has its dtype.
    n_words
        V, the number of columns of X.
    out
        Array of shape (V, H) and the dtype of ``dense`` to write into: new memory for a large
        gradient costs more than the arithmetic.
    threads
        How many threads; None for all. The result is the same for any number.

    Returns
    -------
    numpy.ndarray
        Array of shape (V, H).

    Examples
    --------
    >>> csr_transpose_times_dense(np.array([0, 1]), np.array([1]), np.array([3.0]), np.ones((1, 2)), 2)
    array([[0., 0.],
           [3., 3.]])
    """
    dense = np.ascontiguousarray(dense)  # (B, H)
    data = data.astype(dense.dtype, copy=False)  # (nnz,)
    result = np.empty((n_words, dense.shape[1]), dtype=dense.dtype) if out is None else out  # (V, H)
    run_blocks(
        lambda first, last: _transpose_times_dense(indptr, indices, data, dense, result, first, last),
        cut(n_words, _WORDS),
        count_threads(threads),
    )
    return result
