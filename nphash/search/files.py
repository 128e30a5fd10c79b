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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nphash._version import __version__
from nphash.codes import check_n_bits, n_bytes
from nphash.core.disk import replacing
from nphash.core.typing import Array
from nphash.errors import CollectionError

FORMAT = 1
HINT = "give a file written by HammingIndex.save()"
_RESTORE = "restore it from a copy or build it again"
_MAGIC = b"nphash index "
_ALIGN = 64
_CHUNK = 1 << 22

Parts = list[Array]  # an array given as consecutive pieces, to save a copy
Check = Callable[[Iterable[str]], None]  # compares arrays with their checksums, by name and once


def write(path: str | os.PathLike[str], facts: dict[str, Any], arrays: dict[str, Parts]) -> None:
    """Write ``facts`` and ``arrays`` to ``path``: completely or, with a `CollectionError`, not at all."""
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
        for chunk in (chunk for part in parts for chunk in _chunks(part)):
            checksum = zlib.crc32(chunk, checksum)
            file.write(chunk)
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        dtype = parts[0].dtype.newbyteorder("<").str
        table[name] = {"dtype": dtype, "shape": shape, "place": place, "crc32": checksum}
    contents = json.dumps({**facts, "nphash": __version__, "arrays": table}).encode("utf-8")
    place = file.tell()
    file.write(contents)
    file.write(np.array([place, zlib.crc32(contents)], "<u8").tobytes())


def _chunks(array: Array) -> Iterator[bytes]:
    """Yield the bytes of ``array``, little-endian, a few megabytes at a time."""
    rows = max(1, _CHUNK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        yield np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("<")).tobytes()


def map_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array], Check]:
    """Return facts and mapped arrays of a file, and a function that compares arrays with their checksums.

    The mapping is private: writing to an array does not change the file. (Read-only arrays would have every
    kernel compiled twice.) `CollectionError` if the file is missing, unreadable, no index, of a newer format,
    or truncated; the function raises it for altered arrays.
    """
    file = Path(path)
    try:
        content = np.memmap(file, np.uint8, "c") if file.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise CollectionError(f"{file} cannot be read ({error.strerror or error})", HINT) from error
    except ValueError as error:  # a folder or a device
        raise CollectionError(f"{file} is not a file", HINT) from error
    facts, end = _contents(file, content)
    arrays, checksums = {}, {}
    try:
        for name, entry in facts.pop("arrays").items():
            dtype, shape, start = np.dtype(entry["dtype"]), entry["shape"], entry["place"]
            stop = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            if dtype.hasobject or not 0 <= start <= stop <= end:
                raise ValueError(f"{name} does not fit into it")
            checksums[name] = content[start:stop], entry["crc32"]
            arrays[name] = np.asarray(content[start:stop]).view(dtype).reshape(shape)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CollectionError(f"{file} is damaged: {error}", _RESTORE) from None

    def check(names: Iterable[str]) -> None:
        for name in checksums.keys() & set(names):
            raw, expected = checksums[name]
            checksum = 0
            for chunk in _chunks(raw):
                checksum = zlib.crc32(chunk, checksum)
            if checksum != expected:
                raise CollectionError(f"{file} is damaged: {name} does not match its checksum", _RESTORE)
            checksums.pop(name, None)  # another thread may have been quicker

    return facts, arrays, check


def check_sense(path: Path, facts: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Raise CollectionError unless the arrays are those of an index: the kernels do not look where one ends.

    Checksums that are right do not say that: a stranger may have made them.
    """
    try:
        n_bits, n = check_n_bits(facts["n_bits"]), len(arrays["codes"])
        if arrays["codes"].shape != (n, n_bytes(n_bits)):
            raise ValueError(f"codes of shape {arrays['codes'].shape} are not {n_bits} bits wide")
        _require(arrays, "codes", "u1", (n, n_bytes(n_bits)))
        _require(arrays, "removed", "i8", (None,), 0, n)
        if "id_bytes" in arrays:
            _require(arrays, "id_bytes", "u1", (None,))
            _require(arrays, "id_ends", "i8", (n,), 0, len(arrays["id_bytes"]) + 1, ascending=True)
        elif "ids" in arrays:
            _require(arrays, "ids", "i8", (n,))
        if not isinstance(facts["next_number"], int) or isinstance(facts["next_number"], bool):
            raise ValueError("next_number is no number")
        first, n_words = 0, n_bytes(n_bits) // 8
        for _ in [name for name in arrays if name.startswith("bucket_starts_")]:
            first += _check_buckets(arrays, first, n_words)
        if first > n:
            raise ValueError("it has buckets of more codes than there are")
    except (KeyError, TypeError, ValueError) as error:  # InputError is one
        raise CollectionError(f"{path} is damaged: {type(error).__name__}: {error}", _RESTORE) from None


def _check_buckets(arrays: dict[str, Array], first: int, n_words: int) -> int:
    """Check the buckets of the segment from row `first` on, and return its number of codes."""
    m, n = arrays[f"bucket_rows_{first}"].shape
    _require(arrays, f"bucket_lengths_{first}", "i8", (m,), 1, 33)
    lengths = arrays[f"bucket_lengths_{first}"]
    _require(arrays, f"bucket_starts_{first}", "i8", (m,), 0, 64 * n_words)
    if (arrays[f"bucket_starts_{first}"] + lengths > 64 * n_words).any():
        raise ValueError("its buckets are of more bits than a code has")
    shape = m, 2 ** int(lengths.max()) + 1
    _require(arrays, f"bucket_offsets_{first}", "u4", shape, 0, n + 1, ascending=True)
    _require(arrays, f"bucket_rows_{first}", "u4", (m, n), 0, n)
    _require(arrays, f"bucket_words_{first}", "u8", (m, n * n_words))
    return int(n)


def _require(
    arrays: dict[str, Array],
    name: str,
    dtype: str,
    shape: tuple[int | None, ...],
    least: int | None = None,
    below: int = 0,
    ascending: bool = False,
) -> None:
    array = arrays[name]
    same = [wanted in {size, None} for size, wanted in zip(array.shape, shape, strict=False)]
    right = array.dtype.str[1:] == dtype and len(array.shape) == len(shape) and all(same)
    if right and least is not None and array.size:
        right = bool(array.min() >= least and array.max() < below)
        right = right and not (ascending and (array[..., 1:] < array[..., :-1]).any())
    if not right:
        raise ValueError(f"{name}, {array.dtype} of shape {array.shape}, is not what an index has there")


def _contents(file: Path, content: npt.NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    """Return the table of contents, and where it begins: the end of all arrays."""
    damaged = CollectionError(f"{file} is truncated or damaged", _RESTORE)
    start = bytes(content[:64])
    if not start.startswith(_MAGIC):
        raise CollectionError(f"{file} is not an index of nphash", HINT)
    version = start[len(_MAGIC) :].split(b"\n")[0]
    if not version.isdigit() or int(version) > FORMAT:
        raise CollectionError(
            f"{file} has format {version.decode('ascii', 'replace')}, "
            f"but this nphash {__version__} reads up to {FORMAT}",
            "install a newer nphash",
        )
    place, checksum = np.frombuffer(bytes(content[-16:]), "<u8").tolist() if len(content) >= 32 else (0, 0)
    raw = bytes(content[min(place, len(content)) : -16])
    if zlib.crc32(raw) != checksum or not raw:
        raise damaged
    try:
        facts = json.loads(raw)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(facts, dict) or not isinstance(facts.get("arrays"), dict):
        raise damaged
    return facts, place
