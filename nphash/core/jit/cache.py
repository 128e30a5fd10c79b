"""A content-addressed cache of compiled kernels: right when they change, and for several processes at once.

Numba takes a cached kernel for as old as the file it stands in. But others are copied into it, from other
files beside it and in this folder; so the age of all of them counts here.

And Numba numbers the files of a kernel's versions, names a version in the index, and writes the file then. A
process that reads the index between the two takes what an older kernel has left under that number, and two
that compile different versions at the same time may write the same one: what is then run has another
signature. Here a file has the name of what is in it, and is written before the index.

Numba compiles one kernel at a time, whatever the threads. On a machine without a cache, programs beside this
one compile the slowest kernels (`compiling_beside`); when one of these is needed, its file is waited for.

A cache is a help, no condition: Numba believes what it reads, but a power cut leaves empty and cut files.
Here each ends with its SHA-256; what is not whole is compiled again, and what cannot be kept is not kept.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numba
from numba.core import event
from numba.core.caching import IndexDataCacheFile

LOG = "nphash.core.jit"
LOOK_EVERY = 0.02  # seconds
TELL_AFTER = 1.0
_NOWHERE = subprocess.DEVNULL


_beside: dict[str, subprocess.Popen[bytes]] = {}  # kernel -> the program that compiles it


class KernelFiles(IndexDataCacheFile):  # type: ignore[misc]  # Numba has no types
    """The compiled versions of one kernel: an index by signature and processor, and a file each."""

    def save(self, key: Any, data: Any) -> None:
        """Keep a compiled version, where there is room for it."""
        try:
            self._keep(key, data)
        except OSError as error:
            logging.getLogger(LOG).info("compiled kernels are not kept: %s", error)

    def load(self, key: Any) -> Any:
        """Return a compiled version, None where it is not kept and nobody compiles it."""
        data, program = super().load(key), _beside.get(self._index_name.rpartition("-")[0])
        if data is None and program is not None:
            with _watch.waiting():
                ended = False
                while data is None and not ended:
                    ended = program.poll() is not None  # before the look: it may have written and gone
                    data = super().load(key)
                    time.sleep(0 if data or ended else LOOK_EVERY)
        return data

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


@contextmanager
def compiling_beside(programs: Mapping[str, Sequence[Any]]) -> Iterator[None]:
    """Run programs beside the block, and end them with it; each compiles kernels, which are waited for.

    Programs are Python code, with the kernels. Where the first of these is kept already, whatever its
    signature, nothing is run, nor where one processor would do all the work.
    """
    started: dict[str, subprocess.Popen[bytes]] = {}
    if (os.cpu_count() or 1) > 1 and sys.executable and not any(_is_kept(of[0]) for of in programs.values()):
        for code, kernels in programs.items():
            with suppress(OSError):  # they are a help
                # Modules come from where this process has them: -c would look into the current folder first
                command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"]
                program = subprocess.Popen(command, stdin=_NOWHERE, stdout=_NOWHERE, stderr=_NOWHERE)
                started |= {_name(kernel): program for kernel in kernels}
    _beside.update(started)
    try:
        yield
    finally:
        for name, program in started.items():
            _beside.pop(name, None)
            program.kill()
            program.wait()


def _name(kernel: Any) -> str:
    """Return what the files of a kernel are called by."""
    return str(kernel._cache._cache_file._index_name).rpartition("-")[0]


def _is_kept(kernel: Any) -> bool:
    files = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    return not isinstance(files, KernelFiles) or bool(files._load_index())


class _Watch(event.Listener):  # type: ignore[misc]
    """Logs the first compilation, and later ones that take long; what is kept is none."""

    def __init__(self, message: str) -> None:
        self.message, self.first = message, True
        self._lock, self._depth, self._over = Lock(), 0, Event()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Take the block for a compilation."""
        self.on_start(None)
        try:
            yield
        finally:
            self.on_end(None)

    def on_start(self, event: object) -> None:
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            self._over = Event()
            if self.first:
                logging.getLogger(LOG).info(self.message)
            else:
                Thread(target=self._tell, args=(self._over,), daemon=True).start()
            self.first = False

    def on_end(self, event: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._over.set()

    def _tell(self, over: Event) -> None:
        if not over.wait(TELL_AFTER):
            logging.getLogger(LOG).info(self.message)


_watch = _Watch("")


def announce(cached: bool) -> None:
    """Log compilations of this process, as they take seconds; where they are cached, these are the last."""
    global _watch
    _watch = _Watch("compiling kernels" + ", once" * cached)
    event.register("numba:compile", _watch)
