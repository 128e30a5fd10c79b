"""One state of a collection, opened: all its files, read or mapped at once, until it is closed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from nphash.codes import Codes
from nphash.collection.manifest import Manifest
from nphash.collection.reranking import Reranker
from nphash.collection.searching import Searcher
from nphash.collection.segments import Segments
from nphash.collection.view import Documents
from nphash.core.checksums import read_whole
from nphash.core.disk import cannot_read
from nphash.core.store import MODEL, read
from nphash.errors import CollectionError, DamagedError
from nphash.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from nphash.hashers import Hasher
    from nphash.search import HammingIndex

__all__ = ["Opened", "State", "replaced"]


class Learned:
    """Model and vectorizer of a collection, read or mapped when it is opened.

    What happens to the files later is no matter. Objects are made of them when they are first asked for.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        unchecked, inside = manifest.unchecked(), manifest.model + "/"
        self.path, self.manifest, self._lock = folder, manifest, Lock()
        self._hasher: Hasher | None = None
        self._vectorizer: Vectorizer | None = None
        records = {
            name.removeprefix(inside): known for name, known in unchecked.items() if name.startswith(inside)
        }
        model = read(folder / manifest.model / "model.json", MODEL, records=records)
        if model is None:
            raise DamagedError(
                f"{folder / manifest.model} holds no model", "restore the directory from a copy"
            )
        self._model = model
        path = folder / manifest.vectorizer
        try:
            self._words = read_whole(path)
        except OSError as error:
            raise cannot_read(path, error) from None

    @property
    def hasher(self) -> Hasher:
        """The fitted hasher."""
        from nphash.hashers.persistence import build

        with self._lock:
            if self._hasher is None:
                self._hasher = build(self._model, self.path / self.manifest.model)
            return self._hasher

    @property
    def vectorizer(self) -> Vectorizer:
        """The fitted vectorizer."""
        with self._lock:
            if self._vectorizer is None:
                self._vectorizer = self._read_vectorizer()
            return self._vectorizer

    def _read_vectorizer(self) -> Vectorizer:
        try:
            known = self.manifest.files[self.manifest.vectorizer]
            if hashlib.sha256(self._words).hexdigest() != known.sha256:
                raise ValueError("its SHA-256 is not the manifest's")
            return Vectorizer.from_json(json.loads(self._words.decode("utf-8")))
        except ValueError as error:  # InputError is a ValueError
            path = self.path / self.manifest.vectorizer
            raise DamagedError(f"{path} is damaged: {error}", "restore the directory from a copy") from None


class State:
    """One state of a collection, with all its files open.

    Parameters
    ----------
    folder, manifest
        The directory and what it consists of.
    before
        Another state of the same collection: what both have is opened once.
    """

    def __init__(self, folder: Path, manifest: Manifest, before: State | None = None) -> None:
        if before and before.manifest.id != manifest.id:
            before = None
        self.manifest: Manifest = manifest
        self.segments: Segments = Segments(folder, manifest, before.segments if before else None)
        same_model = before is not None and before.manifest.model == manifest.model
        self.learned: Learned = before.learned if before and same_model else Learned(folder, manifest)
        self._lock = Lock()
        self._index: HammingIndex | None = None
        self._searcher: Searcher | None = None

    @property
    def index(self) -> HammingIndex:
        """Exact Hamming index over all documents."""
        from nphash.search import HammingIndex

        with self._lock:
            if self._index is None:
                index = HammingIndex(self.manifest.n_bits)
                for codes in self.segments.codes:
                    index.add(codes)
                if self.segments.removed.size:
                    index.remove(self.segments.removed)
                self._index = index
            return self._index

    @property
    def documents(self) -> Documents:
        """The documents by id."""
        return Documents(self.segments, self.manifest.n_documents)

    @property
    def searcher(self) -> Searcher:
        """What searches this state."""
        if self._searcher is None:
            reranker = Reranker(self.learned.vectorizer)
            self._searcher = Searcher(self.index, self.segments, reranker, self.manifest.n_bits)
        return self._searcher


class Opened:
    """What is in a collection; its documentation is that of `Collection`."""

    def __init__(self, path: Path, state: State) -> None:
        self.path = path
        self._state = state
        self._closed = False
        self._writing = RLock()  # of this object's threads: they change one after the other

    def close(self) -> None:
        """Close the document files; the collection cannot be used afterwards."""
        self._state.segments.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.n_documents

    def __repr__(self) -> str:
        return f"<Collection {str(self.path)!r}: {len(self):,} documents, {self.n_bits} bits>"

    @property
    def manifest(self) -> Manifest:
        """What the collection consists of, how it was fitted."""
        return self._state.manifest

    @property
    def n_bits(self) -> int:
        """Bits of a code."""
        return self.manifest.n_bits

    @property
    def state(self) -> State:
        """The state that is open."""
        self._check_open()
        return self._state

    @property
    def segments(self) -> Segments:
        """The runs of documents on disk, and the positions in them."""
        return self.state.segments

    @property
    def documents(self) -> Documents:
        """The documents by id."""
        return self.state.documents

    @property
    def codes(self) -> Codes:
        """A copy of all codes in the order of `documents`, uint8, shape (n, n_bytes)."""
        segments = self.segments
        return segments.codes_at(segments.live_positions())

    @property
    def hasher(self) -> Hasher:
        """The fitted hasher, its weights memory-mapped."""
        return self.state.learned.hasher

    @property
    def vectorizer(self) -> Vectorizer:
        """The fitted vectorizer."""
        return self.state.learned.vectorizer

    @property
    def index(self) -> HammingIndex:
        """Exact Hamming index over all documents; its ids are positions, see `Documents.position`."""
        return self.state.index

    def _check_open(self) -> None:
        if self._closed:
            raise CollectionError(f"the collection {self.path} is closed", "open it again: Collection.open")

    def _move_to(self, new: State) -> None:
        """Become another state of the same collection; who still reads the old one has its files open.

        Raises
        ------
        CollectionError
            If it is a state of another collection.
        """
        if new.manifest.id != self.manifest.id:
            raise replaced(self.path)
        self._state = new


def replaced(path: Path) -> CollectionError:
    """Return the error that says that there is another collection at `path` now."""
    return CollectionError(f"the collection {path} was replaced by another one meanwhile", "open it again")
