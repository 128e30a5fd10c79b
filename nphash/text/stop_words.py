"""Words that are left out of every vocabulary."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nphash.errors import CorpusError

__all__ = ["parse_stop_words", "stop_words"]

_ENGLISH = Path(__file__).with_name("stop_words_en.txt")


@cache
def stop_words(source: str = "english") -> frozenset[str]:
    """Return a set of lower-case stop words.

    Parameters
    ----------
    source
        ``"english"`` (the list beside this module), ``"none"``, or the path of a UTF-8 text file with
        one word a line, where empty lines and lines that begin with ``#`` are skipped.

    Raises
    ------
    CorpusError
        When the file cannot be read.

    Examples
    --------
    >>> "the" in stop_words("english"), len(stop_words("none"))
    (True, 0)
    """
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


def parse_stop_words(text: str) -> frozenset[str]:
    r"""Return the words of a stop-word file's content.

    Examples
    --------
    >>> sorted(parse_stop_words("# mine\nThe\n\nof\n"))
    ['of', 'the']
    """
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line.lower() for line in lines if line and not line.startswith("#"))
