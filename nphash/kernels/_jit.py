"""The one decorator through which every kernel is compiled.

* ``nogil``: kernels run side by side in plain Python threads.
* ``error_model="numpy"``: no check for division by zero, without which loops do not vectorise.
* cached on disk where a folder is writable, compiled anew in each process where none is (a
  read-only installation must work, only slower), and also after a change of any kernel.
  ``NPHASH_CACHE=0`` switches the cache off.

``NUMBA_DISABLE_JIT=1`` makes every kernel the plain Python function it is written as.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["jit"]

F = TypeVar("F", bound=Callable[..., Any])

_use_cache = os.environ.get("NPHASH_CACHE", "1") != "0"


def jit(fastmath: bool | set[str] = False, inline: bool = False) -> Callable[[F], F]:
    """Return a decorator that compiles a kernel at its first call.

    Parameters
    ----------
    fastmath
        LLVM flags that this kernel's arithmetic allows, e.g. ``{"contract", "reassoc"}``. Each
        use says in a comment why the result stays right.
    inline
        Copy the function into compiled callers instead of calling it: for small functions of
        many arrays, each of which would otherwise be passed as seven words or more on the stack.
    """

    def decorate(function: F) -> F:
        options = {"nopython": True, "nogil": True, "error_model": "numpy", "fastmath": fastmath}
        if inline:
            options["inline"] = "always"
        if _use_cache:
            try:
                return cast(F, _stamped(numba.jit(cache=True, **options)(function)))
            except RuntimeError:  # Numba found no writable folder for its cache
                pass
        return cast(F, numba.jit(**options)(function))

    return decorate


def _stamped(kernel: Any) -> Any:
    # A cached kernel is as old as the file it stands in, says Numba; but others are copied into it, from
    # other files of this folder. So that a change of any of them counts, all are part of its age.
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _age_of_all())
    return kernel


@cache
def _age_of_all() -> tuple[tuple[str, int, int], ...]:
    try:
        with os.scandir(Path(__file__).parent) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py")]
    except OSError:  # not a folder: Numba's own stamp has to do
        return ()
    return tuple(sorted((name, about.st_mtime_ns, about.st_size) for name, about in files))
