"""One state of a collection, opened: all its files, read or mapped at once, until it is closed.

A segment is a code file and a document file with the same rows. Position p of a collection counts through
the segments in order, removed documents included, so it is also the order of insertion.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, n_bytes
from nphash.collection.documents import DocumentFile, spellings
from nphash.collection.filters import Facets
from nphash.collection.manifest import DAMAGED_HINT, Manifest, SegmentFiles
from nphash.collection.ranking import Words
from nphash.collection.searching import Searcher
from nphash.collection.word_index import WordIndex
from nphash.core.checksums import FileRecord
from nphash.core.disk import read_bytes
from nphash.core.locks import thread_lock
from nphash.core.store import MODEL, StoredArray, read
from nphash.core.typing import Ints
from nphash.corpus import Document
from nphash.errors import DamagedError, InputError
from nphash.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    from nphash.hashers import Hasher
    from nphash.search import HammingIndex
T = TypeVar("T")


class State:
    """One state of a collection, with all its files open; what the state `before` has too is opened once."""

    def __init__(self, folder: Path, manifest: Manifest, before: State | None = None) -> None:
        if before and before.manifest.id != manifest.id:
            before = None
        self.manifest: Manifest = manifest
        self.segments: Segments = Segments(folder, manifest, before.segments if before else None)
        same_model = before is not None and before.manifest.model == manifest.model
        self.learned: Learned = before.learned if before and same_model else Learned(folder, manifest)
        self._lock = thread_lock()
        self._index: HammingIndex | None = None
        self._words: Words | None = None
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
    def words(self) -> Words:
        """The words of all documents; of segments without an index one is made in memory."""
        with self._lock:
            if self._words is None:
                self._words = Words(
                    self.segments.word_indexes(self.learned.vectorizer.settings.pattern),
                    self.segments.removed,
                )
            return self._words

    @property
    def searcher(self) -> Searcher:
        """Search by words and codes in this state."""
        if self._searcher is None:
            self._searcher = Searcher(self.segments, self.words, self.learned, self.manifest.n_bits)
        return self._searcher


class Learned:
    """Model and vectorizer, read or mapped when a collection is opened; objects are made when asked for."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._lock = folder / manifest.model, thread_lock()
        self._path, self._known = folder / manifest.vectorizer, manifest.files[manifest.vectorizer]
        self._hasher: Hasher | None = None
        self._vectorizer: Vectorizer | None = None
        inside = f"{manifest.model}/"
        unchecked = {
            name.removeprefix(inside): known
            for name, known in manifest.unchecked().items()
            if name.startswith(inside)
        }
        model, words = read(self._folder / "model.json", MODEL, records=unchecked), read_bytes(self._path)
        if model is None or words is None:
            raise DamagedError(f"{self._path if model else self._folder} is missing", DAMAGED_HINT)
        self._model, self._words = model, words

    @property
    def hasher(self) -> Hasher:
        """The fitted hasher."""
        from nphash.hashers.persistence import build

        with self._lock:
            if self._hasher is None:
                self._hasher = build(self._model, self._folder)
            return self._hasher

    @cached_property
    def known_words(self) -> frozenset[str]:
        """The words that codes are made of."""
        return frozenset(self.vectorizer.vocabulary_)

    @property
    def vectorizer(self) -> Vectorizer:
        """The fitted vectorizer."""
        with self._lock:
            try:
                if self._vectorizer is None:
                    if hashlib.sha256(self._words).hexdigest() != self._known.sha256:
                        raise ValueError("its SHA-256 is not the manifest's")
                    self._vectorizer = Vectorizer.from_json(json.loads(self._words.decode("utf-8")))
                return self._vectorizer
            except ValueError as error:  # InputError is one
                raise DamagedError(f"{self._path} is damaged: {error}", DAMAGED_HINT) from None


