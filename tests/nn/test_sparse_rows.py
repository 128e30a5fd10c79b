"""Documents scaled and given other weights."""

import numpy as np
from scipy import sparse

from nphash.nn.sparse_rows import scale_rows, with_entries, with_weights


def test_scale_rows_gives_every_document_one_length(rng):
    X = sparse.random_array((6, 9), density=0.5, format="csr", rng=rng, dtype=np.float32)
    X.data[X.indptr[2] : X.indptr[3]] = 0  # stored zeros are an empty document too
    before = X.copy()
    scaled = scale_rows(X, 3.0)
    lengths = np.linalg.norm(X.toarray(), axis=1)
    expected = 3 * X.toarray() / np.where(lengths > 0, lengths, 1)[:, None]
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.toarray(), expected, rtol=1e-6)
    assert np.array_equal(X.data, before.data)


def test_other_weights_leave_the_documents_as_they_were():
    X = sparse.csr_array([[1.0, 0.0, 2.0]])
    assert with_weights(X, np.array([5.0, 6.0])).toarray().tolist() == [[5, 0, 6]]
    assert X.toarray().tolist() == [[1, 0, 2]]


def test_other_entries_make_other_documents(rng):
    X = sparse.random_array((6, 9), density=0.5, format="csr", rng=rng)
    before, some = X.copy(), X[[4, 1]]
    made = with_entries(X, some.indptr, some.indices, some.data)
    assert type(made) is type(X)
    assert made.shape == (2, 9)
    assert np.array_equal((made @ np.eye(9)), some.toarray())
    assert np.array_equal(X.toarray(), before.toarray())
