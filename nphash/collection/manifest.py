"""The two files that say what is a collection's: the manifest its files, the lock what a writer is making.

A collection is what its manifest names. Writers add files under new names and then replace the manifest, so
that every reader sees one state. It carries a checksum of itself, and those of all files that it names.
The lock file is the journal of the writer that holds it: the names of what it makes, noted before it does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from nphash._version import __version__
from nphash.core.checksums import LARGE, FileRecord, record, seal, unseal
from nphash.core.disk import cannot_read, mode_of, read_bytes, replace_text, writing
from nphash.core.locks import locked
from nphash.errors import CollectionError, DamagedError, NewerFormatError

_log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = "nphash collection"
FORMAT_VERSION = 3
LOCK = "lock"
JOURNAL = "nphash journal"
_BEGIN = f'{{\n "format": "{JOURNAL}"'.encode()

MAX_MANIFEST_BYTES = 1 << 26  # an altered file must not make us read it all into memory
MAX_JOURNAL_BYTES = 1 << 20
HASHED_AT_OPEN = LARGE  # larger files are checked where they are read
MAX_DOCUMENTS = 1 << 40
DAMAGED_HINT = "restore the directory from a copy"

# All that a change may make; a journal that names anything else is not followed.
MADE = ["codes.npy", "removed.npy", "documents.sqlite", "vectorizer.json", "manifest.json", "manifest.new"]
MADE += ["model", "shards", "shards.counts", "words.bin"]
_NUMBERED = re.compile(r"([a-z]+)-\d{6,}((?:\.[a-z]+)?)")


@dataclass(frozen=True)
class SegmentFiles:
    """A run of documents: its files and how many documents they hold, removed ones included."""

    codes: str
    documents: str
    n_documents: int
    words: str = ""  # the index of all words; formats 1 and 2 had none

    def names(self) -> list[str]:
        """Return the names of the files."""
        return [self.codes, self.documents, *([self.words] if self.words else [])]


@dataclass
class Manifest:
    """The files and facts of one state of a collection."""

    generation: int  # grows by one with every change; new files carry it in their names
    n_bits: int
    method: str
    parameters: dict[str, Any]  # of the hasher
    corpus: dict[str, Any]  # how the text was made: reader, whether weights were given, documents skipped
    fit: dict[str, Any]  # what the fit reported: seconds, epochs, validation figure
    model: str  # folder of the hasher's files
    vectorizer: str
    segments: list[SegmentFiles]  # in the order of insertion
    removed: str = ""  # file of the positions of removed documents, if there are any
    n_removed: int = 0
    files: dict[str, FileRecord] = field(default_factory=dict)  # of every file, by its relative name
    nphash_version: str = __version__
    changed: str = ""
    id: str = ""  # drawn with the collection; a state of another one is never taken for a state of this

    @property
    def n_documents(self) -> int:
        """Documents that were not removed."""
        return self.n_rows - self.n_removed

    @property
    def n_rows(self) -> int:
        """Documents including removed ones that are still stored."""
        return sum(segment.n_documents for segment in self.segments)

    def named_files(self) -> list[str]:
        """Return the files this state uses, the model's included."""
        names = [name for name in self.files if name.startswith(self.model + "/")]
        names += [self.vectorizer, *([self.removed] if self.removed else [])]
        for segment in self.segments:
            names += segment.names()
        return names

    def check(self, folder: Path, everything: bool = False, names: Iterable[str] | None = None) -> list[str]:
        """Return what is wrong with the files, or those of `names`: missing, another size, another SHA-256.

        With `everything`, also files above 32 MB are hashed. `CollectionError` if one cannot be opened: then
        nothing is known of it.
        """
        problems = [f"{self.model} is a link, and links are not followed"] if self._is_link(folder) else []
        for name in self.named_files() if names is None else names:
            try:
                problem = self._problem(folder / name, self.files[name], everything)
            except (FileNotFoundError, NotADirectoryError):  # also if it goes between looking and reading
                problem = "is missing"
            except OSError as error:
                raise cannot_read(folder / name, error) from None
            problems += [f"{name} {problem}"] if problem else []
        return problems

    def _is_link(self, folder: Path) -> bool:
        try:
            return stat.S_ISLNK(mode_of(folder / self.model) or 0)
        except OSError as error:
            raise cannot_read(folder / self.model, error) from None

    @staticmethod
    def _problem(path: Path, known: FileRecord, everything: bool) -> str:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "is no ordinary file"
        if found.st_size != known.size:
            return f"has {found.st_size:,} bytes, not {known.size:,}: it was cut or altered"
        if (everything or known.size <= HASHED_AT_OPEN) and record(path).sha256 != known.sha256:
            return "was altered (its SHA-256 is not the manifest's)"
        return ""

    def unchecked(self) -> dict[str, FileRecord]:
        """Return the files that are hashed only when they are read."""
        return {name: known for name, known in self.files.items() if known.size > HASHED_AT_OPEN}

    def refuse_damage(self, folder: Path) -> None:
        """Raise `CollectionError` if anything is wrong with the files."""
        problems = self.check(folder)
        if problems:
            raise DamagedError(
                f"the collection {folder} is damaged: {problems[0]}",
                f"{DAMAGED_HINT}; 'nphash info --verify' lists all damage",
            )


