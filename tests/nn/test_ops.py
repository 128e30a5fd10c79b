import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from nphash.engine.kernels.rows import csr_times_dense
from nphash.errors import InputError
from nphash.nn import ops

LARGE = np.array([[-1e4, -800.0, 0.0, 800.0, 1e4]])
matrices = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=5), elements=st.floats(-50, 50)
)


def test_dense_is_a_matrix_product(rng):
    x, W, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    y, back = ops.dense(x, W, b)
    assert y[1, 0] == pytest.approx(sum(x[1, i] * W[i, 0] for i in range(4)) + b[0])
    assert [g.shape for g in back(np.ones((3, 2)))] == [(3, 4), (4, 2), (2,)]


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_layer_equals_the_dense_one(rng, make):
    full = rng.random((6, 9)) * (rng.random((6, 9)) < 0.3)
    full[2] = 0  # a document without known words
    W, b, dh = rng.normal(size=(9, 4)), rng.normal(size=4), rng.normal(size=(6, 4))
    h, back = ops.sparse_dense(make(full), W, b)
    expected, dense_back = ops.dense(full, W, b)
    np.testing.assert_allclose(h, expected, rtol=1e-12, atol=1e-12)
    for found, wanted in zip(back(dh), dense_back(dh)[1:], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_sparse_layer_takes_documents_in_another_dtype(rng):
    X = sparse.csr_array(np.eye(3, dtype=np.float32))
    h, back = ops.sparse_dense(X, rng.normal(size=(3, 2)), np.zeros(2))
    assert h.dtype == back(h)[0].dtype == np.float64


@pytest.mark.parametrize("make", [sparse.csc_matrix, sparse.csc_array, sparse.coo_array, np.asarray])
def test_documents_in_another_format_are_refused(rng, make):
    # The arrays of a square CSC matrix would be read as its transpose.
    with pytest.raises(InputError, match=r"X is a .*csr_array\(X\)"):
        ops.sparse_dense(make(rng.random((3, 3))), np.eye(3), np.zeros(3))


def test_documents_need_a_word_for_each_row_of_weights(rng):
    for words in (2, 4):
        with pytest.raises(InputError, match=r"X has shape .* and W \(3, 3\)"):
            ops.sparse_dense(sparse.csr_array(rng.random((3, words))), np.eye(3), np.zeros(3))


@settings(deadline=None)
@given(matrices)
def test_softmax_gives_probabilities(x):
    y, _ = ops.softmax(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        np.log(np.maximum(y, 1e-300)), np.maximum(ops.log_softmax(x)[0], np.log(1e-300))
    )


@settings(deadline=None)
@given(matrices, st.floats(-1000, 1000))
def test_softmax_ignores_a_common_shift(x, shift):
    np.testing.assert_allclose(ops.softmax(x + shift)[0], ops.softmax(x)[0], rtol=1e-9, atol=1e-12)


@settings(deadline=None)
@given(matrices)
def test_gradients_through_a_softmax_add_up_to_zero(x):
    dy = np.linspace(-1, 1, x.size).reshape(x.shape)
    for op in (ops.softmax, ops.log_softmax):
        np.testing.assert_allclose(op(x)[1](dy).sum(axis=-1), 0, atol=1e-9)


@pytest.mark.parametrize("op", [ops.relu, ops.sigmoid, ops.tanh, ops.softplus, ops.softmax, ops.log_softmax])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_neither_overflow_nor_warn(op, dtype):
    y, back = op(LARGE.astype(dtype))
    assert y.dtype == back(np.ones_like(y)).dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(back(np.ones_like(y))).all()


@settings(deadline=None)
@given(hnp.arrays(np.float64, 4, elements=st.floats(-500, 500)))
def test_sigmoid_is_odd_around_a_half(x):
    np.testing.assert_allclose(ops.sigmoid(x)[0] + ops.sigmoid(-x)[0], 1, rtol=1e-12)
    np.testing.assert_allclose(ops.softplus(x)[0] - ops.softplus(-x)[0], x, rtol=1e-9, atol=1e-9)


def test_sigmoid_keeps_small_derivatives():
    _, back = ops.sigmoid(np.array([40.0]))  # where y rounds to 1 and y (1 - y) to 0
    assert back(np.ones(1))[0] == pytest.approx(np.exp(-40), rel=1e-12)


def test_dropout_mask_keeps_the_mean(rng):
    mask = ops.dropout_mask(rng, (200, 500), 0.2, np.float32)
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1.25)}
    assert mask.mean() == pytest.approx(1, abs=0.01)
    assert not np.array_equal(mask, ops.dropout_mask(rng, (200, 500), 0.2, np.float32))  # further on


