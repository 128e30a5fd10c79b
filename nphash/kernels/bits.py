"""Two processor instructions that Numba has no name for: count the ones, and find the lowest one.

Each is a plain Python function, used as it stands with ``NUMBA_DISABLE_JIT=1``, and an LLVM
intrinsic for compiled code. LLVM turns ``ctpop`` in a loop into vector instructions where the
processor has them (``vpopcntq``) and into table look-ups or shifts and adds where it has not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from nphash.kernels._extending import intrinsic, overload

__all__ = ["lowest_one", "popcount"]


def popcount(word: Any) -> int:
    """Return the number of ones in a uint64 word."""
    return int(word).bit_count()


def lowest_one(word: Any) -> int:
    """Return the place of the lowest one in a uint64 word that is not zero."""
    value = int(word)
    return (value & -value).bit_length() - 1


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
