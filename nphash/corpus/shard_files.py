"""Shards on the disk: runs of rows of one CSR matrix, three ``.npy`` files each, and a manifest.

``shards.json`` says how many words there are, and for each shard its rows, its entries and the size and
SHA-256 of its files ``shard-000000.indptr.npy`` (int64, from 0), ``.indices.npy`` (int32, ascending within
a row) and ``.data.npy`` (float32, positive). It is written last: without it there are no shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

from nphash.core.checksums import record as record_of
from nphash.core.checksums import seal, unseal
from nphash.core.csr import to_csr
from nphash.core.disk import FULL, is_full, replace_text
from nphash.core.store import load_array, write_array
from nphash.core.typing import Array, MatrixLike
from nphash.errors import CollectionError, CorpusError, DamagedError, InputError

__all__ = [
    "ENTRIES",
    "KINDS",
    "MANIFEST",
    "Shard",
    "ShardRecord",
    "ShardWriter",
    "map_shard",
    "read_manifest",
    "writing",
]


AGAIN = "write the shards again"  # what to do about damage

FORMAT = 1
MANIFEST = "shards.json"
KINDS: dict[str, np.dtype[Any]] = {
    "indptr": np.dtype(np.int64),
    "indices": np.dtype(np.int32),
    "data": np.dtype(np.float32),
}

#: Word weights of a shard, 16 MB of them, unless one document has more.
ENTRIES = 1 << 21

LARGEST = 1e15  # as for documents in memory: squares of larger weights overflow in float32
MOST_WORDS = 2**24

Checked: TypeAlias = set[tuple[int, ...]]  # numbers of shards and times at which their files were changed


@dataclass(frozen=True)
class ShardRecord:
    """The manifest's entry of a shard."""

    rows: int
    entries: int
    sizes: dict[str, int]
    sha256: dict[str, str]


@dataclass(frozen=True)
class Shard:
    """A shard's arrays: the first in memory, the others mapped."""

    indptr: Array  # (rows + 1,)
    indices: Array  # (entries,)
    data: Array  # (entries,)


def _path(folder: Path, number: int, kind: str) -> Path:
    return folder / f"shard-{number:06d}.{kind}.npy"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a full disk or a missing permission raises into one sentence about `folder`.

    Raises
    ------
    CorpusError
        In place of the OSError.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            problem = FULL
            hint = (
                "word weights take about 8 bytes a word and document, and twice that for a while; make room"
            )
        else:
            problem, hint = error.strerror or str(error), "give another folder"
        raise CorpusError(f"cannot write the word weights to {folder}: {problem}", hint) from error


class ShardWriter:
    """Write the rows of a matrix block by block into a new folder; leaving the ``with`` block completes it.

    Memory: twice a shard, and the block given.

    Parameters
    ----------
    folder
        Does not exist yet, or is empty.
    n_words
        Number of columns.
    entries
        Word weights of a shard.

    Raises
    ------
    CorpusError
        If the folder has something in it, or cannot be written.
    """

    def __init__(self, folder: Path | str, n_words: int, entries: int = ENTRIES) -> None:
        self.folder, self.n_words, self.entries = Path(folder), n_words, entries
        self.records: list[ShardRecord] = []
        self._waiting: list[Any] = []
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise CorpusError(f"{self.folder} is not empty", "give a new folder for the shards")

    def append(self, X: MatrixLike) -> None:
        """Write the rows of a block, SciPy sparse or dense, shape (rows, n_words).

        Raises
        ------
        InputError
            For another number of words, or weights that are negative or no finite numbers.
        """
        rest = _checked(X, self.n_words)
        while rest.shape[0]:
            space = self.entries - sum(block.nnz for block in self._waiting)
            fitting = int(np.searchsorted(rest.indptr, space, side="right")) - 1
            if fitting == 0 and not self._waiting:
                fitting = 1  # one document larger than a shard
            if fitting:
                self._waiting.append(rest[:fitting])
            if fitting < rest.shape[0]:
                self._write()
            rest = rest[fitting:]

    def _write(self) -> None:
        """Write what is waiting as one shard."""
        blocks, self._waiting = self._waiting, []
        lengths = np.concatenate([np.diff(block.indptr) for block in blocks])
        arrays: dict[str, Array] = {
            "indptr": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            "indices": np.concatenate([block.indices for block in blocks]),
            "data": np.concatenate([block.data for block in blocks]),
        }
        sizes, sha256 = {}, {}
        for kind, array in arrays.items():
            path = _path(self.folder, len(self.records), kind)
            with writing(self.folder):
                written = write_array(path, array.astype(KINDS[kind], copy=False))
                sizes[kind], sha256[kind] = written.size, written.sha256
        self.records.append(ShardRecord(len(lengths), len(arrays["data"]), sizes, sha256))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        if self._waiting:
            self._write()
        about = {
            "format": FORMAT,
            "n_words": self.n_words,
            "shards": [asdict(record) for record in self.records],
        }
        with writing(self.folder):
            replace_text(self.folder / MANIFEST, seal(about))


