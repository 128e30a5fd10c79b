"""Index arrays that lie: an error that says so, or the right matrix, never a crash."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.core.csr import to_csr
from nphash.errors import InputError

small = st.integers(-2, 6)


def lying(form, shape, data, indices, indptr):
    """A matrix whose arrays were put into it after SciPy had looked."""
    X = getattr(scipy.sparse, form)(shape)
    X.data, X.indices, X.indptr = data, indices, indptr
    return X


def naive(X):
    """The dense matrix, entry by entry; None if an entry is somewhere else."""
    dense = np.zeros(X.shape)
    outer = X.shape[0] if X.format == "csr" else X.shape[1]
    pointers = X.indptr.tolist()
    ends = min(len(X.indices), len(X.data))
    if len(pointers) != outer + 1 or pointers[0] or sorted(pointers) != pointers or pointers[-1] > ends:
        return None
    for line in range(outer):
        for at in range(pointers[line], pointers[line + 1]):
            place = (line, int(X.indices[at])) if X.format == "csr" else (int(X.indices[at]), line)
            if not all(0 <= number < size for number, size in zip(place, X.shape, strict=True)):
                return None
            dense[place] += X.data[at]
    return dense


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["csr_matrix", "csc_matrix", "csr_array", "csc_array"]),
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    st.lists(small, max_size=8),
    st.lists(small, max_size=7),
    st.integers(0, 9),
    st.sampled_from(["int32", "int64", "int8"]),
)
def test_lying_arrays_are_an_error_or_the_right_matrix(form, shape, indices, indptr, n, kind):
    data = np.arange(1.0, n + 1)
    X = lying(form, shape, data, np.array(indices, kind), np.array(indptr, kind))
    right = naive(X)
    if right is None:
        with pytest.raises(InputError, match=r"^X[ .]"):
            to_csr(X, "X")
        return
    found = to_csr(X, "X")
    assert np.array_equal(found.toarray(), right)
    assert found.indices.dtype in (np.int32, np.int64)
    for start, stop in zip(found.indptr[:-1], found.indptr[1:], strict=True):
        assert (np.diff(found.indices[start:stop]) > 0).all()
    assert len(found.indices) == len(found.data) == found.indptr[-1]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(small, small), max_size=6))
def test_coordinates_that_lie(places):
    X = scipy.sparse.coo_matrix((4, 5))
    X.row = np.array([row for row, _ in places], np.int32)
    X.col = np.array([column for _, column in places], np.int32)
    X.data = np.ones(len(places))
    if all(0 <= row < 4 and 0 <= column < 5 for row, column in places):
        dense = np.zeros((4, 5))
        for place in places:
            dense[place] += 1
        assert np.array_equal(to_csr(X, "X").toarray(), dense)
    else:
        with pytest.raises(InputError, match="X has an entry in"):
            to_csr(X, "X")


@pytest.mark.parametrize("form", ["bsr", "dia", "lil", "dok", "coo", "csc", "csr"])
def test_every_format_of_scipy(form):
    dense = np.arange(24.0).reshape(4, 6)
    assert np.array_equal(to_csr(scipy.sparse.csr_matrix(dense).asformat(form), "X").toarray(), dense)


def test_blocks_and_diagonals_that_lie():
    X = scipy.sparse.bsr_matrix(np.ones((4, 6)), blocksize=(2, 3))
    X.indices[1] = 2
    with pytest.raises(InputError, match="block column 2"):
        to_csr(X, "X")
    X = scipy.sparse.dia_matrix((np.ones((1, 3)), [0]), shape=(3, 3))
    X.offsets = np.array([0, 1])
    with pytest.raises(InputError, match="2 offsets for data of shape"):
        to_csr(X, "X")


def test_flags_that_are_stale_are_not_believed_and_nothing_of_the_callers_is_changed():
    X = scipy.sparse.csr_matrix([[0.0, 2.0, 3.0]])
    assert X.has_canonical_format
    X.indices[:] = [2, 1]
    found = to_csr(X, "X", np.float32)
    assert found.indices.tolist() == [1, 2] and found.data.tolist() == [3.0, 2.0]
    assert X.indices.tolist() == [2, 1] and found.dtype == np.float32


def test_repeated_entries_are_added_up_and_messages_name_the_range():
    X = scipy.sparse.csr_array(([1.0, 2.0, 4.0], [1, 0, 1], [0, 3]), shape=(1, 2))
    assert to_csr(X, "X").toarray().tolist() == [[2, 5]]
    X.indices[0] = 2
    with pytest.raises(InputError, match=r"X has an entry in column 2, but columns are 0 to 1: number rows"):
        to_csr(X, "X")
