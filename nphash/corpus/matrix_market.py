"""Matrix Market ``.mtx``, as gensim and SciPy write it; rows are documents."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from scipy.io import mmread
from scipy.sparse import csr_matrix

from nphash.corpus.files import numbered_lines, open_bytes
from nphash.corpus.matrices import check_claims, finish, foreign_parser, unpacked_bytes
from nphash.corpus.records import Matrix, ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["read"]


def read(source: str, options: ReadOptions) -> Matrix:
    """Read a matrix in coordinate or array form, also from a gzip file.

    Raises
    ------
    CorpusError
        For a file that is not Matrix Market, is damaged, or whose header cannot be true.
    """
    if source == "-":
        raise CorpusError("Matrix Market files cannot be read from standard input", "give a path")
    _check_header(source)
    with open_bytes(source) as stream, foreign_parser(source, "Matrix Market"):
        return finish(csr_matrix(mmread(stream)), source, options)


def _check_header(source: str) -> None:
    lines = numbered_lines(source, replace(ReadOptions(), max_document_bytes=2**20, encoding="latin-1"))
    number, line = next(lines, (1, ""))
    words = line.lower().split()
    if len(words) < 3 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise CorpusError(
            f"{show(source)}, line 1 does not begin with %%MatrixMarket matrix",
            "check the format of the file",
        )
    sized = (item for item in islice(lines, 100_000) if item[1].strip() and not item[1].startswith("%"))
    number, line = next(sized, (number + 1, ""))
    sizes = line.split()
    wanted = 3 if words[2] == "coordinate" else 2
    if len(sizes) != wanted or not all(size.isdecimal() and len(size) < 19 for size in sizes):
        raise CorpusError(
            f"{show(source)}, line {number}: {line[:50]!r} is not the sizes of a matrix",
            "rows, columns and, in coordinate form, the number of entries are expected",
        )
    rows, columns = int(sizes[0]), int(sizes[1])
    entries = int(sizes[2]) if wanted == 3 else rows * columns
    check_claims(source, rows, columns, entries, unpacked_bytes(source))
