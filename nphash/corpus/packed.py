"""Unpack gzip, bzip2, xz, zstd and zip files, whatever they are called, but not to any size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import IO, Any, Protocol, cast

from nphash.errors import CorpusError

_MAGIC = {
    "gzip": rb"\x1f\x8b",
    "bzip2": rb"BZh[1-9]1AY&SY",
    "xz": rb"\xfd7zXZ\0",
    "zstd": rb"\x28\xb5\x2f\xfd",
    "zip": rb"PK\x03\x04",
}

#: Memory that an xz file may claim for unpacking; `xz -9` needs 65 MiB.
MOST_MEMORY = 2**28
#: Texts are packed to a tenth, logs to a hundredth; above this ratio little but one character is in a file.
MAX_RATIO = 300
#: So much may always be unpacked.
SMALL = 2**24


class _Decompressor(Protocol):
    """The common form of bz2, lzma and compression.zstd."""

    @property
    def eof(self) -> bool:
        """Return whether the packed stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Return whether nothing more comes of the bytes that were given."""

    @property
    def unused_data(self) -> bytes:
        """Return what came after the end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return the next bytes, at most so many."""


def packing_of(head: bytes) -> str:
    """Return how a file is packed by its first bytes: a name, or nothing."""
    return next((name for name, magic in _MAGIC.items() if re.match(magic, head)), "")


def unpacked(stream: io.BufferedReader, source: str, archives: bool = True) -> IO[bytes]:
    """Return what is packed in a stream, or the stream itself; a zip file must hold one file.

    CorpusError, also while it is read, for a damaged or locked file and one that unpacks to far too much.
    """
    name = packing_of(stream.peek(16)[:16])
    if not name or (name == "zstd" and _zstd() is None) or (name == "zip" and not archives):
        return stream
    if name == "zip":
        return _only_member(stream, source)
    counted = _Counted(stream)
    opened: Any = gzip.GzipFile(fileobj=cast(IO[bytes], counted)) if name == "gzip" else _Chain(counted, name)
    return io.BufferedReader(_Limited(opened, name, source, counted), 2**16)


def unpack_head(head: bytes, size: int) -> bytes:
    """Return the first bytes of what is packed, as far as the first packed bytes show them."""
    name = packing_of(head)
    with suppress(zlib.error, lzma.LZMAError, OSError, EOFError):
        if name == "gzip":
            return zlib.decompressobj(31).decompress(head, size)
        if name in {"bzip2", "xz"}:
            return _new(name)().decompress(head, size)
        return b"" if name else head
    return b""


def check_ratio(made: int, packed: int, source: str) -> None:
    """Raise CorpusError for what unpacks to far more than texts ever do."""
    if made > max(SMALL, MAX_RATIO * packed):
        problem = f"{source} unpacks to more than {MAX_RATIO} times its size"
        raise CorpusError(problem, "it holds little but one character; unpack it yourself if that is right")


class _Counted:
    """A stream that knows how much was read of it; a pipe does not."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.count = stream, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


class _Chain:
    """The contents of packed streams that follow each other in a file."""

    def __init__(self, stream: _Counted, name: str) -> None:
        self._stream, self._new = stream, _new(name)
        self._decompressor = self._new()

    def read(self, size: int) -> bytes:
        while True:
            current, data = self._decompressor, b""
            if current.eof:
                data = current.unused_data.lstrip(b"\0") or self._stream.read(2**16).lstrip(b"\0")
                if not data:
                    return b""
                current = self._decompressor = self._new()
            elif current.needs_input and not (data := self._stream.read(2**16)):
                raise EOFError("it ends in the middle")
            if made := current.decompress(data, size):
                return made


class _Limited(io.RawIOBase):
    """Bytes being unpacked, until they are too many or damaged."""

    def __init__(self, opened: IO[bytes], name: str, source: str, packed: _Counted) -> None:
        self._opened, self._name, self._source, self._packed, self._made = opened, name, source, packed, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as `io.BufferedReader` asks for."""
        try:
            data = self._opened.read(len(buffer))
        except CorpusError:
            raise
        except Exception as error:  # each library has its own
            if isinstance(error, OSError) and error.errno is not None:
                raise
            problem = f"{self._source} is a damaged {self._name} file ({error})"
            raise CorpusError(problem, "fetch or pack it again") from error
        self._made += len(data)
        check_ratio(self._made, self._packed.count, self._source)
        buffer[: len(data)] = data
        return len(data)


def _only_member(stream: io.BufferedReader, source: str) -> IO[bytes]:
    archive = open_archive(stream, source)
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        problem = f"{source} is a zip archive of {len(members)} files"
        raise CorpusError(problem, "give --input-format zip to take each file as one document, or unpack it")
    packed = _Counted(io.BytesIO())
    packed.count = members[0].compress_size
    return io.BufferedReader(_Limited(open_member(archive, members[0], source), "zip", source, packed))


def open_archive(stream: IO[bytes], source: str) -> zipfile.ZipFile:
    """Open a zip archive; CorpusError for a damaged one, or a stream that cannot be read from its end."""
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        hint = "fetch or pack it again; from a pipe it cannot be read"
        raise CorpusError(f"{source} is a damaged zip archive ({error})", hint) from error


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> IO[bytes]:
    """Open a file of a zip archive; CorpusError for one that is locked or packed in another way."""
    try:
        return archive.open(member)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError) as error:
        problem = f"{source}: {member.filename} cannot be unpacked ({error})"
        raise CorpusError(problem, "unpack it yourself") from error


def _new(name: str) -> Callable[[], _Decompressor]:
    if name == "bzip2":
        return bz2.BZ2Decompressor
    if name == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=MOST_MEMORY)
    zstd = _zstd()
    assert zstd is not None
    return cast(Callable[[], _Decompressor], zstd.ZstdDecompressor)


def _zstd() -> Any:
    """Return a module for zstd: Python has one from 3.14 on, and there is a copy of it for those before."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None
