"""The entries of a CSR batch in the order of words: which documents have word w, with what weight.

Gradients of weights that belong to words are sums over the documents that have the word. With the
transposed batch one word's row can be finished while it is in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from nphash.core.devices import uses
from nphash.core.jit import jit
from nphash.core.typing import Array

__all__ = ["Entries", "Order", "entries_of", "sort_by_word"]


class Entries(NamedTuple):
    """The entries of a batch by word: those of word w are starts[w]:starts[w + 1]."""

    starts: Array  # (V + 1,)
    documents: Array  # (nnz,)
    weights: Array  # (nnz,)


class Order(NamedTuple):
    """`Entries` before their weights are known."""

    starts: Array  # (V + 1,)
    documents: Array  # (nnz,)
    positions: Array  # (nnz,), where each entry stands in the batch
    words: Array  # that occur, ascending


@jit()
def _sort(indptr: Array, indices: Array, order: Order) -> int:
    starts, documents, positions, words = order
    n_words, n_occur = starts.size - 1, 0
    starts[:] = 0
    for position in range(indptr[0], indptr[-1]):
        starts[indices[position] + 1] += 1
    for word in range(n_words):
        if starts[word + 1] > 0:
            words[n_occur] = word
            n_occur += 1
        starts[word + 1] += starts[word]
    # Filling moves each start to the end of its word, which is the start of the next one.
    for row in range(indptr.size - 1):
        for position in range(indptr[row], indptr[row + 1]):
            word = indices[position]
            place = starts[word]
            documents[place] = row
            positions[place] = position
            starts[word] = place + 1
    for word in range(n_words, 0, -1):
        starts[word] = starts[word - 1]
    starts[0] = 0
    return n_occur


def sort_by_word(indptr: Array, indices: Array, n_words: int) -> Order:
    """Sort the entries of a CSR batch by word, those of a word by document.

    Parameters
    ----------
    indptr, indices
        CSR arrays of shapes (B + 1,), (nnz,). Entries of a word may repeat.
    n_words
        V; every index must lie below it.

    Examples
    --------
    >>> order = sort_by_word(np.array([0, 2, 3]), np.array([2, 0, 2]), 3)
    >>> order.positions, order.words
    (array([1, 0, 2]), array([0, 2]))
    """
    n = int(indptr[-1] - indptr[0])
    if not uses("csr-to-csc"):
        numbers = csr_array((np.arange(n), indices, indptr), shape=(indptr.size - 1, n_words)).tocsc()
        starts = numbers.indptr.astype(np.int64)
        return Order(starts, numbers.indices, numbers.data, np.flatnonzero(np.diff(starts)))
    starts, documents = np.empty(n_words + 1, dtype=np.int64), np.empty(n, dtype=np.int32)
    positions, words = np.empty(n, dtype=np.int64), np.empty(min(n, n_words), dtype=np.int64)
    order = Order(starts, documents, positions, words)
    return order._replace(words=words[: _sort(indptr, indices, order)])


def entries_of(order: Order, data: Array) -> Entries:
    """Return a batch's entries in an order of `sort_by_word`, with their weights ``data`` (nnz,).

    Examples
    --------
    >>> order = sort_by_word(np.array([0, 2, 3]), np.array([2, 0, 2]), 3)
    >>> entries_of(order, np.array([5.0, 6.0, 7.0])).weights
    array([6., 5., 7.])
    """
    return Entries(order.starts, order.documents, data[order.positions])