def check_name(name: object) -> str:
    """Return a plain relative file name; a crafted manifest must not make us read a file elsewhere."""
    if isinstance(name, str) and len(name) <= 255 and not {"\\", "\0"} & set(name):
        plain = all(part not in {"", ".", ".."} for part in name.split("/"))
        if plain and not PureWindowsPath(name).drive:
            return name
    raise CollectionError(
        f"the manifest names the file {name!r}, which is not inside the collection", "restore it from a copy"
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of `folder`; from here on the collection is the new one."""
    replace_text(folder / MANIFEST, format_manifest(manifest))


def format_manifest(manifest: Manifest) -> str:
    """Return the text of a manifest, with a checksum of itself."""
    body = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    body["files"] = {name: known.to_json() for name, known in manifest.files.items()}
    return seal(body)


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest; the files it names are not opened.

    Where it is damaged, and a change was interrupted, the manifest from before that change is taken.
    """
    try:
        return parse_manifest(_content(folder), folder)
    except DamagedError:
        kept = read_kept(folder)
        if kept is None:
            raise
        _log.warning("%s: a change was interrupted; the state before it is used", folder)
        return parse_manifest(kept, folder)


def read_kept(folder: Path) -> bytes | None:
    """Return the manifest from before an unfinished change, None where there is none."""
    for name in read_journal(folder) or []:
        if name.startswith("manifest-") and name.endswith(".json"):
            content = read_bytes(folder / name, MAX_MANIFEST_BYTES)
            with suppress(DamagedError):  # it was being written
                if content is not None:
                    parse_manifest(content, folder)
                    return content
    return None


def parse_manifest(content: bytes, folder: Path) -> Manifest:
    """Return the manifest that `content` is; errors as `read_manifest`."""
    try:
        if len(content) > MAX_MANIFEST_BYTES:
            raise _damaged(folder, f"it is larger than {MAX_MANIFEST_BYTES:,} bytes")
        body = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):  # broken JSON or broken UTF-8
        raise _damaged(folder, "it is not JSON") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CollectionError(
            f"{folder} is not a collection: its {MANIFEST} is another program's",
            "give the directory that 'nphash fit CORPUS -o DIR' made",
        )
    version = body.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(folder, "it states no format version")
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"{folder} was written by nphash {body.get('nphash_version')} in format {version}, "
            f"and this is nphash {__version__}, which reads formats up to {FORMAT_VERSION}",
            "upgrade: pip install -U nphash",
        )
    try:
        body = unseal(body)
        del body["format"], body["format_version"]
        manifest = _parse(body)
        manifest.id = manifest.id if version > 1 else model_identity(manifest)
        return manifest
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        plain = str(error) == "its checksum is wrong"
        raise _damaged(folder, str(error) if plain else f"{type(error).__name__}: {error}") from None


