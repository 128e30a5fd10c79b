"""Matrix Market ``.mtx``, as gensim and SciPy write it; rows are documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from nphash.corpus.files import numbered_lines
from nphash.corpus.matrices import check_claims, check_file, finish, unpacked_bytes
from nphash.corpus.numbers import check_range, read_numbers
from nphash.corpus.records import Matrix, ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["read"]

#: A longer comment at the head of a file is not believed to be one.
_MAX_COMMENT_LINES = 100_000


@dataclass(frozen=True)
class _Header:
    dense: bool  # "array" form: every entry, column after column
    pattern: bool  # no values, each entry is 1
    symmetric: bool  # only the lower half is written
    rows: int
    columns: int
    entries: int


def read(source: str, options: ReadOptions) -> Matrix:
    """Read a matrix in coordinate or array form; values are real, whole or left out (pattern).

    Raises
    ------
    CorpusError
        For a file that is not Matrix Market, is damaged, or whose header cannot be true.
    """
    check_file(source, "Matrix Market")
    plain = replace(options, encoding="latin-1", max_document_bytes=2**20)
    with closing(numbered_lines(source, plain)) as lines:
        header = _header(lines, source)
        check_claims(source, header.rows, header.columns, header.entries, unpacked_bytes(source))
        X = _body(lines, header, source)
    return finish(X, source, options)


def _header(lines: Iterator[tuple[int, str]], source: str) -> _Header:
    number, line = next(lines, (1, ""))
    words = line.lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        raise CorpusError(
            f"{show(source)}, line 1 does not begin with %%MatrixMarket matrix and three more words",
            "check the format of the file",
        )
    form, field, symmetry = words[2:]
    dense, pattern, symmetric = form == "array", field == "pattern", symmetry == "symmetric"
    if (
        form not in {"coordinate", "array"}
        or field not in {"real", "double", "integer", "pattern"}
        or symmetry not in {"general", "symmetric"}
        or (dense and (pattern or symmetric))
    ):
        raise CorpusError(
            f"{show(source)}, line 1: {' '.join(words[2:])[:60]!r} is no kind of word weights",
            "write it as: coordinate real general",
        )
    sized = (item for item in islice(lines, _MAX_COMMENT_LINES) if not item[1].startswith("%"))
    number, line = next((item for item in sized if item[1].strip()), (number + 1, ""))
    sizes = line.split()
    if len(sizes) != (2 if dense else 3) or not all(size.isdecimal() and len(size) < 19 for size in sizes):
        raise CorpusError(
            f"{show(source)}, line {number}: {line[:50]!r} is not the sizes of a matrix",
            "rows, columns and, in coordinate form, the number of entries are expected",
        )
    rows, columns = int(sizes[0]), int(sizes[1])
    return _Header(dense, pattern, symmetric, rows, columns, rows * columns if dense else int(sizes[2]))


def _body(lines: Iterator[tuple[int, str]], header: _Header, source: str) -> Any:
    shape = (header.rows, header.columns)
    width = 1 if header.dense else 2 if header.pattern else 3
    numbers = read_numbers(lines, source, header.entries, width)
    if header.dense:
        return csr_matrix(numbers.reshape(shape, order="F"))
    row = check_range(numbers[:, 0], header.rows, "row", source)
    column = check_range(numbers[:, 1], header.columns, "column", source)
    values = np.ones(len(numbers)) if header.pattern else numbers[:, 2]
    X = coo_matrix((values, (row, column)), shape=shape)
    if not header.symmetric:
        return X
    if header.rows != header.columns:
        raise CorpusError(f"{show(source)} is symmetric and not square", "write it as general")
    below = row != column
    return X + coo_matrix((values[below], (column[below], row[below])), shape=shape)
