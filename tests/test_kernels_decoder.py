"""The decoder's kernels against softmax and products as they are written."""

import numpy as np
import pytest
import scipy.sparse

from nphash.kernels.decoder import combine, fill_bias, fill_tiles, forward, tile, tile_width, update_tiles
from nphash.kernels.transpose import entries_of, sort_by_word
from nphash.ops import softmax
from nphash.threads import single_threaded_blas

ROWS, BITS, WORDS, WIDTH = 5, 3, 83, 8  # eleven tiles, the last of 3 words


@pytest.fixture(autouse=True)
def one_blas_thread():
    with single_threaded_blas():
        yield


@pytest.fixture(params=[0.0, 100.0], ids=["usual", "a score far above the first"])
def case(rng, request):
    """Random weights, documents, and what `forward` leaves of them, by all tiles at once."""
    z = rng.standard_normal((ROWS, BITS)).astype(np.float32)
    W, b = (
        rng.standard_normal((BITS, WORDS)).astype(np.float32),
        rng.standard_normal(WORDS).astype(np.float32),
    )
    b[40] += request.param
    target = scipy.sparse.random(ROWS, WORDS, 0.1, format="csr", rng=rng, dtype=np.float32)
    entries = entries_of(sort_by_word(target.indptr, target.indices, WORDS), target.data)
    n_tiles = -(-WORDS // WIDTH)
    out = np.empty(WORDS * ROWS, np.float32), np.empty((n_tiles, ROWS), np.float32), np.empty(ROWS)
    vectors = np.empty((ROWS, BITS), np.float32), np.empty((ROWS, BITS), np.float32)
    hits = forward(z, W, b, entries, out, vectors, WIDTH, 0, n_tiles)
    return z, W, b, target, entries, out, vectors, hits


def test_forward(case):
    z, W, b, target, _, (E, shifts, total), (expected, seen), hits = case
    s = z @ W + b  # (B, V)
    np.testing.assert_allclose(shifts[0], s[:, 0], rtol=2e-6)
    assert (shifts[5] > shifts[0] + 69).all() == (b[40] > 50)  # the tile of word 40
    assert np.array_equal(shifts[-1], shifts[5])
    for t, shift in enumerate(shifts):
        i, j = t * WIDTH, min((t + 1) * WIDTH, WORDS)
        np.testing.assert_allclose(
            tile(E, ROWS, i, j), np.exp(s[:, i:j] - shift[:, None]), rtol=2e-5, atol=2e-38
        )
    relative = np.exp(s - shifts[-1][:, None])
    np.testing.assert_allclose(total, relative.sum(axis=1), rtol=2e-6)
    np.testing.assert_allclose(expected, relative @ W.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen, target @ W.T, rtol=1e-4, atol=1e-6)
    assert hits == pytest.approx((target.toarray() * s).sum(), rel=1e-5)


def test_combine_is_forward_over_all_tiles_at_once(case):
    z, W, b, _, entries, (_, whole_shifts, whole_total), (whole, whole_seen), _ = case
    shares, n_tiles = [(0, 3), (3, 6), (6, 9), (9, 11)], len(whole_shifts)
    E, shifts = np.empty(WORDS * ROWS, np.float32), np.empty((n_tiles, ROWS), np.float32)
    totals, (expected, seen) = np.empty((4, ROWS)), np.empty((2, 4, ROWS, BITS), np.float32)
    for k, (first, last) in enumerate(shares):
        forward(z, W, b, entries, (E, shifts, totals[k]), (expected[k], seen[k]), WIDTH, first, last)
    inverse = np.empty((n_tiles, ROWS))
    logs = combine(shifts, totals, expected, seen, 3, inverse)
    np.testing.assert_allclose(logs, np.log(whole_total) + whole_shifts[-1], rtol=1e-6)
    np.testing.assert_allclose(expected[0], whole / whole_total[:, None], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(seen[0], whole_seen, rtol=1e-4, atol=1e-6)
    p, _ = softmax(z.astype(np.float64) @ W + b)
    for t in range(n_tiles):
        i, j = t * WIDTH, min((t + 1) * WIDTH, WORDS)
        np.testing.assert_allclose(
            inverse[t][:, None] * tile(E, ROWS, i, j), p[:, i:j], rtol=3e-5, atol=1e-12
        )


def gradient_of(case):
    """What the gradient kernels take, and the scores' gradient as it is written, (B, V)."""
    z, W, b, target, entries, (E, shifts, total), _, _ = case
    mass = np.asarray(target.sum(axis=1)).ravel()
    factors = (np.exp(shifts - shifts[-1]) * mass / total / ROWS).astype(np.float32)
    p, _ = softmax(z @ W + b)
    return (E, factors, np.float32(1 / ROWS), entries), (mass[:, None] * p - target.toarray()) / ROWS


def test_fill_bias(case):
    scores, ds = gradient_of(case)
    db = np.full(WORDS, np.nan, np.float32)
    for first, last in ((0, 4), (4, 11)):
        fill_bias(scores, db, WIDTH, first, last)
    np.testing.assert_allclose(db, ds.sum(axis=0), atol=1e-6)


def test_fill_tiles_and_update_tiles(case, rng):
    z, W = case[:2]
    scores, ds = gradient_of(case)
    dW = np.full_like(W, np.nan)
    for first, last in ((0, 4), (4, 11)):
        fill_tiles(z, scores, dW, first * WIDTH, WIDTH, first, last)
    np.testing.assert_allclose(dW, z.T @ ds, atol=1e-6)

    # w - rate m / sqrt(v) with beta1 = 0 and beta2 = 1, v = 1: plain gradient descent
    settings = np.array([1, 0.5, 0, 0, 1, 1, 0, 1, 1], np.float32)
    w, m, v = W.copy(), np.zeros_like(W), np.ones_like(W)
    for first, last in ((0, 9), (9, 11)):  # one group of tiles and a bit
        update_tiles(z, scores, w, m, v, settings, WIDTH, first, last)
    np.testing.assert_allclose(w, W - 0.5 * dW, atol=1e-6)
    assert np.array_equal(m, dW)


@pytest.mark.parametrize("bits", [1, 16, 64, 128, 1000])
def test_tiles_are_small_matrices_but_not_slivers(bits):
    width = tile_width(bits)
    assert width % 64 == 0
    assert 64 <= width <= 512
    assert width == 64 or width * 100 * bits <= 1_000_000
