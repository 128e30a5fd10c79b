"""The decoder's kernels against softmax and products as they are written."""

import numpy as np
import pytest

from helpers.decoding import BITS, KINDS, ROWS, WIDTH, WORDS, decoded
from nphash.engine.kernels.decoder import combine, forward
from nphash.engine.kernels.sign_tables import places_of, sums_for
from nphash.engine.kernels.tiles import Codes, tile
from nphash.nn.ops import softmax

pytestmark = pytest.mark.usefixtures("one_blas_thread")


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def case(rng, request):
    return decoded(rng, *request.param)


def test_forward(case):
    z, W, b, target, _, (E, shifts, total), (expected, seen), hits = case
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
    np.testing.assert_allclose(seen, target @ W.T, rtol=1e-4, atol=1e-6)
    assert hits == pytest.approx((target.toarray() * s).sum(), rel=1e-5)


def test_combine_is_forward_over_all_tiles_at_once(case):
    z, W, b, _, entries, (_, whole_shifts, whole_total), (whole, whole_seen), _ = case
    shares, n_tiles = [(0, 3), (3, 6), (6, 9), (9, 11)], len(whole_shifts)
    E, shifts = np.empty(WORDS * ROWS, np.float32), np.empty((n_tiles, ROWS), np.float32)
    totals, (expected, seen) = np.empty((4, ROWS)), np.empty((2, 4, ROWS, BITS), np.float32)
    for k, (first, last) in enumerate(shares):
        codes, room = Codes(z, places_of(z)), sums_for(places_of(z))
        shifts[first] = z @ W[:, first * WIDTH] + b[first * WIDTH]
        left = (E, shifts, totals[k]), (expected[k], seen[k])
        forward(codes, W, b, entries, *left, room, WIDTH, first, last)
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
