"""Inner products of sparse documents through an inverted index, and the largest of each row."""

from __future__ import annotations

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array

__all__ = ["products", "products_with", "top"]


@jit()
def products(
    indptr: Array, indices: Array, data: Array, starts: Array, postings: Array, weights: Array, out: Array
) -> None:
    """Write the inner products of documents (CSR) with a database, given word by word, into `out`.

    ``starts, postings, weights`` are the CSR arrays of the database's transpose; ``out`` has shape
    (documents, database).
    """
    out[:] = 0
    for row in range(indptr.size - 1):
        scores = out[row]
        for position in range(indptr[row], indptr[row + 1]):
            word, weight = indices[position], data[position]
            for j in range(starts[word], starts[word + 1]):
                scores[postings[j]] += weight * weights[j]


@jit()
def products_with(
    indptr: Array, indices: Array, data: Array, rows: Array, candidates: Array, out: Array
) -> None:
    """Write the inner products of some documents (CSR, indices rising) with their candidates into `out`.

    ``candidates`` and ``out`` have shape (rows, c).
    """
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


@jit()
def top(scores: Array, without: int, indices: Array, values: Array) -> None:
    """Write the largest scores of each row and their columns, by falling score, then by column.

    Row i leaves out column ``without + i``; a negative `without` leaves out none. ``indices`` and
    ``values`` have shape (rows, k), with k no larger than the number of columns left.
    """
    k = indices.shape[1]
    for row in range(scores.shape[0]):
        found = 0
        skip = without + row if without >= 0 else -1
        index, value = indices[row], values[row]
        for column in range(scores.shape[1]):
            score = scores[row, column]
            if column == skip or (found == k and score <= value[k - 1]):
                continue
            place = found if found < k else k - 1
            while place > 0 and value[place - 1] < score:  # ties keep the order of columns
                value[place], index[place] = value[place - 1], index[place - 1]
                place -= 1
            value[place], index[place] = score, column
            found = min(k, found + 1)
