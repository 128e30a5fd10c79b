"""Matrices written as text: Matrix Market, UCI bag of words and svmlight; rows are documents.

SciPy has faster parsers, but a damaged file can crash the whole process in one of them (seen with SciPy 1.17:
Matrix Market entries that are missing, a comment inside); NumPy's only raises.
"""

from __future__ import annotations

import re
import warnings
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import coo_matrix, csr_matrix

from nphash.core.typing import Array
from nphash.corpus.files import numbered_lines
from nphash.corpus.matrices import (
    MAX_WORDS,
    check_claims,
    check_file,
    finish,
    foreign_parser,
    read_vocabulary,
    unpacked_bytes,
)
from nphash.corpus.records import Matrix, ReadOptions, clean_labels, show, stem
from nphash.errors import CorpusError

#: A longer comment at the head of a Matrix Market file is not believed to be one.
_MAX_COMMENT_LINES = 100_000

# Of svmlight lines.
_AT_ONCE = 2**16  # characters
_blank = re.compile(r"\s").search
_pairs = re.compile(r"(?:[0-9]{1,18}:[^\s:]+(?:\s+|$))*").fullmatch
_qid = re.compile(r"qid:\S*\s*").match


_Sizes: TypeAlias = tuple[int, int, int]  # rows, columns, entries: what a header promises

# ---------------------------------------------------------------------- lines of numbers


