"""The gradient kernels of the decoder against products as they are written."""

import numpy as np
import pytest

from helpers.decoding import KINDS, WIDTH, WORDS, decoded, gradient_of
from nphash.engine.kernels.decoder_gradient import fill_bias, fill_tiles, update_tiles
from nphash.engine.kernels.sign_tables import places_of, sums_for
from nphash.engine.kernels.tiles import Codes

pytestmark = pytest.mark.usefixtures("one_blas_thread")


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def case(rng, request):
    return decoded(rng, *request.param)


def test_fill_bias(case):
    gradient, ds = gradient_of(case)
    db = np.full(WORDS, np.nan, np.float32)
    for first, last in ((0, 4), (4, 11)):
        fill_bias(gradient, db, WIDTH, first, last)
    np.testing.assert_allclose(db, ds.sum(axis=0), atol=1e-6)


def test_fill_tiles_and_update_tiles(case, rng):
    z, W = case[:2]
    gradient, ds = gradient_of(case)
    dW, sums = np.full_like(W, np.nan), sums_for(places_of(z))
    for first, last in ((0, 4), (4, 11)):
        fill_tiles(Codes(z, places_of(z)), gradient, dW, first * WIDTH, sums, WIDTH, first, last)
    np.testing.assert_allclose(dW, z.T @ ds, atol=1e-6)

    # w - rate m / sqrt(v) with beta1 = 0 and beta2 = 1, v = 1: plain gradient descent
    settings = np.array([1, 0.5, 0, 0, 1, 1, 0, 1, 1], np.float32)
    w, m, v = W.copy(), np.zeros_like(W), np.ones_like(W)
    for first, last in ((0, 9), (9, 11)):  # one group of tiles and a bit
        update_tiles(Codes(z, places_of(z)), gradient, w, m, v, settings, sums, WIDTH, first, last)
    np.testing.assert_allclose(w, W - 0.5 * dW, atol=1e-6)
    assert np.array_equal(m, dW)
