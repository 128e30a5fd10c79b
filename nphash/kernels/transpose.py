"""The entries of a CSR batch in the order of words: which documents have word w, with what weight.

Gradients of weights that belong to words are sums over the documents that have the word. With the
transposed batch one word's row can be finished while it is in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.kernels._jit import jit

__all__ = ["Entries", "transpose"]

Array = npt.NDArray[Any]
Entries = tuple[Array, Array, Array]
"""Starts (V + 1,), documents (nnz,) and weights (nnz,): word w's entries are starts[w]:starts[w + 1]."""


@jit()
def _transpose(
    indptr: Array, indices: Array, data: Array, starts: Array, documents: Array, weights: Array
) -> None:
    n_words = starts.size - 1
    starts[:] = 0
    for position in range(indptr[0], indptr[-1]):
        starts[indices[position] + 1] += 1
    for word in range(n_words):
        starts[word + 1] += starts[word]
    # Filling moves each start to the end of its word, which is the start of the next one.
    for row in range(indptr.size - 1):
        for position in range(indptr[row], indptr[row + 1]):
            word = indices[position]
            place = starts[word]
            documents[place] = row
            weights[place] = data[position]
            starts[word] = place + 1
    for word in range(n_words, 0, -1):
        starts[word] = starts[word - 1]
    starts[0] = 0


def transpose(indptr: Array, indices: Array, data: Array, n_words: int) -> Entries:
    """Return the entries of a CSR batch sorted by word, those of a word by document.

    Parameters
    ----------
    indptr, indices, data
        CSR arrays of shapes (B + 1,), (nnz,), (nnz,). Entries of a word may repeat.
    n_words
        V; every index must lie below it.

    Examples
    --------
    >>> transpose(np.array([0, 2, 3]), np.array([2, 0, 2]), np.array([5.0, 6.0, 7.0]), 3)
    (array([0, 1, 1, 3]), array([0, 0, 1], dtype=int32), array([6., 5., 7.]))
    """
    starts = np.empty(n_words + 1, dtype=np.int64)
    documents = np.empty(indices.size, dtype=np.int32)
    weights = np.empty(indices.size, dtype=data.dtype)
    _transpose(indptr, indices, data, starts, documents, weights)
    return starts, documents, weights
