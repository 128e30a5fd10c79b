"""One change to a collection: new files beside the old ones, then a new manifest, then tidying up."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from nphash.collection.files import record, write_lock, writing
from nphash.collection.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from nphash.core.disk import flush, flush_folder
from nphash.errors import CollectionError

__all__ = ["Change", "changing", "creating", "is_leftover"]

_OURS = re.compile(
    r"(codes|removed)-\d{6,}\.npy|documents-\d{6,}\.sqlite|vectorizer-\d{6,}\.json|model-\d{6,}"
    r"|shards-\d{6,}(\.counts)?|lock|manifest\.json\.new"
)


def is_leftover(folder: Path) -> bool:
    """Return whether `folder` is empty or holds only what an interrupted first fit left behind."""
    return not (folder / MANIFEST).exists() and all(_OURS.fullmatch(path.name) for path in folder.iterdir())


class Change:
    """The new files of one change; their names carry the new generation, so none exists yet.

    Parameters
    ----------
    folder
        The collection's directory.
    generation
        Number of the state that this change makes.
    """

    def __init__(self, folder: Path, generation: int) -> None:
        self.folder = folder
        self.generation = generation
        self.new: list[str] = []

    def path(self, kind: str, suffix: str) -> Path:
        """Return the path of a new file or folder, e.g. ``codes-000002.npy``."""
        self.new.append(f"{kind}-{self.generation:06d}{suffix}")
        return self.folder / self.new[-1]

    @contextmanager
    def scratch(self, kind: str) -> Iterator[Path]:
        """Yield the path of a folder that may be made inside the block, and is gone after it."""
        path = self.folder / f"{kind}-{self.generation:06d}"
        try:
            yield path
        finally:
            _delete(path)

    def commit(self, manifest: Manifest) -> None:
        """Make `manifest` the collection's state, with checksums of new files; delete what is not in it."""
        manifest.generation = self.generation
        manifest.changed = datetime.now(timezone.utc).isoformat(timespec="seconds")
        for name in self.new:
            path = self.folder / name
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                flush(file)
                manifest.files[file.relative_to(self.folder).as_posix()] = record(file)
            if path.is_dir():
                flush_folder(path)
        used = set(manifest.named_files())
        manifest.files = {name: entry for name, entry in manifest.files.items() if name in used}
        flush_folder(self.folder)  # the new names reach the disk before the manifest that needs them
        write_manifest(self.folder, manifest)
        self.new = []
        tidy(self.folder, manifest)

    def discard(self) -> None:
        """Delete the new files; the old state was never touched.

        An error or Ctrl-C can also arrive just after the new manifest took its place: then the
        change is done, and its files stay.
        """
        with suppress(CollectionError):
            if read_manifest(self.folder).generation == self.generation:
                return
        for name in self.new:
            _delete(self.folder / name)
        self.new = []
        _delete(self.folder / f"{MANIFEST}.new")


@contextmanager
def changing(folder: Path, wait: float = 0.0) -> Iterator[tuple[Change, Manifest]]:
    """Hold the write lock and yield a change and the state it starts from; on any error the state stays.

    Raises
    ------
    CollectionError
        If another process holds the lock after `wait` seconds, or writing fails.
    """
    read_manifest(folder)  # no lock file in a directory that is not a collection
    with write_lock(folder, wait):
        manifest = read_manifest(folder)
        tidy(folder, manifest)
        change = Change(folder, manifest.generation + 1)
        try:
            yield change, manifest
        except BaseException:
            change.discard()
            raise


@contextmanager
def creating(folder: Path, force: bool) -> Iterator[Change]:
    """Yield the change that makes a new collection, or with `force` replaces the one that is there.

    Raises
    ------
    CollectionError
        If `folder` holds anything that is not ours, or a collection and `force` is not set.
    """
    check_target(folder, force)
    made = not folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with write_lock(folder):
            check_target(folder, force)
            generation = _generation(folder)
            change = Change(folder, generation + 1)
            if not generation:
                tidy(folder, None)
            try:
                yield change
            except BaseException:
                change.discard()
                raise
    except BaseException:
        if made and is_leftover(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def check_target(folder: Path, force: bool) -> None:
    """Raise CollectionError unless a new collection may be written to `folder`."""
    if folder.is_dir():
        if (folder / MANIFEST).exists():
            if not force:
                raise CollectionError(
                    f"{folder} exists already",
                    "choose another directory, or replace it with CreateSettings(force=True)",
                )
            _refuse_foreign_manifest(folder)
        elif not is_leftover(folder):
            raise CollectionError(
                f"{folder} exists and is not a collection",
                "choose a new directory; this one is left as it is",
            )
    elif folder.exists():
        raise CollectionError(f"{folder} is a file", "choose a new directory")


def _refuse_foreign_manifest(folder: Path) -> None:
    """Let a damaged collection be replaced, but not another program's directory."""
    try:
        read_manifest(folder)
    except CollectionError as error:
        if "another program" in error.problem:
            raise


def _generation(folder: Path) -> int:
    """Return the highest number that a file or the state of `folder` carries, 0 without a manifest."""
    numbers = [int(match[0]) for path in folder.iterdir() if (match := re.search(r"\d{6,}", path.name))]
    with suppress(CollectionError):
        numbers.append(read_manifest(folder).generation)
    return max(numbers, default=0) if (folder / MANIFEST).exists() else 0


def tidy(folder: Path, manifest: Manifest | None) -> None:
    """Delete files with names like ours that `manifest` does not name; one in use elsewhere may stay."""
    used = {MANIFEST, "lock"}
    if manifest:
        used |= {name.split("/")[0] for name in manifest.named_files()}
    for path in folder.iterdir():
        if path.name not in used and _OURS.fullmatch(path.name):
            _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
