"""Documents on the disk instead of in memory: a CSR matrix in shards, of which few are mapped at a time.

`Shards` stands where a matrix of weights does: ``hasher.fit(shards)``, ``hasher.transform(shards)``.
`vectorize` makes them of texts whose weights are larger than the memory for them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from nphash.core.store import write_array
from nphash.core.typing import CSR, Array, MatrixLike
from nphash.corpus import shard_files
from nphash.corpus.shard_files import AGAIN, ENTRIES, Checked, Shard, ShardRecord
from nphash.errors import CorpusError
from nphash.text.weighting import Counts

if TYPE_CHECKING:
    from nphash.text.vectorizer import Vectorizer

#: So many shards are mapped at a time, and an epoch shuffles their rows together.
WINDOW = 8

#: Rows read at once where all are gone through; a multiple of what hashers encode at once.
AT_ONCE = 4096

Rows: TypeAlias = slice | int | Sequence[int] | Array  # an index of rows: also a mask


class Shards:
    """Rows of word weights on the disk.

    ``X[rows]``, with a slice, row numbers or a mask, reads rows as a SciPy CSR matrix; `where` selects
    rows without reading them. At most ``WINDOW`` shards of 8 bytes an entry are mapped at a time, and the
    system may drop mapped pages when others need memory. The files must not change while they are in use:
    checksums and indices are checked when a shard is first read, sizes each time.

    Fitting takes, beside what Python itself needs, at most about

        24 P + 8 B V + 8 WINDOW S + 40 n + 16 (20,000 + 2,000) e  bytes:

    first, current and best weights, the copy being made and two moments of a model of P numbers; a batch
    of B documents (in validation 64) in the decoder, over V words (three times that with
    ``engine="numpy"``); the shards of S entries; row numbers of n documents, their order in the epoch and
    which are held out; the documents of validation, of e words each on average (without labels 2,000 of
    them, not 22,000). Nothing grows with the number of entries, n e.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows and words.
    dtype : numpy.dtype
        Of the weights when read: float32 unless `astype` asks for another.

    Examples
    --------
    >>> import tempfile
    >>> from scipy.sparse import csr_matrix
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X = Shards.write(folder, [csr_matrix([[0.0, 2.0], [1.0, 0.0]])], n_words=2)
    ...     X.shape, X[1:].toarray().tolist()
    ((2, 2), [[1.0, 0.0]])
    """

    def __init__(self, folder: Path, n_words: int, records: list[ShardRecord]) -> None:
        self.folder, self.dtype = folder, np.dtype(np.float32)
        self._mapped = _Mapped(folder, n_words, records)
        self._offsets = np.cumsum([0, *(record.rows for record in records)], dtype=np.int64)
        self._rows: Array | None = None  # ascending row numbers, where not all are selected
        self._ones = False
        self.shape = (int(self._offsets[-1]), n_words)

    @classmethod
    def open(cls, folder: Path | str) -> Shards:
        """Open a folder of shards; CorpusError if it holds none, or some are missing or truncated."""
        return cls(Path(folder), *shard_files.read_manifest(Path(folder)))

    @classmethod
    def write(
        cls, folder: Path | str, blocks: Iterable[MatrixLike], n_words: int, entries: int = ENTRIES
    ) -> Shards:
        """Write blocks of rows, such as ``vectorizer.transform_blocks(texts)`` yields, and open them.

        Parameters
        ----------
        folder
            Does not exist yet, or is empty.
        blocks
            SciPy sparse or dense, each of shape (rows, n_words): finite, none negative.
        n_words, entries
            Number of columns; word weights of a shard.

        Raises
        ------
        CorpusError, InputError
            For a folder that is not empty or cannot be written; for other blocks.
        """
        shard_files.write_shards(Path(folder), blocks, n_words, entries)
        return cls.open(folder)

    def __repr__(self) -> str:
        return f"<Shards {self.folder} of shape {self.shape}>"

    def where(self, mask: Array) -> Shards:
        """Return the rows where `mask`, bool of shape (n,), holds; nothing is read.

        IndexError for what is no such mask, such as integers 0 and 1: as an index they would be row numbers.
        """
        if not isinstance(mask, np.ndarray) or mask.dtype.kind != "b":
            raise IndexError("a mask is an array of bool: give mask.astype(bool)")
        rows = self._numbers(mask)
        selected = rows if self._rows is None else self._rows[rows]
        return _changed(self, _rows=selected, shape=(len(rows), self.shape[1]))

    def astype(self, dtype: DTypeLike, copy: bool = False) -> Shards:
        """Return the same rows with weights to be read as `dtype`."""
        return _changed(self, dtype=np.dtype(dtype))

    def binary(self) -> Shards:
        """Return the same rows with every weight read as 1."""
        return _changed(self, _ones=True)

    def _numbers(self, rows: Rows) -> Array:
        """Return an index of rows as numbers from 0, int64."""
        n = self.shape[0]
        if isinstance(rows, slice):
            return np.arange(*rows.indices(n), dtype=np.int64)
        rows = np.atleast_1d(rows)
        if rows.dtype == bool:
            if rows.shape != (n,):
                raise IndexError(f"the mask has shape {rows.shape} for {n} rows")
            return np.asarray(np.flatnonzero(rows))
        whole = rows.ndim == 1 and (not rows.size or rows.dtype.kind in "iu")
        if not whole or (rows.size and not -n <= rows.min() <= rows.max() < n):
            raise IndexError(f"rows are to be whole numbers below {n}")
        return np.asarray(np.where(rows < 0, rows + n, rows), np.int64)

    def __getitem__(self, rows: Rows) -> Any:
        """Read rows in the order given, as CSR; IndexError for what is no row, CorpusError for damage."""
        from scipy.sparse import csr_matrix

        numbers = self._numbers(rows)
        numbers = numbers if self._rows is None else self._rows[numbers]
        shards = np.searchsorted(self._offsets, numbers, side="right") - 1  # empty shards have no rows
        order = np.argsort(shards, kind="stable")
        lengths, indices, data = self._gather(numbers[order], shards[order])
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if indices.size and not 0 <= indices.min() <= indices.max() < self.shape[1]:
            raise CorpusError(f"the shards in {self.folder} were changed while in use", AGAIN)
        X = csr_matrix((data, indices, indptr), shape=(len(numbers), self.shape[1]))
        X.has_canonical_format = True
        return X if (shards[:-1] <= shards[1:]).all() else X[np.argsort(order, kind="stable")]

    def _gather(self, numbers: Array, shards: Array) -> tuple[Array, Array, Array]:
        """Return (row lengths, indices, data) of rows that are grouped by shard."""
        lengths, indices, data = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, self.dtype)]
        for start, stop in pairwise(np.flatnonzero(np.diff(shards, prepend=-1, append=-1))):
            number = int(shards[start])
            shard = self._mapped[number]
            local = numbers[start:stop] - self._offsets[number]
            begins, ends = shard.indptr[local], shard.indptr[local + 1]
            entries = _ranges(begins, ends - begins)
            lengths.append(ends - begins)
            indices.append(shard.indices[entries])
            data.append(np.ones(entries.size, self.dtype) if self._ones else shard.data[entries])
        return np.concatenate(lengths), np.concatenate(indices), np.concatenate(data, dtype=self.dtype)

    def blocks(self, at_once: int = AT_ONCE) -> Iterator[Any]:
        """Yield all rows in order, so many at once, as CSR matrices."""
        for start in range(0, self.shape[0], at_once):
            yield self[start : start + at_once]

    def _lengths(self) -> Array:
        """Return how many words each row has, int64 of shape (n,); their weights are not read."""
        numbers = range(len(self._mapped.records))
        lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(self._mapped[i].indptr) for i in numbers)])
        return lengths if self._rows is None else np.asarray(lengths[self._rows])

    def shuffled(self, rng: np.random.Generator) -> Array:
        """Return the order in which an epoch goes over the rows, int64 of shape (n,).

        Shards are put in random order and taken ``WINDOW`` at a time; the rows of these are shuffled
        together. So a batch comes from at most two windows, which change from epoch to epoch, and the disk
        is read shard by shard. Up to ``WINDOW`` shards it is ``rng.permutation(n)``, as in memory.
        """
        bounds = self._offsets if self._rows is None else np.searchsorted(self._rows, self._offsets)
        n_shards = len(bounds) - 1
        shards = rng.permutation(n_shards) if n_shards > WINDOW else np.arange(n_shards)
        order = _ranges(bounds[shards], bounds[shards + 1] - bounds[shards])
        ends = np.cumsum(bounds[shards + 1] - bounds[shards])[WINDOW - 1 :: WINDOW]
        for window in np.split(order, ends):  # views
            rng.shuffle(window)
        return order

    def digest(self) -> bytes:
        """Return a checksum of what there is to read: for telling whether two fits learn from the same."""
        digest = hashlib.sha256(f"{self.shape} {self.dtype} {self._ones}".encode())
        for record in self._mapped.records:
            digest.update("".join(record.sha256.values()).encode())
        if self._rows is not None:
            digest.update(self._rows.tobytes())
        return digest.digest()


def _changed(shards: Shards, **attributes: object) -> Shards:
    changed = copy(shards)
    vars(changed).update(attributes)
    return changed


def _ranges(starts: Array, lengths: Array) -> Array:
    """Return the numbers of ranges one after the other: starts 5, 0 and lengths 2, 3 give 5, 6, 0, 1, 2."""
    ends = np.cumsum(lengths)
    numbers: Array = np.arange(ends[-1] if len(ends) else 0)
    numbers += np.repeat(starts - (ends - lengths), lengths)
    return numbers


class _Mapped:
    """The shards of a folder, of which the last few used are mapped; threads may share it."""

    def __init__(self, folder: Path, n_words: int, records: list[ShardRecord]) -> None:
        self.folder, self.n_words, self.records = folder, n_words, records
        self._mapped: OrderedDict[int, Shard] = OrderedDict()
        self._checked: Checked = set()
        self._lock = Lock()

    def __getitem__(self, number: int) -> Shard:
        with self._lock:
            if number not in self._mapped:
                while len(self._mapped) >= WINDOW:
                    self._mapped.popitem(last=False)
                about = number, self.records[number], self.n_words, self._checked
                self._mapped[number] = shard_files.map_shard(self.folder, *about)
            self._mapped.move_to_end(number)
            return self._mapped[number]


def rows_where(X: CSR | Shards, mask: Array) -> Any:
    """Return the rows of a matrix, or of shards without reading them, where `mask` holds."""
    return X.where(mask) if isinstance(X, Shards) else X[mask]


def blocks_of(X: MatrixLike | Shards) -> Iterator[Any]:
    """Yield the rows of shards some thousand at once; a matrix as it is."""
    return X.blocks() if isinstance(X, Shards) else iter((X,))


def count_empty(X: CSR | Shards) -> int:
    """Return how many rows of a CSR matrix, or of shards, have no word."""
    lengths = X._lengths() if isinstance(X, Shards) else np.diff(X.indptr)
    return int((lengths == 0).sum())


# ---------------------------------------------------------------------- from texts

# In memory, counts of c bytes become weights and then two parts of them, to learn from and to validate by,
# with temporary arrays of twice the width on the way: up to 8 c. Half of the memory is for that.
SHARE = 16


def vectorize(
    texts: Iterable[str],
    vectorizer: Vectorizer,
    folder: Path | str,
    limit: int = 0,
    entries: int = ENTRIES,
    beyond: Exception | None = None,
) -> Any:
    """Fit a vectorizer and return the weights of the texts, read once; in memory only up to a size.

    Memory: the distinct words, `limit` bytes, and some 50 MB for the block in work. Disk: 8 bytes for each
    word of each document, and 8 more that are freed while the shards are written.

    Parameters
    ----------
    texts, vectorizer
        One a document, to fit the vectorizer on.
    folder, entries
        Where shards go, if there are any, as of `Shards.write`.
    limit, beyond
        Word counts are kept in memory up to so many bytes; the error, if any, to raise where there are more.

    Returns
    -------
    scipy.sparse.csr_matrix or Shards
        The same weights either way.

    Examples
    --------
    >>> import tempfile
    >>> from nphash.text import Vectorizer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X = vectorize(["wheat ships", "wheat"], Vectorizer(), folder + "/weights")
    ...     X, X[1:].indices.tolist()
    (<Shards ... of shape (2, 2)>, [1])
    """
    folder = Path(folder)
    kept = _Kept(folder.with_name(folder.name + ".counts"), limit, beyond)
    try:
        rows_of = vectorizer.fit_blocks(texts, kept.append)
        blocks = (rows_of(counts) for counts in kept.take())
        if not kept.on_disk:
            from scipy.sparse import vstack

            return vstack(list(blocks), format="csr")
        return Shards.write(folder, blocks, len(vectorizer.vocabulary_), entries)
    finally:
        shutil.rmtree(kept.folder, ignore_errors=True)


class _Kept:
    """Blocks of counts: in memory up to so many bytes, then all on the disk."""

    def __init__(self, folder: Path, limit: int, beyond: Exception | None = None) -> None:
        self.folder, self.limit, self.beyond = folder, limit, beyond
        self.on_disk = False  # whether there were too many bytes for the memory
        self._size = self._n_files = 0
        self._blocks: list[Counts] = []

    def append(self, block: Counts) -> None:
        self._blocks.append(block)
        self._size += sum(array.nbytes for array in block)
        if self._size > self.limit:
            if self.beyond is not None:
                raise self.beyond
            self.on_disk = True
            with shard_files.writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                while self._blocks:
                    paths = self._paths(self._n_files)
                    for path, array in zip(paths, self._blocks.pop(0), strict=True):
                        write_array(path, array, flush=False)
                    self._n_files += 1

    def _paths(self, number: int) -> list[Path]:
        return [self.folder / f"{number}.{name}.npy" for name in Counts._fields]

    def take(self) -> Iterator[Counts]:
        """Yield the blocks in order, each once; what is on the disk is deleted as it is yielded."""
        for paths in map(self._paths, range(self._n_files)):
            yield Counts(*(np.load(path, allow_pickle=False) for path in paths))
            for path in paths:
                path.unlink()
        while self._blocks:
            yield self._blocks.pop(0)


def counts_limit() -> int:
    """Return up to how many bytes word counts stay in memory: a sixteenth of the machine's or container's."""
    sizes = [1 << 33]  # where the system does not say: taken for 8 GB
    with suppress(AttributeError, OSError, ValueError):
        sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" is no number
            sizes.append(int(Path(path).read_text(encoding="ascii")))
    return min(sizes) // SHARE
