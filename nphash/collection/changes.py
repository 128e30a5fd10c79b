"""One change to a collection, from the lock to the new manifest: `Change.commit` is how it becomes the state.

`changing` and `creating` take the lock, tidy up after a killed writer, and note the names of what the change
will make in the journal. Only what a manifest or the journal of this collection names is ever deleted.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from nphash.collection import manifest as on_disk
from nphash.collection.documents import DocumentFile, writing
from nphash.collection.state import State
from nphash.collection.word_index import IndexWriter
from nphash.core.checksums import FileRecord, record
from nphash.core.disk import (
    flush_folder,
    mode_of,
    neither_confirmed_nor_undone,
    new_file,
    read_bytes,
    replace_text,
    take_after,
)
from nphash.core.locks import HELD
from nphash.core.store import write_array
from nphash.core.typing import Array
from nphash.errors import CollectionError, DamagedError, NewerFormatError

_log = logging.getLogger(__name__)
CHECK_DISK = "nothing was changed; check the disk"


class Change:
    """The new files of one change; their names carry its generation, and the journal notes them already."""

    def __init__(self, folder: Path, generation: int, journal: on_disk.Journal | None = None) -> None:
        self.folder, self.generation, self.journal = folder, generation, journal
        self.state: State | None = None  # the one that `commit` has made, open
        self.new: list[str] = []
        self._records: dict[str, FileRecord] = {}
        self._content: bytes | None = None  # of the new manifest, from when it may be in place
        self._owner = os.getpid()

    def path(self, kind: str, suffix: str) -> Path:
        """Return the path of a new file or folder, such as ``codes-000002.npy``."""
        self.new.append(on_disk.numbered(f"{kind}{suffix}", self.generation))
        return self.folder / self.new[-1]

    def write_array(self, kind: str, array: Array) -> str:
        """Write an array as a new file and return its name."""
        path = self.path(kind, ".npy")
        self._records[path.name] = write_array(path, array)
        return path.name

    def write_text(self, kind: str, text: str) -> str:
        """Write a text as a new ``.json`` file and return its name."""
        path = self.path(kind, ".json")
        with new_file(path) as file:
            file.write(text.encode("utf-8"))
        self.take(path)
        return path.name

    def write_words(self, documents: Path, pattern: str) -> str:
        """Write the index of the words of a complete document file, and return its name.

        The texts are read back, each checked: so that fits, additions and merges have one way.
        """
        path = self.path("words", ".bin")
        with new_file(path) as file:
            IndexWriter(file).add_texts(DocumentFile(documents).texts(), pattern)
        self.take(path)
        return path.name

    def take(self, *paths: Path) -> None:
        """Take new files that others have written and flushed into the change, as they are."""
        for path in paths:
            self._records[path.relative_to(self.folder).as_posix()] = record(path)

    @contextmanager
    def scratch(self, kind: str) -> Iterator[Path]:
        """Yield the path of a folder that may be made inside the block, and is gone after it."""
        path = self.folder / on_disk.numbered(kind, self.generation)
        try:
            yield path
        finally:
            _deleted(self.folder, path.name)

    # ------------------------------------------------------------------ how a collection is committed

    def commit(self, manifest: on_disk.Manifest, before: State | None = None) -> None:
        """Make `manifest` the collection's state; what it no longer needs is deleted.

        An error says that the old state is still the state; what fails later is logged and no error. Where
        the disk neither confirms the new manifest nor lets it be taken back, the error says that instead.
        """
        # So far nothing of the old state was touched: what was written is new, flushed, and in the journal.
        # 1. The manifest gets the names and checksums of all files of the new state.
        content = self._complete(manifest)
        # 2. The new state is opened as a reader opens it, and what is new is compared with what was written.
        state = self._read_back(manifest, before)
        # 3. A copy of the old manifest stays until the new one has been read back: readers fall back on it.
        old, beside = self._keep_old(), self.path("manifest", ".new")
        # 4. The names of the new files reach the disk before the manifest that needs them.
        flush_folder(self.folder)
        # 5. The one step: whoever opens the collection before it finds the old state, after it the new one.
        self._content = content
        try:
            replace_text(self.folder / on_disk.MANIFEST, content, beside)
        except OSError as error:  # the disk has not confirmed it
            if not self._take_back(old, beside):
                raise neither_confirmed_nor_undone(self.folder, error) from error
            raise
        # 6. The change is made. Files of the old state go; those that cannot be deleted are named by the copy
        #    of the old manifest, which the journal names, so that the next change finds them.
        self.state = state
        self._delete_old(old)

    def _complete(self, manifest: on_disk.Manifest) -> bytes:
        """Fill in what is known now, and return the bytes of the manifest."""
        self._share()
        manifest.generation = self.generation
        manifest.changed = datetime.now(timezone.utc).isoformat(timespec="seconds")
        known = manifest.files | self._records
        manifest.files = known
        manifest.files = {name: known[name] for name in manifest.named_files()}
        content = on_disk.format_manifest(manifest).encode("utf-8", "surrogatepass")
        on_disk.parse_manifest(content, self.folder)
        return content

    def _share(self) -> None:
        """Give what is new the owner and mode of the collection that is there: its manifest, its folder."""
        manifest = self.folder / on_disk.MANIFEST
        if mode_of(manifest) is not None:
            for path in {self.folder / name for name in self._records}:
                take_after(manifest, path)
                if path.parent != self.folder:
                    take_after(self.folder, path.parent)

    def _read_back(self, manifest: on_disk.Manifest, before: State | None) -> State:
        """Open the new state as a reader does, and look into what is new."""
        new = [name for name in self._records if name in manifest.files]
        if problems := manifest.check(self.folder, everything=True, names=new):
            problem = f"what was written to {self.folder} cannot be read back: {problems[0]}"
            raise DamagedError(problem, CHECK_DISK)
        state = State(self.folder, manifest, before)
        if before is None or before.learned is not state.learned:
            _ = state.learned.hasher, state.learned.vectorizer
        for files, segment in zip(manifest.segments, state.segments.segments, strict=True):
            if files.documents in new and segment.documents.count() != files.n_documents:
                raise DamagedError(f"{files.documents} lacks documents", CHECK_DISK)
        return state

    def _keep_old(self) -> bytes | None:
        """Keep a copy of the old manifest, if there is one, under the number of this change; return it."""
        old = read_bytes(self.folder / on_disk.MANIFEST)
        if old is not None:
            with new_file(self.path("manifest", ".json")) as file:
                file.write(old)
        return old

    def _is_in_place(self) -> bool:
        return read_bytes(self.folder / on_disk.MANIFEST) == self._content

    def _take_back(self, old: bytes | None, beside: Path) -> bool:
        """Undo a replacement that the disk has not confirmed; return whether the old state is there."""
        with suppress(OSError):
            if self._is_in_place() and old is None:
                (self.folder / on_disk.MANIFEST).unlink()
            elif self._is_in_place() and old is not None:
                replace_text(self.folder / on_disk.MANIFEST, old, beside)
        with suppress(OSError):
            return not self._is_in_place()
        return False

    def _delete_old(self, old: bytes | None) -> None:
        """Delete the old state once the new manifest has been read back; else the next writer does."""
        try:
            names = set(on_disk.parse_manifest(old, self.folder).named_files()) if old else set()
        except CollectionError:  # a damaged one was replaced: nobody knows its files
            names = set()
        try:
            if not self._is_in_place():
                raise OSError("the new manifest does not read as it was written")
            _sweep(self.folder, names, self.journal)
        except OSError as error:
            _log.warning("%s: the change is made; old files stay for now: %s", self.folder, error)

    def discard(self) -> None:
        """Delete the new files; the old state was never touched.

        An error or Ctrl-C can also arrive just after the new manifest took its place: then the change is
        done, and its files stay. So they do where the manifest cannot be read: the next writer will see.
        """
        if os.getpid() != self._owner:  # a forked child: they are its parent's
            return
        with suppress(OSError):
            if self._content is None or not self._is_in_place():
                _sweep(self.folder, set(self.new), self.journal)


# ---------------------------------------------------------------------- before a change


@contextmanager
def changing(
    folder: Path, wait: float = 0.0, id_: str | None = None
) -> Iterator[tuple[Change, on_disk.Manifest]]:
    """Hold the write lock and yield a change and the state it starts from; on any error the state stays.

    `CollectionError` if another process holds the lock, or the collection is not the one of identity `id_`.
    """
    on_disk.read_manifest(folder)  # no lock file in a directory that is not a collection
    with on_disk.write_lock(folder, wait) as journal:
        manifest = on_disk.read_manifest(folder)
        if id_ is not None and manifest.id != id_:
            raise replaced_error(folder)
        with _begun(folder, manifest.generation, journal) as change:
            yield change, manifest


def replaced_error(path: Path) -> CollectionError:
    """Return the error that says that there is another collection at `path` now."""
    return CollectionError(f"the collection {path} was replaced by another one meanwhile", "open it again")


@contextmanager
def creating(folder: Path, force: bool) -> Iterator[Change]:
    """Yield the change that makes a new collection, or with `force` replaces the one that is there."""
    made = False
    with writing(folder):
        check_target(folder, force)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir()
            made = True
            flush_folder(folder.parent)
    with on_disk.write_lock(folder) as journal:
        try:
            with writing(folder):
                generation = check_target(folder, force)
            with _begun(folder, generation, journal) as change:
                yield change
        except BaseException:
            if made and journal.names == []:
                _unmake(folder)
            raise


@contextmanager
def _begun(folder: Path, generation: int, journal: on_disk.Journal) -> Iterator[Change]:
    """Tidy up after a killed writer, note names that nothing has, and yield the change that makes them."""
    with writing(folder):
        _recover(folder, journal)
        generation += 1
        while any(mode_of(folder / name) is not None for name in on_disk.names_of_change(generation)):
            generation += 1
        journal.write([*journal.names, *on_disk.names_of_change(generation)])
        flush_folder(folder)  # the name of the lock reaches the disk before those that it notes
        change = Change(folder, generation, journal)
    try:
        yield change
    finally:
        if change.state is None:
            change.discard()


def _recover(folder: Path, journal: on_disk.Journal) -> None:
    """Delete what an interrupted change has made, by its journal; put a good manifest back first."""
    kept = on_disk.read_kept(folder) if journal.names else None
    old = set[str]()
    if kept is not None:
        try:
            on_disk.parse_manifest(read_bytes(folder / on_disk.MANIFEST) or b"", folder)
        except NewerFormatError:
            pass
        except DamagedError:
            replace_text(folder / on_disk.MANIFEST, kept)
        old = set(on_disk.parse_manifest(kept, folder).named_files())
    _sweep(folder, old, journal)


def _unmake(folder: Path) -> None:
    """Remove a folder that we have made, with its lock, if nothing else is in it."""
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {on_disk.LOCK}:
            (folder / on_disk.LOCK).unlink(missing_ok=True)
            folder.rmdir()


def check_target(folder: Path, force: bool) -> int:
    """Raise CollectionError unless a new collection may be written there; return the old one's generation."""
    if not stat.S_ISDIR(mode_of(folder, follow=True) or 0):
        if mode_of(folder) is not None:
            raise CollectionError(f"{folder} is a file", "choose a new directory")
        return 0
    if mode_of(folder / on_disk.MANIFEST) is None:
        if not is_leftover(folder):
            raise CollectionError(
                f"{folder} exists and is not a collection",
                "choose a new directory; this one is left as it is",
            )
        return 0
    if not force:
        raise CollectionError(
            f"{folder} exists already",
            "choose another directory, or replace it with CreateSettings(force=True)",
            parameter="CreateSettings(force=True)",
        )
    try:
        return on_disk.read_manifest(folder).generation
    except DamagedError:  # it may be replaced, if it is ours: a lock of ours says so
        if on_disk.read_journal(folder) is None:
            raise
        return 0
    except NewerFormatError:  # ours, of a newer version
        return 0


