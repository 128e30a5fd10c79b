"""What a vectorizer can be told: one frozen dataclass and its presets."""

from __future__ import annotations

from dataclasses import dataclass

from nphash.errors import InputError
from nphash.text.tokenizer import WORD, make_tokenizer
from nphash.text.weighting import WEIGHTINGS

__all__ = ["SMALL_CORPUS", "VectorizerSettings"]

#: Below this many documents, ``None`` for the document-frequency limits means no limit.
SMALL_CORPUS = 50


@dataclass(frozen=True)
class VectorizerSettings:
    """How texts become words, which words are kept, and what they weigh.

    Parameters
    ----------
    pattern
        A name of `nphash.text.tokenizer.PATTERNS` or a regular expression.
    stop_words
        ``"english"``, ``"none"`` or the path of a file with one word a line.
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
        For a value out of range.

    Examples
    --------
    >>> VectorizerSettings.preset("vdsh").pattern
    'vdsh'
    """

    pattern: str = WORD
    stop_words: str = "english"
    min_documents: int | None = None
    max_share: float | None = None
    max_words: int | None = 10_000
    weighting: str = "tfidf"

    def __post_init__(self) -> None:
        make_tokenizer(self.pattern)
        if self.min_documents is not None and self.min_documents < 1:
            raise InputError(f"min_documents is {self.min_documents}, but at least 1 is needed")
        if self.max_share is not None and not 0 < self.max_share <= 1:
            raise InputError(f"max_share is {self.max_share}, but a share is above 0 and at most 1")
        if self.max_words is not None and self.max_words < 1:
            raise InputError(f"max_words is {self.max_words}, but at least 1 is needed", "None keeps all")
        if self.weighting not in WEIGHTINGS:
            raise InputError(f"{self.weighting!r} is no weighting", f"choose one of {', '.join(WEIGHTINGS)}")

    @classmethod
    def preset(cls, name: str = "default") -> VectorizerSettings:
        """Return named settings: ``"default"``, or ``"vdsh"`` as in the semantic-hashing papers.

        Raises
        ------
        InputError
            For an unknown name.
        """
        presets = {
            "default": cls(),
            "vdsh": cls("vdsh", "english", min_documents=3, max_share=0.8, max_words=10_000),
        }
        if name not in presets:
            raise InputError(f"{name!r} is no preset", f"choose one of {', '.join(presets)}")
        return presets[name]
