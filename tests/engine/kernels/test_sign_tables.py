"""Sums by pattern against the products they stand for, plain and compiled."""

import numpy as np
import pytest

from nphash.core.jit import jit
from nphash.engine.kernels.sign_tables import (
    LANES,
    PATTERNS,
    add_by_pattern,
    fill_sums,
    look_up,
    offsets_of,
    separate,
    sums_for,
)


@jit()
def compiled_fill(columns, at, sums):
    fill_sums(columns, at, sums)


@jit()
def compiled_look_up(sums, offsets, bias, shifts, at, out, total):
    look_up(sums, offsets, bias, shifts, at, out, total)


@jit()
def compiled_add(ds, at, offsets, sums):
    add_by_pattern(ds, at, offsets, sums)


@jit()
def compiled_separate(sums, out, at):
    separate(sums, out, at)


def codes(rng, n_rows, n_bits):
    z = np.where(rng.random((n_rows, n_bits)) < 0.5, np.float32(-1), np.float32(1))
    offsets = offsets_of(z)
    assert offsets.shape == (n_rows, n_bits // 4)
    return z, offsets


@pytest.mark.parametrize("value", [0, 0.5, -2, np.nan, np.inf])
def test_other_numbers_are_no_signs(rng, value):
    z, _ = codes(rng, 3, 8)
    z[2, 7] = value
    assert offsets_of(z).shape == (3, 0)


@pytest.mark.parametrize("n_bits", [5, 12])
def test_other_lengths_have_no_patterns(rng, n_bits):
    assert offsets_of(np.ones((3, n_bits), np.float32)).shape == (3, 0)


def test_offsets_are_numbered_by_bits(rng):
    z, offsets = codes(rng, 20, 24)
    for row in range(20):
        for group in range(6):
            bits = z[row, 4 * group : 4 * group + 4] > 0
            assert offsets[row, group] == 4 * LANES * (PATTERNS * group + bits @ [1, 2, 4, 8])


def test_sums_begin_where_vectors_do():
    for n_bits in (8, 24, 128):
        sums = sums_for(np.empty((1, n_bits // 4)))
        assert sums.shape == (4 * n_bits, LANES)
        assert sums.ctypes.data % (4 * LANES) == 0
        assert not sums.any()


@pytest.mark.parametrize("fill", [fill_sums, compiled_fill])
@pytest.mark.parametrize("n_bits", [8, 24, 64])
def test_sums_of_all_patterns(rng, fill, n_bits):
    columns = rng.normal(size=(n_bits, 3 * LANES)).astype(np.float32)
    sums = sums_for(np.empty((1, n_bits // 4)))
    fill(columns, LANES, sums)
    for group in range(n_bits // 4):
        for pattern in range(PATTERNS):
            signs = [1 if pattern >> bit & 1 else -1 for bit in range(4)]
            wanted = signs @ columns[4 * group : 4 * group + 4, LANES : 2 * LANES].astype(np.float64)
            np.testing.assert_allclose(sums[PATTERNS * group + pattern], wanted, atol=1e-6)


@pytest.mark.parametrize(("fill", "look"), [(fill_sums, look_up), (compiled_fill, compiled_look_up)])
@pytest.mark.parametrize("n_bits", [8, 40, 128])
def test_looking_up_is_the_exponential_of_a_product(rng, fill, look, n_bits):
    z, offsets = codes(rng, 7, n_bits)
    columns = (rng.normal(size=(n_bits, 3 * LANES)) / 4).astype(np.float32)
    bias, shifts = rng.normal(size=3 * LANES).astype(np.float32), rng.normal(size=7).astype(np.float32)
    sums, out = sums_for(np.empty((1, n_bits // 4))), np.full((7, 3 * LANES), -1, np.float32)
    total = np.zeros((7, LANES), np.float32)
    for at in (LANES, 2 * LANES):
        fill(columns, at, sums)
        look(sums, offsets, bias, shifts, at, out, total)
    wanted = np.exp(z.astype(np.float64) @ columns + bias - shifts[:, None])[:, LANES:]
    np.testing.assert_allclose(out[:, LANES:], wanted, rtol=5e-6)
    assert (out[:, :LANES] == -1).all()  # words that nobody asked for
    np.testing.assert_allclose(total, wanted[:, :LANES] + wanted[:, LANES:], rtol=5e-6)


@pytest.mark.parametrize(("fill", "look"), [(fill_sums, look_up), (compiled_fill, compiled_look_up)])
def test_large_scores_give_large_numbers_and_nan_stays(rng, fill, look):
    columns, sums = np.zeros((8, LANES), np.float32), sums_for(np.empty((1, 2)))
    columns[0, :4] = 1000, -1000, np.nan, 0
    fill(columns, 0, sums)
    out, total = np.empty((1, LANES), np.float32), np.zeros((1, LANES), np.float32)
    offsets = offsets_of(np.ones((1, 8), np.float32))
    with np.errstate(invalid="ignore"):  # plain Python warns of the NaN
        look(sums, offsets, np.zeros(LANES, np.float32), np.zeros(1, np.float32), 0, out, total)
    assert 5e34 < out[0, 0] < 6e34
    assert 0 < out[0, 1] < 2e-38
    assert np.isnan(out[0, 2])
    assert out[0, 3] == 1


@pytest.mark.parametrize(
    ("add", "separated"), [(add_by_pattern, separate), (compiled_add, compiled_separate)]
)
@pytest.mark.parametrize("n_bits", [8, 40, 128])
def test_sums_by_pattern_make_the_gradient(rng, add, separated, n_bits):
    z, offsets = codes(rng, 30, n_bits)
    ds = rng.normal(size=(30, 3 * LANES)).astype(np.float32)
    sums, out = sums_for(np.empty((1, n_bits // 4))), np.full((n_bits, 4 * LANES), 7, np.float32)
    add(ds, LANES, offsets, sums)
    separated(sums, out, 2 * LANES)
    wanted = z.astype(np.float64).T @ ds[:, LANES : 2 * LANES]
    np.testing.assert_allclose(out[:, 2 * LANES : 3 * LANES], wanted, atol=2e-5)
    assert (out[:, : 2 * LANES] == 7).all() and (out[:, 3 * LANES :] == 7).all()
    assert not sums.any()  # ready for the next words
