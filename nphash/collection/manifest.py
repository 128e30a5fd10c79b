"""The manifest: the one file that says which files are the collection.

A collection is what its manifest names. Writers add files under new names and then replace the
manifest, so that every reader sees one state. The manifest carries a checksum of itself and the
size and SHA-256 of every file it names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nphash._version import __version__
from nphash.collection.files import check_name, read_journal
from nphash.core.checksums import FileRecord, read_whole, record, seal, unseal
from nphash.core.disk import cannot_read, replace_text
from nphash.errors import CollectionError, DamagedError, InputError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Manifest",
    "SegmentFiles",
    "format_manifest",
    "parse_manifest",
    "read_kept",
    "read_manifest",
    "write_manifest",
]

_log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = "nphash collection"
FORMAT_VERSION = 2

MAX_MANIFEST_BYTES = 1 << 26  # an altered file must not make us read it all into memory
HASHED_AT_OPEN = (
    1 << 25
)  # files up to 32 MB are hashed whenever they are opened (0.02 s), larger ones on request
MAX_DOCUMENTS = 1 << 40


@dataclass(frozen=True)
class SegmentFiles:
    """A run of documents: its two files and how many documents they hold, removed ones included."""

    codes: str
    documents: str
    n_documents: int


@dataclass
class Manifest:
    """What a collection consists of.

    Parameters
    ----------
    generation
        Grows by one with every change; new files carry it in their names.
    n_bits, method, parameters
        The hasher.
    corpus
        How the text was made: reader, whether weights were given, counts of documents left out.
    fit
        What the fit reported: seconds, epochs, validation figure.
    model, vectorizer
        Folder of the hasher's files, and the vectorizer's file.
    segments
        The documents in the order of insertion.
    removed
        File of the positions of removed documents, or an empty string.
    n_removed
        How many there are.
    files
        Size and SHA-256 of every file by its relative name.
    id
        Drawn when the collection is made; a state of another one is never taken for a state of this.
    """

    generation: int
    n_bits: int
    method: str
    parameters: dict[str, Any]
    corpus: dict[str, Any]
    fit: dict[str, Any]
    model: str
    vectorizer: str
    segments: list[SegmentFiles]
    removed: str = ""
    n_removed: int = 0
    files: dict[str, FileRecord] = field(default_factory=dict)
    nphash_version: str = __version__
    changed: str = ""
    id: str = ""

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
            names += [segment.codes, segment.documents]
        return names

    def check(self, folder: Path, everything: bool = False, names: Iterable[str] | None = None) -> list[str]:
        """Return what is wrong with the files, or those of `names`: missing, another size, another SHA-256.

        With `everything`, also files above 32 MB are hashed.

        Raises
        ------
        CollectionError
            If the system cannot open one: then nothing is known of it.
        """
        problems = []
        if (folder / self.model).is_symlink():
            problems.append(f"{self.model} is a link, and links are not followed")
        for name in self.named_files() if names is None else names:
            try:
                problem = self._problem(folder / name, self.files[name], everything)
            except (FileNotFoundError, NotADirectoryError):  # also if it goes between looking and reading
                problem = "is missing"
            except OSError as error:
                raise cannot_read(folder / name, error) from None
            problems += [f"{name} {problem}"] if problem else []
        return problems

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
                "restore the directory from a copy; 'nphash info --verify' lists all damage",
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

    Raises
    ------
    CollectionError
        If `folder` is no collection, is of a newer format, or its manifest was altered.
    """
    try:
        return parse_manifest(_text(folder), folder)
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
            try:
                text = read_whole(folder / name, MAX_MANIFEST_BYTES)
                parse_manifest(text, folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                if isinstance(error, DamagedError):  # it was being written
                    continue
                raise (
                    error if isinstance(error, CollectionError) else cannot_read(folder / name, error)
                ) from None
            return text
    return None


def parse_manifest(text: bytes, folder: Path) -> Manifest:
    """Return the manifest that `text` is; errors as `read_manifest`."""
    try:
        if len(text) > MAX_MANIFEST_BYTES:
            raise _damaged(folder, f"it is larger than {MAX_MANIFEST_BYTES:,} bytes")
        body = json.loads(text.decode("utf-8"))
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
        raise CollectionError(
            f"{folder} was written by nphash {body.get('nphash_version')} in format {version}, "
            f"and this is nphash {__version__}, which reads formats up to {FORMAT_VERSION}",
            "upgrade: pip install -U nphash",
        )
    try:
        body = unseal(body)
        del body["format"], body["format_version"]
        manifest = _parse(body)
        manifest.id = manifest.id if version > 1 else _identity(manifest)
        return manifest
    except InputError as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from None
    except CollectionError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(
            folder,
            str(error) if str(error) == "its checksum is wrong" else f"{type(error).__name__}: {error}",
        ) from None


def _text(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        return read_whole(path, MAX_MANIFEST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise cannot_read(path, error) from None
    if (kept := read_kept(folder)) is not None:
        return kept
    if not folder.exists():
        raise CollectionError(
            f"there is no collection {folder}", f"make one: nphash fit CORPUS -o {folder}, or check the path"
        )
    what = "is a file" if folder.is_file() else f"has no {MANIFEST}"
    raise CollectionError(
        f"{folder} is not a collection: it {what}",
        "give the directory that 'nphash fit CORPUS -o DIR' made",
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


def _identity(manifest: Manifest) -> str:
    """Return what stands for the identity of a collection of the first format, which had none."""
    names = sorted(name for name in manifest.named_files() if name.startswith(manifest.model + "/"))
    parts = [manifest.files[name].sha256 for name in [*names, manifest.vectorizer]]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:32]


def _damaged(folder: Path, why: str) -> DamagedError:
    return DamagedError(f"the {MANIFEST} of {folder} is damaged: {why}", "restore the directory from a copy")