def test_dropout_masks_repeat_with_their_seed():
    first, second = (ops.dropout_mask(np.random.default_rng(3), (5, 6), 0.5) for _ in range(2))
    assert np.array_equal(first, second)
    assert ops.dropout_mask(np.random.default_rng(3), (5, 6), 0.0) is None  # no dropout, and nothing drawn
    assert ops.dropout_mask(None, (5, 6), 0.5) is None


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, np.nan, "0.1", True])
def test_a_share_left_out_is_below_one(rng, rate):
    with pytest.raises(InputError, match="rate is"):
        ops.dropout_mask(rng, (2, 3), rate)


def test_gaussian_sample_has_its_mean_and_variance(rng):
    noise = rng.normal(size=(200_000, 1))
    y, _ = ops.gaussian_sample(np.full((1, 1), 2.0), np.full((1, 1), np.log(9.0)), noise)
    assert y.mean() == pytest.approx(2, abs=0.05)
    assert y.std() == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_has_the_bits_of_the_kernel(dtype):
    rng = np.random.default_rng(3)
    X = sparse.csr_array((rng.random((7, 40)) * (rng.random((7, 40)) < 0.3)).astype(dtype))
    W, b = rng.normal(size=(40, 9)).astype(dtype), rng.normal(size=9).astype(dtype)
    h, _ = ops.sparse_dense(X, W, b)
    assert h.dtype == dtype
    np.testing.assert_array_equal(h, csr_times_dense(X.indptr, X.indices, X.data, W) + b)


def test_scale_rows_gives_every_document_one_length(rng):
    X = sparse.random_array((6, 9), density=0.5, format="csr", rng=rng, dtype=np.float32)
    X.data[X.indptr[2] : X.indptr[3]] = 0  # stored zeros are an empty document too
    before = X.copy()
    scaled = ops.scale_rows(X, 3.0)
    lengths = np.linalg.norm(X.toarray(), axis=1)
    expected = 3 * X.toarray() / np.where(lengths > 0, lengths, 1)[:, None]
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.toarray(), expected, rtol=1e-6)
    assert np.array_equal(X.data, before.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiny_and_huge_documents_are_scaled_as_well_and_empty_ones_stay(dtype):
    X = sparse.random_array(
        (60, 9), density=0.5, format="csr", rng=np.random.default_rng(0)
    ) + sparse.eye_array(60, 9)
    X = sparse.csr_array(X)[:9]
    x = sparse.vstack([X, 0 * X[:2], 1e-20 * X[:2], 1e12 * X[:2]]).tocsr()
    long = ops.scale_rows(x.astype(dtype), 10.0)
    assert long.dtype == dtype
    assert np.allclose(np.linalg.norm(long.toarray(), axis=1), [10.0] * 9 + [0.0] * 2 + [10.0] * 4)


@given(rows=matrices.filter(lambda rows: rows.ndim == 2))
def test_normalised_rows_have_length_one_or_stay_zero(rows):
    rows = np.where(np.abs(rows) < 1e-3, 0, rows)
    kept = rows.copy()
    unit = ops.normalise_rows(rows)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), (rows != 0).any(axis=1))
    np.testing.assert_allclose(unit * np.linalg.norm(rows, axis=1, keepdims=True), rows, atol=1e-12)
    np.testing.assert_array_equal(rows, kept)
    assert ops.normalise_rows(rows.astype(np.float32)).dtype == np.float32


def test_normal_noise_is_the_same_in_both_precisions():
    double = ops.normal_noise(np.random.default_rng(1), (3, 4), np.float64)
    single = ops.normal_noise(np.random.default_rng(1), (3, 4), np.float32)
    assert single.dtype == np.float32
    assert np.array_equal(single, double.astype(np.float32))
    assert not ops.normal_noise(None, (2, 3), np.float32).any()
