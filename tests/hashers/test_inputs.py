"""What comes in from outside: documents, labels, random states."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nphash.errors import InputError, InputTypeError
from nphash.hashers.inputs import check_documents, check_labels, seed_from

weights = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    elements=st.floats(0, 100).map(lambda v: round(v, 2)),
)


@settings(deadline=None, max_examples=60)
@given(weights, st.sampled_from(["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "lil_matrix"]))
def test_sparse_and_dense_documents_become_the_same_matrix(dense, kind):
    sparse = check_documents(getattr(scipy.sparse, kind)(dense))
    assert sparse.format == "csr" and sparse.has_canonical_format
    assert np.array_equal(sparse.toarray(), dense)
    assert np.array_equal(check_documents(dense).toarray(), dense)
    assert (sparse.data != 0).all()


def test_duplicate_unsorted_and_zero_entries_are_cleaned_without_touching_the_callers_matrix():
    X = scipy.sparse.csr_matrix(
        (np.array([1.0, 2.0, 4.0, 0.0]), np.array([2, 0, 2, 1]), np.array([0, 4])), shape=(1, 3)
    )
    before = (X.data.copy(), X.indices.copy())
    clean = check_documents(X)
    assert clean.toarray().tolist() == [[2.0, 0.0, 5.0]]
    assert clean.nnz == 2
    assert np.array_equal(X.data, before[0]) and np.array_equal(X.indices, before[1])


def test_stored_zeros_of_a_canonical_matrix_are_left_out_of_a_copy():
    X = scipy.sparse.csr_matrix((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 3))
    assert check_documents(X).nnz == 1
    assert X.nnz == 2


@pytest.mark.parametrize(
    ("given_dtype", "dtype"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.int64, np.float32),
        (np.bool_, np.float32),
        (np.float16, np.float32),
    ],
)
def test_float64_stays_and_everything_else_becomes_float32(given_dtype, dtype):
    assert check_documents(np.eye(2, dtype=given_dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0, np.nan]]), "X contains NaN or infinity.*document 0"),
        (np.array([[1.0, 2.0], [np.inf, 1.0]]), "NaN or infinity.*document 1"),
        (np.array([[1.0, 2.0], [1.0, -1.0]]), "Negative values.*document 1"),
        (np.array([[1.0], [1e30]]), "weight 1e.30 in document 1"),
        (np.ones(3), "Expected 2D array, got 1D"),
        (np.ones((2, 2, 2)), "Expected 2D array, got 3D"),
        (scipy.sparse.coo_array(np.ones(3)), "Expected 2D array, got 1D"),
        (scipy.sparse.coo_array(np.ones((2, 2, 2))), "Expected 2D array, got 3D"),
        ([[1, 2], [3]], "rows differ in length"),
        ([[1, [2]], [3, 4]], "rows differ in length or depth"),
        (np.float64(3), "Expected 2D array, got scalar"),
        (np.ones((2, 0)), r"0 feature\(s\)"),
        (np.ones((0, 2)), r"0 sample\(s\)"),
        (np.ones((2, 2)) * 1j, "Complex data not supported"),
        (scipy.sparse.csr_matrix(np.array([[-1.0, 0.0]])), "Negative values"),
    ],
)
def test_unusable_documents_are_refused_with_the_place(X, message):
    with pytest.raises(InputError, match=message):
        check_documents(X)


def test_words_instead_of_weights_are_a_type_error_that_names_the_vectorizer():
    with pytest.raises(InputTypeError, match=r"Vectorizer") as caught:
        check_documents([["cat", "dog"]])
    assert isinstance(caught.value, TypeError)


def test_numbers_in_an_object_array_are_numbers():
    assert check_documents(np.array([[1, 2.5]], dtype=object)).toarray().tolist() == [[1.0, 2.5]]


def test_another_number_of_words_is_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"X has 2 features, but the hasher is expecting 3 features"):
        check_documents(np.ones((1, 2)), n_features=3)


def test_all_zero_rows_are_documents():
    assert check_documents(np.zeros((2, 3))).shape == (2, 3)


def test_labels_are_a_vector_or_an_indicator_matrix():
    assert check_labels([1, 2], 2, required=True).tolist() == [1, 2]
    assert check_labels([["a"], ["b"]], 2, required=True).tolist() == ["a", "b"]
    indicator = check_labels([[1, 0], [1, 1]], 2, required=True)
    assert indicator.dtype == bool and indicator.toarray().tolist() == [[True, False], [True, True]]
    assert check_labels(scipy.sparse.eye(2), 2, required=False).format == "csr"
    assert check_labels(None, 2, required=False) is None


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([1], "1 labels for 2 documents"),
        (np.zeros((2, 2, 2)), "shape"),
        (3, "shape"),
        ([1.0, np.nan], "NaN or infinity"),
        ([None, None], "no class for document 0"),
        (-np.ones((2, 3)), "neither 0 nor 1"),
        (scipy.sparse.eye(3), "3 labels for 2 documents"),
    ],
)
def test_unusable_labels_are_refused(y, message):
    with pytest.raises(InputError, match=message):
        check_labels(y, 2, required=True)


def test_messages_name_the_hasher_and_the_argument():
    with pytest.raises(InputError, match="ndarray requires y"):
        check_labels(None, 2, np.ones(1), required=True)
    with pytest.raises(InputError, match="y_valid has 3 labels for 2 documents"):
        check_labels([1, 2, 3], 2, required=False, name="y_valid")


def test_random_states_become_one_number():
    assert seed_from(7) == 7
    assert seed_from(np.int64(7)) == 7
    assert seed_from(np.random.default_rng(1)) == seed_from(np.random.default_rng(1))
    assert seed_from(np.random.RandomState(1)) == seed_from(np.random.RandomState(1))
    assert seed_from(None) != seed_from(None)
    assert 0 <= seed_from(None) < 2**63


@pytest.mark.parametrize("random_state", [-1, 1.5, "7", True, np.random])
def test_anything_else_is_no_random_state(random_state):
    with pytest.raises(InputError, match=r"random_state is"):
        seed_from(random_state)
