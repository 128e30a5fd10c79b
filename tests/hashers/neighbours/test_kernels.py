import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from nphash.hashers.neighbours import kernels as neighbours


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    columns=st.integers(2, 40),
    k=st.integers(1, 40),
    start=st.integers(-1, 5),
)
def test_top_agrees_with_sorting(seed, rows, columns, k, start):
    columns = max(columns, rows + max(start, 0))
    scores = np.random.default_rng(seed).integers(-3, 4, (rows, columns)).astype(np.float32)
    k = min(k, columns - (start >= 0))
    indices, values = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32)
    neighbours.top(scores, start, indices, values)
    for i in range(rows):
        expected = naive.largest(scores[i], k, without=start + i if start >= 0 else None)
        assert list(zip(values[i], indices[i], strict=True)) == expected


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), m=st.integers(1, 9), words=st.integers(1, 7))
def test_products_agree_with_the_dense_ones(seed, n, m, words):
    rng = np.random.default_rng(seed)
    A, B = rng.integers(0, 3, (n, words)), rng.integers(0, 3, (m, words))
    X, by_word = (
        scipy.sparse.csr_matrix(A.astype(np.float32)),
        scipy.sparse.csr_matrix(B.T.astype(np.float32)),
    )
    out = np.full((n, m), np.nan, np.float32)
    neighbours.products(X.indptr, X.indices, X.data, by_word.indptr, by_word.indices, by_word.data, out)
    np.testing.assert_array_equal(out, A @ B.T)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), c=st.integers(0, 5), words=st.integers(1, 9))
def test_products_with_candidates(seed, n, c, words):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(n, words, 0.5, "csr", dtype=np.float32, random_state=seed)
    rows, candidates = rng.integers(0, n, 4), rng.integers(0, n, (4, c))
    out = np.full((4, c), np.nan, np.float32)
    neighbours.products_with(X.indptr, X.indices, X.data, rows, candidates, out)
    dense = X.toarray()
    expected = [[dense[i] @ dense[j] for j in own] for i, own in zip(rows, candidates, strict=True)]
    np.testing.assert_allclose(out, np.reshape(expected, (4, c)), atol=1e-6)
