"""Names of labels to an indicator matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["label_matrix"]


def label_matrix(labels: Sequence[tuple[str, ...]], names: list[str] | None = None) -> tuple[Any, list[str]]:
    """Return which document has which label.

    Parameters
    ----------
    labels
        The labels of each document.
    names
        Labels to tell apart, in column order; others are ignored. None: all, sorted.

    Returns
    -------
    y : scipy.sparse.csr_matrix
        bool of shape (n_documents, n_labels).
    names : list of str
        The label of each column.

    Examples
    --------
    >>> y, names = label_matrix([("b",), (), ("a", "b")])
    >>> names, y.toarray().astype(int).tolist()
    (['a', 'b'], [[0, 1], [0, 0], [1, 1]])
    """
    from scipy.sparse import csr_matrix  # not at the top: documents can be read without SciPy

    if names is None:
        names = sorted({label for row in labels for label in row})
    column = {name: at for at, name in enumerate(names)}
    indices: list[int] = []
    indptr = [0]
    for row in labels:
        indices += sorted({column[label] for label in row if label in column})
        indptr.append(len(indices))
    ones = np.ones(len(indices), dtype=bool)
    shape = (len(labels), len(names))
    return csr_matrix((ones, np.array(indices, np.int32), np.array(indptr, np.int32)), shape=shape), names
