r"""The file of an index: plain arrays one after the other, then a table of contents with checksums.

::

    nphash index 1\n         what this is, and the version of the format
    <array> <array> ...     raw, each starting at a multiple of 64 bytes: ready to be memory-mapped
    <contents>              JSON: facts about the index; type, shape, place, CRC-32 of each array
    <16 bytes>              place and CRC-32 of the contents, as little-endian uint64

The contents stand last so that a file is written in one pass and a truncated one is noticed. A
new file is written beside the old one and takes its place only when it is complete.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nphash._version import __version__
from nphash.core.disk import replacing
from nphash.errors import CollectionError

__all__ = ["FORMAT", "read", "write"]

FORMAT = 1
_MAGIC = b"nphash index "
_ALIGN = 64
_CHUNK = 1 << 22

Parts = list[npt.NDArray[Any]]  # an array given as consecutive pieces, to save a copy


def write(path: str | os.PathLike[str], facts: dict[str, Any], arrays: dict[str, Parts]) -> None:
    """Write ``facts`` and ``arrays`` to ``path``: completely, or not at all.

    Raises
    ------
    CollectionError
        If the file cannot be written; what was there before is still there.
    """
    target = Path(path)
    try:
        with replacing(target) as file:
            _write_all(file, facts, arrays)
    except OSError as error:
        raise CollectionError(
            f"{target} cannot be written ({error.strerror or error})",
            "the old state is kept; free space or choose another place",
        ) from error


def _write_all(file: IO[bytes], facts: dict[str, Any], arrays: dict[str, Parts]) -> None:
    file.write(_MAGIC + b"%d\n" % FORMAT)
    table = {}
    for name, parts in arrays.items():
        file.write(b"\0" * (-file.tell() % _ALIGN))
        place, checksum = file.tell(), 0
        for part in parts:
            for chunk in _chunks(part):
                checksum = zlib.crc32(chunk, checksum)
                file.write(chunk)
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        dtype = parts[0].dtype.newbyteorder("<").str
        table[name] = {"dtype": dtype, "shape": shape, "place": place, "crc32": checksum}
    contents = json.dumps({**facts, "nphash": __version__, "arrays": table}).encode("utf-8")
    place = file.tell()
    file.write(contents)
    file.write(np.array([place, zlib.crc32(contents)], "<u8").tobytes())


def _chunks(array: npt.NDArray[Any]) -> Any:
    """Yield the bytes of ``array``, little-endian, a few megabytes at a time."""
    rows = max(1, _CHUNK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        yield np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("<")).tobytes()


def read(
    path: str | os.PathLike[str], mmap: bool = True, verify: bool = True
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the facts and arrays of a file written by `write`.

    Parameters
    ----------
    path
        The file.
    mmap
        Map arrays into memory instead of reading them. The mapping is private: writing to an
        array does not change the file. (Read-only arrays would have every kernel compiled twice.)
    verify
        Compare every array with its checksum (reads the whole file once).

    Raises
    ------
    CollectionError
        If the file is missing, unreadable, no index, of a newer format, truncated or altered.
    """
    file = Path(path)
    try:
        content = np.memmap(file, np.uint8, "c") if file.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise CollectionError(
            f"{file} cannot be read ({error.strerror or error})", "give a file written by HammingIndex.save()"
        ) from error
    except ValueError as error:  # a folder or a device
        raise CollectionError(
            f"{file} is not a file", "give a file written by HammingIndex.save()"
        ) from error
    _check_magic(file, bytes(content[:64]))
    facts, end = _contents(file, content)
    arrays = {}
    for name, entry in facts.pop("arrays").items():
        dtype = np.dtype(entry["dtype"])
        stop = entry["place"] + dtype.itemsize * int(np.prod(entry["shape"], dtype=np.int64))
        raw = content[entry["place"] : stop]
        if stop > end or (verify and _checksum(raw) != entry["crc32"]):
            raise CollectionError(
                f"{file} is damaged: {name} does not match its checksum",
                "restore it from a copy or build it again",
            )
        array = np.asarray(raw).view(dtype).reshape(entry["shape"])
        arrays[name] = array if mmap else array.astype(dtype.newbyteorder("="))
    return facts, arrays


def _check_magic(file: Path, start: bytes) -> None:
    if not start.startswith(_MAGIC):
        raise CollectionError(
            f"{file} is not an index of nphash", "give a file written by HammingIndex.save()"
        )
    version = start[len(_MAGIC) :].split(b"\n")[0]
    if not version.isdigit() or int(version) > FORMAT:
        raise CollectionError(
            f"{file} has format {version.decode('ascii', 'replace')}, "
            f"but this nphash {__version__} reads up to {FORMAT}",
            "install a newer nphash",
        )


def _contents(file: Path, content: npt.NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    damaged = CollectionError(f"{file} is truncated or damaged", "restore it from a copy or build it again")
    if len(content) < 32:
        raise damaged
    place, checksum = (int(number) for number in np.frombuffer(bytes(content[-16:]), "<u8"))
    raw = bytes(content[min(place, len(content)) : -16])
    if zlib.crc32(raw) != checksum or not raw:
        raise damaged
    facts: dict[str, Any] = json.loads(raw)
    return facts, place


def _checksum(raw: npt.NDArray[np.uint8]) -> int:
    checksum = 0
    for start in range(0, len(raw), _CHUNK):
        checksum = zlib.crc32(raw[start : start + _CHUNK].tobytes(), checksum)
    return checksum
