"""Arrays on disk, vouched for by one JSON file, which is replaced when all of them are complete.

The JSON file names every array's file, with its size and checksums, and carries a checksum of itself. `save`
is the whole of how one is replaced. Only files that the JSON file names are ever deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nphash.core.checksums import Blocks, FileRecord, Recorder, record, seal, unseal
from nphash.core.disk import (
    cannot_read,
    flush_folder,
    mode_of,
    neither_confirmed_nor_undone,
    new_file,
    open_file,
    read_bytes,
    replace_text,
    writing,
)
from nphash.core.locks import folder_lock
from nphash.core.typing import Array, Ints
from nphash.errors import CollectionError, DamagedError

MOST_BYTES = 1 << 28  # of a JSON file: an altered one must not make us read it all into memory
WAIT = 60.0  # seconds for another save into the same folder
RESTORE = "restore the file from a copy"
_NAME = re.compile(r"[A-Za-z]\w*(\.\w+)*")
_FILE = re.compile(r"[A-Za-z]\w*(\.\w+)*(-\d+)?\.npy")


# ---------------------------------------------------------------------- one array


def write_array(path: Path, array: Array, flush: bool = True) -> FileRecord:
    """Write an array as a new ``.npy`` file and return its record; `flush` and errors as of `new_file`."""
    with new_file(path, flush) as file:
        return write_to(file, array)


def write_to(file: IO[bytes], array: Array) -> FileRecord:
    """Write header and contents through Python's file: `numpy.save` does not notice every failed write."""
    if array.dtype.hasobject:
        raise ValueError("arrays of objects cannot be saved")
    recorder = Recorder()

    class _Both:
        @staticmethod
        def write(data: bytes) -> None:
            file.write(data)
            recorder.update(data)

    if not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(_Both, np.lib.format.header_data_from_array_1_0(array))
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    _Both.write(memoryview(flat.view(np.uint8)) if flat.size else b"")  # type: ignore[arg-type]
    return recorder.record()


def load_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...], mmap: bool = True) -> Array:
    """Return, or map into memory, a ``.npy`` file that must hold exactly `dtype` and `shape`.

    `DamagedError` if it does not, or is missing: nothing is allocated on the word of an altered header.
    `CollectionError` if the system cannot open it.
    """
    try:
        with open_file(path) as file:  # no pipe or device of a stranger is waited for, and no link followed
            array = _mapped(file, np.dtype(dtype), tuple(shape))
        return array if mmap else np.array(array, order="K")
    except MemoryError:
        raise
    except Exception as error:  # NumPy raises half a dozen kinds for a damaged header
        if isinstance(error, OSError):
            raise cannot_read(path, error) from None
        raise DamagedError(f"{path} is damaged: {error}", RESTORE) from None


def _mapped(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"it is in version {version} of NumPy's format")
    found, in_fortran_order, of_type = read_header[version](file)
    if of_type != dtype or found != shape or dtype.hasobject:
        raise ValueError(f"it holds {of_type} of shape {found}, not {dtype} of {shape}")
    order: Any = "F" if in_fortran_order else "C"
    return np.memmap(file, dtype, "r", file.tell(), shape, order)


class StoredArray:
    """A mapped ``.npy`` file, of which what is read is checked before it is believed.

    `known` is its record where nobody has compared the whole file with it; the rest is as for `load_array`.
    """

    def __init__(
        self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...], known: FileRecord | None
    ) -> None:
        self.unchecked = load_array(path, dtype, shape)
        mapped = getattr(self.unchecked, "_mmap", None)
        self._blocks = Blocks(path, known, mapped) if known else None

    def whole(self) -> Array:
        """Return the array, mapped; `DamagedError` if it is not what was written."""
        if self._blocks:
            self._blocks.check()
        return self.unchecked

    def rows(self, rows: Ints) -> Array:
        """Return a copy of some rows; `DamagedError` if a block of 4 MiB that holds one was altered."""
        if self._blocks and rows.size:
            width = self.unchecked[:1].nbytes
            header = self._blocks.known.size - self.unchecked.nbytes
            self._blocks.check(header + int(rows.min()) * width, header + (int(rows.max()) + 1) * width)
        return self.unchecked[rows]


# ---------------------------------------------------------------------- a JSON file with arrays


