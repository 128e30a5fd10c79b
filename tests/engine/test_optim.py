"""Adam as the engine runs it: threads, updates in the background, norms and averages by kernels."""

import threading

import numpy as np

from nphash.engine.background import Background
from nphash.engine.lazy_gradient import LazyGradient
from nphash.engine.optim import UNSTEADY, CompiledAdam, global_norm, move_average
from nphash.nn import optim


def test_threads_do_not_change_the_result(rng):
    g = {"W": rng.normal(size=(3, 100_000)).astype(np.float32)}
    results = set()
    for threads in (1, 2, 8):
        params = {"W": np.ones((3, 100_000), dtype=np.float32)}
        CompiledAdam(threads=threads, max_norm=0.5).step(params, g)
        results.add(params["W"].tobytes())
    assert len(results) == 1


def test_norm_and_average_are_those_of_the_equations(rng):
    grads = {"W": rng.normal(size=(3, 100)), "b": rng.normal(size=7)}
    np.testing.assert_allclose(global_norm(grads, 2), optim.global_norm(grads), rtol=1e-14)
    averages = [np.ones((3, 100)), np.ones((3, 100))]
    move_average(averages[0], grads["W"], 0.9, threads=2)
    optim.moving_average(averages[1], grads["W"], 0.9)
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
