"""Changes to a collection: add, update, remove, compact. Each ends with `Change.commit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nphash.collection.changes import Change, changing
from nphash.collection.creating import holds_counts, weighed
from nphash.collection.documents import DocumentWriter, storable, writing
from nphash.collection.manifest import Manifest, SegmentFiles
from nphash.collection.state import Segments, State
from nphash.core.typing import Ints
from nphash.corpus import Document, Matrix
from nphash.errors import CollectionError, DamagedError, InputError

if TYPE_CHECKING:
    from nphash.collection.collection import Collection

AT_ONCE = 2_000
SEGMENTS = 8  # above this many, the last ones are merged; every query opens every segment
ON_DUPLICATE = ("error", "skip", "replace")
UPDATE = "update"  # replace what has changed, and remove what is not there any more


@dataclass
class AddReport:
    """What `Collection.add` or `Collection.update` did, in numbers of documents."""

    added: int = 0
    skipped: int = 0  # by an update: as they were
    replaced: int = 0  # also counted as added
    removed: int = 0  # by an update, because they are not in the corpus any more
    without_words: int = 0  # added ones that hold no word of the vocabulary: their code says nothing of them


@dataclass
class _Added:
    """The new segment as it grows."""

    report: AddReport = field(default_factory=AddReport)
    ids: set[str] = field(default_factory=set)
    codes: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    met: list[int] = field(default_factory=list)  # positions of documents that are in the corpus still
    replaced: list[int] = field(default_factory=list)


def add(
    collection: Collection, documents: Iterable[Document] | Matrix, on_duplicate: str, wait: float
) -> tuple[AddReport, State]:
    """Do the work of `Collection.add`, and return the new state too."""
    if on_duplicate not in ON_DUPLICATE:
        raise InputError(f"on_duplicate is {on_duplicate!r}", f"choose one of {', '.join(ON_DUPLICATE)}")
    return _change(collection, documents, on_duplicate, wait)


def update(
    collection: Collection, documents: Iterable[Document] | Matrix, force: bool, wait: float
) -> tuple[AddReport, State]:
    """Do the work of `Collection.update`, and return the new state too."""
    if isinstance(documents, Matrix) and not holds_counts(documents):
        raise InputError(
            "the documents are weights, so what has changed cannot be seen",
            "give counts of words or texts, or replace all with add(on_duplicate='replace')",
        )
    return _change(collection, documents, UPDATE, wait, force)


def _change(
    collection: Collection,
    documents: Iterable[Document] | Matrix,
    on_duplicate: str,
    wait: float,
    force: bool = False,
) -> tuple[AddReport, State]:
    with _changing(collection, wait) as (change, manifest, state):
        added, segments, n_columns = _Added(), state.segments, manifest.corpus.get("n_columns")
        with DocumentWriter(change.path("documents", ".sqlite")) as writer:
            for block, X in weighed(documents, state.learned.vectorizer, AT_ONCE, n_columns):
                keep = _new_rows(block, segments, added, on_duplicate)
                if keep:
                    added.codes.append(state.learned.hasher.transform(X[keep]))
                    added.report.without_words += int((np.diff(X[keep].indptr) == 0).sum())
                for row in keep:
                    writer.write(block[row])
        gone = _gone(added, segments, force) if on_duplicate == UPDATE else np.zeros(0, np.int64)
        added.report.removed = len(gone)
        if not added.report.added and not len(gone):
            return added.report, state
        with writing(collection.path):
            if added.report.added:
                change.take(writer.path)
                codes = change.write_array("codes", np.concatenate(added.codes))
                words = change.write_words(writer.path, state.learned.vectorizer.settings.pattern)
                new = SegmentFiles(codes, writer.path.name, writer.n_documents, words)
                manifest.segments = [*manifest.segments, new]
            removed = np.union1d(segments.removed, [*gone.tolist(), *added.replaced]).astype(np.int64)
            _set_removed(change, manifest, removed, segments.removed)
            change.commit(manifest, state)
    with suppress(OSError):  # the documents are in; merging can wait until there is room
        return added.report, _merge_small(collection, change.state or state)
    return added.report, change.state or state


def _new_rows(block: list[Document], segments: Segments, added: _Added, on_duplicate: str) -> list[int]:
    """Return which documents of `block` are to be added, and count what happens to the others."""
    taken = segments.positions_of([document.id for document in block])
    same = set[int]()
    if on_duplicate == UPDATE:
        same = _unchanged(block, taken, segments)
        added.met += taken.values()
    else:
        _refuse_chance(block, taken, segments)
    keep = []
    for row, document in enumerate(block):
        again = document.id in added.ids
        if again and (on_duplicate != "skip" or document.generated_id):
            raise InputError(
                f"two new documents have the id {document.id!r}", "give every document its own id"
            )
        if again or row in same or (document.id in taken and on_duplicate == "skip"):
            added.report.skipped += 1
            added.ids.add(document.id)
            continue
        if document.id in taken:
            if on_duplicate == "error":
                raise InputError(
                    f"the collection has a document {document.id!r} already",
                    "nothing was added; skip or replace such documents with on_duplicate, or add them under "
                    "other ids (--id-prefix)",
                    parameter="on_duplicate",
                )
            added.replaced.append(taken[document.id])
            added.report.replaced += 1
        added.ids.add(document.id)
        keep.append(row)
    added.report.added += len(keep)
    return keep


def _unchanged(block: list[Document], taken: dict[str, int], segments: Segments) -> set[int]:
    """Return which documents of `block` are in the collection as they are."""
    found = segments.documents_at(list(taken.values()))
    same = set()
    for row, document in enumerate(block):
        old = found.get(taken.get(document.id, -1))
        if old and old == replace(document, id=old.id, text=storable(document.text)):
            same.add(row)
    return same


def _gone(added: _Added, segments: Segments, force: bool) -> Ints:
    """Return the positions of documents that an update has not met.

    `InputError` if they are more than half of all, unless `force`: a part of the corpus, or a folder that is
    named otherwise so that ids are others, must not empty a collection.
    """
    live = segments.live_positions()
    gone = np.setdiff1d(live, np.array(added.met, dtype=np.int64))
    if 2 * len(gone) > len(live) and not force:
        raise InputError(
            f"{len(gone):,} of the {len(live):,} documents are not in the corpus, and would be removed",
            "nothing was changed; give the whole corpus, named as for fit, or allow it with force=True",
            parameter="force=True",
        )
    return gone


def _refuse_chance(block: list[Document], taken: dict[str, int], segments: Segments) -> None:
    """Refuse ids made from file name and line that another text has: to skip or replace would lose one."""
    doubtful = [document for document in block if document.generated_id and document.id in taken]
    texts = segments.texts_at([taken[document.id] for document in doubtful])
    for document, text in zip(doubtful, texts, strict=True):
        if storable(document.text) != text:
            raise InputError(
                f"the collection has a document {document.id!r} already, with another text; ids like this "
                "are made from file name and line, where documents have none",
                "nothing was added; add them under other ids with --id-prefix, name the field of their ids "
                "with --id-field, or remove the old ones first",
            )


def remove(
    collection: Collection, ids: Iterable[str], ignore_missing: bool, wait: float
) -> tuple[int, State]:
    """Do the work of `Collection.remove`, and return the new state too."""
    if isinstance(ids, str):
        raise InputError("ids is one string, but a list of ids is needed", "write remove([id])")
    ids = list(ids)
    if strange := [id_ for id_ in ids if not isinstance(id_, str)]:
        raise InputError(f"the id {strange[0]!r} is no string", "ids are strings; nothing was removed")
    with _changing(collection, wait) as (change, manifest, state):
        segments = state.segments
        found = segments.positions_of(list(dict.fromkeys(ids)))
        missing = [id_ for id_ in ids if id_ not in found]
        if missing and not ignore_missing:
            more = f" and {len(missing) - 1} more of those given" if len(missing) > 1 else ""
            raise InputError(
                f"the collection has no document {missing[0]!r}{more}",
                "nothing was removed; pass over such ids with ignore_missing=True",
                parameter="ignore_missing=True",
            )
        if found:
            with writing(collection.path):
                removed = np.union1d(segments.removed, np.array(list(found.values()), dtype=np.int64))
                _set_removed(change, manifest, removed, segments.removed)
                change.commit(manifest, state)
    return len(found), change.state or state


def compact(collection: Collection, wait: float) -> State:
    """Do the work of `Collection.compact`, and return the new state."""
    with _changing(collection, wait) as (change, manifest, state):
        _merge(change, manifest, state, first=0)
    return change.state or state


def _merge_small(collection: Collection, state: State) -> State:
    """Merge the last segments when there are many: their number grows as the logarithm of the documents'.

    All from the first without an index of words on are merged, so that they get one.
    """
    if len(state.manifest.segments) <= SEGMENTS and state.segments.are_indexed:
        return state
    with _changing(collection, newest=state) as (change, manifest, state):
        sizes = [files.n_documents for files in manifest.segments]
        if not state.segments.are_indexed:
            _merge(change, manifest, state, [bool(files.words) for files in manifest.segments].index(False))
            return change.state or state
        if len(sizes) <= SEGMENTS:
            return state
        first = len(sizes) - 1
        total = sizes[first]
        while first and (sizes[first - 1] <= 2 * total or len(sizes) - first < 2):
            first -= 1
            total += sizes[first]
        _merge(change, manifest, state, first)
    return change.state or state


def _merge(change: Change, manifest: Manifest, state: State, first: int) -> None:
    """Rewrite the segments from `first` on as one, without their removed documents."""
    segments = state.segments
    merged = [name for files in manifest.segments[first:] for name in files.names()]
    # Every byte that is copied is compared with its checksum first: damage must not get a right one.
    _refuse(change.folder, manifest.check(change.folder, everything=True, names=merged))
    start = int(segments.offsets[first]) if first < len(segments.segments) else 0
    live = segments.live_positions()
    live = live[live >= start]
    with writing(change.folder):
        manifest.segments = manifest.segments[:first]
        if live.size:
            codes = change.write_array("codes", segments.codes_at(live))
            with DocumentWriter(change.path("documents", ".sqlite")) as writer:
                for _, document in segments.iterate(first):
                    writer.write(document)
            if writer.n_documents != live.size:
                raise CollectionError(
                    f"{change.folder} is damaged: {writer.n_documents:,} documents for {live.size:,} codes",
                    "see 'nphash info --verify'",
                )
            change.take(writer.path)
            words = change.write_words(writer.path, state.learned.vectorizer.settings.pattern)
            new = SegmentFiles(codes, writer.path.name, writer.n_documents, words)
            manifest.segments.append(new)
        _set_removed(change, manifest, segments.removed[segments.removed < start], segments.removed)
        change.commit(manifest, state)


def _set_removed(
    change: Change, manifest: Manifest, removed: npt.NDArray[np.int64], before: npt.NDArray[np.int64]
) -> None:
    if np.array_equal(removed, before):
        return
    manifest.removed, manifest.n_removed = "", int(removed.size)
    if removed.size:
        manifest.removed = change.write_array("removed", removed.astype(np.int64))


@contextmanager
def _changing(
    collection: Collection, wait: float = 0.0, newest: State | None = None
) -> Iterator[tuple[Change, Manifest, State]]:
    """Yield a change and the newest state, which may be newer than the one `collection` has open."""
    before = newest or collection.state
    with changing(collection.path, wait, before.manifest.id) as (change, manifest):
        _refuse(collection.path, manifest.check(collection.path))
        yield change, manifest, State(collection.path, copy(manifest), before)


def _refuse(folder: Path, problems: list[str]) -> None:
    if problems:
        raise DamagedError(
            f"the collection {folder} is damaged: {problems[0]}",
            "nothing was changed; restore the directory from a copy",
        )
