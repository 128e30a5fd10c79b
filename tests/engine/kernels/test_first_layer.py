"""Row gradients and steps put off, against products with SciPy and Adam step by step."""

import numpy as np
import pytest
import scipy.sparse

from nphash.engine.kernels.csr_to_csc import entries_of, sort_by_word
from nphash.engine.kernels.first_layer import (
    NEVER,
    catch_up,
    fill_ahead,
    fill_rows,
    fill_table,
    mark,
    take_stale,
    update_rows,
)
from nphash.nn.optim import adam_step


def settings_of(t, rate=0.01, epsilon=1e-8, beta1=0.9, beta2=0.999):
    return [1, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2, 1 / (1 - beta1**t), 1 / (1 - beta2**t)]


def test_fill_rows_is_the_transposed_product(rng):
    X = scipy.sparse.random(6, 15, 0.3, format="csr", rng=rng)
    dh, out = rng.standard_normal((6, 5)), np.zeros((15, 5))
    fill_rows(entries_of(sort_by_word(X.indptr, X.indices, 15), X.data), dh, np.unique(X.indices), out)
    np.testing.assert_allclose(out, X.T @ dh, atol=1e-14)


def test_update_rows_is_adam_on_these_rows_only(rng):
    X = scipy.sparse.random(6, 15, 0.3, format="csr", rng=rng)
    dh, W, m = rng.standard_normal((6, 5)), rng.standard_normal((15, 5)), rng.standard_normal((15, 5))
    v = rng.random((15, 5))
    expected = adam_step(W, X.T @ dh, m, v, 3, 0.01)
    rows = np.array([2, 7])
    arrays = W.copy(), m.copy(), v.copy()
    entries = entries_of(sort_by_word(X.indptr, X.indices, 15), X.data)
    plan, table = np.array([settings_of(3)]), np.empty((2, 4))
    fill_ahead(plan, table)
    gaps = np.zeros(15, np.uint8)
    gaps[2] = 1  # to be needed in the next step is to do no other step before
    update_rows(entries, dh, rows, *arrays, plan[0], gaps, table)
    for before, now, wanted in zip((W, m, v), arrays, expected, strict=True):
        np.testing.assert_allclose(now[rows], wanted[rows], rtol=1e-12)
        others = np.setdiff1d(np.arange(15), rows)
        assert np.array_equal(now[others], before[others])


@pytest.mark.parametrize("size", [1.0, 1e-7, 1e-10])  # the last: epsilon is larger than sqrt(v)
@pytest.mark.parametrize("t", [100, 10_000])
def test_update_rows_goes_on_until_the_next_use(rng, size, t):
    steps = 16
    W, m, v = rng.standard_normal((3, 5)), size * rng.standard_normal((3, 5)), size**2 * rng.random((3, 5))
    dh = size * rng.standard_normal((1, 5))
    plan = np.array([settings_of(t + i, rate=0.01 * (i + 1)) for i in range(steps)])
    table, gaps = np.empty((steps + 1, 4)), np.array([0, 3, 16], np.uint8)
    fill_ahead(plan, table)
    arrays = W.copy(), m.copy(), v.copy()
    entries = np.array([0, 1, 2, 3]), np.zeros(3, int), np.array([1.0, 2.0, 3.0])
    update_rows(entries, dh, np.arange(3), *arrays, plan[0], gaps, table)
    for row, total in enumerate([1, 3, 16]):
        wanted = W[row], m[row], v[row]
        for i in range(total):
            g = (row + 1) * dh[0] if i == 0 else 0.0
            wanted = adam_step(wanted[0], g, *wanted[1:], t + i, 0.01 * (i + 1))
        moved = np.abs(wanted[0] - W[row]).max()
        np.testing.assert_allclose(arrays[0][row], wanted[0], rtol=0, atol=3e-3 * moved)
        np.testing.assert_allclose(arrays[1][row], wanted[1], rtol=1e-10)
        np.testing.assert_allclose(arrays[2][row], wanted[2], rtol=1e-10)
        if size == 1.0 or total == 1:  # nothing but rounding where epsilon does not matter
            np.testing.assert_allclose(arrays[0][row], wanted[0], rtol=0, atol=1e-7 * moved)


def test_rows_marked_are_done_until_their_next_use():
    done = np.array([NEVER, 5, 5, 7])
    mark(np.array([0, 1, 2]), np.array([0, 1, 4, 9], np.uint8), 5, done)
    assert done.tolist() == [6, 6, 9, 7]


def test_take_stale_takes_each_row_once():
    done = np.array([3, NEVER, 5, 9, 0])
    stale, since = np.empty(6, int), np.empty(6, int)
    n = take_stale(np.array([4, 0, 1, 4, 2, 3]), done, 5, stale, since)
    assert stale[:n].tolist() == [4, 0]
    assert since[:n].tolist() == [0, 3]
    assert done.tolist() == [5, NEVER, 5, 9, 5]


@pytest.mark.parametrize("size", [1.0, 1e-7, 1e-10])  # the last: epsilon is larger than sqrt(v)
@pytest.mark.parametrize("t", [100, 10_000])
def test_catch_up_is_adam_without_gradient(rng, size, t):
    steps = 40
    W, m, v = rng.standard_normal((3, 5)), size * rng.standard_normal((3, 5)), size**2 * rng.random((3, 5))
    history = np.array([settings_of(t + i, rate=0.01 * (i + 1)) for i in range(steps)])
    table = np.empty((steps + 1, 4))
    fill_table(history, steps, table)
    arrays = W.copy(), m.copy(), v.copy()
    catch_up(*arrays, np.array([0, 1]), np.array([0, 33]), table)
    for row, first in enumerate([0, 33]):
        wanted = W[row], m[row], v[row]
        for i in range(first, steps):
            wanted = adam_step(wanted[0], 0.0, *wanted[1:], t + i, 0.01 * (i + 1))
        moved = np.abs(wanted[0] - W[row]).max()
        np.testing.assert_allclose(arrays[0][row], wanted[0], rtol=0, atol=3e-3 * moved)
        np.testing.assert_allclose(arrays[1][row], wanted[1], rtol=1e-10)
        np.testing.assert_allclose(arrays[2][row], wanted[2], rtol=1e-10)
        if size == 1.0:  # nothing but rounding where epsilon does not matter
            np.testing.assert_allclose(arrays[0][row], wanted[0], rtol=0, atol=1e-7 * moved)
    assert np.array_equal(arrays[0][2], W[2])


@pytest.mark.parametrize("t", [1, 50])
def test_a_single_step_is_exact_at_any_time(rng, t):
    W, m, v = rng.standard_normal((2, 5)), rng.standard_normal((2, 5)), 1e-20 * rng.random((2, 5))
    table = np.empty((2, 4))
    fill_table(np.array([settings_of(t)]), 1, table)
    wanted = adam_step(W, 0.0, m, v, t, 0.01)
    catch_up(W, m, v, np.arange(2), np.zeros(2, int), table)
    for now, expected in zip((W, m, v), wanted, strict=True):
        np.testing.assert_allclose(now, expected, rtol=1e-12)
