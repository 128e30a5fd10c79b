"""Which documents count as relevant to a query: those that share at least one label with it.

Labels are a vector with one class for each document, or an indicator matrix (documents x labels)
with any number of labels, dense or sparse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.errors import InputError

__all__ = ["RelevantBlock", "n_labelled", "relevance", "relevance_blocks"]

RelevantBlock = Callable[[int, int], npt.NDArray[np.bool_]]


def relevance(y_query: Any, y_database: Any) -> npt.NDArray[np.bool_]:
    """Return for every query and document whether they share a label, shape (n_queries, n_database).

    Raises
    ------
    InputError
        If the two sides are not both class vectors or both indicators of the same labels.

    Examples
    --------
    >>> relevance([0, 1], [1, 1, 0])
    array([[False, False,  True],
           [ True,  True, False]])
    >>> relevance([[1, 0, 1]], [[0, 1, 0], [0, 0, 1]])  # indicators: three labels
    array([[False,  True]])
    """
    return relevance_blocks(y_query, y_database)(0, n_labelled(y_query))


def n_labelled(y: Any) -> int:
    """Return for how many documents ``y`` holds labels.

    Examples
    --------
    >>> n_labelled([0, 1, 1])
    3
    """
    return int(np.shape(y)[0])


def relevance_blocks(y_query: Any, y_database: Any) -> RelevantBlock:
    """Return a function that gives `relevance` for the queries ``start`` to ``stop`` only.

    It lets metrics go through many queries without a queries x documents matrix in memory.

    Raises
    ------
    InputError
        As `relevance`.

    Examples
    --------
    >>> block = relevance_blocks([0, 1, 2], [2, 1])
    >>> block(1, 3)
    array([[False,  True],
           [ True, False]])
    """
    shapes = np.shape(y_query), np.shape(y_database)
    if len(shapes[0]) == len(shapes[1]) == 1:
        return _same_class(np.asarray(y_query), np.asarray(y_database))
    if len(shapes[0]) == len(shapes[1]) == 2 and shapes[0][1] == shapes[1][1]:
        return _shared_label(_indicator(y_query), _indicator(y_database))
    raise InputError(
        f"labels of the queries have shape {shapes[0]} and of the database {shapes[1]}, "
        "but two class vectors or two indicators of the same labels are needed",
        "make both with the same list of label names",
    )


def _same_class(query: npt.NDArray[Any], database: npt.NDArray[Any]) -> RelevantBlock:
    # Strings compare slowly, so classes are numbered once. 2 * 10^6 labels take about a second.
    _, numbers = np.unique(np.concatenate([query, database]), return_inverse=True)
    numbers = numbers.astype(np.int32)
    query, database = numbers[: len(query)], numbers[len(query) :]
    return lambda start, stop: np.equal(query[start:stop, None], database[None, :])


def _shared_label(query: Any, database: Any) -> RelevantBlock:
    # Sparse times dense costs (labels a document has) x (queries): much less than a dense product.
    def block(start: int, stop: int) -> npt.NDArray[np.bool_]:
        wanted = query[start:stop].toarray().T  # (n_labels, stop - start)
        shared: npt.NDArray[np.bool_] = (database @ wanted).T > 0  # (stop - start, n_database)
        return shared

    return block


def _indicator(y: Any) -> Any:
    from scipy.sparse import csr_array

    pattern = csr_array(y, copy=True) if hasattr(y, "tocsr") else csr_array(np.asarray(y))
    pattern.eliminate_zeros()
    # A one for each label whatever was stored: -1 and +1 must not cancel in the product.
    return csr_array((np.ones(pattern.nnz, np.float32), pattern.indices, pattern.indptr), shape=pattern.shape)
