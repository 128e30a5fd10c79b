"""Collections: what ``nphash fit`` writes to the disk, documents, their codes and the model that made them.

A collection is a directory::

    manifest.json            the state: format, parameters, and size and SHA-256 of every file below
    model-000001/            the hasher: model.json and one .npy file an array
    vectorizer-000001.json   vocabulary, document frequencies, settings
    codes-000001.npy         codes of a run of documents, uint8 (n, 8 * ceil(n_bits / 64)), memory-mapped
    documents-000001.sqlite  ids, labels and text of the same documents
    words-000001.bin         which of them hold each word, and how often, memory-mapped
    removed-000002.npy       positions of removed documents, when there are any
    lock                     held by the one process that may change the collection, whose journal it is

Files are written once. A change writes new ones, numbered with the generation it makes, and then
replaces ``manifest.json``; a process killed at any instant, or a full disk, leaves the old state
or the new one. Nothing in the directory is a pickle, and all names in the manifest are relative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nphash.collection.collection import Collection
from nphash.collection.searching import Explanation, Hit, SearchSettings
from nphash.collection.state import Documents
from nphash.core.lazy_imports import on_first_use

if TYPE_CHECKING:
    from nphash.collection import changes as changes
    from nphash.collection import creating as creating
    from nphash.collection import encoding as encoding
    from nphash.collection import evaluation as evaluation
    from nphash.collection import grouping as grouping
    from nphash.collection import manifest as manifest
    from nphash.collection import overview as overview
    from nphash.collection.creating import CreateSettings

__all__ = ["Collection", "CreateSettings", "Documents", "Explanation", "Hit", "SearchSettings"]

__getattr__ = on_first_use(
    "nphash.collection",
    {"CreateSettings": "nphash.collection.creating"},
    modules=("changes", "creating", "encoding", "evaluation", "grouping", "manifest", "overview"),
)


def __dir__() -> list[str]:
    return sorted(__all__)
