"""Short binary codes for documents, learned with explicit gradients and searched by Hamming distance.

Public names and packages load on first use (PEP 562): ``import nphash`` imports neither NumPy nor Numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nphash._version import __version__
from nphash.core.lazy_imports import on_first_use

if TYPE_CHECKING:
    from nphash import codes, collection, corpus, dask, gradcheck, hashers, metrics, nn, search, text
    from nphash.collection import Collection
    from nphash.collection.encoding import encoder
    from nphash.hashers.doc2hash import Doc2Hash
    from nphash.hashers.nphash import NpHash
    from nphash.hashers.training.settings import Training
    from nphash.search import HammingIndex
    from nphash.text.vectorizer import Vectorizer, VectorizerSettings

__all__ = [
    "Collection", "Doc2Hash", "HammingIndex", "NpHash", "Training", "Vectorizer",
    "VectorizerSettings", "__version__", "codes", "collection", "corpus", "dask", "encoder", "gradcheck",
    "hashers", "metrics", "nn", "search", "text",
]  # fmt: skip

__getattr__ = on_first_use(
    "nphash",
    {
        "Collection": "nphash.collection",
        "Doc2Hash": "nphash.hashers.doc2hash",
        "HammingIndex": "nphash.search",
        "NpHash": "nphash.hashers.nphash",
        "Training": "nphash.hashers.training.settings",
        "Vectorizer": "nphash.text.vectorizer",
        "VectorizerSettings": "nphash.text.settings",
        "encoder": "nphash.collection.encoding",
    },
    modules=__all__,
)


def __dir__() -> list[str]:
    return sorted(__all__)
