"""Ridge regression from words."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.hashers.neighbours import ridge as regression
from nphash.hashers.neighbours.ridge import ridge


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regression, "TOLERANCE", 1e-9)
        W = ridge(X, Y, penalty)
    np.testing.assert_allclose(W, expected, atol=1e-6 * np.abs(expected).max() + 1e-12)
    left = np.linalg.norm(dense.T @ Y - gram @ ridge(X, Y, penalty), axis=0)  # as is: the residual is small
    assert (left <= 1.01 * regression.TOLERANCE * np.linalg.norm(dense.T @ Y, axis=0) + 1e-12).all()


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
