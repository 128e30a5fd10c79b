"""Relevance of documents to queries: they share at least one label.

Labels are a vector with one class for each document, or an indicator matrix (documents x labels)
with any number of labels, dense or sparse. `read_labels` reads them, for metrics and for every fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nphash.core.arguments import ones_of
from nphash.core.csr import to_csr
from nphash.core.typing import CSR, Array, MatrixLike
from nphash.errors import InputError

YLike: TypeAlias = MatrixLike  # labels: a class vector, or an indicator matrix
RelevantBlock: TypeAlias = Callable[[int, int | None], npt.NDArray[np.bool_]]  # of queries start to stop


def read_labels(y: YLike, name: str = "y") -> Any:
    """Return labels as a vector of classes (n,) or as an indicator, a bool `scipy.sparse.csr_matrix` (n, C).

    A dense column (n, 1) is a vector of classes, a sparse one an indicator of one label.
    """
    labels: Any = y
    if not hasattr(y, "tocsr"):
        try:
            labels = np.asarray(y)
        except ValueError:  # rows of different lengths are no array
            raise InputError(f"{name} holds lists of different lengths", _INDICATOR) from None
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
    if labels.ndim == 1 and isinstance(labels, np.ndarray):
        _check_classes(labels, name)
        return labels
    if labels.ndim == 2:
        return _indicator(labels, name)
    raise InputError(f"{name} has shape {labels.shape}", "give a vector of classes or an indicator matrix")


_INDICATOR = "for several labels a document give an indicator of 0 and 1, one column a label"


def _check_classes(y: Array, name: str) -> None:
    hint = "give every document a class"
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{name} contains NaN or infinity (inf)", hint)
    if y.dtype.kind == "O":
        try:
            missing = [row for row, label in enumerate(y) if label is None or label != label]
        except (TypeError, ValueError):  # what cannot be compared with itself is no class either
            raise InputError(f"{name} holds what is no class", "give numbers or strings") from None
        if missing:
            raise InputError(f"{name} has no class for document {missing[0]}: {y[missing[0]]!r}", hint)


def _indicator(y: Array | CSR, name: str) -> Any:
    from scipy.sparse import csr_matrix

    hint = f"for one class a document give a vector, {_INDICATOR}"
    if isinstance(y, np.ndarray):
        return csr_matrix(ones_of(y, name, hint))
    matrix = to_csr(y, name)
    ones = ones_of(matrix.data, name, hint)
    indicator = csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
    if not ones.all():  # a stored zero is no label
        indicator = indicator.copy()
        indicator.eliminate_zeros()
    return indicator


def number_classes(y: Array, name: str = "y") -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the classes in their sorted order and the number of each document's class."""
    try:
        return np.unique(y, return_inverse=True)
    except TypeError:
        raise InputError(
            f"{name} mixes classes of kinds that cannot be compared", "give numbers or strings"
        ) from None


def relevance(y_query: YLike, y_database: YLike) -> npt.NDArray[np.bool_]:
    """Return for every query and document whether they share a label, shape (n_queries, n_database)."""
    return relevance_blocks(y_query, y_database)(0, None)


def relevance_blocks(y_query: YLike, y_database: YLike) -> RelevantBlock:
    """Return a function that gives `relevance` for the queries ``start`` to ``stop`` only.

    It lets metrics go through many queries without a queries x documents matrix in memory. `InputError` if
    the sides are not both class vectors or both indicators of the same labels.
    """
    query, database = read_labels(y_query, "y_query"), read_labels(y_database, "y_database")
    if query.ndim == database.ndim == 1:
        return _same_class(query, database)
    if query.ndim == database.ndim and query.shape[1] == database.shape[1]:
        return _shared_label(query.astype(np.float32), database.astype(np.float32))
    raise InputError(
        f"labels of the queries have shape {query.shape} and of the database {database.shape}, "
        "but two class vectors or two indicators of the same labels are needed",
        "make both with the same list of label names",
    )


def _same_class(query: Array, database: Array) -> RelevantBlock:
    # Strings compare slowly, so classes are numbered once. 2 * 10^6 labels take about a second.
    _, numbers = number_classes(np.concatenate([query, database]), "y_query or y_database")
    few = numbers.astype(np.int32)
    query, database = few[: len(query)], few[len(query) :]
    return lambda start, stop: np.equal(query[start:stop, None], database[None, :])


def _shared_label(query: CSR, database: CSR) -> RelevantBlock:
    # Sparse times dense costs (labels a document has) x (queries): much less than a dense product.
    def block(start: int, stop: int | None) -> npt.NDArray[np.bool_]:
        wanted = query[start:stop].toarray().T  # (n_labels, stop - start)
        return np.asarray((database @ wanted).T > 0)  # (stop - start, n_database)

    return block
