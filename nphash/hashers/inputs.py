"""Checks of what comes in from outside, made once: documents, labels, random states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from nphash.core.arguments import is_count
from nphash.core.csr import to_csr
from nphash.core.typing import CSR, LabelsLike, MatrixLike
from nphash.corpus.shards import Shards
from nphash.errors import InputError, InputTypeError
from nphash.metrics.relevance import read_labels

# Models calculate in float32, where squares of larger weights overflow.
LARGEST = 1e15


def check_documents(
    X: MatrixLike,
    hasher: object = None,
    *,
    n_features: int | None = None,
    minimum_rows: int = 1,
    name: str = "X",
) -> Any:
    """Return documents as a float CSR matrix with sorted, unique indices and no stored zeros; shards as such.

    What is not finite or negative, or has not ``n_features`` words, is an `InputError`, in scikit-learn's
    words where it has some.
    """
    checked: Any = X if isinstance(X, Shards) else _as_csr(X, name)  # shards are checked as they are read
    n, words = checked.shape
    if n < minimum_rows:
        raise InputError(
            f"{name} has {n} sample(s) (shape={checked.shape}) while a minimum of {minimum_rows} is required",
            "give more documents",
        )
    if words == 0:
        raise InputError(
            f"0 feature(s) (shape={checked.shape}) while a minimum of 1 is required",
            f"{name} needs at least one word",
        )
    who = "the hasher" if hasher is None else type(hasher).__name__
    if n_features is not None and words != n_features:
        raise InputError(
            f"{name} has {words} features, but {who} is expecting {n_features} features as input",
            "weigh the documents with the vocabulary used in fit()",
        )
    if not isinstance(X, Shards):
        _check_weights(checked, name, who)
    return checked


def _as_csr(X: Any, name: str) -> Any:
    if not scipy.sparse.issparse(X):
        X = _as_dense(X, name)
    if X.ndim != 2:
        raise InputError(
            f"Expected 2D array, got {'scalar' if X.ndim == 0 else f'{X.ndim}D'} array instead: {name}",
            "Reshape your data to (n_documents, n_words), for one document X.reshape(1, -1)",
        )
    if X.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {name} is {X.dtype}", "give real word weights")
    dtype = np.float64 if X.dtype == np.float64 else np.float32
    sparse = scipy.sparse.issparse(X)
    X = to_csr(X, name, dtype) if sparse else scipy.sparse.csr_matrix(X, dtype=dtype)
    if X.nnz and not X.data.all():  # a stored zero is no word of the document
        X = X.copy()
        X.eliminate_zeros()
    return X


def _as_dense(X: npt.ArrayLike, name: str) -> Any:
    try:
        X = np.asarray(X)
    except ValueError:  # rows of different lengths
        raise InputError(
            f"{name} is no table of numbers: its rows differ in length or depth",
            "give every document a weight for every word, or a sparse matrix",
        ) from None
    if X.dtype.kind in "OUS":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputTypeError(
                f"{name} holds something that is no number ({error}): argument must be a string or a number",
                "turn texts into word weights with nphash.Vectorizer",
            ) from None
    return X


def _check_weights(X: CSR, name: str, who: str) -> None:
    if X.nnz == 0:
        return
    if not np.isfinite(X.data).all():
        entry, hint = np.flatnonzero(~np.isfinite(X.data))[0], "clean the weights"
        problem = f"{name} contains NaN or infinity (inf), first in document {{}}"
    elif X.data.max() > LARGEST:
        entry, hint = np.argmax(X.data), "scale the rows, for instance to unit length"
        problem = f"{name} has the weight {X.data.max():g} in document {{}}, but the largest is {LARGEST:g}"
    elif X.data.min() < 0:
        entry, hint = np.flatnonzero(X.data < 0)[0], "word weights are zero or more"
        problem = f"Negative values in data passed to {who}: {name} has one in document {{}}"
    else:
        return
    raise InputError(problem.format(np.searchsorted(X.indptr, entry, side="right") - 1), hint)


def check_labels(y: LabelsLike, n: int, hasher: object = None, *, required: bool, name: str = "y") -> Any:
    """Return labels of ``n`` documents as `read_labels` reads them; None where none are required."""
    if y is None:
        if required:
            who = type(hasher).__name__ if hasher is not None else "the hasher"
            raise InputError(
                f"{who} requires y to be passed, but the target {name} is None",
                "it learns from labels: give y",
            )
        return None
    labels: Any = read_labels(y, name)
    if labels.shape[0] != n:
        raise InputError(
            f"{name} has {labels.shape[0]} labels for {n} documents", "give one row of labels a document"
        )
    return labels


def seed_from(random_state: object) -> int:
    """Return one whole number that stands for a random state: None, int, Generator or RandomState."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
    if is_count(random_state, 0):
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    raise InputError(
        f"random_state is {random_state!r}",
        "give None, a whole number, a Generator or a RandomState",
        parameter="random_state",
    )
