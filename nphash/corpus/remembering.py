"""What a collection remembers of how its documents were read, so that later ones are read alike.

Given options and guesses alike are kept: names of fields, encoding, columns, dialect of a table, first column
of svmlight. They hold where they can mean the same again; an option that is given goes before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nphash.corpus.read import detect_format
from nphash.corpus.records import ReadOptions

__all__ = ["recall", "remember"]

_FIELDS = ("jsonl", "csv", "tsv")
_TEXTS = (*_FIELDS, "lines", "folder", "svmlight")
_FORMATS = {
    "encoding": _TEXTS,
    **dict.fromkeys(("text_field", "id_field", "label_field", "split_field"), _FIELDS),
    **dict.fromkeys(("columns", "delimiter", "quote"), ("csv", "tsv")),
    **dict.fromkeys(("index_base", "n_columns"), ("svmlight",)),
}
# Dialects are those of one format; names of fields are the same in all.
_SAME_FORMAT = ("columns", "delimiter", "quote")
_USUAL = ReadOptions()


def remember(source: str, options: ReadOptions) -> dict[str, Any]:
    """Return what there is to remember after documents were read, for the json module.

    Examples
    --------
    >>> remember("a.svm", ReadOptions(found={"input_format": "svmlight", "index_base": "0"}))
    {'source_kind': '.svm', 'input_format': 'svmlight', 'format_given': False, 'index_base': '0'}
    """
    kept = {name: getattr(options, name) for name in _FORMATS if not _is_free(options, name)}
    found = {name: value for name, value in options.found.items() if name in _FORMATS}
    if not options.columns and not options.delimiter:
        found.pop("delimiter", None)  # a header tells it each time
    return {
        "source_kind": _kind(source),
        "input_format": options.input_format or options.found.get("input_format"),
        "format_given": options.input_format is not None,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()},
        **found,
    }


def recall(source: str, options: ReadOptions, corpus: Mapping[str, Any]) -> ReadOptions:
    """Return options with what is remembered where they leave it open.

    Parameters
    ----------
    source
        What is to be read.
    options
        What was given for it.
    corpus
        What a collection's manifest knows of its corpus: ``reading``, and ``n_columns`` of a matrix.

    Raises
    ------
    CorpusError
        As `detect_format`.

    Examples
    --------
    >>> recall("docstrings:", ReadOptions(), {"reading": {"text_field": "body"}}).text_field
    'text'
    """
    memory = _sound({**_mapping(corpus.get("reading")), "n_columns": corpus.get("n_columns")})
    again = memory.get("format_given") and memory.get("source_kind") == _kind(source)
    if again and _is_free(options, "input_format"):
        options = replace(options, input_format=memory.get("input_format"))
    encoding = memory.get("encoding", options.encoding) if _is_free(options, "encoding") else options.encoding
    name = detect_format(source, replace(options, encoding=encoding))
    same = name == memory.get("input_format")
    changes = {
        option: memory[option]
        for option, formats in _FORMATS.items()
        if option in memory
        and name in formats
        and (same or option not in _SAME_FORMAT)
        and _is_free(options, option)
    }
    return replace(options, **changes)


def _is_free(options: ReadOptions, name: str) -> bool:
    """Return whether an option was left open."""
    return name not in options.given and getattr(options, name) == getattr(_USUAL, name)


def _kind(source: str) -> str:
    """Return what tells the format of a source: its suffix, or ``-``."""
    return "-" if source == "-" else Path(Path(source).name.lower().removesuffix(".gz")).suffix


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sound(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is of the right kind: a manifest may be a stranger's."""
    sound: dict[str, Any] = {}
    for name, value in memory.items():
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            sound[name] = tuple(value)
        elif isinstance(value, (str, bool)) or (name == "n_columns" and isinstance(value, int)):
            sound[name] = value
    kinds = dict.fromkeys(("quote", "format_given"), bool) | {"columns": tuple, "n_columns": int}
    return {
        name: value
        for name, value in sound.items()
        if isinstance(value, kinds.get(name, (str, tuple) if name == "text_field" else str))
    }