def read_numbers(
    lines: Iterator[tuple[int, str]], source: str, rows: int, columns: int, dtype: DTypeLike = np.float64
) -> Array:
    """Read exactly the numbers, shape (rows, columns), that the header promises; blank lines are skipped."""
    with foreign_parser(source, "rows of numbers"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are none
        texts = (line for _, line in lines)
        found = np.loadtxt(texts, dtype=dtype, ndmin=2, comments=None, max_rows=rows + 1)
    if found.size == 0:
        found = found.reshape(0, columns)
    if found.shape[1] != columns:
        problem = f"{show(source)} has {found.shape[1]} numbers on a line where {columns} are expected"
        raise CorpusError(problem, "the file is damaged or not of this format")
    if len(found) != rows:
        have = "more" if len(found) > rows else f"only {len(found)}"
        problem = f"the header of {show(source)} promises {rows} lines of entries, and there are {have}"
        raise CorpusError(problem, "the file is not complete")
    return found


def _entries(
    lines: Iterator[tuple[int, str]], source: str, sizes: _Sizes, width: int, dtype: DTypeLike = np.float64
) -> Array:
    """Read the entries that a header promises, so many numbers each, if the file can hold them."""
    check_claims(source, *sizes, unpacked_bytes(source))
    return read_numbers(lines, source, sizes[2], width, dtype)


def _coordinates(
    numbers: Array, sizes: _Sizes, source: str, rows: str = "row", columns: str = "column"
) -> Any:
    """Return entries as a matrix: row, column from 1 and value, which is 1 where there is none."""
    row = check_range(numbers[:, 0], sizes[0], rows, source)
    column = check_range(numbers[:, 1], sizes[1], columns, source)
    values = np.ones(len(numbers)) if numbers.shape[1] == 2 else numbers[:, 2]
    return coo_matrix((values, (row, column)), shape=sizes[:2])


def check_range(numbers: Array, size: int, what: str, source: str) -> Array:
    """Return 1-based numbers as 0-based int64; CorpusError names one that is not whole or not in 1..size."""
    bad = np.flatnonzero(~((numbers >= 1) & (numbers <= size) & (numbers == np.floor(numbers))))
    if len(bad):
        problem = f"{show(source)}, entry {bad[0] + 1}: the {what} {numbers[bad[0]]:g} is not in 1..{size}"
        raise CorpusError(problem, "the header must hold the numbers of rows (documents) and columns (words)")
    return numbers.astype(np.int64) - 1


# ---------------------------------------------------------------------- Matrix Market


@dataclass(frozen=True)
class _Header:
    dense: bool  # "array" form: every entry, column after column
    pattern: bool  # no values, each entry is 1
    symmetric: bool  # only the lower half is written
    sizes: _Sizes


def read_matrix_market(source: str, options: ReadOptions) -> Matrix:
    """Read a matrix in coordinate or array form; values are real, whole or missing (pattern)."""
    check_file(source, "Matrix Market")
    plain = replace(options, encoding="latin-1", max_document_bytes=2**20)
    with closing(numbered_lines(source, plain)) as lines:
        header = _matrix_market_header(lines, source)
        numbers = _entries(lines, source, header.sizes, 1 if header.dense else 2 if header.pattern else 3)
    if header.dense:
        return finish(numbers.reshape(header.sizes[:2], order="F"), source, options)
    X = _coordinates(numbers, header.sizes, source)
    if header.symmetric:
        if X.shape[0] != X.shape[1]:
            raise CorpusError(f"{show(source)} is symmetric and not square", "write it as general")
        below = X.row != X.col
        X += coo_matrix((X.data[below], (X.col[below], X.row[below])), shape=X.shape)
    return finish(X, source, options)


def _matrix_market_header(lines: Iterator[tuple[int, str]], source: str) -> _Header:
    number, line = next(lines, (1, ""))
    words = line.lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        problem = f"{show(source)}, line 1 does not begin with %%MatrixMarket matrix and three more words"
        raise CorpusError(problem, "check the format of the file")
    form, field, symmetry = words[2:]
    dense, pattern, symmetric = form == "array", field == "pattern", symmetry == "symmetric"
    if (
        form not in {"coordinate", "array"}
        or field not in {"real", "double", "integer", "pattern"}
        or symmetry not in {"general", "symmetric"}
        or (dense and (pattern or symmetric))
    ):
        problem = f"{show(source)}, line 1: {' '.join(words[2:])[:60]!r} is no kind of word weights"
        raise CorpusError(problem, "write it as: coordinate real general")
    sized = (item for item in islice(lines, _MAX_COMMENT_LINES) if not item[1].startswith("%"))
    number, line = next((item for item in sized if item[1].strip()), (number + 1, ""))
    sizes = line.split()
    if len(sizes) != (2 if dense else 3) or not all(size.isdecimal() and len(size) < 19 for size in sizes):
        hint = "rows, columns and, in coordinate form, the number of entries are expected"
        raise CorpusError(f"{show(source)}, line {number}: {line[:50]!r} is not the sizes of a matrix", hint)
    rows, columns = int(sizes[0]), int(sizes[1])
    return _Header(dense, pattern, symmetric, (rows, columns, rows * columns if dense else int(sizes[2])))


def read_uci(source: str, options: ReadOptions) -> Matrix:
    """Read a docword file, and the vocabulary beside it if there is one."""
    check_file(source, "UCI")
    with closing(numbered_lines(source, options)) as lines:
        rows, columns, entries = (_uci_size(next(lines, (at, ""))[1], at, source) for at in (1, 2, 3))
        sizes = (rows, columns, entries)
        X = _coordinates(_entries(lines, source, sizes, 3, np.int64), sizes, source, "document", "word")
    vocabulary = None if options.vocabulary is not None else _uci_vocabulary(source, options)
    return finish(X, source, options, vocabulary)


def _uci_size(line: str, number: int, source: str) -> int:
    size = line.strip()
    if not size.isdecimal() or len(size) > 18:
        problem = f"{show(source)}, line {number}: {line[:50]!r} is no whole number"
        raise CorpusError(problem, "the first three lines are the numbers of documents, words and triplets")
    return int(size)


def _uci_vocabulary(source: str, options: ReadOptions) -> list[str] | None:
    path = Path(source)
    name = "vocab." + path.name.removeprefix("docword.").removesuffix(".gz")
    beside = [found for found in (path.with_name(name), path.with_name(f"{name}.gz")) if found.exists()]
    return read_vocabulary(beside[0], options) if beside and path.name.startswith("docword.") else None


# ---------------------------------------------------------------------- svmlight


def read_svmlight(source: str, options: ReadOptions) -> Matrix:
    """Read a whole file; several labels are separated by commas, ``qid:`` and comments are skipped.

    The first column is number 1 unless a 0 occurs or ``options.index_base`` says otherwise.
    """
    if options.index_base not in {"auto", "0", "1"}:
        raise CorpusError(f"{options.index_base!r} is no index base", 'choose "auto", "0" or "1"')
    columns, values, lengths = array("q"), array("d"), array("q")
    labels: list[tuple[str, ...]] = []
    ids: list[str] = []
    n_bytes = 0
    for number, line in numbered_lines(source, options):
        content = line.partition("#")[0]
        if not content.strip():
            continue
        n_bytes += len(line)
        names, pairs = _split_line(content)
        before = len(columns)
        for piece in _some_pairs(pairs):
            numbers = piece.replace(":", " ").split() if _pairs(piece) else [piece, ""]
            try:
                values.extend(map(float, numbers[1::2]))
            except ValueError as error:
                raise _wrong_pair(piece, f"{show(source)}, line {number}") from error
            columns.extend(map(int, numbers[0::2]))
        lengths.append(len(columns) - before)
        labels.append(names)
        ids.append(f"{stem(source)}:{number}")
    X = _svmlight_matrix(columns, values, lengths, source, options)
    if options.vocabulary is None and options.n_columns is None:
        check_claims(source, X.shape[0], X.shape[1], 0, n_bytes)
    matrix = finish(X, source, options)
    matrix.labels, matrix.ids = labels, ids
    return matrix


def _some_pairs(pairs: str) -> Iterator[str]:
    """Yield the pairs of a line some at a time: as strings they take twenty times the line."""
    start = 0
    while len(pairs) - start > _AT_ONCE and (blank := _blank(pairs, start + _AT_ONCE)):
        yield pairs[start : blank.end()]
        start = blank.end()
    yield pairs[start:]


def _split_line(content: str) -> tuple[tuple[str, ...], str]:
    """Separate the labels from the pairs; a line may begin with its first pair."""
    head, _, rest = content.strip().partition("\t" if "\t" in content else " ")
    if ":" in head and " " in head:  # a tab may stand between pairs only
        head, _, rest = content.strip().partition(" ")
    if ":" in head:
        head, rest = "", content.strip()
    query = _qid(rest.lstrip())
    pairs = rest.lstrip()[query.end() :] if query else rest.strip()
    return clean_labels(head.split(",")), pairs


def _svmlight_matrix(
    columns: array[int], values: array[float], lengths: array[int], source: str, options: ReadOptions
) -> Any:
    if not lengths:
        raise CorpusError(f"{show(source)} holds no document", "check that this is the right file")
    if not columns:
        raise CorpusError(f"{show(source)} holds labels only", "check that this is an svmlight file")
    numbers = np.frombuffer(columns, np.int64)
    least, most = int(numbers.min()), int(numbers.max())
    base = int(options.index_base) if options.index_base != "auto" else int(least > 0)
    options.found["index_base"] = str(base)
    if least < base:
        hint = "give --index-base 0; a collection that was made with 1 needs a file that begins there"
        raise CorpusError(f"{show(source)} has the index 0, but indices begin at 1", hint)
    width = most - base + 1
    if width > MAX_WORDS:
        problem = f"{show(source)} has the index {most}, but at most {MAX_WORDS} columns are possible"
        raise CorpusError(problem, "hash or renumber the words")
    if options.vocabulary is not None:  # the last words may not occur
        width = max(width, len(read_vocabulary(options.vocabulary, options)))
    elif options.n_columns is not None:
        if width > options.n_columns:
            last = f"the last of {options.n_columns} columns is {options.n_columns - 1 + base}"
            problem = f"{show(source)} has the index {most}, but with indices from {base} on {last}"
            hint = "give the words of this file with --vocabulary, or the right --index-base"
            raise CorpusError(problem, hint)
        width = options.n_columns
    indptr = np.array([0, *accumulate(lengths)], np.int64)
    return csr_matrix((np.frombuffer(values), numbers - base, indptr), shape=(len(lengths), width))


def _wrong_pair(pairs: str, where: str) -> CorpusError:
    wrong = pairs
    for pair in reversed(pairs.split()):  # the first wrong one is named
        try:
            float(pair.partition(":")[2] if _pairs(pair) else "")
        except ValueError:
            wrong = pair
    return CorpusError(f"{where}: {wrong[:50]!r} is no index:value pair", "correct the line")
