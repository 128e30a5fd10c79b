"""From texts to word weights that may be larger than memory: on the disk from a certain size on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.store import write_array
from nphash.corpus.shard_files import ENTRIES, writing
from nphash.corpus.shards import Shards
from nphash.text.vectorizer import Vectorizer
from nphash.text.weighting import Counts

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
    texts
        One a document.
    vectorizer
        Is fitted.
    folder
        Where shards go, if there are any; does not exist yet, or is empty.
    limit
        Word counts are kept in memory up to so many bytes.
    entries
        Word weights of a shard.
    beyond
        Raised when the limit is passed, where nothing may go to the disk.

    Returns
    -------
    scipy.sparse.csr_matrix or Shards
        The same weights either way.

    Raises
    ------
    InputError
        As `Vectorizer.fit`.
    CorpusError
        If the folder has something in it, or the disk is full.

    Examples
    --------
    >>> import tempfile
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
        self._size = self._n_files = 0
        self._blocks: list[Counts] = []

    def append(self, block: Counts) -> None:
        self._blocks.append(block)
        self._size += sum(array.nbytes for array in block)
        if self._size > self.limit:
            if self.beyond is not None:
                raise self.beyond
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                while self._blocks:
                    paths = self._paths(self._n_files)
                    for path, array in zip(paths, self._blocks.pop(0), strict=True):
                        write_array(path, array, flush=False)
                    self._n_files += 1

    @property
    def on_disk(self) -> bool:
        """Whether there were too many bytes for the memory."""
        return self._n_files > 0

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
