"""Instructions on vectors, against the same on arrays."""

import numpy as np
import pytest

from nphash.core.jit import COMPILED, compiler, emitted, jit

if not COMPILED:
    pytest.skip("kernels are not compiled here", allow_module_level=True)

from nphash.core.jit.emission import BYTES, FloatEmitter, WordEmitter, constant, emitter

DTYPES = {"floats": np.float32, "words": np.uint64}


@pytest.fixture(autouse=True)
def without_cache(monkeypatch):
    """Compile what a test emits: by its text and closure, one test's function is like another's."""
    monkeypatch.setattr(compiler, "_use_cache", False)


def compiled(operation, numbers):
    """A kernel that writes what an operation makes of an array's first rows to its last one."""

    def emit(out, rows):
        out.store(operation(out, rows.start), rows.row(constant(3)))

    @emitted(emit, numbers)
    def change(rows) -> None:
        raise AssertionError("the plain form must not run")

    @jit()
    def run(rows):
        change(rows)

    return run


MOVES = {
    "a vector": (lambda out, start: out.load(start), lambda rows: rows[0]),
    "a vector further": (lambda out, start: out.load(out.plus(start, 1)), lambda rows: rows[1]),
    "by a variable": (lambda out, start: out.load(out.plus(start, constant(2))), lambda rows: rows[2]),
    "one number": (lambda out, start: out.spread(out.load_number(start)), lambda rows: rows[0, 0]),
    "a number further": (lambda out, start: out.spread(out.load_number(start, 5)), lambda rows: rows[0, 5]),
    "a constant": (lambda out, start: out.every(7), lambda rows: 7),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("numbers", DTYPES)
def test_loads_and_stores(rng, numbers, name):
    dtype = DTYPES[numbers]
    flat = rng.integers(0, 2**20, 1 + 4 * BYTES // np.dtype(dtype).itemsize).astype(dtype)
    rows = flat[1:].reshape(4, -1)  # begins where no vector would
    before = rows[:3].copy()
    operation, wanted = MOVES[name]
    compiled(operation, numbers)(rows)
    assert (rows[3] == wanted(before)).all()
    assert np.array_equal(rows[:3], before)


ARITHMETIC = {
    "add": (lambda out, a, b, c: out.add(a, b), lambda a, b, c: a + b),
    "subtract": (lambda out, a, b, c: out.subtract(a, b), lambda a, b, c: a - b),
    "multiply": (lambda out, a, b, c: out.multiply(a, b), lambda a, b, c: a * b),
    "negative": (lambda out, a, b, c: out.negative(a), lambda a, b, c: -a),
    "polynomial": (
        lambda out, a, b, c: out.polynomial(a, b, c),
        lambda a, b, c: a.astype(np.float64) * b + c,
    ),
    "clamp": (lambda out, a, b, c: out.clamp(a, -2.0, 3.0), lambda a, b, c: a.clip(-2, 3)),
    "rounded": (lambda out, a, b, c: out.rounded(a), lambda a, b, c: np.rint(a)),
    "power_of_two": (
        lambda out, a, b, c: out.power_of_two(out.rounded(a), 127, 23),
        lambda a, b, c: 2.0 ** np.rint(a),
    ),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(rng, name):
    operation, wanted = ARITHMETIC[name]
    rows = (5 * rng.standard_normal((4, BYTES // 4))).astype(np.float32)
    before = rows[:3].copy()

    def on_rows(out, start):
        return operation(out, *(out.load(out.plus(start, i)) for i in range(3)))

    compiled(on_rows, "floats")(rows)
    np.testing.assert_allclose(rows[3], wanted(*before), rtol=3e-7, atol=3e-7)
    assert np.array_equal(rows[:3], before)


GATES = {
    "and_": (lambda out, a, b, c: out.and_(a, b), lambda a, b, c: a & b),
    "or_": (lambda out, a, b, c: out.or_(a, b), lambda a, b, c: a | b),
    "xor": (lambda out, a, b, c: out.xor(a, b), lambda a, b, c: a ^ b),
    "xor3": (lambda out, a, b, c: out.xor3(a, b, c), lambda a, b, c: a ^ b ^ c),
    "majority": (lambda out, a, b, c: out.majority(a, b, c), lambda a, b, c: (a & b) | (a & c) | (b & c)),
    "inverse": (lambda out, a, b, c: out.inverse(a), lambda a, b, c: ~a),
}


@pytest.mark.parametrize("ternary", ["as the machine has it", "without"])
@pytest.mark.parametrize("name", GATES)
def test_gates(rng, name, ternary):
    operation, wanted = GATES[name]
    rows = rng.integers(0, 2**64, (4, BYTES // 8), dtype=np.uint64)
    before = rows[:3].copy()

    def on_rows(out, start):
        out = out if ternary != "without" else WordEmitter(out.builder, ternary=False)
        return operation(out, *(out.load(out.plus(start, i)) for i in range(3)))

    compiled(on_rows, "words")(rows)
    assert np.array_equal(rows[3], wanted(*before))


def test_addresses_lengths_loops_and_results():
    def emit(out, array, n, pair):
        builder = out.builder
        moved = builder.sub(array.row(n, array.column(constant(1))), array.start)
        with out.loop(array.lengths[0]) as i:
            out.store(out.every(pair), out.plus(array.start, builder.mul(i, constant(2))))
        return builder.add(moved, builder.mul(array.lengths[1], constant(10**6)))

    @emitted(emit, "floats")
    def change(array, n, pair) -> int:
        raise AssertionError("the plain form must not run")

    @jit()
    def run(array, n):
        return change(array, n, (0, 0, 0))

    whole = np.zeros((3, 40), np.float32)
    assert run(whole[:, 8:], 2) == 2 * 160 + 4 + 32 * 10**6
    assert np.array_equal(np.flatnonzero(whole == 3), [8 + 32 * i + j for i in range(3) for j in range(16)])
    assert (whole == 3).sum() == (whole != 0).sum()


def test_the_emitter_of_floats_asks_nothing_of_the_machine():
    assert isinstance(emitter("floats", None, None), FloatEmitter)
