"""What is done to sparse documents before they are learned from; they are data and have no gradient.

Shapes: B documents of a batch, nnz entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.typing import Array

__all__ = ["scale_rows", "with_entries", "with_weights"]


def scale_rows(X: Any, length: float) -> Any:
    """Return sparse documents scaled to one Euclidean length, in their dtype; empty ones stay empty.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> scale_rows(csr_array([[3.0, 4.0], [0.0, 0.0]]), 10.0).toarray()
    array([[6., 8.],
           [0., 0.]])
    """
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))  # (nnz,)
    squares = np.bincount(rows, X.data.astype(np.float64) ** 2, minlength=X.shape[0])  # (B,)
    scale = length / np.sqrt(np.where(squares > 0, squares, 1.0))
    return with_weights(X, (X.data * scale[rows]).astype(X.dtype))


def with_weights(X: Any, weights: Array) -> Any:
    """Return the same entries with other weights (nnz,); they share the word numbers.

    SciPy's constructor would look at all word numbers again.
    """
    documents: Any = object.__new__(type(X))
    vars(documents).update(vars(X))
    documents.data = weights
    return documents


def with_entries(X: Any, indptr: Array, indices: Array, data: Array) -> Any:
    """Return other documents with the same words, not more than X has, of CSR arrays that nobody checks.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> X = csr_array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    >>> with_entries(X, np.array([0, 2]), np.array([0, 2]), np.array([3.0, 4.0])).toarray()
    array([[3., 0., 4.]])
    """
    documents = with_weights(X, data)
    documents.indptr, documents.indices = indptr, indices
    documents.resize((indptr.size - 1, X.shape[1]))
    return documents