class Segment:
    """A run of documents: their codes and the index of their words, mapped, and their document file."""

    def __init__(self, folder: Path, manifest: Manifest, files: SegmentFiles) -> None:
        self.known = _records(manifest, files)
        unchecked = manifest.unchecked()
        shape = files.n_documents, n_bytes(manifest.n_bits)
        self.codes = StoredArray(folder / files.codes, np.uint8, shape, unchecked.get(files.codes))
        self.documents = DocumentFile(folder / files.documents, unchecked.get(files.documents))
        self.has_index = bool(files.words)
        self.words: WordIndex | None = None
        if files.words:
            self.words = WordIndex.open(folder / files.words, unchecked.get(files.words))
            if self.words.n_documents != files.n_documents:
                raise self.words.damaged("it is of other documents")


def _records(manifest: Manifest, files: SegmentFiles) -> dict[str, FileRecord]:
    return {name: manifest.files[name] for name in files.names()}


class Segments:
    """All segments of one state, in the order of insertion; removed positions are int64, ascending."""

    def __init__(self, folder: Path, manifest: Manifest, before: Segments | None = None) -> None:
        self._width = n_bytes(manifest.n_bits)
        still = [s for s in before.segments if not s.documents.closed] if before else []
        self.segments: list[Segment] = []
        for files in manifest.segments:
            same = [segment for segment in still if segment.known == _records(manifest, files)]
            self.segments.append(same[0] if same else Segment(folder, manifest, files))
        sizes = [files.n_documents for files in manifest.segments]
        # First positions of the segments and, last, the number of all documents, int64.
        self.offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.removed = self._read_removed(folder, manifest) if manifest.removed else np.zeros(0, np.int64)

    def _read_removed(self, folder: Path, manifest: Manifest) -> Ints:
        path, known = folder / manifest.removed, manifest.unchecked().get(manifest.removed)
        removed = np.array(StoredArray(path, np.int64, (manifest.n_removed,), known).whole())
        inside = removed.size == 0 or 0 <= removed[0] <= removed[-1] < self.offsets[-1]
        if not inside or (np.diff(removed) <= 0).any():
            raise DamagedError(
                f"{path} is damaged: its positions are not ascending", "restore the file from a copy"
            )
        return removed

    @property
    def codes(self) -> list[Codes]:
        """One memory-mapped, checked array a segment, uint8, of shape (n_documents, n_bytes)."""
        return [segment.codes.whole() for segment in self.segments]

    @property
    def are_indexed(self) -> bool:
        """Whether each segment has an index of its words in a file; collections of old formats have none."""
        return all(segment.has_index for segment in self.segments)

    def word_indexes(self, pattern: str) -> list[WordIndex]:
        """Return the index of the words of each segment, those that have none from their texts."""
        for segment in self.segments:
            if segment.words is None:
                segment.words = WordIndex.of_texts(segment.documents.texts(), pattern)
        return [segment.words for segment in self.segments if segment.words]

    def close(self) -> None:
        """Close the document files."""
        for segment in self.segments:
            segment.documents.close()

    def is_removed(self, positions: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return for each position whether its document was removed."""
        positions = np.asarray(positions, dtype=np.int64)
        if not self.removed.size:
            return np.zeros(positions.shape, dtype=bool)
        nearest = np.minimum(np.searchsorted(self.removed, positions), self.removed.size - 1)
        return np.asarray(self.removed[nearest] == positions)

    def live_positions(self) -> Ints:
        """Return the positions of documents that were not removed, ascending."""
        keep = np.ones(int(self.offsets[-1]), dtype=bool)
        keep[self.removed] = False
        return np.flatnonzero(keep).astype(np.int64)

    def codes_at(self, positions: npt.ArrayLike) -> Codes:
        """Return a copy of the codes at `positions`, uint8, shape (n, n_bytes)."""
        positions = np.asarray(positions, dtype=np.int64)
        found = np.zeros((positions.size, self._width), dtype=np.uint8)
        owners = self._owners(positions)
        for number, segment in enumerate(self.segments):
            mine = owners == number
            found[mine] = segment.codes.rows(positions[mine] - self.offsets[number])
        return found

    def _owners(self, positions: Ints) -> Ints:
        """Return the number of the segment that holds each position."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def documents_at(self, positions: Sequence[int]) -> dict[int, Document]:
        """Return the documents at `positions`, by position."""
        return self._at(positions, DocumentFile.read)

    def texts_at(self, positions: Sequence[int]) -> list[str]:
        """Return the texts at `positions`, in their order."""
        found = self._at(positions, DocumentFile.read_texts)
        return [found[position] for position in positions]

    def _at(
        self, positions: Sequence[int], read: Callable[[DocumentFile, list[int]], dict[int, T]]
    ) -> dict[int, T]:
        wanted = np.asarray(positions, dtype=np.int64)
        owners = self._owners(wanted)
        found: dict[int, T] = {}
        for number in np.unique(owners).tolist():
            offset = int(self.offsets[number])
            rows = (wanted[owners == number] - offset).tolist()
            found |= {row + offset: one for row, one in read(self.segments[number].documents, rows).items()}
        return found

    def _numbered(self, first: int = 0) -> Iterator[tuple[int, DocumentFile]]:
        """Yield the document files from segment `first` on, each with its first position."""
        for offset, segment in list(zip(self.offsets.tolist(), self.segments, strict=False))[first:]:
            yield offset, segment.documents

    def positions_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the position of each of `ids` that is in the collection and was not removed.

        One that is not may be there in another spelling, such as that of another system's file names.
        """
        found = self._positions_of(ids)
        others = {spelling: id_ for id_ in ids if id_ not in found for spelling in spellings(id_)}
        if others:
            found |= {others[spelling]: at for spelling, at in self._positions_of(list(others)).items()}
        return found

    def _positions_of(self, ids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for offset, documents in self._numbered():
            rows = documents.rows_of(ids)
            gone = self.is_removed(np.array(list(rows.values()), dtype=np.int64) + offset).tolist()
            found.update(
                {id_: row + offset for (id_, row), no in zip(rows.items(), gone, strict=True) if not no}
            )
        if len(found) < len(set(ids)):  # a damaged file may hide a document: none is missing in a whole one
            for _, documents in self._numbered():
                documents.check()
        return found

    def iterate(self, first: int = 0) -> Iterator[tuple[int, Document]]:
        """Yield position and document of all that were not removed, from segment `first` on."""
        removed = set(self.removed.tolist())
        for offset, documents in self._numbered(first):
            for row, document in documents:
                if row + offset not in removed:
                    yield row + offset, document

    def facets(self) -> Facets:
        """Return what is known of all documents that were not removed, without their text."""
        removed = set(self.removed.tolist())
        found = [
            (document, row + offset)
            for offset, documents in self._numbered()
            for row, document in documents.without_text()
            if row + offset not in removed
        ]
        return Facets([document for document, _ in found], [position for _, position in found])

    def labels(self) -> list[tuple[str, ...]]:
        """Return the labels of all documents that were not removed, in order."""
        return [document.labels for document in self.facets().documents]


class Documents:
    """The documents of a collection by id; iterating yields them in the order of insertion.

    Examples
    --------
    ``collection.documents["a"].text``, ``"a" in collection.documents``, ``len(collection.documents)``
    """

    def __init__(self, segments: Segments, count: int) -> None:
        self._segments = segments
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Document]:
        return (document for _, document in self._segments.iterate())

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and bool(self._segments.positions_of([id_]))

    def __getitem__(self, id_: str) -> Document:
        position = self.position(id_)
        return self._segments.documents_at([position])[position]

    def position(self, id_: str) -> int:
        """Return the position of a document: its id in the collection's index.

        Raises
        ------
        InputError
            If there is no such document.
        """
        found = self._segments.positions_of([id_]) if isinstance(id_, str) else {}
        if not found:
            raise InputError(
                f"the collection has no document {id_!r}", "ids are case-sensitive; see a search's results"
            )
        return next(iter(found.values()))
