"""Processor instructions that Numba has no name for: count ones, find the lowest, ask for memory.

Each is a plain Python function, used as it stands with ``NUMBA_DISABLE_JIT=1``, and an LLVM
intrinsic for compiled code. LLVM turns ``ctpop`` in a loop into vector instructions where the
processor has them (``vpopcntq``) and into table look-ups or shifts and adds where it has not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from nphash.core.jit._extending import intrinsic, overload

__all__ = ["lowest_one", "popcount", "prefetch"]


def popcount(word: Any) -> int:
    """Return the number of ones in a uint64 word."""
    return int(word).bit_count()


def lowest_one(word: Any) -> int:
    """Return the place of the lowest one in a uint64 word that is not zero."""
    value = int(word)
    return (value & -value).bit_length() - 1


def prefetch(array: Any, i: Any) -> None:
    """Ask for element ``i`` of a one-dimensional array, which will be read soon."""


@intrinsic
def _count_ones(typing: Any, word: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), emit


@intrinsic
def _trailing_zeros(typing: Any, word: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), emit


@overload(popcount)
def _popcount(word: Any) -> Callable[[Any], Any]:
    def compiled(word: Any) -> Any:
        return _count_ones(word)

    return compiled


@overload(lowest_one)
def _lowest_one(word: Any) -> Callable[[Any], Any]:
    def compiled(word: Any) -> Any:
        return _trailing_zeros(word)

    return compiled


@intrinsic
def _fetch(typing: Any, array: Any, i: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        # read, keep in all caches, data
        builder.call(function, [address, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


@overload(prefetch, inline="always")
def _prefetch(array: Any, i: Any) -> Callable[[Any, Any], None]:
    def compiled(array: Any, i: Any) -> None:
        _fetch(array, i)

    return compiled
