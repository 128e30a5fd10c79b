"""The words of a query: those that a collection knows, those it does not, and stop words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nphash.cli import display
from nphash.errors import CorpusError

if TYPE_CHECKING:
    from nphash.collection import Collection

__all__ = ["QueryWords", "query_words"]

SHOWN = 5  # of the words that are not known
MOST = 50


@dataclass(frozen=True)
class QueryWords:
    """The words of a query, each once and in order.

    Attributes
    ----------
    known
        In the vocabulary, at most 50.
    unknown
        Not in the vocabulary, and no stop words.
    stopped
        Stop words.
    """

    known: list[str]
    unknown: list[str]
    stopped: list[str]

    def note(self, query: str) -> str:
        """Return what is to be said of `query`, ``""`` if all its words are known or stop words."""
        if not self.known:
            asked = display.fit_width(display.clean(query), 40)
            kind = "is a stop word" if len(self.stopped) == 1 else "are stop words"
            why = f" ({_listed(self.stopped)} {kind})" if self.stopped else ""
            return f"note: no word of {asked!r} is known{why}, so nothing is found"
        return f"note: not known: {_listed(self.unknown)}" if self.unknown else ""


def _listed(words: list[str]) -> str:
    shown = ", ".join(display.fit_width(display.clean(word), 40) for word in words[:SHOWN])
    return shown + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def query_words(collection: Collection, text: str) -> QueryWords:
    """Return the words of a query."""
    from nphash.text.settings import as_source, stop_words
    from nphash.text.tokenizer import tokenize

    vectorizer = collection.vectorizer
    columns = vectorizer.encode_text(text)[0].tolist()
    vocabulary = {vectorizer.vocabulary_[column] for column in columns}
    words = list(dict.fromkeys(tokenize(text, vectorizer.settings.pattern)))
    others = [word for word in words if word not in vocabulary]
    stopping: frozenset[str] = frozenset()
    with suppress(CorpusError):  # the file of the list may be gone
        stopping = stop_words(as_source(vectorizer.settings.stop_words)) if others else stopping
    return QueryWords(
        [word for word in words if word in vocabulary][:MOST],
        [word for word in others if word not in stopping],
        [word for word in others if word in stopping],
    )
