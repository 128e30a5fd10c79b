"""A searchable collection in a directory: open it, search it, add and remove documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import RLock
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.codes import Codes, as_words, n_bytes
from nphash.collection.filters import Where
from nphash.collection.manifest import Manifest, read_manifest
from nphash.collection.searching import Explanation, Hit, SearchSettings, as_queries, chosen
from nphash.collection.state import Documents, Segments, State
from nphash.corpus import Document
from nphash.errors import CollectionError
from nphash.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from nphash.collection.creating import CreateSettings
    from nphash.collection.updating import AddReport
    from nphash.corpus import Matrix
    from nphash.hashers import Hasher
    from nphash.search import HammingIndex

__all__ = ["Collection"]

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
    documents : Documents
        The documents by id.
    codes : ndarray of uint8, shape (n, n_bytes)
        A copy of all codes, in the order of `documents`.
    hasher, vectorizer
        The fitted model.
    index : HammingIndex
        Over all codes; its ids are positions, see `Documents.position`.
    """

    def __init__(self, path: Path, state: State) -> None:
        self.path = path
        self._state = state
        self._closed = False
        self._change_lock = os.getpid(), RLock()

    @property
    def _writing(self) -> RLock:
        """The lock of this object's threads, which change one after the other; a forked child has its own."""
        if self._change_lock[0] != os.getpid():
            self._change_lock = os.getpid(), RLock()
        return self._change_lock[1]

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
        folder = Path(path).absolute()  # what is open stays so wherever the process goes
        for _ in range(TRIES):
            manifest = read_manifest(folder)
            try:
                manifest.refuse_damage(folder)
                return cls(folder, State(folder, manifest))
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
        callback: Callable[[Any], None] | None = None,
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
            If the directory exists or cannot be written; the directory is then as it was.
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

        folder = Path(path).absolute()
        return cls(folder, create(folder, hasher, documents, settings, callback))

    # ------------------------------------------------------------------ what is in it

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

    # ------------------------------------------------------------------ search

    def encode(self, texts: Sequence[str]) -> Codes:
        """Return the codes of texts.

        Parameters
        ----------
        texts
            Strings. One without a known word gets a code too, that of an empty document.

        Returns
        -------
        ndarray of uint8, shape (n, n_bytes)
            One row a text.

        Raises
        ------
        InputError
            For one string in place of a list, or an item that is not a string.
        """
        learned = self.state.learned
        X = learned.vectorizer.transform(texts)
        return learned.hasher.transform(X) if X.shape[0] else np.zeros((0, n_bytes(self.n_bits)), np.uint8)

    def search(
        self,
        texts: Iterable[str],
        k: int | EllipsisType | None = ...,
        *,
        settings: SearchSettings | None = None,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        """Return for each text the documents that fit it, best first.

        Every document has a score of the query's words that it holds and the distance of its code from the
        query's, see `nphash.collection.ranking`; ``SearchSettings(by=...)`` takes one of the two alone. A
        query of which no document holds a word, and the codes know none, finds nothing.

        Parameters
        ----------
        texts
            Queries: plain words, with signs for phrases and more as `nphash.text.query` describes them.
        k
            Results a query; all documents if there are fewer, or if it is None. Left out, it is that
            of `settings`, 10 without any; given, it takes the place of that.
        settings
            Radius, and what decides the order.
        where
            Which documents may be found: ``"label=sport"``, several such filters, all of which must be met
            (see `nphash.collection.filters`), or a bool for each document in the order of `documents`. The
            `k` best of these are taken.

        Returns
        -------
        list of lists of Hit
            One list a text.

        Raises
        ------
        InputError
            For one string in place of a list, settings that ask for nothing, such as `k` below 1, a query
            that cannot be read, or a filter that is none or on a field that no document has.
        CollectionError
            If a file is damaged, or the collection is closed.
        """
        state = self.state  # one for all queries, whatever other threads change
        settings = chosen(settings, k)
        queries = as_queries(texts)
        return state.searcher.search(queries, settings, where)

    def search_like(
        self,
        id_: str,
        k: int | EllipsisType | None = ...,
        *,
        settings: SearchSettings | None = None,
        where: Where | None = None,
    ) -> list[Hit]:
        """Return the documents most like a document of the collection, without itself.

        Parameters
        ----------
        id_
            The document's id.
        k, settings, where
            As for `search`.

        Returns
        -------
        list of Hit
            Best first.

        Raises
        ------
        InputError
            If there is no such document, or as for `search`.
        CollectionError
            As for `search`.
        """
        settings = chosen(settings, k)
        state = self.state
        return state.searcher.search_like(state.documents.position(id_), settings, where)

    def explain(self, query: str, id_: str) -> Explanation:
        """Return what the words and the codes say for a document that `search` finds for a query.

        Parameters
        ----------
        query
            The query's text.
        id_
            The document's id.

        Returns
        -------
        Explanation
            Shared words with their parts of the BM25 score, numbers of differing bits, parts of the score.

        Raises
        ------
        InputError
            If there is no such document, or the query is not a string.
        CollectionError
            As for `search`.
        """
        [query], state = as_queries([query]), self.state
        return state.searcher.explain(query, [state.documents.position(id_)])[0]

    def explain_like(self, like: str, id_: str) -> Explanation:
        """Return what `explain` does for a document that `search_like` finds for the document `like`."""
        state = self.state
        position = state.documents.position
        return state.searcher.explain_like(position(like), [position(id_)])[0]

    def facets(self, name: str) -> dict[str, int]:
        """Return how many documents have each label, split, or value of a field, the most frequent first.

        Raises
        ------
        InputError
            If `name` is neither ``"label"``, ``"split"`` nor ``"id"``, and no document has such a field.
        """
        return self.state.searcher.facets.count(name)

    def distinct_codes(self) -> int:
        """Return how many different codes the documents have."""
        return len(np.unique(as_words(self.codes), axis=0)) if len(self) else 0

    # ------------------------------------------------------------------ change

    def add(
        self, documents: Iterable[Document] | Matrix, *, on_duplicate: str = "error", wait: float = 0.0
    ) -> AddReport:
        """Encode documents and store them; all of them or, on any error, none.

        Parameters
        ----------
        documents
            Documents, read once; or a matrix.
        on_duplicate
            What happens to a document whose id is taken: ``"error"``, ``"skip"`` it, or ``"replace"``
            the old one by it. An id that a reader made up is always an error if the text is another.
        wait
            Seconds to wait while another process is writing.

        Returns
        -------
        AddReport
            How many were added, skipped, replaced, and had no known word.

        Raises
        ------
        InputError
            For an id that is taken, or something that is no document.
        CollectionError
            If another process is writing, or writing fails.
        """
        from nphash.collection.updating import add

        with self._writing:
            report, self._state = add(self, documents, on_duplicate, wait)
        return report

    def update(
        self, documents: Iterable[Document] | Matrix, *, force: bool = False, wait: float = 0.0
    ) -> AddReport:
        """Make the collection hold these documents and no others, in one step or, on any error, not at all.

        Parameters
        ----------
        documents
            All of them, as for `add`. Of those whose id is taken, the ones that differ from what is stored,
            in text, labels, split or fields, are replaced; documents that are not among them are removed.
        force
            Whether more than half of the collection's documents may be removed.
        wait
            Seconds to wait while another process is writing.

        Returns
        -------
        AddReport
            How many were added, replaced (counted as added too), removed, and skipped because nothing of
            them has changed.

        Raises
        ------
        InputError
            As `add`, for weights without texts or counts, and if more than half would be removed.
        CollectionError
            If another process is writing, or writing fails.
        """
        from nphash.collection.updating import update

        with self._writing:
            report, self._state = update(self, documents, force, wait)
        return report

    def remove(self, ids: Iterable[str], *, ignore_missing: bool = False, wait: float = 0.0) -> int:
        """Remove documents by id and return how many; the text stays in its file until `compact`.

        `wait` is for another writer, as in `add`.

        Raises
        ------
        InputError
            If an id is not in the collection, unless `ignore_missing`, or no string; then nothing is
            removed.
        """
        from nphash.collection.updating import remove

        with self._writing:
            count, self._state = remove(self, ids, ignore_missing, wait)
        return count

    def compact(self, *, wait: float = 0.0) -> None:
        """Rewrite the collection as one segment without the removed documents; `wait` as in `add`."""
        from nphash.collection.updating import compact

        with self._writing:
            self._state = compact(self, wait)

    def verify(self) -> list[str]:
        """Check every file and every document in full and return what is wrong."""
        self._check_open()
        problems = self.manifest.check(self.path, everything=True)
        try:
            count = sum(1 for _ in self.segments.iterate())
        except CollectionError as error:
            return [*problems, error.problem]
        if count != len(self):
            problems.append(f"there are {count:,} documents instead of {len(self):,}")
        return problems

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path: what is read back is the state that is there then."""
        return Collection.open, (self.path,)

    def _check_open(self) -> None:
        if self._closed:
            raise CollectionError(f"the collection {self.path} is closed", "open it again: Collection.open")