def _checked(X: MatrixLike, n_words: int) -> Any:
    """Return a block as float32 CSR with sorted, unique indices and positive weights only."""
    from scipy.sparse import csr_matrix, issparse  # not at the top: a search needs no matrix

    block = to_csr(X, "a block") if issparse(X) else csr_matrix(X)
    if block.shape[1] != n_words:
        raise InputError(f"a block has {block.shape[1]} words, the shards {n_words}", "use one vocabulary")
    if not (np.isfinite(block.data).all() and (block.data >= 0).all() and (block.data <= LARGEST).all()):
        raise InputError(
            "a block has weights that are negative, not finite or enormous", f"they are from 0 to {LARGEST:g}"
        )
    if not block.data.all() or block.dtype != np.float32:
        block = block.astype(np.float32, copy=True)
        block.eliminate_zeros()
    return block


def read_manifest(folder: Path) -> tuple[int, list[ShardRecord]]:
    """Return the number of words and what is known of each shard; that no file is missing or short.

    Raises
    ------
    CorpusError
        If there are no shards, of a newer format, or some are missing or truncated.
    """
    path = folder / MANIFEST
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] > FORMAT:
            raise CorpusError(f"{folder} holds shards of format {about['format']}", "update nphash")
        about = unseal(about) if "checksum" in about else about  # the first versions had none
        n_words = about["n_words"]
        records = [ShardRecord(**entry) for entry in about["shards"]]
        numbers = [n_words, *(number for record in records for number in (record.rows, record.entries))]
        if not all(isinstance(number, int) and number >= 0 for number in numbers) or n_words > MOST_WORDS:
            raise ValueError("a number is out of range")
        if not all(set(record.sizes) == set(record.sha256) == set(KINDS) for record in records):
            raise ValueError("a shard does not have three files")
    except FileNotFoundError:
        raise CorpusError(
            f"{folder} holds no shards: it has no {MANIFEST}",
            "give a folder that was written to the end, or write it again",
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror or error})", "try again") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{path} cannot be read ({error})", AGAIN) from None
    for number, record in enumerate(records):
        for kind, size in record.sizes.items():
            _check_size(_path(folder, number, kind), size)
    return n_words, records


def _check_size(path: Path, size: int) -> os.stat_result:
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise CorpusError(f"the shard file {path} is missing ({error.strerror})", AGAIN) from None
    except OSError as error:
        raise CorpusError(f"the shard file {path} cannot be read ({error.strerror})", "try again") from None
    if found.st_size != size:
        raise CorpusError(f"the shard file {path} has {found.st_size:,} bytes instead of {size:,}", AGAIN)
    return found


def map_shard(folder: Path, number: int, record: ShardRecord, n_words: int, checked: Checked) -> Shard:
    """Map a shard's files into memory.

    Sizes are checked each time. Checksums, and that every index points to a word, are checked when a file
    is first mapped or has changed since: kernels follow an index to wherever it leads.

    Parameters
    ----------
    checked
        Which files, in which state, have been checked; added to.

    Raises
    ------
    CorpusError
        If anything is missing, altered or inconsistent.
    """
    paths = {kind: _path(folder, number, kind) for kind in KINDS}
    changed = [_check_size(path, record.sizes[kind]).st_mtime_ns for kind, path in paths.items()]
    known = (number, *changed) in checked
    for kind, path in paths.items():
        if not known and record_of(path).sha256 != record.sha256[kind]:
            raise CorpusError(f"the shard file {path} is damaged: its checksum differs", AGAIN)
    shard = Shard(**{kind: _array(path, kind, record) for kind, path in paths.items()})
    if not known:
        problem = _problem(shard, record, n_words)
        if problem:
            raise CorpusError(f"shard {number} of {folder} is damaged: {problem}", AGAIN)
        checked.add((number, *changed))
    return shard


def _array(path: Path, kind: str, record: ShardRecord) -> Array:
    shape = (record.rows + 1 if kind == "indptr" else record.entries,)
    try:
        array = load_array(path, KINDS[kind], shape, mmap=kind != "indptr")
    except CollectionError as error:
        hint = AGAIN if isinstance(error, DamagedError) else error.hint
        raise CorpusError(f"the shard file {error.problem}", hint) from None
    return np.asarray(array)  # a plain view: indexing np.memmap is slow


def _problem(shard: Shard, record: ShardRecord, n_words: int) -> str:
    """Return what is wrong with a shard's contents, in words, or nothing."""
    indptr, indices, data = shard.indptr, shard.indices, shard.data
    if indptr[0] != 0 or indptr[-1] != record.entries or (np.diff(indptr) < 0).any():
        return "its rows do not follow each other"
    if indices.size == 0:
        return ""
    if indices.min() < 0 or indices.max() >= n_words:
        return f"it has a word outside of the {n_words:,} there are"
    steps = np.diff(indices) > 0
    starts = indptr[1:-1]
    steps[starts[(starts > 0) & (starts < indices.size)] - 1] = True  # from one row to the next
    if not steps.all():
        return "words within a document are not in ascending order"
    if not ((data > 0) & (data <= LARGEST)).all():
        return f"it has a weight that is not above 0 and up to {LARGEST:g}"
    return ""
