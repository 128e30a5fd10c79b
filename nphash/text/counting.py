"""Count words block by block, so that memory follows the distinct words and not the tokens."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from nphash.core.csr import to_csr
from nphash.core.frames import one_column
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.text.weighting import Counts

__all__ = ["TOKENS_PER_BLOCK", "checked_counts", "count_blocks", "join_blocks"]

#: A block ends with the document that reaches this many words: a few tens of megabytes of buffers.
TOKENS_PER_BLOCK = 1 << 20


def checked_counts(counts: Any, n_words: int) -> Any:
    """Return a matrix of counts that came from outside as CSR.

    Raises
    ------
    InputError
        For another number of columns, an index out of range, or what is no sparse matrix.
    """
    if getattr(counts, "format", None) is None or counts.ndim != 2:
        raise InputError(
            f"the counts are of type {type(counts).__name__}, but a sparse matrix of SciPy is needed",
            "give what Vectorizer.counts returns",
        )
    if counts.shape[1] != n_words:
        raise InputError(
            f"the counts have {counts.shape[1]} columns for {n_words} words", "count the same vocabulary"
        )
    return to_csr(counts, "the matrix of counts")


def count_blocks(
    texts: Iterable[str],
    words: Callable[[str], list[str]],
    number: Callable[[list[str]], Iterable[int]],
    first: int = 0,
) -> Iterator[Counts]:
    """Yield the word counts of successive blocks of documents.

    Parameters
    ----------
    texts
        Strings; consumed once. A data frame, dict or array of two dimensions must have one column.
    words
        Cuts a text into words.
    number
        Turns words into their numbers (int32).
    first
        Words with a smaller number are dropped: stop words, or unknown words numbered -1.

    Yields
    ------
    Counts
        CSR arrays int32, int32, int64 of some documents; numbers ascend within each row.

    Raises
    ------
    InputError
        When ``texts`` is one string or a table of several columns, or an item of it is not a string.

    Examples
    --------
    >>> known = {"b": 0, "a": 1}
    >>> blocks = list(count_blocks(["a b a", ""], str.split, lambda words: map(known.get, words)))
    >>> blocks[0].data.tolist(), blocks[0].indices.tolist(), blocks[0].indptr.tolist()
    ([1, 2], [0, 1], [0, 2, 2])
    """
    if isinstance(texts, (str, bytes)):
        raise InputError("the texts are one single string", "give a list of strings, one a document")
    tokens, lengths = array("i"), array("q")
    for at, text in enumerate(one_column(texts, "texts")):
        if not isinstance(text, str):
            raise InputError(
                f"document {at} is of type {type(text).__name__}, but texts are strings",
                "decode bytes, and replace missing texts by empty strings",
            )
        before = len(tokens)
        tokens.extend(number(words(text)))
        lengths.append(len(tokens) - before)
        if len(tokens) >= TOKENS_PER_BLOCK:
            yield _compress(tokens, lengths, first)
            tokens, lengths = array("i"), array("q")
    if lengths:
        yield _compress(tokens, lengths, first)


def _compress(tokens: array[int], lengths: array[int], first: int) -> Counts:
    """Sort (document, word) keys; equal neighbours are one entry."""
    numbers = np.frombuffer(tokens, np.int32) if tokens else np.empty(0, np.int32)
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), np.frombuffer(lengths, np.int64))
    keep = numbers >= first
    keys = rows[keep] << 32 | numbers[keep]
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    data = np.diff(starts, append=len(keys)).astype(np.int32)
    keys = keys[starts]
    per_row = np.bincount(keys >> 32, minlength=len(lengths))
    indptr = np.concatenate(([0], np.cumsum(per_row))).astype(np.int64)
    return Counts(data, (keys & 0xFFFFFFFF).astype(np.int32), indptr)


def join_blocks(blocks: list[Counts]) -> Counts:
    """Stack blocks of rows into one, in order (no block gives no row).

    Examples
    --------
    >>> block = Counts(np.array([3]), np.array([7]), np.array([0, 1]))
    >>> join_blocks([block, block]).indptr.tolist()
    [0, 1, 2]
    """
    sizes = np.concatenate([[0], *(np.diff(block.indptr) for block in blocks)])
    return Counts(
        _concatenate([block.data for block in blocks]),
        _concatenate([block.indices for block in blocks]),
        np.cumsum(sizes, dtype=np.int64),
    )


def _concatenate(arrays: list[Array]) -> Array:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)
