"""The decoder's kernels against softmax and products as they are written."""

import numpy as np
import pytest

from helpers.decoding import BITS, KINDS, ROWS, WIDTH, WORDS, decoded, gradient_of
from nphash.engine.kernels.decoder import (
    Latent,
    block_size,
    combine,
    fill_bias,
    fill_tiles,
    forward,
    matrix,
    tile,
    tile_width,
    update_tiles,
)
from nphash.engine.kernels.sign_tables import offsets_of
from nphash.nn.ops import softmax

pytestmark = pytest.mark.usefixtures("one_blas_thread")


def test_tiles_have_these_widths():
    assert [tile_width(n_bits) for n_bits in (8, 64, 1000)] == [512, 128, 64]


@pytest.mark.parametrize("bits", [1, 16, 64, 128, 1000])
def test_tiles_are_small_matrices_but_not_slivers(bits):
    width = tile_width(bits)
    assert width % 64 == 0
    assert 64 <= width <= 512
    assert width == 64 or width * 100 * bits <= 1_000_000
    assert block_size(width, bits) >= 16
    assert block_size(width, bits) == 16 or block_size(width, bits) * width * bits <= 1_000_000


def test_views_of_a_buffer():
    buffer = np.arange(30)
    assert np.array_equal(matrix(buffer, 2, 3), [[0, 1, 2], [3, 4, 5]])
    assert np.array_equal(tile(buffer, 3, 2, 4), [[6, 7], [8, 9], [10, 11]])


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def case(rng, request):
    return decoded(rng, *request.param)


def test_forward(case):
    z, W, b, target, _, (E, shifts, total), (expected, target_sum), hits = case
    s = z @ W + b  # (B, V)
    np.testing.assert_allclose(shifts[0], s[:, 0], rtol=2e-6)
    assert (shifts[5] > shifts[0] + 69).all() == (b[88] > 50)  # the tile of word 88
    assert np.array_equal(shifts[-1], shifts[5])
    for t, shift in enumerate(shifts):
        i, j = t * WIDTH, min((t + 1) * WIDTH, WORDS)
        np.testing.assert_allclose(
            tile(E, ROWS, i, j), np.exp(s[:, i:j] - shift[:, None]), rtol=2e-5, atol=2e-38
        )
    relative = np.exp(s - shifts[-1][:, None])
    last_digit = np.spacing(np.abs(s).max())  # of a score in float32: what an exponential may be off by
    np.testing.assert_allclose(total, relative.sum(axis=1), rtol=2e-6 + last_digit)
    np.testing.assert_allclose(expected, relative @ W.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(target_sum, target @ W.T, rtol=1e-4, atol=1e-6)
    assert hits == pytest.approx((target.toarray() * s).sum(), rel=1e-5)


def test_combine_is_forward_over_all_tiles_at_once(case):
    z, W, b, _, entries, (_, whole_shifts, whole_total), (whole, whole_target), _ = case
    shares, n_tiles = [(0, 3), (3, 6), (6, 9), (9, 11)], len(whole_shifts)
    E, shifts = np.empty(WORDS * ROWS, np.float32), np.empty((n_tiles, ROWS), np.float32)
    totals, (expected, target_sum) = np.empty((4, ROWS)), np.empty((2, 4, ROWS, BITS), np.float32)
    for k, (first, last) in enumerate(shares):
        codes = Latent(z, offsets_of(z))
        shifts[first] = z @ W[:, first * WIDTH] + b[first * WIDTH]
        left = (E, shifts, totals[k]), (expected[k], target_sum[k])
        forward(codes, W, b, entries, *left, WIDTH, first, last)
    inverse = np.empty((n_tiles, ROWS))
    logs = combine(shifts, totals, expected, target_sum, 3, inverse)
    np.testing.assert_allclose(logs, np.log(whole_total) + whole_shifts[-1], rtol=1e-6)
    np.testing.assert_allclose(expected[0], whole / whole_total[:, None], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(target_sum[0], whole_target, rtol=1e-4, atol=1e-6)
    p, _ = softmax(z.astype(np.float64) @ W + b)
    for t in range(n_tiles):
        i, j = t * WIDTH, min((t + 1) * WIDTH, WORDS)
        np.testing.assert_allclose(
            inverse[t][:, None] * tile(E, ROWS, i, j), p[:, i:j], rtol=3e-5, atol=1e-12
        )


def test_fill_bias(case):
    gradient, ds = gradient_of(case)
    db = np.full(WORDS, np.nan, np.float32)
    for first, last in ((0, 4), (4, 11)):
        fill_bias(gradient, db, WIDTH, first, last)
    np.testing.assert_allclose(db, ds.sum(axis=0), atol=1e-6)


def test_fill_tiles_and_update_tiles(case, rng):
    z, W = case[:2]
    gradient, ds = gradient_of(case)
    dW = np.full_like(W, np.nan)
    for first, last in ((0, 4), (4, 11)):
        fill_tiles(Latent(z, offsets_of(z)), gradient, dW, first * WIDTH, WIDTH, first, last)
    np.testing.assert_allclose(dW, z.T @ ds, atol=1e-6)

    # w - rate m / sqrt(v) with beta1 = 0 and beta2 = 1, v = 1: plain gradient descent
    settings = np.array([1, 0.5, 0, 0, 1, 1, 0, 1, 1], np.float32)
    w, m, v = W.copy(), np.zeros_like(W), np.ones_like(W)
    for first, last in ((0, 9), (9, 11)):  # one group of tiles and a bit
        update_tiles(Latent(z, offsets_of(z)), gradient, w, m, v, settings, WIDTH, first, last)
    np.testing.assert_allclose(w, W - 0.5 * dW, atol=1e-6)
    assert np.array_equal(m, dW)