@dataclass
class Saved:
    """What was read: facts, and arrays whose bytes `check` compares with what was written."""

    about: dict[str, Any]
    arrays: dict[str, Array]
    stored: list[StoredArray] = field(default_factory=list)

    def check(self) -> None:
        """Check what has not been; `DamagedError` if an array is not what was written."""
        for array in self.stored:
            array.whole()


@dataclass(frozen=True)
class Kind:
    """What a JSON file calls itself, the format it is written in, and how the first format is known."""

    name: str
    version: int
    first: frozenset[str] = frozenset()  # fields of the first format, which had no name, if there was one


#: What ``model.json`` is, in a folder of its own or in a collection, and the file of a vectorizer alone.
MODEL = Kind("nphash model", 2, frozenset({"method", "params", "learned", "arrays"}))
VECTORIZER = Kind("nphash vectorizer", 2)


def read_about(path: Path, kind: Kind) -> dict[str, Any] | None:
    """Return the checked contents of a JSON file; None where there is no such file.

    `DamagedError` if it is broken; `CollectionError` if another program's, of a newer format, or unreadable
    now.
    """
    text = read_bytes(path, MOST_BYTES)
    if text is None:
        return None
    try:
        about = json.loads(text.decode("utf-8")) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        raise DamagedError(f"{path} is no JSON", RESTORE) from None
    if not isinstance(about, dict):
        raise DamagedError(f"{path} holds no {kind.name}", RESTORE)
    version = about.get("format")
    is_first = "kind" not in about and version == 1 and bool(kind.first) and kind.first <= set(about)
    is_newer = isinstance(version, int) and version > kind.version
    if about.get("kind") != kind.name and not is_first and not is_newer:
        raise CollectionError(
            f"{path} is another program's, or damaged: it is no {kind.name}", "choose another folder"
        )
    if not isinstance(version, int) or isinstance(version, bool):
        raise DamagedError(f"{path} is damaged: it states no format", RESTORE)
    if is_newer:
        raise CollectionError(f"{path} holds a {kind.name} of format {version}", "update nphash")
    try:
        return about if is_first else unseal(about)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}", RESTORE) from None


