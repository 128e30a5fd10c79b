"""Adam as the engine runs it: lazy gradients, threads, updates in the background."""

import threading

import numpy as np

from nphash.core.threads import Background, run_tasks
from nphash.engine.optim import (
    PRODUCT_BLOCK,
    UNSTEADY,
    CompiledAdam,
    LazyGradient,
    ProductGradient,
    average_tasks,
)
from nphash.nn import optim

WIDTH = 500
ROWS = PRODUCT_BLOCK // WIDTH  # of a block


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


def test_threads_do_not_change_the_result(rng):
    g = {"W": rng.normal(size=(3, 100_000)).astype(np.float32)}
    results = set()
    for threads in (1, 2, 8):
        params = {"W": np.ones((3, 100_000), dtype=np.float32)}
        CompiledAdam(threads=threads, max_norm=0.5).step(params, g)
        results.add(params["W"].tobytes())
    assert len(results) == 1


def test_the_average_is_that_of_the_equations(rng):
    averages, w = [np.ones((3, 100)), np.ones((3, 100))], rng.normal(size=(3, 100))
    run_tasks(average_tasks(averages[0], w, 0.9), threads=2)
    optim.moving_average(averages[1], w, 0.9)
    np.testing.assert_allclose(*averages, rtol=1e-14)


class Slow(LazyGradient):
    """A gradient of ones whose update waits until it may go on."""

    def __init__(self, background, gate):
        self.shape, self.dtype, self.background, self.gate = (2,), np.dtype(np.float64), background, gate

    def blocks(self):
        return [(0, 2)]

    def fill(self, out, start, stop):
        out[start:stop] = 1

    def update(self, w, m, v, settings, start, stop):
        assert self.gate.wait(30)
        w[start:stop] -= 1


def test_an_update_in_the_background_goes_on_after_the_step():
    background, gate = Background(2), threading.Event()
    params, optimiser = {"W": np.zeros(2)}, CompiledAdam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    assert params["W"].tolist() == [0, 0]
    gate.set()
    optimiser.flush()
    assert params["W"].tolist() == [-1, -1]


def test_gradients_to_be_clipped_are_not_left_to_the_background():
    background, gate = Background(2), threading.Event()
    params = {"W": np.zeros(2)}
    CompiledAdam(max_norm=1.0, t=UNSTEADY).step(params, {"W": Slow(background, gate)})
    assert (params["W"] < 0).all()


def test_a_second_step_waits_for_the_first():
    background, gate = Background(2), threading.Event()
    params, optimiser = {"W": np.zeros(2)}, CompiledAdam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    threading.Timer(0.02, gate.set).start()
    optimiser.step(params, {"W": np.zeros(2)})  # no gradient, and no moments: W stays
    assert params["W"].tolist() == [-1, -1]


def test_after_an_error_nothing_changes_any_more():
    background, gate = Background(2), threading.Event()
    params, optimiser = {"W": np.zeros(2)}, CompiledAdam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    threading.Timer(0.02, gate.set).start()
    optimiser.abandon()
    left = params["W"].copy()  # done or not
    optimiser.flush()
    assert np.array_equal(params["W"], left)
    CompiledAdam().abandon()  # nothing to end
