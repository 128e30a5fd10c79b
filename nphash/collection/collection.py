"""A searchable collection in a directory: open it, search it, add and remove documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.codes import Codes, as_words
from nphash.collection.manifest import Manifest, read_manifest
from nphash.collection.reranking import Reranker
from nphash.collection.searching import Explanation, Hit, Searcher, SearchSettings
from nphash.collection.segments import Segments
from nphash.collection.view import Documents
from nphash.corpus import Document
from nphash.errors import CollectionError, InputError
from nphash.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    from nphash.collection.creating import CreateSettings
    from nphash.corpus import Matrix
    from nphash.hashers import Hasher
    from nphash.index import HammingIndex

__all__ = ["Collection"]

QUERIES_AT_ONCE = 64
DOCUMENTS_AT_ONCE = 1_000
TRIES = 5  # a writer may replace the state between the manifest's reading and the files' opening


class Collection:
    """Documents with their codes, and the hasher that made the codes; see `open` and `create`.

    An open collection is one state: it does not see what others add or remove later. Its own
    `add`, `remove` and `compact` move it to the new state.

    Attributes
    ----------
    path : pathlib.Path
        The directory.
    manifest : Manifest
        What the collection consists of, how it was fitted.
    """

    def __init__(self, path: Path, manifest: Manifest, segments: Segments) -> None:
        self.path = path
        self.manifest = manifest
        self.segments = segments

    # ------------------------------------------------------------------ open and create

    @classmethod
    def open(cls, path: Path | str) -> Collection:
        """Open the collection in a directory for reading and changing.

        Files up to 32 MB are checked against their SHA-256 here; of larger ones the size is, and
        each document when it is read. `verify` checks everything.

        Raises
        ------
        CollectionError
            If the directory is no collection, is of a newer format, or a file in it is missing or
            altered; says which.
        """
        folder = Path(path)
        for _ in range(TRIES):
            manifest = read_manifest(folder)
            try:
                manifest.refuse_damage(folder)
                return cls(folder, manifest, Segments(folder, manifest))
            except (CollectionError, FileNotFoundError):  # perhaps a writer has replaced this state
                if read_manifest(folder).generation == manifest.generation:
                    raise
        raise CollectionError(
            f"the collection {folder} keeps changing", "try again when writers have finished"
        )

    @classmethod
    def create(
        cls,
        path: Path | str,
        hasher: Hasher,
        documents: Iterable[Document] | Matrix,
        settings: CreateSettings | None = None,
        callback: Any = None,
    ) -> Collection:
        """Fit `hasher` on documents and store them with their codes in a new directory.

        Parameters
        ----------
        path
            A directory that does not exist yet, or with ``settings.force`` a collection to replace.
        hasher
            An unfitted hasher, such as ``nphash.Doc2Hash(32, random_state=0)``.
        documents
            Documents, read once; or a matrix. Those of split ``"test"`` are left out, those of
            split ``"valid"`` choose the best epoch.
        settings
            Vectorizer, validation, overwriting, checkpoint.
        callback
            Called with a `Progress` after each step.

        Raises
        ------
        CollectionError
            If the directory exists or cannot be written; nothing is left behind then.
        InputError, CorpusError
            If the documents cannot be used.

        Examples
        --------
        >>> import tempfile, nphash
        >>> from nphash.corpus import Document
        >>> texts = ["wheat ships", "gold mine", "wheat crop"]
        >>> documents = [Document(str(i), text) for i, text in enumerate(texts)]
        >>> hasher = nphash.Doc2Hash(8, hidden=(4,), random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     collection = Collection.create(folder + "/c", hasher, documents)
        ...     [hit.id for hit in collection.search(["gold"], k=1)[0]]
        ['1']
        """
        from nphash.collection.creating import create

        create(Path(path), hasher, documents, settings, callback)
        return cls.open(path)

    def close(self) -> None:
        """Close the document files; the collection cannot be used afterwards."""
        self.segments.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ what is in it

    def __len__(self) -> int:
        return self.manifest.n_documents

    def __repr__(self) -> str:
        return f"<Collection {str(self.path)!r}: {len(self):,} documents, {self.n_bits} bits>"

    @property
    def n_bits(self) -> int:
        """Bits of a code."""
        return self.manifest.n_bits

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

        return load(self.path / self.manifest.model)

    @cached_property
    def vectorizer(self) -> Vectorizer:
        """The fitted vectorizer."""
        path = self.path / self.manifest.vectorizer
        try:
            return Vectorizer.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:  # InputError is a ValueError
            raise CollectionError(
                f"{path} is damaged: {error}", "restore the directory from a copy"
            ) from None

    @cached_property
    def index(self) -> HammingIndex:
        """Exact Hamming index over all documents; its ids are positions, see `documents_at`."""
        from nphash.index import HammingIndex

        index = HammingIndex(self.n_bits)
        for codes in self.segments.codes:
            index.add(codes)
        if self.segments.removed.size:
            index.remove(self.segments.removed)
        return index

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self.index, self.segments, Reranker(self.vectorizer), self.n_bits)

    # ------------------------------------------------------------------ search

    def encode(self, texts: Sequence[str]) -> Codes:
        """Return the codes of texts, uint8, shape (n, n_bytes).

        A text without a known word gets a code too, that of an empty document.
        """
        return self.hasher.transform(self.vectorizer.transform(texts))

    def search(
        self, texts: Sequence[str], k: int | None = 10, *, settings: SearchSettings | None = None
    ) -> list[list[Hit]]:
        """Return for each text the documents nearest to it, best first.

        The nearest codes are the candidates; their stored text is compared with the query by
        TF-IDF cosine, which decides the order. ``SearchSettings(rerank=False)`` leaves them in
        the order of Hamming distance.

        Parameters
        ----------
        texts
            Queries.
        k
            Results a query; all documents if there are fewer. `settings`, when given, has its own.
        settings
            Radius, reranking, number of candidates.

        Raises
        ------
        InputError
            For `k` below 1, or one string in place of a list.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string, but a list of queries is needed", "write search([text])")
        settings = settings or SearchSettings(k=k)
        settings.check()
        hits: list[list[Hit]] = []
        for start in range(0, len(texts), QUERIES_AT_ONCE):
            block = texts[start : start + QUERIES_AT_ONCE]
            hits += self._searcher.search(block, self.encode(block), settings)
        return hits

    def search_like(
        self, id_: str, k: int | None = 10, *, settings: SearchSettings | None = None
    ) -> list[Hit]:
        """Return the documents nearest to a document of the collection, without itself.

        Raises
        ------
        InputError
            If there is no such document, or `k` is below 1.
        """
        settings = settings or SearchSettings(k=k)
        settings.check()
        return self._searcher.search_like(self.documents.position(id_), settings)

    def explain(self, query: str, id_: str, code: Codes | None = None) -> Explanation:
        """Return which words a document shares with a query, and in which bits their codes differ.

        Parameters
        ----------
        query
            The query's text.
        id_
            The document's id.
        code
            The query's code, shape (1, n_bytes); None encodes the query.
        """
        code = self.encode([query]) if code is None else code
        return self._searcher.explain(query, code, self.documents.position(id_))

    def distinct_codes(self) -> int:
        """Return how many different codes the documents have."""
        return len(np.unique(as_words(self.codes), axis=0)) if len(self) else 0

    # ------------------------------------------------------------------ change

    def add(self, documents: Iterable[Document] | Matrix, *, on_duplicate: str = "error") -> Any:
        """Encode documents and store them; all of them or, on any error, none.

        Parameters
        ----------
        documents
            Documents, read once; or a matrix.
        on_duplicate
            What happens to a document whose id is taken: ``"error"``, ``"skip"`` it, or ``"replace"``
            the old one by it.

        Returns
        -------
        AddReport
            How many were added, skipped, replaced, and had no known word.

        Raises
        ------
        InputError
            For an id that is taken.
        CollectionError
            If another process is writing, or writing fails.
        """
        from nphash.collection.updating import add

        report = add(self, documents, on_duplicate)
        self._reopen()
        return report

    def remove(self, ids: Sequence[str], *, ignore_missing: bool = False) -> int:
        """Remove documents by id and return how many; the text stays in its file until `compact`.

        Raises
        ------
        InputError
            If an id is not in the collection, unless `ignore_missing`; then nothing is removed.
        """
        from nphash.collection.updating import remove

        count = remove(self, ids, ignore_missing)
        self._reopen()
        return count

    def compact(self) -> None:
        """Rewrite the collection as one segment without the removed documents."""
        from nphash.collection.updating import compact

        compact(self)
        self._reopen()

    def verify(self) -> list[str]:
        """Check every file and every document in full and return what is wrong."""
        problems = self.manifest.check(self.path, everything=True)
        try:
            count = sum(1 for _ in self.segments.iterate())
        except CollectionError as error:
            return [*problems, error.problem]
        if count != len(self):
            problems.append(f"there are {count:,} documents instead of {len(self):,}")
        return problems

    def _reopen(self) -> None:
        new = Collection.open(self.path)
        self.segments.close()
        self.manifest, self.segments = new.manifest, new.segments
        for name in ("index", "_searcher"):
            self.__dict__.pop(name, None)