def read(
    path: Path, kind: Kind, *, mmap: bool = True, records: dict[str, FileRecord] | None = None
) -> Saved | None:
    """Return what `save` wrote to `path` and the arrays beside it; None where there is nothing.

    With `mmap` the arrays are mapped. `records` says what others know of those files that they have not
    checked, by name: `Saved.check` does that then. None checks every array here. Errors are those of
    `read_about` and `load_array`.
    """
    about = read_about(path, kind)
    if about is None or "arrays" not in about:
        return None
    saved = Saved(about, {})
    try:
        for name, entry in about["arrays"].items():
            file = path.with_name(_file_of(about, name))
            known = _record_of(about, name) if records is None else records.get(file.name)
            stored = StoredArray(file, np.dtype(entry["dtype"]), tuple(entry["shape"]), known)
            saved.arrays[name] = stored.unchecked
            saved.stored.append(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{path} is damaged: {type(error).__name__}: {error}", RESTORE) from None
    if records is None:
        saved.check()
    if not mmap:
        saved.arrays = {name: np.array(array, order="K") for name, array in saved.arrays.items()}
    return saved


def _file_of(about: dict[str, Any], name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an array")
    if about["format"] > 1:
        file = about["arrays"][name]["file"]
    else:  # the first format had the number of the edition in the names, but for 1
        edition = about.get("edition", 1)
        if not isinstance(edition, int):
            raise ValueError(f"edition {edition!r} is no number")
        file = f"{name}.npy" if edition == 1 else f"{name}-{edition}.npy"
    if not isinstance(file, str) or not _FILE.fullmatch(file):
        raise ValueError(f"{file!r} is no name of an array's file")
    return file


def _record_of(about: dict[str, Any], name: str) -> FileRecord | None:
    return FileRecord.from_json(about["arrays"][name]["record"]) if about["format"] > 1 else None


def save(path: Path, kind: Kind, about: dict[str, Any], arrays: dict[str, Array]) -> list[Path]:
    """Write facts and arrays, completely or not at all, and return the paths of the JSON file and the arrays.

    What is there of the same kind is replaced; `CollectionError` if there is another program's file, or one
    that cannot be read, or nothing can be written.
    """
    folder = path.parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder, f"the {kind.name} in {folder}", WAIT):
            before = read_bytes(path)
            old = read_about(path, kind) or {}
            former = _leftovers_deleted(path, old)
            if old.pop("unfinished", None) is not None:  # a note of files that are gone is not put back
                before = _encode(old) if "arrays" in old else None
            header = {"kind": kind.name, "format": kind.version}
            files = _free_names(path, arrays)
            noted = _encode({**header, **old, "unfinished": list(files.values())})
            new = b""
            try:
                # Noted as ours before the first of them is made, in the JSON file that is there.
                replace_text(path, noted)
                body = _write_arrays({**header, **about}, path, arrays, files)
                _read_back(path, body)
                new = _encode({**body, "former": former} if former else body)
                if len(new) > MOST_BYTES:
                    raise CollectionError(f"{path} would have over {MOST_BYTES:,} bytes", "keep less in it")
                replace_text(path, new)  # from here on the new arrays count
            except BaseException as error:
                if _is_saved(path, new, error):
                    _delete(path, list(former))
                elif not _undo(path, before, noted, list(files.values())) and isinstance(error, OSError):
                    raise neither_confirmed_nor_undone(path, error) from error
                raise
            _delete(path, list(former))
    return [path, *(path.with_name(file) for file in files.values())]


def _encode(body: dict[str, Any]) -> bytes:
    return seal(body).encode("utf-8", "surrogatepass")


def _leftovers_deleted(path: Path, old: dict[str, Any]) -> dict[str, Any]:
    """Delete what a killed save has left; return the files that are to be deleted after this one.

    These are the arrays of the old JSON file, each with its record: where this save is killed too, the next
    deletes those of them that nobody has altered.
    """
    try:
        _delete(path, old.get("unfinished", []))
        for file, entry in old.get("former", {}).items():
            if entry and _is_unaltered(path.with_name(file), FileRecord.from_json(entry)):
                _delete(path, [file])
        return {_file_of(old, name): entry.get("record") for name, entry in old.get("arrays", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{path} is damaged: {type(error).__name__}: {error}", RESTORE) from None


def _is_unaltered(path: Path, known: FileRecord) -> bool:
    try:
        return path.lstat().st_size == known.size and record(path) == known
    except OSError:
        return False


def _free_names(path: Path, arrays: dict[str, Array]) -> dict[str, str]:
    """Return a file name for each array, none of which is taken."""
    taken = {entry.name for entry in path.parent.iterdir()}
    edition = 0
    while True:
        edition += 1
        files = {name: f"{name}.npy" if edition == 1 else f"{name}-{edition}.npy" for name in arrays}
        if taken.isdisjoint(files.values()):
            return files


def _write_arrays(
    body: dict[str, Any], path: Path, arrays: dict[str, Array], files: dict[str, str]
) -> dict[str, Any]:
    """Write the arrays and return what the JSON file says, with an identity that follows from all of it."""
    body["arrays"] = {
        name: {
            "file": files[name],
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "record": write_array(path.with_name(files[name]), array).to_json(),
        }
        for name, array in arrays.items()
    }
    flush_folder(path.parent)
    return {**body, "id": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]}


def _read_back(path: Path, body: dict[str, Any]) -> None:
    """Compare what is on the disk with what was to be written, before what it replaces goes."""
    for name in body["arrays"]:
        file = path.with_name(_file_of(body, name))
        if record(file) != _record_of(body, name):
            raise DamagedError(
                f"{file} is not on the disk as it was written", "nothing was changed; check the disk"
            )


def _is_saved(path: Path, new: bytes, error: BaseException) -> bool:
    """Return whether a save that was stopped is complete: by Ctrl-C just after the JSON file was replaced."""
    try:
        return bool(new) and not isinstance(error, OSError) and read_bytes(path) == new
    except CollectionError:
        return False


def _undo(path: Path, before: bytes | None, noted: bytes, files: list[str]) -> bool:
    """Delete the new files, and then put back what was there; return whether the old state counts again.

    As long as one of the new files is there, the JSON file notes them.
    """
    try:
        if read_bytes(path) not in {before, noted}:
            replace_text(path, noted)
    except OSError:
        return False
    with suppress(OSError):
        _delete(path, files)
        if any(mode_of(path.with_name(file)) is not None for file in files):
            return True
        if before is None:
            path.unlink(missing_ok=True)
        elif read_bytes(path) != before:
            replace_text(path, before)
    return True


def _delete(path: Path, files: list[str]) -> None:
    """Delete files beside `path` that it named; Windows keeps what is mapped."""
    for file in files:
        if _FILE.fullmatch(file):
            with suppress(OSError):
                path.with_name(file).unlink(missing_ok=True)
