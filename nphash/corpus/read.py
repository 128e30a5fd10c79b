"""Find the format of a source and hand it to its reader; keep the options for reading more of its kind."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from nphash.corpus.files import kind_of, open_bytes, peek_standard_input, translate_errors
from nphash.corpus.lines import looks_like_json
from nphash.corpus.packed import open_archive
from nphash.corpus.records import Document, Matrix, ReadOptions, show, unpacked_name
from nphash.corpus.tables import table_format
from nphash.errors import CorpusError

#: Every input format with one line about it.
FORMATS: dict[str, str] = {
    "jsonl": "JSON lines: one object a line with text, and id, labels, split if known",
    "csv": "comma-separated values with a header line",
    "tsv": "tab-separated values with a header line",
    "lines": "one document a line, with fastText's __label__x if there",
    "folder": "a folder of files, one document each (as in document); the class is the subfolder",
    "zip": "a zip archive of files, one document each (as in document)",
    "document": "one document: .html, .md, .rst, .docx, .odt, .epub, .pdf, .eml or .ipynb",
    "mbox": "a mailbox, one document a message",
    "sqlite": "sqlite:FILE?table=NAME, a row a document",
    "parquet": "Parquet or Arrow file, a row a document (with pyarrow)",
    "docstrings": "docstrings: or docstrings:numpy,scipy - documentation of installed packages",
    "svmlight": "svmlight / libsvm: labels, then index:value pairs",
    "npz": "SciPy sparse matrix (scipy.sparse.save_npz)",
    "mtx": "Matrix Market, rows are documents",
    "uci": "UCI bag of words: docword.*.txt with vocab.*.txt beside it",
    "mat": "MATLAB file of the VDSH paper: train, test, cv and gnd_*",
}

_DOCUMENTS = ".html .htm .xhtml .md .markdown .rst .docx .odt .epub .pdf .eml .ipynb"

# Module and function, and the suffixes that show the format. A reader is imported when it is used: those of
# matrices need SciPy, and search has no time for it.
_TEXT_READERS = {
    "jsonl": ("lines.read_jsonl", ".jsonl .ndjson .json"),
    "csv": ("tables.read", ".csv"),
    "tsv": ("tables.read", ".tsv .tab"),
    "lines": ("lines.read_lines", ".txt .text .ft"),
    "folder": ("folder.read", ""),
    "zip": ("folder.read_zip", ""),
    "document": ("folder.read_document", _DOCUMENTS),
    "mbox": ("mail.read_mbox", ".mbox"),
    "sqlite": ("databases.read_sqlite", ".sqlite .sqlite3 .db"),
    "parquet": ("databases.read_arrow", ".parquet .arrow .feather"),
    "docstrings": ("docstrings.read", ""),
}
_MATRIX_READERS = {
    "svmlight": ("matrix_text.read_svmlight", ".svm .svmlight .libsvm"),
    "npz": ("matrices.read_npz", ".npz"),
    "mtx": ("matrix_text.read_matrix_market", ".mtx"),
    "uci": ("matrix_text.read_uci", ""),
    "mat": ("matlab.read", ".mat"),
}
_FILES_OF_TEXT = tuple(name for name in _TEXT_READERS if name != "docstrings")
_TABLES = ("jsonl", "csv", "tsv", "sqlite", "parquet")

#: Options that not all formats have, and those that do.
OPTION_FORMATS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("text_field", "id_field", "label_field", "split_field", "fields"), _TABLES),
    **dict.fromkeys(("columns", "delimiter", "quote"), ("csv", "tsv")),
    "on_bad_record": _FILES_OF_TEXT,
    "vocabulary": tuple(_MATRIX_READERS),
    "index_base": ("svmlight",),
}


def detect_format(source: str, options: ReadOptions | None = None) -> str:
    """Return the name of the format of ``source``, a key of `FORMATS`.

    The options' ``input_format`` decides if given; otherwise prefix, folder or suffix do. Standard input is
    JSON when it begins like an object or an array of objects or strings; CSV or TSV when its first line is a
    header with the text's column, or an option of tables is given; otherwise one document a line.
    CorpusError when the file does not exist or its suffix says nothing.

    Examples
    --------
    >>> detect_format("docstrings:numpy")
    'docstrings'
    """
    options = options or ReadOptions()
    given = options.input_format
    if given is not None:
        if given not in FORMATS:
            raise CorpusError(f"{given!r} is no input format", f"choose one of {', '.join(FORMATS)}")
        return given
    for prefix in ("docstrings", "sqlite"):
        if source.startswith(f"{prefix}:"):
            return prefix
    if source == "-":
        head = _decoded(peek_standard_input(), options.encoding)
        return "jsonl" if looks_like_json(head) else table_format(head, options) or "lines"
    with translate_errors(source):
        if not source:
            raise FileNotFoundError
        Path(source).stat()
    if Path(source).is_dir():
        return "folder"
    if Path(source).name.lower().startswith("docword."):
        return "uci"
    if found := _format_of(_kind(source)):
        return found
    if Path(source).suffix.lower() == ".zip":
        return _format_of_archive(source)
    if Path(source).is_file():
        with open_bytes(source) as stream:
            kind = kind_of(stream.read(512))
        if kind is not None:
            raise CorpusError(f"{source} {kind[0]}", kind[1])
    problem = f"the name of {source} does not show its format"
    raise CorpusError(problem, f"give --input-format: {', '.join(FORMATS)}")


def _format_of(suffix: str) -> str:
    """Return the format that a suffix shows, or nothing."""
    readers = (_TEXT_READERS | _MATRIX_READERS).items()
    return next((name for name, (_, suffixes) in readers if suffix in suffixes.split()), "")


def _format_of_archive(source: str) -> str:
    """Return the format of the only file of a zip archive, else that of the archive itself."""
    with open_bytes(source, archives=False) as stream:
        names = [name for name in open_archive(stream, source).namelist() if not name.endswith("/")]
    found = _format_of(_kind(names[0])) if len(names) == 1 else ""
    return "zip" if found in {"", "document"} else found


def _decoded(head: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding.partition(",")[0])("ignore").decode(head)
    except (LookupError, ValueError, AttributeError):  # an encoding that there is not: its reader says so
        return head.decode("latin-1")


def is_matrix(name: str) -> bool:
    """Return whether a format holds a matrix (`read_matrix`) and not texts (`read_documents`)."""
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
        In the order of the source; ids are unique. CorpusError names the file and, where there is one, the
        line. The format is checked at the call, everything else while reading.

    Examples
    --------
    >>> document = next(iter(read_documents("docstrings:json")))
    >>> document.id, document.labels
    ('json', ('json', 'json'))
    """
    options = options or ReadOptions()
    name = options.found["input_format"] = detect_format(source, options)
    if name not in _TEXT_READERS:
        problem = f"{show(source)} is a matrix ({name}), but texts are needed"
        raise CorpusError(problem, "give texts, for example JSON lines")
    documents: Iterator[Document] = _reader(name)(source, options)
    return _not_empty(documents, source)


