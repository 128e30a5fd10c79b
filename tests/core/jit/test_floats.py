"""Instructions on vectors of floats against arithmetic on arrays."""

import numpy as np
import pytest
from numba import types

from nphash.core.jit._extending import intrinsic
from nphash.core.jit._jit import jit
from nphash.core.jit.emission import address_of
from nphash.core.jit.floats import LANES, FloatEmitter
from nphash.engine.kernels.exponential import exponentials
from nphash.engine.kernels.sparse import COMPILED

pytestmark = pytest.mark.skipif(not COMPILED, reason="instructions need a compiler")

OPERATIONS = {
    "add": lambda out, a, b, c: out.add(a, b),
    "subtract": lambda out, a, b, c: out.subtract(a, b),
    "negative": lambda out, a, b, c: out.negative(a),
    "polynomial": lambda out, a, b, c: out.polynomial(a, b, c),
    "exponential": lambda out, a, b, c: out.exponential(a),
}
WANTED = {
    "add": lambda a, b, c: a + b,
    "subtract": lambda a, b, c: a - b,
    "negative": lambda a, b, c: -a,
    "polynomial": lambda a, b, c: a.astype(np.float64) * b + c,
    "exponential": lambda a, b, c: np.exp(a.astype(np.float64)),
}


def compiled(operation):
    """An operation on the first three rows of an array, which writes the result to the fourth."""

    @intrinsic
    def emitted(typing, rows):
        def emit(context, builder, signature, args):
            out = FloatEmitter(builder)
            start, _ = address_of(context, builder, signature.args[0], args[0])
            result = operation(out, *(out.load(out.plus(start, i)) for i in range(3)))
            out.store(result, out.plus(start, 3))
            return context.get_dummy_value()

        return types.void(rows), emit

    @jit()
    def run(rows):
        emitted(rows)

    return run


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(rng, name):
    rows = (5 * rng.standard_normal((4, LANES))).astype(np.float32)
    before = rows[:3].copy()
    compiled(OPERATIONS[name])(rows)
    np.testing.assert_allclose(rows[3], WANTED[name](*before), rtol=3e-7, atol=3e-7)
    assert np.array_equal(rows[:3], before)


def test_the_exponential_is_that_of_rows():
    run = compiled(OPERATIONS["exponential"])
    for y in np.linspace(-100, 100, 50 * LANES, dtype=np.float32).reshape(50, LANES):
        rows = np.stack([y] * 4)
        run(rows)
        row = y.copy()
        exponentials(row, np.zeros(LANES, np.float32), np.float32(0))
        np.testing.assert_allclose(rows[3], row, rtol=2.4e-7)