def is_leftover(folder: Path) -> bool:
    """Return whether `folder` is empty or holds only what an interrupted first fit noted in its journal."""
    there = {path.name for path in folder.iterdir()}
    if not there:
        return True
    journal = on_disk.read_journal(folder)
    return journal is not None and there <= {on_disk.LOCK, f"{on_disk.LOCK}{HELD}", *journal}


# ---------------------------------------------------------------------- tidying up


def _sweep(folder: Path, names: set[str], journal: on_disk.Journal | None) -> None:
    """Delete what the state uses no longer: of `names`, which an old manifest names, and of the journal.

    What cannot be deleted is found by the next change: the journal goes on naming what it named, and the copy
    of the old manifest, which it names too, what `names` are.
    """
    noted = set(journal.names) if journal else set()
    used, doomed = set[str](), names | noted
    try:
        if mode_of(folder / on_disk.MANIFEST) is not None:
            manifest = on_disk.read_manifest(folder)
            used = {*manifest.named_files(), manifest.model}
    except (DamagedError, NewerFormatError):  # it may use any file, but none that is being made now
        doomed = names
    copies = {name for name in doomed if name.startswith("manifest-")}
    left = [name for name in sorted(doomed - copies - used) if not _deleted(folder, name)]
    if not left:  # a copy of the old manifest goes last: it names what is to be deleted
        for name in copies:
            _deleted(folder, name)
    if journal:
        journal.write(sorted(name for name in noted - used if _may_be_there(folder / name)))


def _deleted(folder: Path, name: str) -> bool:
    """Delete a file or folder of ours and return whether it is gone; one in use elsewhere may stay."""
    path = folder / name
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if "/" in name:
        with suppress(OSError):  # it goes with the last of its files
            path.parent.rmdir()
    return not _may_be_there(path)


def _may_be_there(path: Path) -> bool:
    try:
        return mode_of(path) is not None
    except OSError:
        return True
