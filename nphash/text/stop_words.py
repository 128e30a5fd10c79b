"""Words that are left out of every vocabulary."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from nphash.errors import CorpusError, InputError

__all__ = ["as_source", "parse_stop_words", "stop_words"]

_ENGLISH = Path(__file__).with_name("stop_words_en.txt")


@cache
def stop_words(source: str | tuple[str, ...] = "english") -> frozenset[str]:
    """Return a set of lower-case stop words.

    Parameters
    ----------
    source
        ``"english"`` (the list beside this module), ``"none"``, or the path of a UTF-8 text file with
        one word a line, where empty lines and lines that begin with ``#`` are skipped; or the words.

    Raises
    ------
    CorpusError
        When the file cannot be read.

    Examples
    --------
    >>> "the" in stop_words("english"), len(stop_words("none"))
    (True, 0)
    >>> sorted(stop_words(("The", "of")))
    ['of', 'the']
    """
    if isinstance(source, tuple):
        return frozenset(word.strip().lower() for word in source)
    if source == "none":
        return frozenset()
    path = _ENGLISH if source == "english" else Path(source)
    try:
        return parse_stop_words(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(
            f"the stop words {source!r} cannot be read ({reason})",
            'give "english", "none", or the path of a UTF-8 text file with one word a line',
        ) from error


def as_source(given: Any) -> str | tuple[str, ...]:
    """Return what names or lists stop words as `stop_words` takes it, and as JSON can hold it.

    Raises
    ------
    InputError
        For anything but a string, a path and strings.

    Examples
    --------
    >>> as_source(["the", "of"])
    ('the', 'of')
    """
    if isinstance(given, (str, os.PathLike)):
        return str(given)
    if isinstance(given, (set, frozenset)) and all(isinstance(word, str) for word in given):
        return tuple(sorted(given))
    if isinstance(given, (list, tuple)) and all(isinstance(word, str) for word in given):
        return tuple(given)
    raise InputError(
        f"stop_words is {given!r}",
        'give "english", "none", the path of a file with one word a line, or a list of words',
        parameter="stop_words",
    )


def parse_stop_words(text: str) -> frozenset[str]:
    r"""Return the words of a stop-word file's content.

    Examples
    --------
    >>> sorted(parse_stop_words("# mine\nThe\n\nof\n"))
    ['of', 'the']
    """
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line.lower() for line in lines if line and not line.startswith("#"))
