"""Loads, stores and moves of vectors as instructions, against the same on arrays."""

import numpy as np
import pytest
from numba import types

from nphash.core.jit._extending import intrinsic
from nphash.core.jit._jit import jit
from nphash.core.jit.emission import BYTES, address_of, constant, length_of
from nphash.core.jit.floats import FloatEmitter
from nphash.core.jit.vectors import WordEmitter
from nphash.engine.kernels.sparse import COMPILED

pytestmark = pytest.mark.skipif(not COMPILED, reason="instructions need a compiler")

EMITTERS = {np.float32: FloatEmitter, np.uint64: lambda builder: WordEmitter(builder, ternary=False)}
OPERATIONS = {
    "a vector": lambda out, start: out.load(start),
    "a vector further": lambda out, start: out.load(out.plus(start, 1)),
    "a vector further, by a variable": lambda out, start: out.load(out.plus(start, constant(2))),
    "one number": lambda out, start: out.spread(out.load_number(start)),
    "a number further": lambda out, start: out.spread(out.load_number(start, 5)),
    "a constant": lambda out, start: out.every(7),
    "lanes of two": lambda out, start: out.shuffle(
        out.load(start), out.load(out.plus(start, 1)), [i ^ 1 for i in range(lanes(out))]
    ),
    "lanes of the other": lambda out, start: out.shuffle(
        out.load(start), out.load(out.plus(start, 1)), [i + lanes(out) for i in range(lanes(out))]
    ),
}
WANTED = {
    "a vector": lambda rows: rows[0],
    "a vector further": lambda rows: rows[1],
    "a vector further, by a variable": lambda rows: rows[2],
    "one number": lambda rows: rows[0, 0],
    "a number further": lambda rows: rows[0, 5],
    "a constant": lambda rows: 7,
    "lanes of two": lambda rows: rows[0].reshape(-1, 2)[:, ::-1].ravel(),
    "lanes of the other": lambda rows: rows[1],
}


def lanes(out):
    return BYTES // out.width


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", EMITTERS, ids=lambda dtype: dtype.__name__)
def test_operations(rng, dtype, name):
    @intrinsic
    def emitted(typing, rows):
        def emit(context, builder, signature, args):
            out = EMITTERS[dtype](builder)
            start, _ = address_of(context, builder, signature.args[0], args[0])
            out.store(OPERATIONS[name](out, start), out.plus(start, 3))
            return context.get_dummy_value()

        return types.void(rows), emit

    @jit()
    def run(rows):
        emitted(rows)

    numbers = rng.integers(0, 2**20, 1 + 4 * BYTES // np.dtype(dtype).itemsize).astype(dtype)
    rows = numbers[1:].reshape(4, -1)  # begins where no vector would
    before = rows[:3].copy()
    run(rows)
    assert (rows[3] == WANTED[name](before)).all()
    assert np.array_equal(rows[:3], before)


def test_addresses_and_lengths():
    @intrinsic
    def emitted(typing, array, at):
        def emit(context, builder, signature, args):
            kind, array, at = signature.args[0], args[0], args[1]
            start, _ = address_of(context, builder, kind, array)
            column, (down, across) = address_of(context, builder, kind, array, at)
            shape = [length_of(context, builder, kind, array, axis) for axis in range(2)]
            return context.make_tuple(
                builder, signature.return_type, [builder.sub(column, start), down, across, *shape]
            )

        return types.UniTuple(types.int64, 5)(array, types.int64), emit

    @jit()
    def run(array, at):
        return emitted(array, at)

    assert run(np.zeros((5, 7), np.float32)[1:, 2:], 3) == (12, 28, 4, 4, 5)
