"""Kernels and their NumPy forms against the dense products, sorting, and the objective they minimise."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive, small
from nphash.hashers import kernels
from nphash.hashers.kernels import squared_hinge

FORMS = st.booleans()  # compiled (plain Python where Numba compiles nothing), or NumPy


class Form:
    """Within the block, kernels run compiled or as NumPy."""

    def __init__(self, compiled):
        self.patch = pytest.MonkeyPatch()
        self.compiled = compiled

    def __enter__(self):
        self.patch.setattr(kernels, "COMPILED", self.compiled)

    def __exit__(self, *error):
        self.patch.undo()


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    columns=st.integers(2, 40),
    k=st.integers(1, 40),
    start=st.integers(-1, 5),
    compiled=FORMS,
)
def test_largest_agree_with_sorting(seed, rows, columns, k, start, compiled):
    columns = max(columns, rows + max(start, 0))
    scores = np.random.default_rng(seed).integers(-3, 4, (rows, columns)).astype(np.float32)
    k = min(k, columns - (start >= 0))
    given_scores = scores.copy()
    with Form(compiled):
        indices, values = kernels.largest(scores, k, start if start >= 0 else None)
    assert indices.dtype == np.int32 and values.dtype == np.float32 and indices.shape == (rows, k)
    for i in range(rows):
        expected = naive.largest(scores[i], k, without=start + i if start >= 0 else None)
        assert list(zip(values[i], indices[i], strict=True)) == expected
    np.testing.assert_array_equal(scores, given_scores)  # what was given stays as it is


@pytest.mark.parametrize("compiled", [False, True])
def test_largest_of_rows_that_are_all_equal_are_the_first_columns(compiled):
    with Form(compiled):
        indices, values = kernels.largest(np.zeros((3, 9), np.float32), 4, 1)
    np.testing.assert_array_equal(indices, [[0, 2, 3, 4], [0, 1, 3, 4], [0, 1, 2, 4]])
    assert not values.any()


@pytest.mark.parametrize("compiled", [False, True])
def test_largest_among_what_is_left_out_with_minus_infinity(compiled):
    scores = np.array([[-np.inf, 0.5, -np.inf, -1.0]], np.float32)
    with Form(compiled):
        indices, values = kernels.largest(scores, 2)
    np.testing.assert_array_equal(indices, [[1, 3]])
    np.testing.assert_array_equal(values, [[0.5, -1.0]])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 8),
    m=st.integers(1, 9),
    words=st.integers(1, 7),
    compiled=FORMS,
)
def test_products_agree_with_the_dense_ones(seed, n, m, words, compiled):
    rng = np.random.default_rng(seed)
    A, B = rng.integers(0, 3, (n, words)), rng.integers(0, 3, (m, words))
    X, by_word = (
        scipy.sparse.csr_matrix(A.astype(np.float32)),
        scipy.sparse.csr_matrix(B.T.astype(np.float32)),
    )
    with Form(compiled):
        out = kernels.products(X, by_word)
        some = kernels.products(X[n // 2 :], by_word)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, A @ B.T)
    np.testing.assert_array_equal(some, out[n // 2 :])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 8),
    c=st.integers(0, 5),
    words=st.integers(1, 9),
    compiled=FORMS,
)
def test_products_with_candidates(seed, n, c, words, compiled):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(n, words, 0.5, "csr", dtype=np.float32, random_state=seed)
    rows, candidates = rng.integers(0, n, 4), rng.integers(0, n, (4, c))
    with Form(compiled):
        out = kernels.products_with(X.sorted_indices(), rows, candidates)
    dense = X.toarray()
    expected = [[dense[i] @ dense[j] for j in own] for i, own in zip(rows, candidates, strict=True)]
    np.testing.assert_allclose(out, np.reshape(expected, (4, c)), atol=1e-6)


# --- the classifiers' solver: no other weights may be better --------------------------------


def solve(X, signs, C, passes=2000, tolerance=1e-7, seed=0):
    w = np.zeros(X.shape[1] + 1)
    order = np.random.default_rng(seed).permutation(X.shape[0])
    done = squared_hinge(X.indptr, X.indices, X.data, signs, C, order, passes, tolerance, w)
    return w, done


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), C=st.sampled_from([0.01, 0.1, 1.0]))
def test_the_gradient_is_zero_at_the_solution(seed, C):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.csr_matrix(rng.random((12, 5)) * (rng.random((12, 5)) < 0.6))
    signs = np.where(rng.random(12) < 0.5, 1.0, -1.0)
    w, _ = solve(X, signs, C)
    gradient = small.numeric_gradient(lambda: small.squared_hinge_objective(X, signs, C, w), w)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), other=st.integers(1, 1000))
def test_the_order_of_the_documents_does_not_matter_in_the_end(seed, other):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.csr_matrix(rng.random((10, 4)) * (rng.random((10, 4)) < 0.6))
    signs = np.where(rng.random(10) < 0.5, 1.0, -1.0)
    np.testing.assert_allclose(solve(X, signs, 0.5)[0], solve(X, signs, 0.5, seed=other)[0], atol=1e-5)


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