def read_matrix(source: str, options: ReadOptions | None = None) -> Matrix:
    """Read a matrix of word counts or weights: of a path, or for svmlight also ``"-"``.

    CorpusError names the file and, where there is one, the line or entry.
    """
    options = options or ReadOptions()
    name = options.found["input_format"] = detect_format(source, options)
    if name not in _MATRIX_READERS:
        problem = f"{show(source)} holds texts ({name}), but a matrix is needed"
        raise CorpusError(problem, "read it with read_documents")
    matrix: Matrix = _reader(name)(source, options)
    return matrix


def _reader(name: str) -> Callable[[str, ReadOptions], Any]:
    module, _, function = (_TEXT_READERS | _MATRIX_READERS)[name][0].partition(".")
    reader: Callable[[str, ReadOptions], Any] = getattr(import_module(f"nphash.corpus.{module}"), function)
    return reader


def _not_empty(documents: Iterator[Document], source: str) -> Iterator[Document]:
    first = next(documents, None)
    if first is None:
        raise CorpusError(f"{show(source)} holds no document", "check that this is the right file")
    yield first
    yield from documents


# ---------------------------------------------------------------------- options kept with a collection

# What a collection keeps, given or guessed, and the formats in which it can mean the same again.
_KEPT = {"encoding": (*_FILES_OF_TEXT, "svmlight"), "n_columns": ("svmlight",)} | OPTION_FORMATS
del _KEPT["on_bad_record"], _KEPT["vocabulary"]
# Dialects are those of one format; names of fields are the same in all.
_SAME_FORMAT = ("columns", "delimiter", "quote")
_USUAL = ReadOptions()


