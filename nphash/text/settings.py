"""Settings of a vectorizer, one frozen dataclass and its presets; lists of stop words."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import get_data
from typing import Any, TypeGuard

from nphash.core.arguments import check_count, is_number
from nphash.core.disk import open_file
from nphash.errors import CorpusError, InputError
from nphash.text.tokenizer import WORD, make_tokenizer
from nphash.text.weighting import WEIGHTINGS

_ENGLISH = "stop_words_en.txt"

#: Of a file of stop words.
MOST_BYTES = 2**24

#: Below this many documents, ``None`` for the document-frequency limits means no limit.
SMALL_CORPUS = 50


@dataclass(frozen=True)
class VectorizerSettings:
    """Settings of how texts become words, which words are kept, and what they weigh.

    Parameters
    ----------
    pattern
        A name of `nphash.text.tokenizer.PATTERNS` or a regular expression.
    stop_words
        ``"english"``, ``"none"``, the path of a file with one word a line, or a list of words, which is
        kept as a tuple. Those that are not one word to ``pattern`` are reported by `fit`.
    min_documents
        Keep words that at least so many documents hold. None: 3, or 1 for fewer than 50 documents.
    max_share
        Keep words that at most this share of the documents holds. None: 0.8, or 1 for fewer than
        50 documents.
    max_words
        Keep so many of the most frequent words (ties in alphabetical order). None: all.
    weighting
        ``"binary"``, ``"tf"``, ``"tfidf"`` or ``"bm25"``.

    Raises
    ------
    InputError
        For a value of another type or out of range.

    Examples
    --------
    >>> VectorizerSettings.preset("vdsh").pattern
    'vdsh'
    """

    pattern: str = WORD
    stop_words: str | os.PathLike[str] | Collection[str] = "english"
    min_documents: int | None = None
    max_share: float | None = None
    max_words: int | None = 10_000
    weighting: str = "tfidf"

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            hint = "give a name or a regular expression as a string"
            raise InputError(f"pattern is {self.pattern!r}", hint, parameter="pattern")
        make_tokenizer(self.pattern)
        plain: dict[str, Any] = {"stop_words": as_source(self.stop_words)}
        if self.min_documents is not None:
            hint = "None suits the number of documents"
            plain["min_documents"] = check_count(self.min_documents, "min_documents", hint=hint)
        if self.max_share is not None:
            if not is_number(self.max_share) or not 0 < self.max_share <= 1:
                problem = f"max_share is {self.max_share!r}, but a share is above 0 and at most 1"
                raise InputError(problem, "give a number such as 0.8, or None", parameter="max_share")
            plain["max_share"] = float(self.max_share)
        if self.max_words is not None:
            plain["max_words"] = check_count(self.max_words, "max_words", hint="None keeps all")
        for name, value in plain.items():  # as JSON gives them back
            object.__setattr__(self, name, value)
        if not isinstance(self.weighting, str) or self.weighting not in WEIGHTINGS:
            raise InputError(f"{self.weighting!r} is no weighting", f"choose one of {', '.join(WEIGHTINGS)}")

    @classmethod
    def preset(cls, name: str = "default") -> VectorizerSettings:
        """Return named settings: ``"default"``, or ``"vdsh"`` as in the semantic-hashing papers."""
        presets = {"default": cls(), "vdsh": cls("vdsh", min_documents=3, max_share=0.8)}
        if name not in presets:
            raise InputError(f"{name!r} is no preset", f"choose one of {', '.join(presets)}")
        return presets[name]


def stop_words(source: str | tuple[str, ...] = "english") -> frozenset[str]:
    """Return a set of lower-case stop words, given as in the settings; CorpusError for a file without such.

    In a UTF-8 text file with one word a line, empty lines and lines that begin with ``#`` are skipped.
    """
    if isinstance(source, tuple):
        return frozenset(word.strip().lower() for word in source)
    if source == "none":
        return frozenset()
    try:
        if source == "english":  # of the package, which may be imported from a zip
            return parse_stop_words((get_data("nphash.text", _ENGLISH) or b"").decode("utf-8"))
        with open_file(Path(source).resolve()) as file:  # neither a device nor a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES >> 20} MiB")
        return parse_stop_words(content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = 'give "english", "none", or the path of a UTF-8 text file with one word a line'
        raise CorpusError(f"the stop words {source!r} cannot be read ({reason})", hint) from error


def is_path(source: object) -> TypeGuard[str]:
    """Return whether stop words are given by the path of a file."""
    return isinstance(source, str) and source not in {"english", "none"}


def yielded(words: Iterable[str], tokenize: Callable[[str], Iterable[str]]) -> tuple[set[str], list[str]]:
    """Return stop words as the tokenizer writes them, and, sorted, those that are none or several to it."""
    found, without_effect = set(), []
    for word in sorted(words):
        tokens = list(tokenize(word))
        if len(tokens) == 1 and _n_letters(tokens[0]) == _n_letters(word):  # not the don of don't
            found.add(tokens[0])
        else:
            without_effect.append(word)
    return found, without_effect


def _n_letters(word: str) -> int:
    return sum(map(str.isalnum, unicodedata.normalize("NFKC", word).casefold()))


def as_source(given: object) -> str | tuple[str, ...]:
    """Return names or lists of stop words as `stop_words` takes them; InputError for anything else."""
    if isinstance(given, (str, os.PathLike)):
        return str(given)
    if isinstance(given, (set, frozenset)) and all(isinstance(word, str) for word in given):
        return tuple(sorted(given))
    if isinstance(given, (list, tuple)) and all(isinstance(word, str) for word in given):
        return tuple(given)
    hint = 'give "english", "none", the path of a file with one word a line, or a list of words'
    raise InputError(f"stop_words is {given!r}", hint, parameter="stop_words")


def parse_stop_words(text: str) -> frozenset[str]:
    """Return the words of a stop-word file's content."""
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line.lower() for line in lines if line and not line.startswith("#"))
