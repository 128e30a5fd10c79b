"""Find out what a source is and hand it to its reader."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from nphash.corpus.binary import kind_of
from nphash.corpus.files import open_bytes, peek_standard_input, translate_errors
from nphash.corpus.jsonl import looks_like_json
from nphash.corpus.records import Document, Matrix, ReadOptions, show
from nphash.errors import CorpusError

__all__ = ["FORMATS", "detect_format", "is_matrix", "read_documents", "read_matrix"]

#: Every input format with one line about it.
FORMATS: dict[str, str] = {
    "jsonl": "JSON lines: one object a line with text, and id, labels, split if known",
    "csv": "comma-separated values with a header line",
    "tsv": "tab-separated values with a header line",
    "lines": "one document a line, with fastText's __label__x if there",
    "folder": "a folder of text files; the class is the subfolder",
    "docstrings": "docstrings: or docstrings:numpy,scipy - documentation of installed packages",
    "svmlight": "svmlight / libsvm: labels, then index:value pairs",
    "npz": "SciPy sparse matrix (scipy.sparse.save_npz)",
    "mtx": "Matrix Market, rows are documents",
    "uci": "UCI bag of words: docword.*.txt with vocab.*.txt beside it",
    "mat": "MATLAB file of the VDSH paper: train, test, cv and gnd_*",
}

# A reader is imported when it is used: those of matrices need SciPy, and search has no time for it.
_TEXT_READERS = {
    "jsonl": "jsonl",
    "csv": "tables",
    "tsv": "tables",
    "lines": "lines",
    "folder": "folder",
    "docstrings": "docstrings",
}
_MATRIX_READERS = {
    "svmlight": "svmlight",
    "npz": "npz",
    "mtx": "matrix_market",
    "uci": "uci",
    "mat": "mat",
}
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "lines",
    ".text": "lines",
    ".ft": "lines",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
    ".npz": "npz",
    ".mtx": "mtx",
    ".mat": "mat",
}


def detect_format(source: str, options: ReadOptions | None = None) -> str:
    """Return the name of the format of ``source``, a key of `FORMATS`.

    Parameters
    ----------
    source
        A path, ``"-"`` for standard input, or ``"docstrings:..."``.
    options
        Its ``input_format`` decides if given; otherwise prefix, folder or suffix do. Standard
        input is JSON when it begins like an object or an array of objects or strings, otherwise one
        document a line.

    Raises
    ------
    CorpusError
        When the file does not exist or its suffix says nothing.

    Examples
    --------
    >>> detect_format("docstrings:numpy")
    'docstrings'
    >>> detect_format("any", ReadOptions(input_format="csv"))
    'csv'
    """
    options = options or ReadOptions()
    given = options.input_format
    if given is not None:
        if given not in FORMATS:
            raise CorpusError(f"{given!r} is no input format", f"choose one of {', '.join(FORMATS)}")
        return given
    if source.startswith("docstrings:"):
        return "docstrings"
    if source == "-":
        return "jsonl" if looks_like_json(peek_standard_input(), options.encoding) else "lines"
    with translate_errors(source):
        if not source:
            raise FileNotFoundError
        Path(source).stat()
    if Path(source).is_dir():
        return "folder"
    name = Path(source).name.lower().removesuffix(".gz")
    if name.startswith("docword."):
        return "uci"
    if Path(name).suffix not in _SUFFIXES:
        _refuse_packed(source)
        raise CorpusError(
            f"the name of {source} does not tell its format", f"give --input-format: {', '.join(FORMATS)}"
        )
    return _SUFFIXES[Path(name).suffix]


def _refuse_packed(source: str) -> None:
    """Say of a packed file that it is to be unpacked; its name tells no format then."""
    if Path(source).is_file():
        with open_bytes(source) as stream:
            kind = kind_of(stream.read(512))
        if kind is not None:
            raise CorpusError(f"{source} {kind[0]}", kind[1])


def is_matrix(name: str) -> bool:
    """Tell whether a format holds a matrix (`read_matrix`) and not texts (`read_documents`).

    Examples
    --------
    >>> is_matrix("npz"), is_matrix("jsonl")
    (True, False)
    """
    return name in _MATRIX_READERS


def read_documents(source: str, options: ReadOptions | None = None) -> Iterator[Document]:
    """Stream the documents of a text source.

    Parameters
    ----------
    source
        A path, ``"-"`` for standard input, or ``"docstrings:..."``.
    options
        None stands for ``ReadOptions()``.

    Yields
    ------
    Document
        In the order of the source; ids are unique.

    Raises
    ------
    CorpusError
        Naming the file and, where there is one, the line. The format is checked at the call,
        everything else while reading.

    Examples
    --------
    >>> document = next(iter(read_documents("docstrings:json")))
    >>> document.id, document.labels
    ('json', ('json', 'json'))
    """
    options = options or ReadOptions()
    name = options.found["input_format"] = detect_format(source, options)
    if name not in _TEXT_READERS:
        raise CorpusError(
            f"{show(source)} is a matrix ({name}), but texts are needed", "give texts, for example JSON lines"
        )
    return _not_empty(_reader(_TEXT_READERS[name])(source, options), source)


def read_matrix(source: str, options: ReadOptions | None = None) -> Matrix:
    """Read a matrix of word counts or weights.

    Parameters
    ----------
    source
        A path, or ``"-"`` for svmlight on standard input.
    options
        None stands for ``ReadOptions()``.

    Raises
    ------
    CorpusError
        Naming the file and, where there is one, the line or entry.
    """
    options = options or ReadOptions()
    name = options.found["input_format"] = detect_format(source, options)
    if name not in _MATRIX_READERS:
        raise CorpusError(
            f"{show(source)} holds texts ({name}), but a matrix is needed", "read it with read_documents"
        )
    return cast(Matrix, _reader(_MATRIX_READERS[name])(source, options))


def _reader(module: str) -> Any:
    return import_module(f"nphash.corpus.{module}").read


def _not_empty(documents: Iterator[Document], source: str) -> Iterator[Document]:
    empty = True
    for document in documents:
        empty = False
        yield document
    if empty:
        raise CorpusError(f"{show(source)} holds no document", "check that this is the right file")
