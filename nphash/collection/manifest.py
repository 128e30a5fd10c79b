"""The manifest: the one file that says which files are the collection.

A collection is what its manifest names. Writers add files under new names and then replace the
manifest, so that every reader sees one state. The manifest carries a checksum of itself and the
size and SHA-256 of every file it names.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nphash._version import __version__
from nphash.collection.files import FileRecord, check_name, record
from nphash.core.disk import replace_text
from nphash.errors import CollectionError, InputError

__all__ = ["FORMAT_VERSION", "MANIFEST", "Manifest", "SegmentFiles", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
FORMAT = "nphash collection"
FORMAT_VERSION = 1

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

    def check(self, folder: Path, everything: bool = False) -> list[str]:
        """Return what is wrong with the files: missing, another size, another SHA-256.

        With `everything`, also files above 32 MB are hashed.
        """
        problems = []
        for name in self.named_files():
            path, known = folder / name, self.files[name]
            try:
                size = path.stat().st_size
                if size != known.size:
                    problems.append(f"{name} has {size:,} bytes, not {known.size:,}: it was cut or altered")
                elif (everything or size <= HASHED_AT_OPEN) and record(path) != known:
                    problems.append(f"{name} was altered (its SHA-256 is not the manifest's)")
            except FileNotFoundError:  # also if it goes between looking and reading
                problems.append(f"{name} is missing")
        return problems

    def refuse_damage(self, folder: Path) -> None:
        """Raise `CollectionError` if anything is wrong with the files."""
        problems = self.check(folder)
        if problems:
            raise CollectionError(
                f"the collection {folder} is damaged: {problems[0]}",
                "restore the directory from a copy; 'nphash info --verify' lists all damage",
            )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of `folder`; from here on the collection is the new one."""
    body = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    body["checksum"] = _checksum(body)
    replace_text(folder / MANIFEST, json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest; the files it names are not opened.

    Raises
    ------
    CollectionError
        If `folder` is no collection, is of a newer format, or its manifest was altered.
    """
    body = _read_body(folder)
    version = body.pop("format_version", None)
    if not isinstance(version, int) or version < 1:
        raise _damaged(folder, "it states no format version")
    if version > FORMAT_VERSION:
        raise CollectionError(
            f"{folder} was written by nphash {body.get('nphash_version')} in format {version}, "
            f"and this is nphash {__version__}, which reads formats up to {FORMAT_VERSION}",
            "upgrade: pip install -U nphash",
        )
    if body.pop("checksum", None) != _checksum({"format": FORMAT, "format_version": version, **body}):
        raise _damaged(folder, "its checksum is wrong")
    try:
        return _parse(body)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from None


def _read_body(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.exists():
        raise CollectionError(
            f"there is no collection {folder}", f"make one: nphash fit CORPUS -o {folder}, or check the path"
        )
    if not path.is_file():
        what = "is a file" if folder.is_file() else f"has no {MANIFEST}"
        raise CollectionError(
            f"{folder} is not a collection: it {what}",
            "give the directory that 'nphash fit CORPUS -o DIR' made",
        )
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise _damaged(folder, f"it is larger than {MAX_MANIFEST_BYTES:,} bytes")
        body = json.loads(path.read_text(encoding="utf-8"))
    except CollectionError:
        raise
    except OSError as error:
        raise CollectionError(f"cannot read {path}: {error.strerror}", "check its permissions") from None
    except (ValueError, RecursionError):  # broken JSON or broken UTF-8
        raise _damaged(folder, "it is not JSON") from None
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise CollectionError(
            f"{folder} is not a collection: its {MANIFEST} is another program's",
            "give the directory that 'nphash fit CORPUS -o DIR' made",
        )
    return body


def _parse(body: dict[str, Any]) -> Manifest:
    segments = [SegmentFiles(**segment) for segment in body.pop("segments")]
    files = {check_name(name): FileRecord(**entry) for name, entry in body.pop("files").items()}
    manifest = Manifest(segments=segments, files=files, **body)
    numbers = [manifest.generation, manifest.n_bits, manifest.n_removed, *(s.n_documents for s in segments)]
    numbers += [entry.size for entry in files.values()]
    if not all(isinstance(number, int) and 0 <= number <= MAX_DOCUMENTS for number in numbers):
        raise ValueError("a count is no sensible number")
    check_name(manifest.model)
    for name in manifest.named_files():
        if check_name(name) not in files:
            raise ValueError(f"no checksum of {name}")
    return manifest


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _damaged(folder: Path, why: str) -> CollectionError:
    return CollectionError(
        f"the {MANIFEST} of {folder} is damaged: {why}", "restore the directory from a copy"
    )