def kept_options(source: str, options: ReadOptions) -> dict[str, Any]:
    """Return what to keep of how documents were read, given or guessed, for the json module."""
    kept = {name: getattr(options, name) for name in _KEPT if not _is_free(options, name)}
    found = {name: value for name, value in options.found.items() if name in _KEPT}
    if not options.columns and not options.delimiter:
        found.pop("delimiter", None)  # a header shows it each time
    return {
        "source_kind": _kind(source),
        "input_format": options.input_format or options.found.get("input_format"),
        "format_given": options.input_format is not None,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()},
        **found,
    }


def with_kept_options(source: str, options: ReadOptions, corpus: Mapping[str, Any]) -> ReadOptions:
    """Return the options for a source, with those that were kept where they leave it open.

    ``corpus`` is what a collection's manifest says of its corpus: ``reading``, and ``n_columns`` of a matrix.
    """
    reading = corpus.get("reading")
    kept = _sound({**(reading if isinstance(reading, dict) else {}), "n_columns": corpus.get("n_columns")})
    same_kind = kept.get("source_kind") == _kind(source)
    free = {name: kept[name] for name in kept.keys() & _KEPT.keys() if _is_free(options, name)}
    if same_kind and kept.get("format_given") and _is_free(options, "input_format"):
        options = replace(options, input_format=kept.get("input_format"))
    # Of standard input, what a table is like shows that it is one.
    shows = {"encoding", *(("columns", "delimiter", "quote", "text_field") if same_kind else ())}
    name = detect_format(source, replace(options, **{hint: free[hint] for hint in shows & free.keys()}))
    before = kept.get("input_format")
    if before == "folder" and name == "lines" and options.input_format is None:
        what = f"{show(source)} is read as one document a line, the collection was read as one a file"
        options.report(f"{what}: give the folder that holds it if it is one document")
    usable = [key for key in free if name in _KEPT[key] and (name == before or key not in _SAME_FORMAT)]
    return replace(options, **{key: free[key] for key in usable})


def _is_free(options: ReadOptions, name: str) -> bool:
    """Return whether an option was left open."""
    return name not in options.given and getattr(options, name) == getattr(_USUAL, name)


def _kind(source: str) -> str:
    """Return what shows the format of a source: its suffix, or ``-``."""
    if source.startswith("sqlite:"):
        return ".db"
    return "-" if source == "-" else Path(unpacked_name(Path(source).name.lower())).suffix


def _sound(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is of the right kind: a manifest may be a stranger's."""
    kinds: dict[str, Any] = {"quote": bool, "format_given": bool, "columns": tuple, "n_columns": int}
    kinds["text_field"] = kinds["fields"] = (str, tuple)
    sound: dict[str, Any] = {}
    for name, value in kept.items():
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            value = tuple(value)
        if isinstance(value, kinds.get(name, str)):
            sound[name] = value
    return sound
