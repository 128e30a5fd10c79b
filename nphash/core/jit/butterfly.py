"""The transpose of a matrix in blocks of sixteen by sixteen numbers, which stay in registers.

A loop reads or writes one number at a time, as one of the two sides is not contiguous. A block is
transposed in four rounds instead: in the round with distance s, rows i and i + s exchange the s by s squares
that do not lie on the diagonal, for s = 8, 4, 2, 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils

from nphash.core.jit._extending import intrinsic, overload
from nphash.core.jit.emission import address_of, constant, length_of
from nphash.core.jit.floats import LANES, FloatEmitter
from nphash.core.typing import Array

__all__ = ["turn_blocks"]


def turn_blocks(source: Array, target: Array) -> None:
    """Write the transpose of ``source`` into ``target``.

    Parameters
    ----------
    source, target
        float32 arrays of shapes (n, k) and (k, n), both contiguous along the second axis; n and k are
        multiples of `LANES`.
    """
    np.copyto(target, source.T)


@intrinsic
def _emit_turn_blocks(typing: Any, source: Any, target: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, lanes = FloatEmitter(builder), constant(LANES)
        given, (from_row, _) = address_of(context, builder, signature.args[0], args[0])
        wanted, (to_row, _) = address_of(context, builder, signature.args[1], args[1])
        counts = [
            builder.udiv(length_of(context, builder, signature.args[0], args[0], axis), lanes)
            for axis in range(2)
        ]
        with cgutils.for_range(builder, counts[0]) as down, cgutils.for_range(builder, counts[1]) as across:
            first = _block(builder, out, given, from_row, down.index, across.index)
            rows = [out.load(builder.add(first, builder.mul(from_row, constant(i)))) for i in range(LANES)]
            first = _block(builder, out, wanted, to_row, across.index, down.index)
            for i, row in enumerate(_turned(out, rows)):
                out.store(row, builder.add(first, builder.mul(to_row, constant(i))))
        return context.get_dummy_value()

    return types.void(source, target), emit


def _block(builder: Any, out: FloatEmitter, start: Any, stride: Any, down: Any, across: Any) -> Any:
    row = builder.mul(builder.mul(down, constant(LANES)), stride)
    return out.plus(builder.add(start, row), across)


def _turned(out: FloatEmitter, rows: list[Any]) -> list[Any]:
    distance = LANES // 2
    while distance > 0:
        upper = [lane if not lane & distance else LANES + lane - distance for lane in range(LANES)]
        lower = [lane + distance if not lane & distance else LANES + lane for lane in range(LANES)]
        for i in range(LANES):
            if not i & distance:
                a, b = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = out.shuffle(a, b, upper), out.shuffle(a, b, lower)
        distance //= 2
    return rows


@overload(turn_blocks)
def _turn_blocks(source: Any, target: Any) -> Callable[..., None]:
    def compiled(source: Any, target: Any) -> None:
        _emit_turn_blocks(source, target)

    return compiled
