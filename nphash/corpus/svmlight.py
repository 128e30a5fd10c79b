"""svmlight / libsvm: ``label,label qid:1 index:value index:value # comment`` on each line."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from nphash.corpus.files import numbered_lines
from nphash.corpus.matrices import MAX_WORDS, finish, read_vocabulary
from nphash.corpus.records import Matrix, ReadOptions, clean_labels, show, stem
from nphash.errors import CorpusError

__all__ = ["read"]

_pairs = re.compile(r"(?:[0-9]{1,18}:[^\s:]+(?:\s+|$))*").fullmatch
_qid = re.compile(r"qid:\S*\s*").match


def read(source: str, options: ReadOptions) -> Matrix:
    """Read a whole file; several labels are separated by commas, ``qid:`` and comments are skipped.

    The first column is number 1 unless a 0 occurs or ``options.index_base`` says otherwise.

    Raises
    ------
    CorpusError
        Naming file and line, for anything that is no ``index:value`` pair.
    """
    if options.index_base not in {"auto", "0", "1"}:
        raise CorpusError(f"{options.index_base!r} is no index base", 'choose "auto", "0" or "1"')
    columns, values, lengths = array("q"), array("d"), array("q")
    labels: list[tuple[str, ...]] = []
    ids: list[str] = []
    for number, line in numbered_lines(source, options):
        content = line.partition("#")[0]
        if not content.strip():
            continue
        names, pairs = _cut(content)
        if _pairs(pairs) is None:
            raise _wrong_pair(pairs, f"{show(source)}, line {number}")
        pieces = pairs.replace(":", " ").split()
        try:
            values.extend(map(float, pieces[1::2]))
        except ValueError as error:
            raise _wrong_pair(pairs, f"{show(source)}, line {number}") from error
        columns.extend(map(int, pieces[0::2]))
        lengths.append(len(pieces) // 2)
        labels.append(names)
        ids.append(f"{stem(source)}:{number}")
    matrix = finish(_matrix(columns, values, lengths, source, options), source, options)
    matrix.labels, matrix.ids = labels, ids
    return matrix


def _cut(content: str) -> tuple[tuple[str, ...], str]:
    """Separate the labels from the pairs; a line may begin with its first pair."""
    head, _, rest = content.strip().partition(" ") if "\t" not in content else content.strip().partition("\t")
    if ":" in head:
        head, rest = "", content.strip()
    query = _qid(rest.lstrip())
    pairs = rest.lstrip()[query.end() :] if query else rest.strip()
    return clean_labels(head.split(",")), pairs


def _matrix(
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
        raise CorpusError(
            f"{show(source)} has the index {most}, but at most {MAX_WORDS} columns are possible",
            "hash or renumber the words",
        )
    if options.vocabulary is not None:  # the last words may not occur
        width = max(width, len(read_vocabulary(options.vocabulary, options)))
    elif options.n_columns is not None:
        if width > options.n_columns:
            raise CorpusError(
                f"{show(source)} has the index {most}, but with indices from {base} on the last of "
                f"{options.n_columns} columns is {options.n_columns - 1 + base}",
                "give the words of this file with --vocabulary, or the right --index-base",
            )
        width = options.n_columns
    indptr = np.array([0, *accumulate(lengths)], np.int64)
    return csr_matrix((np.frombuffer(values), numbers - base, indptr), shape=(len(lengths), width))


def _wrong_pair(pairs: str, where: str) -> CorpusError:
    for pair in pairs.split():
        index, _, value = pair.partition(":")
        try:
            float(value)
            correct = index.isdecimal() and index.isascii() and len(index) <= 18
        except ValueError:
            correct = False
        if not correct:
            return CorpusError(f"{where}: {pair[:50]!r} is no index:value pair", "correct the line")
    return CorpusError(f"{where} is no list of index:value pairs", "correct the line")
