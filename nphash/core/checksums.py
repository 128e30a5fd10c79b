"""Sizes and checksums of files, their blocks and JSON: whether what is read is what was written."""

from __future__ import annotations

import hashlib
import json
import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nphash.core.disk import open_file
from nphash.errors import DamagedError

LARGE = 1 << 25  # files up to 32 MB are hashed whenever they are opened (0.02 s), larger ones block by block
BLOCK = 1 << 22  # bytes of a block of a large file
_PIECE = 1 << 20  # bytes read at once


@dataclass(frozen=True)
class FileRecord:
    """Size and checksums of a file."""

    size: int
    sha256: str
    # CRC-32 of each 4 MiB of a file above 32 MB: a part is checked when it is read
    blocks: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> FileRecord:
        """Return the record that `to_json` wrote; `TypeError` or `ValueError` if it is none."""
        made = cls(**{**entry, "blocks": tuple(entry.get("blocks", ()))})
        if not all(isinstance(number, int) and number >= 0 for number in (made.size, *made.blocks)):
            raise ValueError("a size is no sensible number")
        if not isinstance(made.sha256, str) or len(made.blocks) not in {0, -(-made.size // BLOCK)}:
            raise ValueError("a checksum is none")
        return made

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        blocks = {"blocks": list(self.blocks)} if self.blocks else {}
        return {"size": self.size, "sha256": self.sha256, **blocks}


class Recorder:
    """The record of bytes that come one piece after the other."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256, self._crc, self._blocks = hashlib.sha256(), 0, list[int]()

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        rest = memoryview(data)
        while rest:
            piece = rest[: BLOCK - self.size % BLOCK]
            self._sha256.update(piece)
            self._crc = zlib.crc32(piece, self._crc)
            self.size += len(piece)
            if self.size % BLOCK == 0:
                self._blocks.append(self._crc)
                self._crc = 0
            rest = rest[len(piece) :]

    def record(self) -> FileRecord:
        """Return the record of all that came."""
        last = [self._crc] if self.size % BLOCK else []
        blocks = (*self._blocks, *last) if self.size > LARGE else ()
        return FileRecord(self.size, self._sha256.hexdigest(), blocks)


def record(path: Path) -> FileRecord:
    """Return the record of a file of any size; OSError for a link, a device, a pipe, or none to be read."""
    recorder = Recorder()
    with open_file(path) as file:
        while piece := file.read(_PIECE):
            recorder.update(piece)
    return recorder.record()


class Blocks:
    """A mapped file that is checked block by block, each before it is first believed.

    What is checked is the mapping itself: it stays readable where the file has been replaced meanwhile. It is
    made here unless given. Without `known.blocks`, as of the first format, the whole is checked at once.
    """

    def __init__(self, path: Path, known: FileRecord, mapped: mmap.mmap | None = None) -> None:
        self.path, self.known = path, known
        if mapped is None:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._mapped = mapped
        self._unchecked = set(range(len(known.blocks) or 1))

    def check(self, start: int = 0, stop: int | None = None) -> None:
        """Check blocks of bytes `start` to `stop` that have not been; `DamagedError` if one was altered."""
        if not self._unchecked:
            return
        stop = self.known.size if stop is None else stop
        wanted = range(start // BLOCK, -(-stop // BLOCK)) if self.known.blocks else range(1)
        with memoryview(self._mapped) as view:
            for number in sorted(self._unchecked.intersection(wanted)):
                if not self._is_whole(view, number):
                    raise DamagedError(
                        f"{self.path} is damaged: bytes after {number * BLOCK:,} are not what was written",
                        "restore the file from a copy",
                    )
                self._unchecked.discard(number)

    def _is_whole(self, view: memoryview, number: int) -> bool:
        if len(view) < self.known.size:
            return False
        if not self.known.blocks:
            with view[: self.known.size] as whole:
                return hashlib.sha256(whole).hexdigest() == self.known.sha256
        with view[number * BLOCK : min((number + 1) * BLOCK, self.known.size)] as block:
            return zlib.crc32(block) == self.known.blocks[number]


def seal(body: dict[str, Any]) -> str:
    """Return `body` as JSON text that carries a checksum of itself."""
    return json.dumps({**body, "checksum": _checksum(body)}, indent=1, ensure_ascii=False) + "\n"


def unseal(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a parsed `seal` without its checksum; ValueError if that is wrong."""
    body = dict(body)
    if body.pop("checksum", None) != _checksum(body):
        raise ValueError("its checksum is wrong")
    return body


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
