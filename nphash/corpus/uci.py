"""UCI bag of words: ``docword.NAME.txt`` (three sizes, then triplets) and ``vocab.NAME.txt``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix

from nphash.corpus.files import numbered_lines
from nphash.corpus.matrices import check_claims, finish, foreign_parser, read_vocabulary, unpacked_bytes
from nphash.corpus.records import Matrix, ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["read"]


def read(source: str, options: ReadOptions) -> Matrix:
    """Read a docword file, and the vocabulary beside it if there is one.

    Raises
    ------
    CorpusError
        Naming file and line: sizes that are not true, triplets that are no whole numbers, numbers
        out of range, a vocabulary of another length.
    """
    if source == "-":
        raise CorpusError("UCI files cannot be read from standard input", "give a path")
    lines = numbered_lines(source, options)
    rows, columns, entries = (_size(next(lines, (at, ""))[1], at, source) for at in (1, 2, 3))
    check_claims(source, rows, columns, entries, unpacked_bytes(source))
    triplets = _triplets(lines, source, entries)
    for at, (size, what) in enumerate(((rows, "document"), (columns, "word"))):
        bad = np.flatnonzero((triplets[:, at] < 1) | (triplets[:, at] > size))
        if len(bad):
            raise CorpusError(
                f"{show(source)}, line {bad[0] + 4}: {what} {triplets[bad[0], at]} is not in 1..{size}",
                "the numbers on the first two lines are those of documents and words",
            )
    where = (triplets[:, 0] - 1, triplets[:, 1] - 1)
    X = coo_matrix((triplets[:, 2], where), shape=(rows, columns))
    vocabulary = None if options.vocabulary is not None else _vocabulary(source, options)
    return finish(X, source, options, vocabulary)


def _size(line: str, number: int, source: str) -> int:
    if not line.strip().isdecimal() or len(line.strip()) > 18:
        raise CorpusError(
            f"{show(source)}, line {number}: {line[:50]!r} is no whole number",
            "the first three lines are the numbers of documents, words and triplets",
        )
    return int(line)


def _triplets(
    lines: Iterator[tuple[int, str]], source: str, entries: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    with foreign_parser(source, "UCI bag of words"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no triplets
        texts = (line for _, line in lines)
        triplets = np.loadtxt(texts, dtype=np.int64, ndmin=2, comments=None, max_rows=entries + 1)
    triplets = triplets.reshape(-1, 3) if triplets.size == 0 else triplets
    if triplets.shape[1] != 3:
        raise CorpusError(
            f"{show(source)}, line 4 has {triplets.shape[1]} numbers", "document, word and count are expected"
        )
    if len(triplets) != entries:
        found = f"only {len(triplets)}" if len(triplets) < entries else "more"
        raise CorpusError(
            f"{show(source)} promises {entries} triplets on line 3 and has {found}",
            "the file is not complete",
        )
    return triplets


def _vocabulary(source: str, options: ReadOptions) -> list[str] | None:
    path = Path(source)
    if not path.name.startswith("docword."):
        return None
    name = "vocab." + path.name.removeprefix("docword.").removesuffix(".gz")
    for candidate in (path.with_name(name), path.with_name(name + ".gz")):
        if candidate.exists():
            return read_vocabulary(candidate, options)
    return None
