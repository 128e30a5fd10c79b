"""Collections made of matrices (svmlight, ``.npz``, Matrix Market, ...), which have words but no text.

Such a collection stores as text the words of each row, separated by spaces: each repeated as often
as it was counted where the weights are whole numbers, else once. Columns without names are called
``w0``, ``w1``, ... Whole numbers are word counts and go the way of text from there on. Other
weights are taken to be the caller's own: the hasher learns from them and encodes them as they are,
and only queries given as text are weighed by us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from nphash.collection.documents import checked
from nphash.corpus import Document, Matrix
from nphash.errors import InputError
from nphash.text.vectorizer import Vectorizer

__all__ = ["checked_matrix", "column_names", "holds_counts", "matrix_documents", "select_columns", "weighed"]

MOST_REPEATS = 1_000  # a count above this is stored as this: TF weights are logarithmic anyway


def checked_matrix(matrix: Matrix) -> Matrix:
    """Return a matrix, which may have been made in Python, as the readers would have made it.

    Raises
    ------
    InputError
        For weights or index arrays that cannot be used, or ids, labels, splits or words of another number.
    """
    from nphash.hashers.inputs import check_documents  # not at the top: adding texts has no need of it

    X = check_documents(matrix.X, name="the matrix")
    rows, columns = X.shape
    vocabulary = matrix.vocabulary
    for what, size, needed in (
        ("ids", len(matrix.ids), rows),
        ("labels", len(matrix.labels), rows),
        ("splits", len(matrix.splits), rows),
        ("words", columns if vocabulary is None else len(vocabulary), columns),
    ):
        if size != needed:
            raise InputError(
                f"the matrix has {size} {what} for its shape {X.shape}", f"give {needed}, one for each"
            )
    return replace(matrix, X=X)


def column_names(matrix: Matrix) -> list[str]:
    """Return the words of the columns as they will be found again in the stored text."""
    if matrix.vocabulary is None:
        return [f"w{column}" for column in range(matrix.X.shape[1])]
    return ["_".join(word.lower().split()) or f"w{column}" for column, word in enumerate(matrix.vocabulary)]


def holds_counts(matrix: Matrix) -> bool:
    """Return whether all weights are whole numbers, that is, word counts."""
    data = matrix.X.data
    return bool((data == np.floor(data)).all())


def matrix_documents(matrix: Matrix) -> Iterator[Document]:
    """Yield each row as a document whose text is its words."""
    names, X = column_names(matrix), matrix.X
    counts = holds_counts(matrix)
    for row, id_ in enumerate(matrix.ids):
        span = slice(int(X.indptr[row]), int(X.indptr[row + 1]))
        words: list[str] = []
        for column, weight in zip(X.indices[span].tolist(), X.data[span].tolist(), strict=True):
            words += [names[column]] * (min(int(weight), MOST_REPEATS) if counts else int(weight > 0))
        yield Document(id_, " ".join(words), matrix.labels[row], matrix.splits[row], matrix.generated_id)


def select_columns(matrix: Matrix, vocabulary: Sequence[str]) -> Any:
    """Return the weights as given, CSR float32 of shape (n, len(vocabulary)), columns in that order.

    Raises
    ------
    InputError
        If the matrix has none of the words.
    """
    import scipy.sparse

    place = {word: number for number, word in enumerate(vocabulary)}
    targets = np.array([place.get(name, -1) for name in column_names(matrix)], dtype=np.int64)
    if (targets < 0).all():
        raise InputError(
            "the matrix has none of the collection's words",
            "give the vocabulary it was made with (--vocabulary)",
        )
    coo = matrix.X.tocoo()
    columns = targets[coo.col]
    known = (columns >= 0) & (coo.data != 0)
    shape = (matrix.X.shape[0], len(place))
    return scipy.sparse.csr_matrix(
        (coo.data[known].astype(np.float32), (coo.row[known], columns[known])), shape=shape
    )


def _check_width(matrix: Matrix, n_columns: int | None) -> None:
    """Refuse columns without a name that are not as many as before: they could be any words."""
    width = matrix.X.shape[1]
    if n_columns is not None and matrix.vocabulary is None and width != n_columns:
        raise InputError(
            f"the matrix has {width} columns, but the collection was made of {n_columns}",
            "give a matrix of the same columns, or name them (--vocabulary)",
        )


def weighed(
    documents: Iterable[Document] | Matrix, vectorizer: Vectorizer, at_once: int, n_columns: int | None = None
) -> Iterator[tuple[list[Document], Any]]:
    """Yield blocks of documents with their weights, CSR (block, n_words): a matrix's own, or ours.

    `n_columns` is how many columns without a name the collection was made of.

    Raises
    ------
    InputError
        For what is no document, or a matrix that cannot be used or is of another width.
    """
    given = None
    if isinstance(documents, Matrix):
        documents = checked_matrix(documents)
        _check_width(documents, n_columns)
        if not holds_counts(documents):
            given = select_columns(documents, vectorizer.vocabulary_)
        documents = matrix_documents(documents)
    stream, start = checked(documents), 0
    while block := list(islice(stream, at_once)):
        if given is None:
            yield block, vectorizer.transform([document.text for document in block])
        else:
            yield block, given[start : start + len(block)]
        start += len(block)
