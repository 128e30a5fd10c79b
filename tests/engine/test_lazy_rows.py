"""Lazily updated rows against Adam on all rows at every step, and the next uses of rows."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.engine.compiled import CompiledEngine, sort_by_word
from nphash.engine.kernels.decoder import Entries
from nphash.engine.lazy_rows import (
    NEVER,
    STEPS,
    LookAhead,
    catch_up,
    collect_stale_rows,
    fill_ahead,
    fill_table,
    looked_ahead,
    record_step,
    update_rows,
)
from nphash.engine.optim import UNSTEADY, CompiledAdam
from nphash.errors import InputError
from nphash.nn.optim import adam_step


def settings_of(t, rate=0.01, epsilon=1e-8, beta1=0.9, beta2=0.999):
    return [1, rate, epsilon, beta1, 1 - beta1, beta2, 1 - beta2, 1 / (1 - beta1**t), 1 / (1 - beta2**t)]


def test_update_rows_is_adam_on_these_rows_only(rng):
    X = scipy.sparse.random(6, 15, 0.3, format="csr", rng=rng)
    dh, W, m = rng.standard_normal((6, 5)), rng.standard_normal((15, 5)), rng.standard_normal((15, 5))
    v = rng.random((15, 5))
    expected = adam_step(W, X.T @ dh, m, v, 3, 0.01)
    rows = np.array([2, 7])
    arrays = W.copy(), m.copy(), v.copy()
    starts, documents, positions = sort_by_word(X)
    entries = Entries(starts, documents, X.data[positions])
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
    entries = Entries(np.array([0, 1, 2, 3]), np.zeros(3, int), np.array([1.0, 2.0, 3.0]))
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
    record_step(np.array([0, 1, 2]), np.array([0, 1, 4, 9], np.uint8), 5, done)
    assert done.tolist() == [6, 6, 9, 7]


def test_collect_stale_rows_takes_each_row_once():
    done = np.array([3, NEVER, 5, 9, 0])
    stale, since = np.empty(6, int), np.empty(6, int)
    n = collect_stale_rows(np.array([4, 0, 1, 4, 2, 3]), done, 5, stale, since)
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


V, H, B = 60, 7, 4


def batches(rng, n):
    """Batches of which each has a few of the words, the last word none of them."""
    for _ in range(n):
        X = scipy.sparse.random(B, V - 1, 0.05, format="csr", rng=rng, dtype=np.float32)
        X.resize((B, V))
        yield X, rng.standard_normal((B, H)).astype(np.float32)


def rate(t):
    return 0.01 / (1 + t / 50)


def fit(rng, steps, lazy, threads=1, between=lambda adam, t: None, window=0):
    """Weights after steps with row gradients, put off or made dense; or done ahead as far as a window."""
    params = {"W_1": np.ones((V, H), np.float32)}
    adam = CompiledAdam(learning_rate=0.01, threads=threads)
    ahead, announced, everything = LookAhead(V), 0, list(batches(rng, steps))
    adam._ahead = ahead if window else None
    for t, (X, dh) in enumerate(everything):
        adam.catch_up(X.indices)
        while window and announced < min(t + window, steps):
            ahead.announce(everything[announced][0].indices, rate(announced))
            announced += 1
        _, back = CompiledEngine(threads).sparse_dense(X, params["W_1"], np.zeros(H, np.float32))
        dW, _ = back(dh)
        adam.step(params, {"W_1": dW if lazy else np.asarray(dW)}, rate(t))
        between(adam, t)
    return params["W_1"], adam


@pytest.mark.parametrize("window", [0, 1, 2, STEPS + 1])
def test_after_flushing_weights_and_moments_are_those_of_dense_steps(window):
    steps = UNSTEADY + 150
    dense, dense_adam = fit(np.random.default_rng(0), steps, lazy=False)
    put_off, adam = fit(np.random.default_rng(0), steps, lazy=True, window=window)
    assert np.abs(put_off - dense).max() > 1e-3  # rows do wait
    adam.flush()
    np.testing.assert_allclose(put_off, dense, rtol=0, atol=2e-6)
    np.testing.assert_allclose(adam.m["W_1"], dense_adam.m["W_1"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(adam.v["W_1"], dense_adam.v["W_1"], rtol=1e-4, atol=1e-9)
    assert np.array_equal(put_off[-1], np.ones(H))  # a word without gradients never moves


def test_rows_that_are_needed_are_up_to_date():
    steps = UNSTEADY + 40
    dense, _ = fit(np.random.default_rng(1), steps, lazy=False)
    put_off, adam = fit(np.random.default_rng(1), steps, lazy=True)
    rows = np.array([3, 8, 3])
    adam.catch_up(rows)
    np.testing.assert_allclose(put_off[rows], dense[rows], rtol=0, atol=2e-6)


def test_rows_done_ahead_are_what_their_next_use_needs():
    steps = UNSTEADY + 60
    uses = [X.indices for X, _ in batches(np.random.default_rng(9), steps)]
    seen = {False: [], True: []}
    for lazy, kept in seen.items():
        params, adam, ahead, announced = (
            {"W_1": np.ones((V, H), np.float32)},
            CompiledAdam(0.01),
            LookAhead(V),
            0,
        )
        adam._ahead = ahead
        for t, (X, dh) in enumerate(batches(np.random.default_rng(9), steps)):
            for rows in uses[announced : t + 9]:
                ahead.announce(rows, 0.01)
                announced += 1
            adam.catch_up(X.indices)
            kept.append(params["W_1"][X.indices])
            _, back = CompiledEngine().sparse_dense(X, params["W_1"], np.zeros(H, np.float32))
            adam.step(params, {"W_1": back(dh)[0] if lazy else np.asarray(back(dh)[0])})
    for dense, done_ahead in zip(*seen.values(), strict=True):
        np.testing.assert_allclose(done_ahead, dense, rtol=0, atol=2e-6)


def test_steps_announced_must_be_done_before_flushing():
    def flush(adam, t):
        if t == UNSTEADY + 5:
            adam.flush()

    with pytest.raises(InputError, match="still to come"):
        fit(np.random.default_rng(8), UNSTEADY + 20, True, between=flush, window=5)


def test_the_rate_announced_is_the_rate_of_the_step():
    ahead, params = LookAhead(1), {"b": np.ones(1)}
    ahead.announce(np.array([0]), 0.1)
    with pytest.raises(InputError, match=r"0\.1 was announced, not 0\.2"):
        CompiledAdam(_ahead=ahead).step(params, {"b": np.ones(1)}, 0.2)


@pytest.mark.parametrize("every", [1, 7])
def test_flushing_in_between_changes_nothing_but_rounding(every):
    steps = UNSTEADY + 60
    dense, _ = fit(np.random.default_rng(2), steps, lazy=False)
    put_off, adam = fit(
        np.random.default_rng(2), steps, True, between=lambda adam, t: t % every or adam.flush()
    )
    adam.flush()
    np.testing.assert_allclose(put_off, dense, rtol=0, atol=3e-6)


@pytest.mark.parametrize("window", [0, 9])
def test_same_bytes_for_any_number_of_threads(window):
    results = []
    for threads in (1, 2, 8):
        weights, adam = fit(np.random.default_rng(3), UNSTEADY + 30, True, threads, window=window)
        adam.flush()
        results.append(weights.tobytes())
    assert len(set(results)) == 1


def test_a_dense_gradient_flushes_first():
    rng = np.random.default_rng(4)
    gradient = rng.standard_normal((V, H)).astype(np.float32)
    results = []
    for lazy in (False, True):
        weights, adam = fit(np.random.default_rng(5), UNSTEADY + 30, lazy)
        adam.step({"W_1": weights}, {"W_1": gradient})
        results.append(weights)
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=2e-6)


def test_moments_from_a_checkpoint_are_taken_up():
    steps = UNSTEADY + 20
    dense, dense_adam = fit(np.random.default_rng(6), steps, lazy=False)
    put_off, adam = fit(np.random.default_rng(6), steps, lazy=True)
    adam.flush()
    resumed = CompiledAdam(learning_rate=0.01, m=adam.m, v=adam.v, t=adam.t)
    for name, optimiser, weights in (("dense", dense_adam, dense), ("lazy", resumed, put_off)):
        for X, dh in batches(np.random.default_rng(7), 30):
            optimiser.catch_up(X.indices)
            _, back = CompiledEngine().sparse_dense(X, weights, np.zeros(H, np.float32))
            dW, _ = back(dh)
            optimiser.step({"W_1": weights}, {"W_1": dW if name == "lazy" else np.asarray(dW)})
    resumed.flush()
    np.testing.assert_allclose(put_off, dense, rtol=0, atol=3e-6)


ROWS = 6
steps_of_rows = st.lists(st.lists(st.integers(0, ROWS - 1), max_size=8), min_size=1, max_size=60)


def next_use(steps, now, announced, row):
    for step in range(now + 1, announced):
        if row in steps[step]:
            return step - now
    return 0


@settings(deadline=None, max_examples=60)
@given(steps_of_rows, st.integers(1, STEPS + 1), st.booleans())
def test_gaps_are_the_distances_to_the_next_step_announced_with_the_row(steps, window, in_bursts):
    ahead, announced = LookAhead(ROWS), 0
    for now, rows in enumerate(steps):
        while announced < min(now + window, len(steps)) and not (in_bursts and announced > now):
            ahead.announce(np.array(steps[announced], dtype=np.int32), float(announced))
            announced += 1
            if in_bursts and announced < min(now + window, len(steps)):
                ahead.announce(np.array(steps[announced], dtype=np.int64), float(announced))
                announced += 1
        gaps, rates = ahead.begin()
        assert rates == [float(step) for step in range(now, announced)]
        for row in rows:
            assert gaps[row] == next_use(steps, now, announced, row)


def test_no_more_steps_are_announced_than_it_remembers():
    ahead = LookAhead(2)
    for _ in range(STEPS + 1):
        ahead.announce(np.array([1]), 0.1)
    with pytest.raises(InputError, match="announced and not begun"):
        ahead.announce(np.array([1]), 0.1)
    gaps, _ = ahead.begin()
    assert gaps[1] == 1
    ahead.announce(np.array([0]), 0.1)


@pytest.mark.parametrize("every", [None, 1, 8, 100])
@pytest.mark.parametrize("n", [0, 1, 7, STEPS, STEPS + 1, 50])
def test_batches_keep_their_order_and_are_announced_in_time(n, every):
    announced, used = [], []
    for batch in looked_ahead(
        range(n), announced.append, lambda done: every is not None and done % every == 0
    ):
        assert announced[-1] >= batch
        assert len(announced) - len(used) <= STEPS + 1
        if every is not None:  # nothing beyond the next pause
            assert announced[-1] < (batch // every + 1) * every
        used.append(batch)
    assert used == announced == list(range(n))


def test_it_looks_as_far_ahead_as_it_can():
    announced = []
    batches = looked_ahead(range(50), announced.append, lambda done: False)
    assert [next(batches), announced[-1], next(batches), announced[-1]] == [0, STEPS, 1, STEPS + 1]
