"""Adam, readable and compiled: both follow the scalar recursion."""

import numpy as np
import pytest

from helpers import naive
from nphash.engine.optim import CompiledAdam
from nphash.errors import InputError
from nphash.nn.optim import Adam, adam_step, global_norm, moving_average

OPTIMISERS = [CompiledAdam, Adam]


@pytest.fixture(params=OPTIMISERS)
def optimiser_class(request):
    return request.param


def run(optimiser, params, gradients):
    for grads in gradients:
        optimiser.step(params, grads)
    return params


@pytest.fixture
def gradients(rng):
    return [{"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)} for _ in range(5)]


def start():
    return {"W": np.ones((3, 2)), "b": np.zeros(2)}


def test_steps_follow_the_scalar_recursion(gradients, optimiser_class):
    params = run(optimiser_class(learning_rate=0.1), start(), gradients)
    for index in np.ndindex(3, 2):
        path = [float(grads["W"][index]) for grads in gradients]
        assert params["W"][index] == pytest.approx(naive.adam_path(1.0, path, 0.1), rel=1e-12)


def test_both_optimisers_agree(gradients):
    fused, plain = (run(cls(learning_rate=0.1, max_norm=1.0), start(), gradients) for cls in OPTIMISERS)
    for name in fused:
        np.testing.assert_allclose(fused[name], plain[name], rtol=1e-12)


def test_parameters_change_in_place(gradients, optimiser_class):
    params = start()
    before = params["W"]
    optimiser_class().step(params, gradients[0])
    assert params["W"] is before
    assert not np.array_equal(before, np.ones((3, 2)))


def test_first_step_has_the_size_of_the_learning_rate(gradients, optimiser_class):
    params = start()
    optimiser_class(learning_rate=0.01).step(params, gradients[0])
    np.testing.assert_allclose(np.abs(params["W"] - 1), 0.01, rtol=1e-5)


def test_a_step_may_have_its_own_rate(gradients, optimiser_class):
    params, same = start(), start()
    optimiser_class(learning_rate=1.0).step(params, gradients[0], learning_rate=0.01)
    optimiser_class(learning_rate=0.01).step(same, gradients[0])
    assert np.array_equal(params["W"], same["W"])


def test_clipping_scales_all_gradients_alike(gradients, optimiser_class):
    norm = np.sqrt(sum((g**2).sum() for g in gradients[0].values()))
    assert global_norm(gradients[0]) == pytest.approx(norm, rel=1e-12)
    clipped, scaled = optimiser_class(max_norm=norm / 4), optimiser_class()
    clipped.step(start(), gradients[0])
    scaled.step(start(), {name: g / 4 for name, g in gradients[0].items()})
    for name in clipped.m:
        np.testing.assert_allclose(clipped.m[name], scaled.m[name], rtol=1e-12)
        np.testing.assert_allclose(clipped.v[name], scaled.v[name], rtol=1e-12)


def test_small_and_zero_gradients_are_not_clipped(gradients, optimiser_class):
    loose, free = optimiser_class(max_norm=1e6), optimiser_class()
    loose.step(start(), gradients[0])
    free.step(start(), gradients[0])
    assert np.array_equal(loose.m["W"], free.m["W"])
    params = start()
    optimiser_class(max_norm=1.0).step(params, {name: 0 * g for name, g in gradients[0].items()})
    assert np.array_equal(params["W"], np.ones((3, 2)))


def test_state_resumes_to_the_same_bytes(gradients, optimiser_class):
    whole = run(optimiser_class(), start(), gradients)
    first = optimiser_class()
    params = run(first, start(), gradients[:2])
    second = optimiser_class(m={k: v.copy() for k, v in first.m.items()}, v=dict(first.v), t=first.t)
    resumed = run(second, params, gradients[2:])
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_parameters_without_gradient_stay(gradients, optimiser_class):
    params = start()
    optimiser_class().step(params, {"b": gradients[0]["b"]})
    assert np.array_equal(params["W"], np.ones((3, 2)))
    assert not np.array_equal(params["b"], np.zeros(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(gradients, dtype, optimiser_class):
    params = {name: value.astype(dtype) for name, value in start().items()}
    optimiser = optimiser_class()
    optimiser.step(params, {name: g.astype(dtype) for name, g in gradients[0].items()})
    assert {a.dtype for group in (params, optimiser.m, optimiser.v) for a in group.values()} == {
        np.dtype(dtype)
    }


def test_minimises_a_quadratic(optimiser_class):
    params, optimiser = {"x": np.array([3.0, -2.0])}, optimiser_class(learning_rate=0.1)
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
def test_gradients_that_do_not_fit_are_refused_before_anything_changes(grads, said, optimiser_class):
    optimiser, params = optimiser_class(), start()
    with pytest.raises(InputError, match=said):
        optimiser.step(params, grads)
    assert optimiser.t == 0
    assert np.array_equal(params["b"], np.zeros(2))


def test_a_parameter_that_cannot_be_changed_in_place_is_refused(optimiser_class):
    with pytest.raises(InputError, match="contiguous"):
        optimiser_class().step({"W": np.ones((2, 4))[:, ::2]}, {"W": np.ones((2, 2))})


def test_readable_step_leaves_its_arguments_alone(rng):
    arrays = [rng.random(4) for _ in range(4)]
    copies = [a.copy() for a in arrays]
    adam_step(*arrays, t=1, learning_rate=0.1)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))


def test_a_gradient_of_several_blocks_is_the_readable_step(monkeypatch, rng):
    monkeypatch.setattr("nphash.nn.optim.BLOCK", 7)
    w, g = rng.normal(size=(2, 5, 6))
    params, optimiser = {"W": w.copy()}, Adam(learning_rate=0.1)
    optimiser.step(params, {"W": g})
    expected, m, v = adam_step(w, g, 0 * w, 0 * w, 1, 0.1)
    np.testing.assert_allclose(params["W"], expected, rtol=1e-12)
    np.testing.assert_allclose(optimiser.m["W"], m, rtol=1e-12)
    np.testing.assert_allclose(optimiser.v["W"], v, rtol=1e-12)


def test_an_average_moves_by_the_share_it_does_not_keep(rng):
    average, w = rng.normal(size=(2, 4)).astype(np.float32)
    expected = 0.75 * average + 0.25 * w
    moving_average(average, w, 0.75)
    assert average.dtype == np.float32
    np.testing.assert_allclose(average, expected, rtol=1e-6)
