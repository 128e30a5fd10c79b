"""Runs of documents on disk, and the positions that number all documents of a collection.

A segment is a code file and a document file with the same rows. Position p of a collection counts
through the segments in order, removed documents included, so it is also the order of insertion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes, n_bytes
from nphash.collection.documents import DocumentFile
from nphash.collection.manifest import Manifest, SegmentFiles
from nphash.core.disk import flush
from nphash.corpus import Document
from nphash.errors import CollectionError

__all__ = ["Segments", "load_array", "save_array"]

Positions = npt.NDArray[np.int64]


def save_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write an array as ``.npy`` and flush it to the disk."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    flush(path)


def load_array(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
    """Memory-map a ``.npy`` file that must hold exactly `dtype` and `shape`.

    Raises
    ------
    CollectionError
        If it does not; nothing is allocated on the word of an altered header.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(
                f"it holds {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of {shape}"
            )
    except Exception as error:  # NumPy raises half a dozen kinds for a damaged header
        raise CollectionError(f"{path} is damaged: {error}", "restore the file from a copy") from None
    return array  # type: ignore[no-any-return]


class Segments:
    """All segments of one state of a collection, opened for reading.

    Parameters
    ----------
    folder, manifest
        The collection's directory and the state to open.

    Attributes
    ----------
    codes
        One memory-mapped array a segment, uint8, of shape (n_documents, n_bytes).
    removed
        Positions of removed documents, int64, ascending.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.files: list[SegmentFiles] = manifest.segments
        width = n_bytes(manifest.n_bits)
        self.codes: list[Codes] = [
            load_array(folder / files.codes, np.uint8, (files.n_documents, width))  # type: ignore[misc]
            for files in self.files
        ]
        self.documents = [DocumentFile(folder / files.documents) for files in self.files]
        self.offsets = np.concatenate([[0], np.cumsum([f.n_documents for f in self.files], dtype=np.int64)])
        self.removed = np.zeros(0, np.int64)
        if manifest.removed:
            removed = load_array(folder / manifest.removed, np.int64, (manifest.n_removed,))
            self.removed = np.array(removed, dtype=np.int64)
            inside = self.removed.size == 0 or 0 <= self.removed[0] <= self.removed[-1] < self.offsets[-1]
            if not inside or (np.diff(self.removed) <= 0).any():
                raise CollectionError(
                    f"{folder / manifest.removed} is damaged: its positions are not ascending",
                    "restore the file from a copy",
                )

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
        width = self.codes[0].shape[1] if self.codes else 0
        found = np.zeros((positions.size, width), dtype=np.uint8)
        owners = np.searchsorted(self.offsets, positions, side="right") - 1
        for number, codes in enumerate(self.codes):
            mine = owners == number
            found[mine] = codes[positions[mine] - self.offsets[number]]
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
