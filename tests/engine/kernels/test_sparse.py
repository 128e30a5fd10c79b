import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from helpers import naive
from nphash.engine.kernels.sparse import (
    csr_times_dense,
    csr_transpose_times_dense,
    row_sums,
    scaled_rows,
    take_rows,
)
from nphash.nn.ops import scale_rows

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


@FEW
@given(products())
def test_transposed_product_agrees_with_the_loop_and_with_scipy(problem):
    X, _, D = problem
    if D.shape[0] == 0:
        D = D.reshape(0, D.shape[1])
    out = csr_transpose_times_dense(X.indptr, X.indices, X.data, D, X.shape[1])
    assert out.dtype == D.dtype
    tolerance = 1e-5 if D.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out, X.T @ D, rtol=tolerance, atol=tolerance)
    if D.shape[0]:
        expected = naive.csr_transpose_times_dense(X.indptr, X.indices, X.data, D, X.shape[1])
        np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


@FEW
@given(products())
def test_the_products_are_adjoint(problem):
    X, W, D = problem
    left = np.sum(csr_times_dense(X.indptr, X.indices, X.data, W) * D, dtype=float)
    right = np.sum(csr_transpose_times_dense(X.indptr, X.indices, X.data, D, X.shape[1]) * W, dtype=float)
    assert left == pytest.approx(right, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads_gives_the_same_bytes(rng, dtype):
    # more rows and words than one block, with a ragged last block
    X = sparse.random_array((150, 4500), density=0.002, format="csr", rng=rng, dtype=np.float64).astype(dtype)
    W, D = rng.normal(size=(4500, 3)).astype(dtype), rng.normal(size=(150, 3)).astype(dtype)
    csr = (X.indptr, X.indices, X.data)
    products = {csr_times_dense(*csr, W, threads=threads).tobytes() for threads in (1, 2, 8)}
    gradients = {
        csr_transpose_times_dense(*csr, D, X.shape[1], threads=threads).tobytes() for threads in (1, 2, 8)
    }
    assert len(products) == len(gradients) == 1
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
    assert csr_transpose_times_dense(indptr, indices, data, np.ones((1, 1)), 2).tolist() == [[4.0], [3.0]]


def test_gradient_is_written_into_out(rng):
    X = sparse.random_array((3, 5), density=0.5, format="csr", rng=rng)
    D = rng.normal(size=(3, 2))
    out = np.full((5, 2), np.nan)  # rows without words must be cleared too
    result = csr_transpose_times_dense(X.indptr, X.indices, X.data, D, 5, out=out)
    assert result is out
    np.testing.assert_allclose(out, X.T @ D)


def test_a_matrix_in_other_memory_order_is_read_right(rng):
    X = sparse.random_array((3, 5), density=0.5, format="csr", rng=rng)
    W = np.asfortranarray(rng.normal(size=(5, 2)))
    np.testing.assert_allclose(csr_times_dense(X.indptr, X.indices, X.data, W), X @ W)


@FEW
@given(products(), st.integers(0, 2**32 - 1))
def test_rows_taken_are_scipys(problem, seed):
    X, _, _ = problem
    rows = np.random.default_rng(seed).integers(0, X.shape[0], 5 if X.shape[0] else 0)
    indptr, indices, data = take_rows(X.indptr, X.indices, X.data, rows)
    expected = X[rows]
    for got, wanted in ((indptr, expected.indptr), (indices, expected.indices), (data, expected.data)):
        assert np.array_equal(got, wanted)
    assert (indices.dtype, data.dtype) == (X.indices.dtype, X.data.dtype)


@FEW
@given(products())
def test_sums_and_lengths_of_rows(problem):
    X, _, _ = problem
    sums = np.empty(X.shape[0])
    row_sums(X.indptr, X.data, sums)
    np.testing.assert_allclose(sums, X.toarray().sum(axis=1, dtype=np.float64), rtol=1e-12, atol=1e-12)
    scaled = np.empty_like(X.data)
    scaled_rows(X.indptr, X.data, 10.0, scaled)
    np.testing.assert_allclose(scaled, scale_rows(X, 10.0).data, rtol=1e-6)


def test_a_row_of_stored_zeros_has_no_length():
    out = np.full(3, np.nan)
    scaled_rows(np.array([0, 2, 3]), np.array([0.0, 0.0, 4.0]), 10.0, out)
    assert out.tolist() == [0, 0, 10]
