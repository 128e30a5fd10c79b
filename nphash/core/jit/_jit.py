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
from typing import Any, TypeVar, cast

import numba

from nphash.core.devices import uses
from nphash.core.jit._cache import keep_safely

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
                kernel = numba.jit(cache=True, **options)(function)
                return cast(F, keep_safely(kernel) if uses("cache") else kernel)
            except RuntimeError:  # Numba found no writable folder for its cache
                pass
        return cast(F, numba.jit(**options)(function))

    return decorate
