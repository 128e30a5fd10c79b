"""Functions of the partitions of a dask.array, dask.bag or column of a dask.dataframe."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from nphash._version import __version__
from nphash.codes import Codes, n_bytes
from nphash.errors import InputError, NphashError
from nphash.text.vectorizer import Vectorizer
from nphash.text.vocabulary import WordCounts, count_words

if TYPE_CHECKING:
    from nphash.hashers import Hasher

BRANCHES = 8  # counts that are added up in one task


def transform(hasher: Hasher, X: Any, vectorizer: Vectorizer | None = None) -> Any:
    """Return the codes of a collection of Dask: lazily, bit for bit those of ``hasher.transform``.

    Parameters
    ----------
    hasher
        Fitted; any of `nphash.hashers`.
    X
        Word weights, a dask.array whose blocks are CSR matrices (or dense) with all columns; or texts, a
        dask.bag or a column of a dask.dataframe. Partitions may be empty.
    vectorizer
        Fitted; for texts. A text that is missing has no words.

    Returns
    -------
    dask.array.Array
        uint8 of shape (n, bytes) in the partitions of `X`, whose lengths are not known of texts.

    Raises
    ------
    InputError
        If `X` is none of these, has another number of words than the hasher has learned, or its blocks do
        not have all columns. When it is computed, for what cannot be encoded: names the partition.
    NotFittedError
        Before `fit`.
    """
    import dask.array as da
    from dask import delayed

    hasher._check_fitted()
    parts, lengths = _partitions(X)
    if lengths is None and vectorizer is None:
        raise InputError("X are texts, but there is no vectorizer", "give the one of its documents")
    if lengths is not None:
        _check_blocks(X, hasher)
    width = n_bytes(hasher.n_bits)
    both = hasher, vectorizer if lengths is None else None
    model = delayed(both, name=f"nphash-model-{uuid4().hex}", traverse=False)  # without, it would be hashed
    blocks = []
    for i, part in enumerate(parts):
        codes = delayed(run, pure=False)(f"partition {i}", __version__, _codes_of, model, part)
        shape = (np.nan if lengths is None else lengths[i], width)
        blocks.append(da.from_delayed(codes, shape=shape, dtype=np.uint8))
    return da.concatenate(blocks, allow_unknown_chunksizes=True)


def fit_vectorizer(vectorizer: Vectorizer, texts: Any, client: Any = None) -> Vectorizer:
    """Fit a vectorizer on texts of Dask: words are counted where the texts are, and the counts added up.

    Parameters
    ----------
    vectorizer
        Is changed, and returned; equal to one fitted on all texts in one process.
    texts
        A dask.bag of strings, or a column of a dask.dataframe.
    client
        Where to count; None for Dask's own choice.

    Returns
    -------
    Vectorizer
        The fitted one.

    Raises
    ------
    InputError
        As `nphash.Vectorizer.fit`; names the partition.
    """
    from dask import delayed

    parts, lengths = _partitions(texts)
    if lengths is not None:
        raise InputError("the texts are a dask.array", "give a dask.bag, or a column of a dask.dataframe")
    task = delayed(run, pure=False)
    counts = [
        task(f"partition {i}", __version__, _count, vectorizer.settings, part) for i, part in enumerate(parts)
    ]
    while len(counts) > 1:  # a tree; whole numbers, so that its form makes no difference
        few = [counts[i : i + BRANCHES] for i in range(0, len(counts), BRANCHES)]
        counts = [delayed(_total, pure=False)(some) for some in few]
    total = counts[0].compute() if client is None else client.compute(counts[0]).result()
    return vectorizer.fit_counted(total)


def _partitions(X: Any) -> tuple[list[Any], tuple[float, ...] | None]:
    """Return the partitions, delayed, and their lengths if it is an array."""
    to_delayed = getattr(X, "to_delayed", None)
    columns = getattr(X, "columns", None)
    if to_delayed is None or (columns is not None and getattr(X, "ndim", 1) != 1):
        what = "a table; one column is needed" if to_delayed else f"of type {type(X).__name__}"
        raise InputError(
            f"X is {what}",
            "give a dask.array of CSR blocks, a dask.bag of texts or a column of a dask.dataframe",
        )
    parts = np.asarray(to_delayed(), dtype=object)
    return parts.ravel().tolist(), X.chunks[0] if hasattr(X, "chunks") else None


def _check_blocks(X: Any, hasher: Hasher) -> None:
    if X.ndim != 2 or X.numblocks[1] != 1:
        raise InputError(
            f"X has {X.ndim} dimensions in {' x '.join(map(str, X.numblocks))} blocks",
            "give (n_documents, n_words) in blocks of whole rows: X.rechunk({1: -1})",
        )
    if X.shape[1] != hasher.n_features_in_:
        raise InputError(
            f"X has {X.shape[1]} columns, but the hasher has learned {hasher.n_features_in_} words",
            "weigh the documents with the vocabulary used in fit()",
        )


def run(where: str, version: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a task; its errors say where, and a worker with another nphash refuses."""
    if version != __version__:
        raise InputError(
            f"{where}: the worker has nphash {__version__}, not {version}", "install one version everywhere"
        )
    try:
        return function(*arguments)
    except NphashError as error:
        raise InputError(f"{where}: {error.problem}", error.hint) from error


def _codes_of(model: tuple[Hasher, Vectorizer | None], part: Any) -> Codes:
    hasher, vectorizer = model
    if vectorizer is not None:
        part = _texts(part)
    n = len(part) if vectorizer is not None else part.shape[0]
    if not n:
        return np.zeros((0, n_bytes(hasher.n_bits)), np.uint8)
    hasher = copy(hasher)
    hasher.threads = 1
    codes: Codes = hasher.transform(part if vectorizer is None else vectorizer.transform(part))
    return codes


def _texts(part: Any) -> list[Any]:
    part = part.fillna("") if hasattr(part, "fillna") else part
    return ["" if text is None else text for text in part]


def _count(settings: Any, part: Any) -> WordCounts:
    return count_words(_texts(part), settings)


def _total(counts: list[WordCounts]) -> WordCounts:
    total = counts[0]
    for more in counts[1:]:
        total = total + more
    return total
