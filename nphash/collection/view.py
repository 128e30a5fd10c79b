"""The documents of a collection as a read-only mapping."""

from __future__ import annotations

from collections.abc import Iterator

from nphash.collection.segments import Segments
from nphash.corpus import Document
from nphash.errors import InputError

__all__ = ["Documents"]


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
