"""Loops over rows against the array operations and equations they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from helpers import naive
from nphash.core.jit import jit
from nphash.core.threads import run_tasks
from nphash.engine import optim
from nphash.engine.kernels.rows import (
    LANES,
    add_row,
    add_scaled,
    copy_row,
    csr_times_dense,
    exponentials,
    move_average,
    scale_row,
    set_scaled,
    sum_rows,
    transpose,
)
from nphash.nn.optim import adam_step

OPERATIONS = [
    (copy_row, lambda row, other: other, ()),
    (add_row, lambda row, other: row + other, ()),
    (add_scaled, lambda row, other: row + 3 * other, (3.0,)),
    (set_scaled, lambda row, other: 3 * other, (3.0,)),
]


@pytest.mark.parametrize(("kernel", "operation", "factor"), OPERATIONS)
@pytest.mark.parametrize("size", [0, 1, 37])
def test_they_are_array_operations(rng, kernel, operation, factor, size):
    row, other = rng.standard_normal((2, size))
    expected, before = operation(row, other), other.copy()
    kernel(row, other, *factor)
    np.testing.assert_allclose(row, expected, rtol=1e-14)
    assert np.array_equal(other, before)


def test_scale_row(rng):
    row = rng.standard_normal(9)
    expected = row * 0.3
    scale_row(row, 0.3)
    assert np.array_equal(row, expected)


def test_moving_average(rng):
    average, w = rng.standard_normal((2, 9))
    expected = 0.75 * average + 0.25 * w
    move_average(average, w, 0.75, 0.25)
    np.testing.assert_allclose(average, expected, rtol=1e-14)


@pytest.mark.parametrize("n", range(10))
def test_sum_of_rows(rng, n):
    dense, indices, data = rng.standard_normal((5, 3)), rng.integers(0, 5, n + 2), rng.standard_normal(n + 2)
    target = np.full(3, np.nan)
    sum_rows(indices, data, dense, 1, n + 1, target, n + 2)
    np.testing.assert_allclose(target, data[1:-1] @ dense[indices[1:-1]], atol=1e-13)


def test_small_sums_are_added_to_a_longer_total():
    total, row = np.full(3, 1e8), np.full(3, 0.25, np.float32)
    add_scaled(total, row, np.float32(0.5))
    assert total.tolist() == [1e8 + 0.125] * 3


def step(w, g, m, v, threads=1, **how):
    run_tasks(optim.adam_tasks(w, g, m, v, settings_of(**how).astype(w.dtype)), threads)


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
    monkeypatch.setattr(optim, "BLOCK", 64)  # several blocks, the last one ragged
    g = rng.normal(size=(10, 45)).astype(np.float32)
    results = set()
    for threads in (1, 2, 8):
        w, m, v = np.ones_like(g), np.zeros_like(g), np.zeros_like(g)
        for t in (1, 2):
            step(w, g, m, v, threads, t=t)
        results.add(w.tobytes() + m.tobytes() + v.tobytes())
    assert len(results) == 1


def test_average_tasks_move_towards_the_weights(rng):
    average, w = rng.standard_normal((700, 800)), rng.standard_normal((700, 800))
    expected = 0.75 * average + 0.25 * w
    for task in optim.average_tasks(average, w, 0.75):
        task()
    np.testing.assert_allclose(average, expected, rtol=1e-12)


def exponential_of(values, shift=0.0):
    row = np.array(values, dtype=np.float32)
    exponentials(row, np.zeros_like(row), np.float32(shift))
    return row


def test_relative_error_over_the_whole_range():
    x = np.linspace(-87, 80, 200_001).astype(np.float32)
    np.testing.assert_allclose(exponential_of(x), np.exp(x.astype(np.float64)), rtol=1.5e-7)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-300, 80, width=32), min_size=1, max_size=70), st.floats(-5, 5, width=32))
def test_it_is_the_exponential_of_the_difference(values, shift):
    x = np.array(values, dtype=np.float32) - np.float32(shift)
    expected = np.exp(np.clip(x, -87, 80).astype(np.float64))
    np.testing.assert_allclose(exponential_of(values, shift), expected, rtol=2e-7)


def test_far_below_zero_is_nothing_and_nan_stays():
    assert exponential_of([-1e30, -np.inf, -88]).max() < 2e-38
    with np.errstate(invalid="ignore"):  # Python tells of NaN in a cast, compiled code does not
        assert np.isnan(exponential_of([1, np.nan])).tolist() == [False, True]


def test_far_above_zero_is_large_but_finite():
    assert exponential_of([80, 81, 1e30, np.inf]).tolist() == [exponential_of([80])[0]] * 4


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=70), st.floats(-5, 5, width=32))
def test_bias(values, shift):
    row = np.array(values, dtype=np.float32)
    bias = np.linspace(-1, 1, row.size, dtype=np.float32)
    expected = np.exp(row.astype(np.float64) + bias - shift)
    exponentials(row, bias, np.float32(shift))
    np.testing.assert_allclose(row, expected, rtol=2e-5)  # sums of 50 are rounded by 4e-6


FEW = settings(deadline=None, max_examples=25)


@st.composite
def products(draw):
    n, v, h = draw(st.integers(0, 7)), draw(st.integers(1, 9)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    X = sparse.random_array((n, v), density=0.4, format="csr", rng=rng, dtype=np.float64).astype(dtype)
    index_dtype = draw(st.sampled_from([np.int32, np.int64]))
    X.indptr, X.indices = X.indptr.astype(index_dtype), X.indices.astype(index_dtype)
    return X, rng.normal(size=(v, h)).astype(dtype), rng.normal(size=(n, h)).astype(dtype)


@FEW
@given(products())
def test_product_agrees_with_the_loop_and_with_scipy(problem):
    X, W, _ = problem
    out = csr_times_dense(X.indptr, X.indices, X.data, W)
    assert out.dtype == W.dtype
    assert out.shape == (X.shape[0], W.shape[1])
    tolerance = 1e-5 if W.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out, X @ W, rtol=tolerance, atol=tolerance)
    expected = np.reshape(naive.csr_times_dense(X.indptr, X.indices, X.data, W), out.shape)
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads_gives_the_same_product(rng, dtype):
    # more rows and words than one block, with a ragged last block
    X = sparse.random_array((150, 4500), density=0.002, format="csr", rng=rng, dtype=np.float64).astype(dtype)
    W = rng.normal(size=(4500, 3)).astype(dtype)
    csr = (X.indptr, X.indices, X.data)
    products = {csr_times_dense(*csr, W, threads=threads).tobytes() for threads in (1, 2, 8)}
    assert len(products) == 1
    np.testing.assert_allclose(csr_times_dense(*csr, W), X @ W, rtol=1e-5, atol=1e-5)


def test_rows_may_be_permuted(rng):
    X = sparse.random_array((70, 12), density=0.3, format="csr", rng=rng)
    W, order = rng.normal(size=(12, 4)), rng.permutation(70)
    Y = X[order]
    whole = csr_times_dense(X.indptr, X.indices, X.data, W)
    assert np.array_equal(csr_times_dense(Y.indptr, Y.indices, Y.data, W), whole[order])


def test_repeated_entries_add_up():
    indptr, indices, data = np.array([0, 3]), np.array([1, 1, 0]), np.array([1.0, 2.0, 4.0])
    assert csr_times_dense(indptr, indices, data, np.eye(2)).tolist() == [[4.0, 3.0]]


def test_a_matrix_in_other_memory_order_is_read_right(rng):
    X = sparse.random_array((3, 5), density=0.5, format="csr", rng=rng)
    W = np.asfortranarray(rng.normal(size=(5, 2)))
    np.testing.assert_allclose(csr_times_dense(X.indptr, X.indices, X.data, W), X @ W)


@jit()
def compiled_transpose(source, target):
    transpose(source, target)


@pytest.mark.parametrize("kernel", [transpose, compiled_transpose])
@pytest.mark.parametrize(("down", "across"), [(1, 1), (1, 3), (4, 2)])
def test_blocks_are_transposed(rng, kernel, down, across):
    whole = rng.normal(size=(down * LANES + 2, across * LANES + 5)).astype(np.float32)
    source = whole[2:, 3:-2]  # rows need not follow one another
    target = np.full((across * LANES + 2, down * LANES + 1), 7, np.float32)
    kernel(source, target[1:-1, 1:])
    assert np.array_equal(target[1:-1, 1:], source.T)
    assert (target[0] == 7).all() and (target[-1] == 7).all() and (target[:, 0] == 7).all()
