"""Entries by word against SciPy's transposed matrix."""

import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.engine.kernels.csr_to_csc import entries_of, sort_by_word


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_it_is_the_transposed_matrix(rows, words, density, seed):
    X = scipy.sparse.random(rows, words, density, format="csr", rng=np.random.default_rng(seed))
    starts, documents, weights = entries_of(sort_by_word(X.indptr, X.indices, words), X.data)
    expected = X.T.tocsr()
    expected.sort_indices()
    assert np.array_equal(starts, expected.indptr)
    assert np.array_equal(documents, expected.indices)
    assert np.array_equal(weights, expected.data)
    assert np.array_equal(sort_by_word(X.indptr, X.indices, words).words, np.unique(X.indices))


def test_repeated_entries_stay():
    order = sort_by_word(np.array([0, 3]), np.array([1, 1, 0]), 2)
    starts, documents, weights = entries_of(order, np.array([1.0, 2.0, 3.0]))
    assert (starts.tolist(), documents.tolist(), weights.tolist()) == ([0, 1, 3], [0, 0, 0], [3, 1, 2])


def test_a_slice_of_rows_with_an_offset():
    indptr, indices, data = np.array([2, 3, 4]), np.array([9, 9, 0, 1]), np.array([0.0, 0.0, 5.0, 6.0])
    starts, documents, weights = entries_of(sort_by_word(indptr, indices, 2), data)
    assert starts.tolist() == [0, 1, 2]
    assert documents[:2].tolist() == [0, 1]
    assert weights[:2].tolist() == [5, 6]
