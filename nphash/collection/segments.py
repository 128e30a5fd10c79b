"""Runs of documents on disk, and the positions that number all documents of a collection.

A segment is a code file and a document file with the same rows. Position p of a collection counts
through the segments in order, removed documents included, so it is also the order of insertion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, n_bytes
from nphash.collection.documents import DocumentFile
from nphash.collection.manifest import Manifest, SegmentFiles
from nphash.core.checksums import Blocks, FileRecord
from nphash.core.store import load_array, mapping_of
from nphash.corpus import Document
from nphash.errors import DamagedError

__all__ = ["Segments"]

Positions = npt.NDArray[np.int64]


class Segments:
    """All segments of one state of a collection, opened for reading.

    Parameters
    ----------
    folder, manifest
        The collection's directory and the state to open.

    before
        Another state of the same collection: files of both are opened once.

    Attributes
    ----------
    removed
        Positions of removed documents, int64, ascending.
    """

    def __init__(self, folder: Path, manifest: Manifest, before: Segments | None = None) -> None:
        self.files: list[SegmentFiles] = manifest.segments
        self._open: dict[str, tuple[FileRecord, Any]] = {}
        self._folder, self._manifest = folder, manifest
        width = n_bytes(manifest.n_bits)
        mapped = [
            self._once(before, files.codes, partial(self._map, files.codes, (files.n_documents, width)))
            for files in self.files
        ]
        self._codes: list[Codes] = [codes for codes, _ in mapped]
        self._blocks: list[Blocks | None] = [blocks for _, blocks in mapped]
        self.documents: list[DocumentFile] = [
            self._once(before, files.documents, partial(self._file, files.documents)) for files in self.files
        ]
        self.offsets = np.concatenate([[0], np.cumsum([f.n_documents for f in self.files], dtype=np.int64)])
        self.removed = np.zeros(0, np.int64)
        if manifest.removed:
            self.removed = self._read_removed(folder / manifest.removed, manifest)

    def _once(self, before: Segments | None, name: str, opener: Callable[[], Any]) -> Any:
        """Return a file that the state before has open, if it is the very same one, else open it."""
        known = self._manifest.files[name]
        found = before._open.get(name) if before else None
        if found is None or found[0] != known or getattr(found[1], "closed", False):
            found = known, opener()
        self._open[name] = found
        return found[1]

    def _map(self, name: str, shape: tuple[int, ...]) -> tuple[Codes, Blocks | None]:
        codes = load_array(self._folder / name, np.uint8, shape)
        known = self._manifest.unchecked().get(name)
        return codes, Blocks(self._folder / name, known, mapping_of(codes)) if known else None

    def _file(self, name: str) -> DocumentFile:
        return DocumentFile(self._folder / name, self._manifest.unchecked().get(name))

    def _read_removed(self, path: Path, manifest: Manifest) -> Positions:
        mapped = load_array(path, np.int64, (manifest.n_removed,))
        if known := manifest.unchecked().get(manifest.removed):
            Blocks(path, known, mapping_of(mapped)).check()
        removed = np.array(mapped, dtype=np.int64)
        inside = removed.size == 0 or 0 <= removed[0] <= removed[-1] < self.offsets[-1]
        if not inside or (np.diff(removed) <= 0).any():
            raise DamagedError(
                f"{path} is damaged: its positions are not ascending", "restore the file from a copy"
            )
        return removed

    @property
    def codes(self) -> list[Codes]:
        """One memory-mapped, checked array a segment, uint8, of shape (n_documents, n_bytes)."""
        for blocks in self._blocks:
            if blocks:
                blocks.check()
        return self._codes

    def close(self) -> None:
        """Close the document files."""
        for documents in self.documents:
            documents.close()

    def is_removed(self, positions: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return for each position whether its document was removed."""
        positions = np.asarray(positions, dtype=np.int64)
        if not self.removed.size:
            return np.zeros(positions.shape, dtype=bool)
        places = np.minimum(np.searchsorted(self.removed, positions), self.removed.size - 1)
        return np.asarray(self.removed[places] == positions)

    def live_positions(self) -> Positions:
        """Return the positions of documents that were not removed, ascending."""
        keep = np.ones(int(self.offsets[-1]), dtype=bool)
        keep[self.removed] = False
        return np.flatnonzero(keep).astype(np.int64)

    def codes_at(self, positions: npt.ArrayLike) -> Codes:
        """Return a copy of the codes at `positions`, uint8, shape (n, n_bytes)."""
        positions = np.asarray(positions, dtype=np.int64)
        width = self._codes[0].shape[1] if self._codes else 0
        found = np.zeros((positions.size, width), dtype=np.uint8)
        owners = np.searchsorted(self.offsets, positions, side="right") - 1
        for number, (codes, blocks) in enumerate(zip(self._codes, self._blocks, strict=True)):
            mine = owners == number
            rows = positions[mine] - self.offsets[number]
            if blocks and rows.size:
                header = blocks.known.size - codes.nbytes
                blocks.check(header + int(rows.min()) * width, header + (int(rows.max()) + 1) * width)
            found[mine] = codes[rows]
        return found

    def documents_at(self, positions: Sequence[int]) -> dict[int, Document]:
        """Return the documents at `positions`, by position."""
        found: dict[int, Document] = {}
        for file, offset, rows in self._owners(positions):
            found.update({row + offset: document for row, document in file.read(rows).items()})
        return found

    def texts_at(self, positions: Sequence[int]) -> list[str]:
        """Return the texts at `positions`, in their order."""
        found: dict[int, str] = {}
        for file, offset, rows in self._owners(positions):
            found.update({row + offset: text for row, text in file.read_texts(rows).items()})
        return [found[position] for position in positions]

    def _owners(self, positions: Sequence[int]) -> Iterator[tuple[DocumentFile, int, list[int]]]:
        """Yield each file that holds some of `positions` with its first position and the rows in it."""
        wanted = np.asarray(positions, dtype=np.int64)
        owners = np.searchsorted(self.offsets, wanted, side="right") - 1
        for number in np.unique(owners).tolist():
            offset = int(self.offsets[number])
            yield self.documents[number], offset, (wanted[owners == number] - offset).tolist()

    def positions_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the position of each of `ids` that is in the collection and was not removed."""
        found: dict[str, int] = {}
        for offset, documents in zip(self.offsets.tolist(), self.documents, strict=False):
            rows = documents.rows_of(ids)
            gone = self.is_removed(np.array(list(rows.values()), dtype=np.int64) + offset)
            found.update(
                {
                    id_: row + offset
                    for (id_, row), removed in zip(rows.items(), gone, strict=True)
                    if not removed
                }
            )
        if len(found) < len(
            set(ids)
        ):  # a damaged file may hide a document: none is missing in one that is whole
            for documents in self.documents:
                documents.check()
        return found

    def iterate(self, first: int = 0) -> Iterator[tuple[int, Document]]:
        """Yield position and document of all that were not removed, from segment `first` on."""
        removed = set(self.removed.tolist())
        for offset, documents in list(zip(self.offsets.tolist(), self.documents, strict=False))[first:]:
            for row, document in documents:
                if row + offset not in removed:
                    yield row + offset, document

    def labels(self) -> list[tuple[str, ...]]:
        """Return the labels of all documents that were not removed, in order."""
        removed = set(self.removed.tolist())
        return [
            labels
            for offset, documents in zip(self.offsets.tolist(), self.documents, strict=False)
            for row, labels in documents.labels()
            if row + offset not in removed
        ]
