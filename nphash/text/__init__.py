"""From text to weighted words: tokenizer, stop words, vocabulary, weightings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nphash.core.lazy_imports import on_first_use

if TYPE_CHECKING:
    from nphash.text.vectorizer import Vectorizer, VectorizerSettings

__all__ = ["Vectorizer", "VectorizerSettings"]

__getattr__ = on_first_use(
    "nphash.text", {"Vectorizer": "nphash.text.vectorizer", "VectorizerSettings": "nphash.text.settings"}
)


def __dir__() -> list[str]:
    return sorted(__all__)
