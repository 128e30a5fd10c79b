import threading

import numpy as np
import pytest

from helpers import naive
from nphash.core.pool import Background
from nphash.engine.kernels import sparse as kernels
from nphash.engine.lazy_gradient import LazyGradient
from nphash.errors import InputError
from nphash.nn.optim import UNSTEADY, Adam, adam_step, global_norm


def run(optimiser, params, gradients):
    for grads in gradients:
        optimiser.step(params, grads)
    return params


@pytest.fixture
def gradients(rng):
    return [{"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)} for _ in range(5)]


def start():
    return {"W": np.ones((3, 2)), "b": np.zeros(2)}


def test_steps_follow_the_scalar_recursion(gradients):
    params = run(Adam(learning_rate=0.1), start(), gradients)
    for index in np.ndindex(3, 2):
        path = [float(grads["W"][index]) for grads in gradients]
        assert params["W"][index] == pytest.approx(naive.adam_path(1.0, path, 0.1), rel=1e-12)


def test_kernel_and_numpy_path_agree(gradients, monkeypatch):
    fused = run(Adam(learning_rate=0.1, max_norm=1.0), start(), gradients)
    monkeypatch.setattr(kernels, "COMPILED", False)
    plain = run(Adam(learning_rate=0.1, max_norm=1.0), start(), gradients)
    for name in fused:
        np.testing.assert_allclose(fused[name], plain[name], rtol=1e-12)


def test_parameters_change_in_place(gradients):
    params = start()
    before = params["W"]
    Adam().step(params, gradients[0])
    assert params["W"] is before
    assert not np.array_equal(before, np.ones((3, 2)))


def test_first_step_has_the_size_of_the_learning_rate(gradients):
    params = start()
    Adam(learning_rate=0.01).step(params, gradients[0])
    np.testing.assert_allclose(np.abs(params["W"] - 1), 0.01, rtol=1e-5)


def test_a_step_may_have_its_own_rate(gradients):
    params, same = start(), start()
    Adam(learning_rate=1.0).step(params, gradients[0], learning_rate=0.01)
    Adam(learning_rate=0.01).step(same, gradients[0])
    assert np.array_equal(params["W"], same["W"])


def test_clipping_scales_all_gradients_alike(gradients):
    norm = np.sqrt(sum((g**2).sum() for g in gradients[0].values()))
    assert global_norm(gradients[0]) == pytest.approx(norm, rel=1e-12)
    clipped, scaled = Adam(max_norm=norm / 4), Adam()
    clipped.step(start(), gradients[0])
    scaled.step(start(), {name: g / 4 for name, g in gradients[0].items()})
    for name in clipped.m:
        np.testing.assert_allclose(clipped.m[name], scaled.m[name], rtol=1e-12)
        np.testing.assert_allclose(clipped.v[name], scaled.v[name], rtol=1e-12)


def test_small_and_zero_gradients_are_not_clipped(gradients):
    loose, free = Adam(max_norm=1e6), Adam()
    loose.step(start(), gradients[0])
    free.step(start(), gradients[0])
    assert np.array_equal(loose.m["W"], free.m["W"])
    params = start()
    Adam(max_norm=1.0).step(params, {name: 0 * g for name, g in gradients[0].items()})
    assert np.array_equal(params["W"], np.ones((3, 2)))


def test_state_resumes_to_the_same_bytes(gradients):
    whole = run(Adam(), start(), gradients)
    first = Adam()
    params = run(first, start(), gradients[:2])
    second = Adam(m={k: v.copy() for k, v in first.m.items()}, v=dict(first.v), t=first.t)
    resumed = run(second, params, gradients[2:])
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_parameters_without_gradient_stay(gradients):
    params = start()
    Adam().step(params, {"b": gradients[0]["b"]})
    assert np.array_equal(params["W"], np.ones((3, 2)))
    assert not np.array_equal(params["b"], np.zeros(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(gradients, dtype):
    params = {name: value.astype(dtype) for name, value in start().items()}
    optimiser = Adam()
    optimiser.step(params, {name: g.astype(dtype) for name, g in gradients[0].items()})
    assert {a.dtype for group in (params, optimiser.m, optimiser.v) for a in group.values()} == {
        np.dtype(dtype)
    }


def test_threads_do_not_change_the_result(rng):
    g = {"W": rng.normal(size=(3, 100_000)).astype(np.float32)}
    results = set()
    for threads in (1, 2, 8):
        params = {"W": np.ones((3, 100_000), dtype=np.float32)}
        Adam(threads=threads, max_norm=0.5).step(params, g)
        results.add(params["W"].tobytes())
    assert len(results) == 1


def test_minimises_a_quadratic():
    params, optimiser = {"x": np.array([3.0, -2.0])}, Adam(learning_rate=0.1)
    for _ in range(400):
        optimiser.step(params, {"x": 2 * params["x"]})
    assert np.abs(params["x"]).max() < 1e-3


@pytest.mark.parametrize(
    ("grads", "said"),
    [
        ({"c": np.ones(2)}, "no such parameter"),
        ({"b": np.ones(3)}, "shape"),
    ],
)
def test_gradients_that_do_not_fit_are_refused_before_anything_changes(grads, said):
    optimiser, params = Adam(), start()
    with pytest.raises(InputError, match=said):
        optimiser.step(params, grads)
    assert optimiser.t == 0
    assert np.array_equal(params["b"], np.zeros(2))


def test_a_parameter_that_cannot_be_changed_in_place_is_refused():
    with pytest.raises(InputError, match="contiguous"):
        Adam().step({"W": np.ones((2, 4))[:, ::2]}, {"W": np.ones((2, 2))})


def test_readable_step_leaves_its_arguments_alone(rng):
    arrays = [rng.random(4) for _ in range(4)]
    copies = [a.copy() for a in arrays]
    adam_step(*arrays, t=1, learning_rate=0.1)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))


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
    params, optimiser = {"W": np.zeros(2)}, Adam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    assert params["W"].tolist() == [0, 0]
    gate.set()
    optimiser.settle()
    assert params["W"].tolist() == [-1, -1]


def test_gradients_to_be_clipped_are_not_left_to_the_background():
    background, gate = Background(2), threading.Event()
    params = {"W": np.zeros(2)}
    Adam(max_norm=1.0, t=UNSTEADY).step(params, {"W": Slow(background, gate)})
    assert (params["W"] < 0).all()


def test_a_second_step_waits_for_the_first():
    background, gate = Background(2), threading.Event()
    params, optimiser = {"W": np.zeros(2)}, Adam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    threading.Timer(0.02, gate.set).start()
    optimiser.step(params, {"W": np.zeros(2)})  # no gradient, and no moments: W stays
    assert params["W"].tolist() == [-1, -1]


def test_after_an_error_nothing_changes_any_more():
    background, gate = Background(2), threading.Event()
    params, optimiser = {"W": np.zeros(2)}, Adam(t=UNSTEADY, threads=2)
    optimiser.step(params, {"W": Slow(background, gate)})
    threading.Timer(0.02, gate.set).start()
    optimiser.abandon()
    left = params["W"].copy()  # done or not
    optimiser.settle()
    assert np.array_equal(params["W"], left)
    Adam().abandon()  # nothing to end
