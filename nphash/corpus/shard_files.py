"""Shards on the disk: runs of rows of one CSR matrix, three ``.npy`` files each, and a manifest.

``shards.json`` says how many words there are, and for each shard its rows, its entries and the size and
SHA-256 of its files ``shard-000000.indptr.npy`` (int64, from 0), ``.indices.npy`` (int32, ascending within
a row) and ``.data.npy`` (float32, positive). It is written last: without it there are no shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nphash.core.checksums import record as record_of
from nphash.core.checksums import seal, unseal
from nphash.core.csr import ascends, to_csr
from nphash.core.disk import FULL, is_full, replace_text
from nphash.core.store import load_array, write_array
from nphash.core.typing import CSR, Array, MatrixLike
from nphash.errors import CollectionError, CorpusError, DamagedError, InputError

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


class Shard(NamedTuple):
    """A shard's arrays: the first in memory, the others mapped."""

    indptr: Array  # (rows + 1,)
    indices: Array  # (entries,)
    data: Array  # (entries,)


def _path(folder: Path, number: int, kind: str) -> Path:
    return folder / f"shard-{number:06d}.{kind}.npy"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise CorpusError, one sentence about `folder`, in place of an OSError such as that of a full disk."""
    try:
        yield
    except OSError as error:
        problem, hint = error.strerror or str(error), "give another folder"
        if is_full(error):
            room = "word weights take about 8 bytes a word and document, and twice that for a while"
            problem, hint = FULL, f"{room}; make room"
        raise CorpusError(f"cannot write the word weights to {folder}: {problem}", hint) from error


def write_shards(folder: Path, blocks: Iterable[MatrixLike], n_words: int, entries: int = ENTRIES) -> None:
    """Write blocks of rows as shards of so many entries; memory: twice a shard, and a block."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CorpusError(f"{folder} is not empty", "give a new folder for the shards")
    numbered = enumerate(_parts_of_shards(blocks, n_words, entries))
    shards = [asdict(_write_shard(folder, number, parts)) for number, parts in numbered]
    with writing(folder):
        replace_text(folder / MANIFEST, seal({"format": FORMAT, "n_words": n_words, "shards": shards}))


def _parts_of_shards(blocks: Iterable[MatrixLike], n_words: int, entries: int) -> Iterator[list[CSR]]:
    """Cut blocks so that the parts of a shard have up to so many entries; a larger document is one alone."""
    waiting: list[CSR] = []
    space = entries
    for block in blocks:
        rest = _as_stored(block, n_words)
        while rest.shape[0]:
            fitting = int(np.searchsorted(rest.indptr, max(space, 0), side="right")) - 1
            if not waiting:
                fitting = max(fitting, 1)
            if fitting:
                waiting.append(rest[:fitting])
                space -= waiting[-1].nnz
            if fitting < rest.shape[0]:
                yield waiting
                waiting, space = [], entries
            rest = rest[fitting:]
    if waiting:
        yield waiting


def _as_stored(X: MatrixLike, n_words: int) -> Any:
    """Return a block as float32 CSR with sorted, unique indices and positive weights only."""
    from scipy.sparse import csr_matrix, issparse  # not at the top: a search needs no matrix

    block = to_csr(X, "a block") if issparse(X) else csr_matrix(X)
    if block.shape[1] != n_words:
        raise InputError(f"a block has {block.shape[1]} words, the shards {n_words}", "use one vocabulary")
    if not ((block.data >= 0) & (block.data <= LARGEST)).all():
        problem = "a block has weights that are negative, not finite or enormous"
        raise InputError(problem, f"they are from 0 to {LARGEST:g}")
    if not block.data.all() or block.dtype != np.float32:
        block = block.astype(np.float32, copy=True)
        block.eliminate_zeros()
    return block


def _write_shard(folder: Path, number: int, parts: list[CSR]) -> ShardRecord:
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    arrays: dict[str, Array] = {
        "indptr": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        "indices": np.concatenate([part.indices for part in parts]),
        "data": np.concatenate([part.data for part in parts]),
    }
    record = ShardRecord(len(lengths), len(arrays["data"]), {}, {})
    with writing(folder):
        for kind, dtype in KINDS.items():
            file = write_array(_path(folder, number, kind), arrays[kind].astype(dtype, copy=False))
            record.sizes[kind], record.sha256[kind] = file.size, file.sha256
    return record


def read_manifest(folder: Path) -> tuple[int, list[ShardRecord]]:
    """Return the number of words and what is known of each shard, all of whose files are there."""
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
    except CorpusError:
        raise
    except FileNotFoundError:
        problem = f"{folder} holds no shards: it has no {MANIFEST}"
        raise CorpusError(problem, "give a folder that was written to the end, or write it again") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror or error})", "try again") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path} cannot be read ({error})", AGAIN) from None
    for number, record in enumerate(records):
        for kind, size in record.sizes.items():
            _check_size(_path(folder, number, kind), size)
    return n_words, records


def _check_size(path: Path, size: int) -> os.stat_result:
    try:
        found = path.stat()
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        state, hint = ("is missing", AGAIN) if is_missing else ("cannot be read", "try again")
        raise CorpusError(f"the shard file {path} {state} ({error.strerror})", hint) from None
    if found.st_size != size:
        raise CorpusError(f"the shard file {path} has {found.st_size:,} bytes instead of {size:,}", AGAIN)
    return found


def map_shard(folder: Path, number: int, record: ShardRecord, n_words: int, checked: Checked) -> Shard:
    """Map a shard's files into memory; CorpusError if anything is missing, altered or inconsistent.

    Sizes are checked each time. Checksums, and that every index points to a word, are checked when a file
    is first mapped or has changed since, which `checked` remembers: kernels follow an index anywhere.
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
    if indices.size and not 0 <= indices.min() <= indices.max() < n_words:
        return f"it has a word outside of the {n_words:,} there are"
    if not ascends(indices, indptr):
        return "words within a document are not in ascending order"
    if not ((data > 0) & (data <= LARGEST)).all():
        return f"it has a weight that is not above 0 and up to {LARGEST:g}"
    return ""
