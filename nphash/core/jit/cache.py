"""A content-addressed cache of compiled kernels: right when they change, and for several processes at once.

Numba takes a cached kernel for as old as the file it stands in. But others are copied into it, from other
files beside it and in this folder; so the age of all of them counts here.

And Numba numbers the files of a kernel's versions, names a version in the index, and writes the file then. A
process that reads the index between the two takes what an older kernel has left under that number, and two
that compile different versions at the same time may write the same one: what is then run has another
signature. Here a file has the name of what is in it, and is written before the index.

A cache is a help, no condition: Numba believes what it reads, but a power cut leaves empty and cut files.
Here each ends with its SHA-256; what is not whole is compiled again, and what cannot be kept is not kept.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from numba.core.caching import IndexDataCacheFile


class KernelFiles(IndexDataCacheFile):  # type: ignore[misc]  # Numba has no types
    """The compiled versions of one kernel: an index by signature and processor, and a file each."""

    def save(self, key: Any, data: Any) -> None:
        """Keep a compiled version, where there is room for it."""
        try:
            self._keep(key, data)
        except OSError as error:
            logging.getLogger("nphash.core.jit").info("compiled kernels are not kept: %s", error)

    def _keep(self, key: Any, data: Any) -> None:
        """Write a version and then the index; old ones, of kernels that have changed since, are removed."""
        kernel = self._index_name.removesuffix(".nbi")
        content = hashlib.sha256(repr((self._source_stamp, key)).encode()).hexdigest()[:16]
        name = f"{kernel}.{content}.nbc"
        self._save_data(name, data)
        versions = {**self._load_index(), key: name}
        self._save_index(versions)
        for path in Path(self._cache_path).glob(f"{glob.escape(kernel)}.*.nbc"):
            if path.name not in versions.values():
                with suppress(OSError):  # in use, or somebody was faster; who misses it compiles again
                    path.unlink()

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        content = BytesIO()
        yield content
        with super()._open_for_write(filepath) as file:
            file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())

    def _load_index(self) -> dict[Any, str]:
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise FileNotFoundError(name)  # which Numba takes for: compile it
        return super()._load_data(name)


def _is_whole(path: str) -> bool:
    """Return whether a file ends with the SHA-256 of all before."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


def keep_by_content(kernel: Any) -> Any:
    """Let a kernel that Numba caches use `KernelFiles`; return it."""
    try:
        own, files = kernel._cache, kernel._cache._cache_file
        folders = {Path(__file__).parent, Path(kernel.py_func.__code__.co_filename).parent}
        stamp = files._source_stamp, *map(_ages_in, sorted(folders))
        own._cache_file = KernelFiles(own._cache_path, files._index_name.removesuffix(".nbi"), stamp)
    except AttributeError as error:  # these names are Numba's own, and may change
        warnings.warn(
            f"Numba {numba.__version__} caches kernels otherwise than nphash knows ({error}): clear its "
            "cache after a change of nphash, or set NPHASH_CACHE=0",
            RuntimeWarning,
            stacklevel=2,
        )
    return kernel


@cache
def _ages_in(folder: Path) -> tuple[tuple[str, int, int], ...]:
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py")]
    except OSError:  # not a folder: Numba's own stamp has to do
        return ()
    return tuple(sorted((name, about.st_mtime_ns, about.st_size) for name, about in files))


class _FirstCompilation(event.Listener):  # type: ignore[misc]
    """Listens until something is compiled; what comes from the cache is no such event."""

    def __init__(self, message: str) -> None:
        self.message = message

    def on_start(self, event: object) -> None:
        if self.message:
            logging.getLogger("nphash.core.jit").info(self.message)
        self.message = ""

    def on_end(self, event: object) -> None:
        pass


def announce(cached: bool) -> None:
    """Log the first compilation of this process, as it takes seconds; where it is cached, it is the last."""
    event.register("numba:compile", _FirstCompilation("compiling kernels" + ", once" * cached))