def _content(folder: Path) -> bytes:
    content = read_bytes(folder / MANIFEST, MAX_MANIFEST_BYTES)
    if content is not None:
        return content
    if (kept := read_kept(folder)) is not None:
        return kept
    try:
        what = "is a file" if stat.S_ISREG(folder.stat().st_mode) else f"has no {MANIFEST}"
    except FileNotFoundError:
        raise CollectionError(
            f"there is no collection {folder}", f"make one: nphash fit CORPUS -o {folder}, or check the path"
        ) from None
    except OSError as error:
        raise cannot_read(folder, error) from None
    raise CollectionError(
        f"{folder} is not a collection: it {what}", "give the directory that 'nphash fit CORPUS -o DIR' made"
    )


def _parse(body: dict[str, Any]) -> Manifest:
    segments = [SegmentFiles(**segment) for segment in body.pop("segments")]
    files = {check_name(name): FileRecord.from_json(entry) for name, entry in body.pop("files").items()}
    manifest = Manifest(segments=segments, files=files, **body)
    numbers = [manifest.generation, manifest.n_bits, manifest.n_removed, *(s.n_documents for s in segments)]
    numbers += [entry.size for entry in files.values()]
    if not all(isinstance(number, int) and 0 <= number <= MAX_DOCUMENTS for number in numbers):
        raise ValueError("a count is no sensible number")
    check_name(manifest.model)
    for name in manifest.named_files():
        if check_name(name) not in files:
            raise ValueError(f"no checksum of {name}")
    if not isinstance(manifest.id, str):
        raise ValueError("its identity is none")
    return manifest


def model_identity(manifest: Manifest) -> str:
    """Return what stands for model and words, and for the identity of a collection of the first format."""
    names = sorted(name for name in manifest.named_files() if name.startswith(manifest.model + "/"))
    parts = [manifest.files[name].sha256 for name in [*names, manifest.vectorizer]]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:32]


def _damaged(folder: Path, why: str) -> DamagedError:
    return DamagedError(f"the {MANIFEST} of {folder} is damaged: {why}", DAMAGED_HINT)


# ---------------------------------------------------------------------- the lock file and its journal


def names_of_change(generation: int) -> list[str]:
    """Return the names of all that a change may make, such as ``codes-000007.npy``."""
    return [numbered(name, generation) for name in MADE]


def numbered(name: str, generation: int) -> str:
    """Return a name of `MADE` with the number of a generation."""
    kind, dot, suffix = name.partition(".")
    return f"{kind}-{generation:06d}{dot}{suffix}"


class Journal:
    """The names of files that an unfinished change makes: noted in the lock file before the first is made."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.names = _names_in(os.read(descriptor, MAX_JOURNAL_BYTES))

    def write(self, names: list[str]) -> None:
        """Note names, on the disk when it returns; no names are an empty file."""
        if names == self.names:
            return
        text = seal({"format": JOURNAL, "names": names}).encode("utf-8") if names else b""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while text:
            text = text[os.write(self._descriptor, text) :]
        os.fsync(self._descriptor)
        self.names = names


def _names_in(content: bytes) -> list[str]:
    """Return the names in a journal: none in one that was not written in full, for nothing was made then."""
    try:
        body = unseal(json.loads(content.decode("utf-8")))
        found = [(name, _NUMBERED.fullmatch(name)) for name in body["names"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    ours = [name for name, parts in found if parts and parts[1] + parts[2] in MADE]
    return ours if body.get("format") == JOURNAL else []


def read_journal(folder: Path) -> list[str] | None:
    """Return the names that the lock file of `folder` notes, None where there is no such file of ours."""
    content = read_bytes(folder / LOCK, MAX_JOURNAL_BYTES)
    if content is None or not (
        _BEGIN.startswith(content[: len(_BEGIN)]) or content.count(b"\0") == len(content)
    ):
        return None
    return _names_in(content)  # none in one that a power cut has left cut, or as zeros


@contextmanager
def write_lock(folder: Path, wait: float = 0.0) -> Iterator[Journal]:
    """Hold the right to change a collection; `wait` so many seconds while another process has it."""
    with ExitStack() as held:
        with writing(folder):
            descriptor = held.enter_context(locked(folder / LOCK, f"the collection {folder}", wait))
            journal = Journal(descriptor)
        yield journal
