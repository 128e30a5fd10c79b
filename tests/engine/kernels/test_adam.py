import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from nphash.core.threads import run_tasks
from nphash.engine.kernels import adam as kernels
from nphash.nn.optim import adam_step


def step(w, g, m, v, threads=1, **how):
    run_tasks(kernels.adam_tasks(w, g, m, v, settings_of(**how).astype(w.dtype)), threads)


def settings_of(t, rate=0.01, scale=1.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    numbers = (
        scale,
        rate,
        epsilon,
        beta1,
        1 - beta1,
        beta2,
        1 - beta2,
        1 / (1 - beta1**t),
        1 / (1 - beta2**t),
    )
    return np.array(numbers)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=6),
    st.floats(-10, 10),
    st.floats(1e-4, 1.0),
)
def test_one_parameter_follows_the_scalar_recursion(gradients, start, rate):
    w, m, v = np.array([start]), np.zeros(1), np.zeros(1)
    for t, g in enumerate(gradients, start=1):
        step(w, np.array([g]), m, v, t=t, rate=rate)
    assert w[0] == pytest.approx(naive.adam_path(start, gradients, rate), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_update_agrees_with_the_equation(rng, dtype):
    w, g, m = (rng.normal(size=(4, 5)).astype(dtype) for _ in range(3))
    v = rng.random((4, 5)).astype(dtype)
    expected = adam_step(*(a.astype(np.float64) for a in (w, 0.5 * g, m, v)), t=3, learning_rate=0.01)
    step(w, g, m, v, t=3, scale=0.5)
    for found, wanted in zip((w, m, v), expected, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12 if dtype == np.float64 else 2e-6)


def test_any_number_of_threads_gives_the_same_bytes(rng, monkeypatch):
    monkeypatch.setattr(kernels, "_BLOCK", 64)  # several blocks, the last one ragged
    g = rng.normal(size=(10, 45)).astype(np.float32)
    results, norms = set(), set()
    for threads in (1, 2, 8):
        w, m, v = np.ones_like(g), np.zeros_like(g), np.zeros_like(g)
        for t in (1, 2):
            step(w, g, m, v, threads, t=t)
        results.add(w.tobytes() + m.tobytes() + v.tobytes())
        norms.add(kernels.sum_of_squares(g, threads))
    assert len(results) == len(norms) == 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-1e3, 1e3, width=32), max_size=30))
def test_sum_of_squares(values):
    array = np.array(values, dtype=np.float32)
    assert kernels.sum_of_squares(array, 1) == pytest.approx(sum(float(x) ** 2 for x in array), rel=1e-12)


def test_squares_are_added_in_float64():
    big = np.array([1e20, 1.0], dtype=np.float32)  # the square of the first overflows float32
    assert kernels.sum_of_squares(big, 1) == pytest.approx(1e40, rel=1e-6)


def test_average_tasks_move_towards_the_weights(rng):
    average, w = rng.standard_normal((700, 800)), rng.standard_normal((700, 800))
    expected = 0.75 * average + 0.25 * w
    for task in kernels.average_tasks(average, w, 0.75):
        task()
    np.testing.assert_allclose(average, expected, rtol=1e-12)
