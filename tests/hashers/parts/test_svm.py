"""The classifiers' solver against its objective: no other weights may be better."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.hashers.parts.svm import squared_hinge


def solve(X, signs, C, passes=2000, tolerance=1e-7, seed=0):
    w = np.zeros(X.shape[1] + 1)
    order = np.random.default_rng(seed).permutation(X.shape[0])
    done = squared_hinge(X.indptr, X.indices, X.data, signs, C, order, passes, tolerance, w)
    return w, done


def objective(X, signs, C, w):
    """The primal, as the equation says."""
    margins = signs * (X @ w[:-1] + w[-1])
    return w @ w / 2 + C * (np.maximum(0, 1 - margins) ** 2).sum()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), C=st.sampled_from([0.01, 0.1, 1.0]))
def test_the_gradient_is_zero_at_the_solution(seed, C):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.csr_matrix(rng.random((12, 5)) * (rng.random((12, 5)) < 0.6))
    signs = np.where(rng.random(12) < 0.5, 1.0, -1.0)
    w, _ = solve(X, signs, C)
    gradient = small.numeric_gradient(lambda: objective(X, signs, C, w), w)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_agrees_with_liblinear():
    from sklearn.svm import LinearSVC

    X, y = small.documents(40, 20)
    signs = np.where(y == 0, 1.0, -1.0)
    w, _ = solve(X, signs, 0.1)
    other = LinearSVC(C=0.1, dual=True, tol=1e-8, max_iter=100_000, random_state=0).fit(X, signs)
    np.testing.assert_allclose(w[:-1], other.coef_[0], atol=1e-4)
    np.testing.assert_allclose(w[-1], other.intercept_[0], atol=1e-4)


def test_stops_when_it_is_precise_enough():
    X, y = small.documents(30, 20)
    signs = np.where(y == 0, 1.0, -1.0)
    assert solve(X, signs, 0.1, tolerance=0.5)[1] < solve(X, signs, 0.1, tolerance=1e-6)[1]
    assert solve(X, signs, 0.1, passes=1, tolerance=0.0)[1] == 1


def test_one_sided_bits_and_empty_documents():
    X = scipy.sparse.csr_matrix(np.zeros((6, 3)))
    w, _ = solve(X, np.ones(6), 1.0)
    np.testing.assert_array_equal(w[:-1], 0)
    assert w[-1] == pytest.approx(12 / 13, abs=1e-5)  # minimum of b^2 / 2 + 6 (1 - b)^2
