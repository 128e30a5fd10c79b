"""Adam with steps put off against Adam at every step."""

import numpy as np
import pytest
import scipy.sparse

from nphash.engine.compiled import CompiledEngine
from nphash.engine.look_ahead import STEPS, LookAhead
from nphash.engine.optim import UNSTEADY, CompiledAdam
from nphash.errors import InputError

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
