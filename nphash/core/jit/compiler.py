"""The decorators through which every kernel is compiled, or stays the Python function it is written as.

* ``nogil``: kernels run side by side in plain Python threads.
* ``error_model="numpy"``: no check for division by zero, without which loops do not vectorise.
* cached on disk where a folder is writable, compiled anew in each process where none is (a
  read-only installation must work, only slower), and also after a change of any kernel.
  ``NPHASH_CACHE=0`` switches the cache off.

Nothing is compiled, and Numba never imported, under ``NPHASH_JIT=0`` or ``NUMBA_DISABLE_JIT=1``, and nothing
is where Numba cannot be imported: on a Python or NumPy newer than it knows, a processor without LLVM, in a
browser. `COMPILED` is False then, and callers take the NumPy way that each kernel's caller has.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_without = frozenset(os.environ.get("NPHASH_WITHOUT", "").split(","))
_use_cache = os.environ.get("NPHASH_CACHE", "1") != "0"
_off = [
    f"{name}={value}"
    for name, value in (("NPHASH_JIT", "0"), ("NUMBA_DISABLE_JIT", "1"))
    if os.environ.get(name) == value
]

WHY_NOT = f"switched off by {_off[0]}" if _off else ""
"""Why nothing is compiled; empty if kernels are."""

if not WHY_NOT:
    try:
        import numba
        from numba import types
        from numba.extending import lower_builtin, type_callable

        from nphash.core.jit.cache import announce, keep_by_content
        from nphash.core.jit.emission import Array, emitter

        WHY_NOT = "switched off by Numba's settings" if numba.config.DISABLE_JIT else ""
        announce(cached=_use_cache)
    except Exception as error:  # ImportError, and whatever else a library in the wrong place raises
        WHY_NOT = f"Numba cannot be imported: {(str(error) or type(error).__name__).splitlines()[0]}"

COMPILED = not WHY_NOT
"""Whether kernels are compiled; if not, they are slow, and callers do better with NumPy or SciPy."""


def uses(device: str) -> bool:
    """Return whether a device that makes training fast is used: `benchmarks.devices` measures each.

    ``NPHASH_WITHOUT=fused,background`` switches some off, with a ``NUMBA_CACHE_DIR`` of such a process's own.
    """
    return device not in _without


def jit(fastmath: bool | set[str] = False, inline: bool = False) -> Callable[[F], F]:
    """Return a decorator that compiles a kernel at its first call, where kernels are compiled.

    A comment says why the result stays right with the LLVM flags ``fastmath``. ``inline`` spares compiled
    callers of small functions to pass each array as seven words or more on the stack.
    """

    def decorate(function: F) -> F:
        if not COMPILED:
            return function
        options = {"nopython": True, "nogil": True, "error_model": "numpy", "fastmath": fastmath}
        if inline:
            options["inline"] = "always"
        if _use_cache:
            try:
                kernel = numba.jit(cache=True, **options)(function)
                return cast(F, keep_by_content(kernel) if uses("cache") else kernel)
            except RuntimeError:  # Numba found no writable folder for its cache
                pass
        return cast(F, numba.jit(**options)(function))

    return decorate


def emitted(emit: Callable[..., Any], numbers: str = "words") -> Callable[[F], F]:
    """Return a decorator for a function that says what the instructions do which compiled code has instead.

    ``emit(out, *arguments)`` gets an `Emitter` for vectors of ``"words"`` of 64 bits or ``"floats"`` of 32,
    arrays as `emission.Array`, numbers as 64-bit LLVM values, tuples as their length; it returns an int64 one
    or None.
    """

    def decorate(function: F) -> F:
        if COMPILED:
            _register(function, emit, numbers)
        return function

    return decorate


def _register(function: Callable[..., Any], emit: Callable[..., Any], numbers: str) -> None:
    nothing = inspect.signature(function).return_annotation in (None, "None")
    returns = types.void if nothing else types.int64

    def typer(*arguments: Any) -> Any:
        return returns(*map(_kind, arguments))

    typer.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    type_callable(function)(lambda context: typer)

    @lower_builtin(function, types.VarArg(types.Any))  # type: ignore[untyped-decorator]
    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arguments = [
            Array(context, builder, kind, value) if isinstance(kind, types.Array)
            else kind.count if isinstance(kind, types.UniTuple)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]  # fmt: skip
        result = emit(emitter(numbers, context, builder), *arguments)
        return context.get_dummy_value() if result is None else result


def _kind(kind: Any) -> Any:
    # Numbers of any size become 64 bits; whether they have a sign makes no difference to instructions.
    kind = types.unliteral(kind)
    return kind if isinstance(kind, (types.Array, types.UniTuple)) or kind == types.uint64 else types.int64
