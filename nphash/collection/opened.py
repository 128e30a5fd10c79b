"""One state of a collection, opened: its files, read when they are asked for, until it is closed."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nphash.codes import Codes
from nphash.collection.manifest import Manifest
from nphash.collection.reranking import Reranker
from nphash.collection.searching import Searcher
from nphash.collection.segments import Segments
from nphash.collection.view import Documents
from nphash.errors import CollectionError
from nphash.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from nphash.hashers import Hasher
    from nphash.search import HammingIndex

__all__ = ["Opened"]

OF_A_STATE = ("index", "_searcher")  # what is made anew for another state; a model is never changed


class Opened:
    """What is in a collection; its documentation is that of `Collection`."""

    def __init__(self, path: Path, manifest: Manifest, segments: Segments) -> None:
        self.path = path
        self.manifest = manifest
        self._segments = segments
        self._closed = False

    def close(self) -> None:
        """Close the document files; the collection cannot be used afterwards."""
        self._segments.close()
        self._closed = True
        self._forget(*OF_A_STATE, "hasher", "vectorizer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.n_documents

    def __repr__(self) -> str:
        return f"<Collection {str(self.path)!r}: {len(self):,} documents, {self.n_bits} bits>"

    @property
    def n_bits(self) -> int:
        """Bits of a code."""
        return self.manifest.n_bits

    @property
    def segments(self) -> Segments:
        """The runs of documents on disk, and the positions in them."""
        self._check_open()
        return self._segments

    @property
    def documents(self) -> Documents:
        """The documents by id."""
        return Documents(self.segments, len(self))

    @property
    def codes(self) -> Codes:
        """A copy of all codes in the order of `documents`, uint8, shape (n, n_bytes)."""
        return self.segments.codes_at(self.segments.live_positions())

    @cached_property
    def hasher(self) -> Hasher:
        """The fitted hasher, its weights memory-mapped."""
        from nphash.hashers.persistence import load

        self._check_open()
        return load(self.path / self.manifest.model)

    @cached_property
    def vectorizer(self) -> Vectorizer:
        """The fitted vectorizer."""
        self._check_open()
        path = self.path / self.manifest.vectorizer
        try:
            return Vectorizer.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:  # InputError is a ValueError
            raise CollectionError(
                f"{path} is damaged: {error}", "restore the directory from a copy"
            ) from None

    @cached_property
    def index(self) -> HammingIndex:
        """Exact Hamming index over all documents; its ids are positions, see `Documents.position`."""
        from nphash.search import HammingIndex

        index = HammingIndex(self.n_bits)
        for codes in self.segments.codes:
            index.add(codes)
        if self.segments.removed.size:
            index.remove(self.segments.removed)
        return index

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self.index, self.segments, Reranker(self.vectorizer), self.n_bits)

    def _check_open(self) -> None:
        if self._closed:
            raise CollectionError(f"the collection {self.path} is closed", "open it again: Collection.open")

    def _move_to(self, new: Opened) -> None:
        """Become another state of the same collection."""
        self._segments.close()
        self.manifest, self._segments = new.manifest, new._segments
        self._forget(*OF_A_STATE)

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)
