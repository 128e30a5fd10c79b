"""UCI bag of words: ``docword.NAME.txt`` (three sizes, then triplets) and ``vocab.NAME.txt``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix

from nphash.corpus.files import numbered_lines
from nphash.corpus.matrices import check_claims, check_file, finish, read_vocabulary, unpacked_bytes
from nphash.corpus.numbers import check_range, read_numbers
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
    check_file(source, "UCI")
    with closing(numbered_lines(source, options)) as lines:
        rows, columns, entries = (_size(next(lines, (at, ""))[1], at, source) for at in (1, 2, 3))
        check_claims(source, rows, columns, entries, unpacked_bytes(source))
        triplets = read_numbers(lines, source, entries, 3, np.int64)
    row = check_range(triplets[:, 0], rows, "document", source)
    column = check_range(triplets[:, 1], columns, "word", source)
    X = coo_matrix((triplets[:, 2], (row, column)), shape=(rows, columns))
    vocabulary = None if options.vocabulary is not None else _vocabulary(source, options)
    return finish(X, source, options, vocabulary)


def _size(line: str, number: int, source: str) -> int:
    size = line.strip()
    if not size.isdecimal() or len(size) > 18:
        raise CorpusError(
            f"{show(source)}, line {number}: {line[:50]!r} is no whole number",
            "the first three lines are the numbers of documents, words and triplets",
        )
    return int(size)


def _vocabulary(source: str, options: ReadOptions) -> list[str] | None:
    path = Path(source)
    if not path.name.startswith("docword."):
        return None
    name = "vocab." + path.name.removeprefix("docword.").removesuffix(".gz")
    for candidate in (path.with_name(name), path.with_name(name + ".gz")):
        if candidate.exists():
            return read_vocabulary(candidate, options)
    return None
