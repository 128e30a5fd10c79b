import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.hashers.linear import ROWS, LinearHasher, product_in_blocks, project, ridge


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
def test_a_row_does_not_depend_on_the_others(rng, n):
    rows = rng.standard_normal((n, 33)).astype(np.float32)
    W = rng.standard_normal((33, 17)).astype(np.float32)
    together = product_in_blocks(rows, W)
    np.testing.assert_allclose(together, rows @ W, rtol=1e-4, atol=1e-5)
    some = rng.permutation(n)[:5]
    for i in some:
        assert product_in_blocks(rows[i : i + 1], W).tobytes() == together[i].tobytes()


def test_nothing_is_left_over_from_the_block_before(rng):
    rows = np.concatenate([np.full((ROWS, 3), 9.0), np.ones((1, 3))])
    np.testing.assert_array_equal(product_in_blocks(rows, np.eye(3))[-1], 1)


def test_no_rows():
    assert product_in_blocks(np.ones((0, 3)), np.ones((3, 2))).shape == (0, 2)


def test_bits_are_thresholded_products():
    class Two(LinearHasher):
        n_bits = 2

        def __init__(self):
            pass

        def _fit(self, X, y, **options):
            self.components_ = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
            self.thresholds_ = np.array([1.0, 0.5], np.float32)

    hasher = Two().fit(np.eye(2))
    X = scipy.sparse.csr_matrix([[1.0, 1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(hasher.decision_function(X), [[0, 0.5], [1, -0.5]])
    np.testing.assert_array_equal(hasher.transform(X)[:, 0], [0b01000000, 0b10000000])


@pytest.mark.parametrize("threads", [1, 3])
def test_project_does_not_depend_on_company(rng, threads):
    X, components = (
        scipy.sparse.random(200, 40, 0.1, "csr", np.float32, random_state=0),
        rng.standard_normal((40, 7)).astype(np.float32),
    )
    together = project(X, components, threads)
    np.testing.assert_allclose(together, X.toarray() @ components, rtol=1e-4, atol=1e-5)
    assert project(X[17], components).tobytes() == together[17].tobytes()


# --- ridge regression -------------------------------------------------------------------------


def problem(seed, n, words, d, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(n, words, 0.2, format="csr", rng=rng, dtype=np.float64).astype(dtype)
    return X, rng.normal(size=(n, d)).astype(dtype)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 60), st.integers(1, 40), st.sampled_from([0.3, 2.0, 50.0]))
def test_is_the_solution_of_the_normal_equations(seed, n, words, penalty):
    X, Y = problem(seed, n, words, 3)
    dense = X.toarray()
    gram = dense.T @ dense + penalty * np.eye(words)
    expected = np.linalg.solve(gram, dense.T @ Y)
    W = ridge(X, Y, penalty, tolerance=1e-9)
    np.testing.assert_allclose(W, expected, atol=1e-6 * np.abs(expected).max() + 1e-12)
    left = np.linalg.norm(dense.T @ Y - gram @ ridge(X, Y, penalty), axis=0)  # as is: the residual is small
    assert (left <= 1.01 * 1e-3 * np.linalg.norm(dense.T @ Y, axis=0) + 1e-12).all()


def test_a_larger_penalty_gives_smaller_weights():
    X, Y = problem(0, 50, 30, 2)
    norms = [np.linalg.norm(ridge(X, Y, penalty)) for penalty in (0.1, 1.0, 10.0, 100.0)]
    assert norms == sorted(norms, reverse=True)


def test_nothing_to_predict_and_words_that_do_not_occur():
    X, Y = problem(1, 40, 20, 2)
    X = scipy.sparse.hstack([X, scipy.sparse.csr_matrix((40, 3))]).tocsr()
    Y[:, 1] = 0
    W = ridge(X, Y, 1.0)
    assert not W[:, 1].any() and not W[-3:].any() and W[:, 0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_has_the_dtype_of_the_documents_and_is_the_same_for_any_number_of_threads(dtype):
    X, Y = problem(2, 300, 50, 4, dtype)
    one, many = (ridge(X, Y, 3.0, threads) for threads in (1, 8))
    assert one.dtype == dtype
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("shape", [(30, 10), (10, 30)])
@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_ridge_solves_the_normal_equations(rng, shape, penalty):
    dense = rng.random(shape) * (rng.random(shape) < 0.5)
    Y = rng.standard_normal((shape[0], 3))
    expected = np.linalg.solve(dense.T @ dense + penalty * np.eye(shape[1]), dense.T @ Y)
    W = ridge(scipy.sparse.csr_matrix(dense), Y, penalty, tolerance=1e-5, most_steps=200)
    np.testing.assert_allclose(W, expected, atol=1e-5)


def test_ridge_of_nothing_is_nothing():
    X0 = scipy.sparse.csr_matrix(np.eye(3))
    np.testing.assert_array_equal(ridge(X0, np.zeros((3, 2)), 1.0), 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 20), st.sampled_from([0.3, 2.0, 50.0]))
def test_weighted_errors(seed, n, words, penalty):
    X, Y = problem(seed, n, words, 2)
    weights = np.random.default_rng(seed).integers(0, 3, (n, 2))
    W = ridge(X, Y, penalty, weights=weights, tolerance=1e-9)
    for j in range(2):
        c, dense = weights[:, j], X.toarray()
        expected = np.linalg.solve((dense.T * c) @ dense + penalty * np.eye(words), (dense.T * c) @ Y[:, j])
        np.testing.assert_allclose(W[:, j], expected, atol=1e-6 * np.abs(expected).max() + 1e-12)


def test_errors_without_weight_do_not_count():
    X, Y = problem(3, 40, 20, 2)
    weights = np.ones((40, 2))
    weights[30:] = 0
    np.testing.assert_allclose(
        ridge(X, Y, 1.0, weights=weights, tolerance=1e-9),
        ridge(X[:30], Y[:30], 1.0, tolerance=1e-9),
        atol=1e-7,
    )


def test_columns_do_not_depend_on_each_other():
    X, Y = problem(4, 60, 30, 3)
    together = ridge(X, Y, 2.0, tolerance=1e-8)
    for j in range(3):
        np.testing.assert_allclose(
            ridge(X, Y[:, j : j + 1], 2.0, tolerance=1e-8)[:, 0], together[:, j], atol=1e-7
        )


def test_iteration_ends_at_the_most_steps():
    X, Y = problem(5, 200, 120, 2)
    assert not ridge(X, Y, 0.1, most_steps=0).any()
    exact = ridge(X, Y, 0.1, tolerance=1e-10, most_steps=500)
    gaps = [np.linalg.norm(ridge(X, Y, 0.1, tolerance=0, most_steps=n) - exact) for n in (1, 5, 20)]
    assert gaps[2] < gaps[1] < gaps[0]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), n=st.integers(0, 20), width=st.integers(1, 9), columns=st.integers(1, 40))
def test_blocked_products_are_products_whose_rows_are_independent(seed, n, width, columns):
    rng = np.random.default_rng(seed)
    rows, W = rng.standard_normal((n, width)), rng.standard_normal((width, columns))
    together = product_in_blocks(rows, W)
    np.testing.assert_allclose(together, rows @ W, atol=1e-12)
    order = rng.permutation(n)
    np.testing.assert_array_equal(product_in_blocks(rows[order], W), together[order])
