"""Compiled loops of the hashers, each with the NumPy form that stands in where nothing is compiled.

Inner products of sparse documents, the largest of each row, and linear support vector machines. Modules that
encode documents import this one where they learn, since it loads Numba.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.jit import COMPILED as COMPILED
from nphash.core.jit import jit
from nphash.core.typing import Array


def products(A: csr_matrix, by_word: csr_matrix) -> Array:
    """Return the inner products (rows, n) of documents (rows, V) with others given word by word, (V, n)."""
    if not COMPILED:
        return np.asarray((A @ by_word).toarray())
    out = np.zeros((A.shape[0], by_word.shape[1]), np.float32)
    _products(A.indptr, A.indices, A.data, by_word.indptr, by_word.indices, by_word.data, out)
    return out


@jit()
def _products(
    indptr: Array, indices: Array, data: Array, starts: Array, postings: Array, weights: Array, out: Array
) -> None:
    for row in range(indptr.size - 1):
        scores = out[row]
        for position in range(indptr[row], indptr[row + 1]):
            word, weight = indices[position], data[position]
            for j in range(starts[word], starts[word + 1]):
                scores[postings[j]] += weight * weights[j]


def products_with(A: csr_matrix, rows: Array, candidates: Array) -> Array:
    """Return the inner products (rows, c) of documents of A, indices rising, with candidates (rows, c)."""
    if not COMPILED:
        repeated = np.repeat(rows, candidates.shape[1])
        return np.asarray(A[repeated].multiply(A[candidates.ravel()]).sum(axis=1)).reshape(candidates.shape)
    out = np.empty(candidates.shape, np.float32)
    _products_with(A.indptr, A.indices, A.data, rows, candidates, out)
    return out


@jit()
def _products_with(
    indptr: Array, indices: Array, data: Array, rows: Array, candidates: Array, out: Array
) -> None:
    for i in range(rows.size):
        for j in range(candidates.shape[1]):
            a, b = indptr[rows[i]], indptr[candidates[i, j]]
            end_a, end_b = indptr[rows[i] + 1], indptr[candidates[i, j] + 1]
            total = np.float32(0)
            while a < end_a and b < end_b:
                if indices[a] == indices[b]:
                    total += data[a] * data[b]
                    a += 1
                    b += 1
                elif indices[a] < indices[b]:
                    a += 1
                else:
                    b += 1
            out[i, j] = total


def largest(scores: Array, k: int, first: int | None = None) -> tuple[Array, Array]:
    """Return columns and values of each row's k largest scores, by falling score, then rising column.

    Row i leaves out column ``first + i``; k must be left.
    """
    if COMPILED:
        columns, values = np.empty((len(scores), k), np.int32), np.empty((len(scores), k), np.float32)
        _largest(scores, -1 if first is None else first, columns, values)
        return columns, values
    if first is not None:
        rows = np.arange(len(scores))
        scores = scores.copy()
        scores[rows, first + rows] = -np.inf
    least = np.partition(scores, -k, axis=1)[:, -k]  # the k-th largest of each row
    row, column = np.nonzero(scores >= least[:, None])  # k of a row, more where some are equal to the k-th
    order = np.lexsort((-scores[row, column], row))  # stable: columns rise among equals
    starts = np.searchsorted(row, np.arange(len(scores)))
    columns = column[order[starts[:, None] + np.arange(k)]]
    return columns.astype(np.int32), np.take_along_axis(scores, columns, axis=1).astype(np.float32)


@jit()
def _largest(scores: Array, first: int, columns: Array, values: Array) -> None:
    k = columns.shape[1]
    for row in range(scores.shape[0]):
        found = 0
        skip = first + row if first >= 0 else -1
        index, value = columns[row], values[row]
        for column in range(scores.shape[1]):
            score = scores[row, column]
            if column == skip or (found == k and score <= value[k - 1]):
                continue
            slot = found if found < k else k - 1
            while slot > 0 and value[slot - 1] < score:  # ties keep the order of columns
                value[slot], index[slot] = value[slot - 1], index[slot - 1]
                slot -= 1
            value[slot], index[slot] = score, column
            found = min(k, found + 1)


@jit()
def squared_hinge(
    indptr: Array,
    indices: Array,
    data: Array,
    signs: Array,
    C: float,
    order: Array,
    passes: int,
    tolerance: float,
    w: Array,
) -> int:
    """Minimise |w|^2 / 2 + C sum_i max(0, 1 - y_i w x_i)^2 and return how many passes that took.

    Coordinate descent (Hsieh et al. 2008) makes one alpha optimal at a time in the dual, min over alpha >= 0
    of sum_ij alpha_i alpha_j y_i y_j x_i x_j / 2 + sum_i alpha_i^2 / (4 C) - sum_i alpha_i, with
    w = sum_i alpha_i y_i x_i, until the projected gradients of a pass differ by less than ``tolerance``.

    ``signs`` holds y; ``w`` (V + 1,) is zero at the start, the last entry the bias; ``order`` is shuffled.
    """
    n = indptr.size - 1
    last = w.size - 1
    soft = 1 / (2 * C)
    alpha = np.zeros(n)
    curvature = np.empty(n)
    for i in range(n):
        curvature[i] = 1 + soft
        for position in range(indptr[i], indptr[i + 1]):
            curvature[i] += data[position] * data[position]
    state = 1
    for done in range(passes):
        highest, lowest = -np.inf, np.inf
        for step in range(n):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF  # picks the next of those left
            other = step + (state >> 8) % (n - step)
            order[step], order[other] = order[other], order[step]
            i = order[step]
            score = w[last]
            for position in range(indptr[i], indptr[i + 1]):
                score += w[indices[position]] * data[position]
            gradient = signs[i] * score - 1 + soft * alpha[i]
            projected = min(gradient, 0) if alpha[i] == 0 else gradient
            highest, lowest = max(highest, projected), min(lowest, projected)
            new = max(alpha[i] - gradient / curvature[i], 0)
            change = (new - alpha[i]) * signs[i]
            if change != 0:
                alpha[i] = new
                w[last] += change
                for position in range(indptr[i], indptr[i + 1]):
                    w[indices[position]] += change * data[position]
        if highest - lowest < tolerance:
            return done + 1
    return passes
