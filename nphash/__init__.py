"""Short binary codes for documents, learned with explicit gradients and searched by Hamming distance.

Public names load on first use (PEP 562): ``import nphash`` imports neither NumPy nor Numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nphash._version import __version__

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.hashers.doc2hash import Doc2Hash
    from nphash.index import HammingIndex
    from nphash.text.vectorizer import Vectorizer

_HOMES = {
    "Collection": "nphash.collection",
    "Doc2Hash": "nphash.hashers.doc2hash",
    "HammingIndex": "nphash.index",
    "Vectorizer": "nphash.text.vectorizer",
}

__all__ = ["Collection", "Doc2Hash", "HammingIndex", "Vectorizer", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nphash' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
