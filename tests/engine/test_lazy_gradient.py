"""Lazy gradients look like arrays and update by blocks."""

import numpy as np

from nphash.engine.lazy_gradient import BLOCK, ProductGradient
from nphash.engine.optim import CompiledAdam

WIDTH = 500
ROWS = BLOCK // WIDTH  # of a block


def test_it_acts_as_an_array(rng):
    x, dy = rng.standard_normal((1, 2 * ROWS + 3)), rng.standard_normal((1, WIDTH))
    g, whole = ProductGradient(x, dy), x.T @ dy
    assert g.shape == whole.shape
    assert g.dtype == whole.dtype
    np.testing.assert_allclose(g, whole)
    np.testing.assert_allclose(g + whole, 2 * whole)
    np.testing.assert_allclose(whole + g, 2 * whole)
    np.testing.assert_allclose(3 * g - g, 2 * whole)
    np.testing.assert_allclose(np.sqrt(np.square(g).sum()), np.linalg.norm(whole))
    assert np.asarray(g, dtype=np.float32).dtype == np.float32


def test_blocks_cover_all_rows_once():
    g = ProductGradient(np.zeros((1, 2 * ROWS + 3)), np.zeros((1, WIDTH)))
    assert len(g.blocks()) == 3
    numbers = [i for start, stop in g.blocks() for i in range(start, stop)]
    assert numbers == list(range(2 * ROWS + 3))


def test_adam_takes_it_as_it_takes_the_array(rng):
    x, dy = rng.standard_normal((4, ROWS + 3)), rng.standard_normal((4, WIDTH))
    w = rng.standard_normal((ROWS + 3, WIDTH))
    results = []
    for gradient in (ProductGradient(x, dy), x.T @ dy):
        params, adam = {"W": w.copy()}, CompiledAdam()
        for _ in range(3):
            adam.step(params, {"W": gradient})
        results.append((params["W"], adam.m["W"], adam.v["W"]))
    for lazy, dense in zip(*results, strict=True):
        np.testing.assert_allclose(lazy, dense, rtol=1e-10, atol=1e-13)


def test_clipping_sees_the_whole_gradient(rng):
    x, dy = rng.standard_normal((4, 6)), rng.standard_normal((4, 5))
    results = []
    for gradient in (ProductGradient(x, dy), x.T @ dy):
        params, adam = {"W": np.ones((6, 5))}, CompiledAdam(max_norm=0.1, epsilon=1.0)
        adam.step(params, {"W": gradient})
        results.append(params["W"])
    np.testing.assert_allclose(*results, rtol=1e-12)
