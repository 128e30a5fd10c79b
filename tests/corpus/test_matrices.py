import os

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings

from helpers.corpora import failure, matrices, same, write
from nphash.corpus import read_matrix
from nphash.corpus.matrices import (
    MAX_WORDS,
    check_claims,
    checked_csr,
    finish,
    foreign_parser,
    read_vocabulary,
    unpacked_bytes,
)
from nphash.corpus.records import ReadOptions
from nphash.errors import CorpusError

OPTIONS = ReadOptions()


@settings(deadline=None, max_examples=50)
@given(matrices())
def test_any_sparse_form_becomes_the_same_csr(X):
    forms = [
        X.tocoo(),
        X.tocsc(),
        X.tolil(),
        scipy.sparse.csr_array(X),
        scipy.sparse.coo_array(X),
        X.astype(float),
    ]
    for form in forms:
        matrix = finish(form, "d/a.gz", OPTIONS)
        assert same(matrix.X, X)
        assert scipy.sparse.isspmatrix_csr(matrix.X)
        assert matrix.X.dtype == np.float32
        assert np.all(matrix.X.data != 0)
        assert matrix.ids == [f"a:{row}" for row in range(1, X.shape[0] + 1)]
        assert (matrix.labels, matrix.splits) == ([()] * X.shape[0], [""] * X.shape[0])


def test_repeated_and_unsorted_entries_are_put_in_order():
    raw = scipy.sparse.csr_matrix((np.array([1, 2, 4]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    matrix = finish(raw, "a", OPTIONS)
    assert (matrix.X.indices.tolist(), matrix.X.data.tolist()) == ([0, 2], [2.0, 5.0])
    assert raw.nnz == 3  # the caller's matrix is left alone


def test_logical_matrices_are_counts_of_one():
    assert finish(scipy.sparse.csr_matrix([[True, False]]), "a", OPTIONS).X.data.tolist() == [1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 1e300])
def test_weights_that_are_none(value):
    message = failure(
        finish, scipy.sparse.csr_matrix([[1.0, 0, 2.0], [0, 0, 0], [0, value, 0]]), "a", OPTIONS
    )
    assert message.startswith(f"a: the entry in row 3, column 2 is {value}: word weights are finite")


def test_complex_entries():
    assert "a holds complex128 entries" in failure(finish, scipy.sparse.csr_matrix([[1j]]), "a", OPTIONS)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_no_rows_or_columns(shape):
    assert f"a holds no document (a matrix of shape {shape})" in failure(
        finish, scipy.sparse.csr_matrix(shape), "a", OPTIONS
    )


def test_too_many_columns():
    assert "at most 16777216 are possible" in failure(
        finish, scipy.sparse.csr_matrix((1, MAX_WORDS + 1)), "a", OPTIONS
    )


def test_indices_out_of_range():
    X = scipy.sparse.csr_matrix([[1.0, 2.0]])
    X.indices[1] = 7
    assert "a is no valid sparse matrix" in failure(finish, X, "a", OPTIONS)
    X = scipy.sparse.csc_matrix([[1.0, 2.0], [1.0, 0]])
    X.indices[1] = 2**31 - 1  # SciPy's own conversion to CSR crashes with this one
    assert "a is no valid sparse matrix" in failure(checked_csr, X, "a")


def test_vocabulary_file(tmp_path):
    path = write(tmp_path / "v.txt", "ship\nöl\n")
    X = scipy.sparse.csr_matrix([[1.0, 2.0], [0, 0], [0, 1.0]])
    assert finish(X, "a", ReadOptions(vocabulary=path)).vocabulary == ["ship", "öl"]
    assert "the vocabulary of a has 1 words for 2 columns" in failure(finish, X, "a", OPTIONS, ["ship"])
    assert "may be transposed" in failure(finish, X, "a", OPTIONS, ["x", "y", "z"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [("a\n\nb\n", "v.txt, line 2 is empty"), ("a\nb\na\n", "line 3: the word 'a' was already on line 1")],
)
def test_bad_vocabularies(tmp_path, content, problem):
    assert problem in failure(read_vocabulary, write(tmp_path / "v.txt", content), OPTIONS)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ((10**12, 5, 3), "promises 1000000000000 rows, more than its 100 bytes can hold"),
        ((5, 10**12, 3), "promises 1000000000000 columns, but at most"),
        ((5, 5, 101), "promises 101 entries, more than its 100 bytes can hold"),
        ((-1, 5, 3), "has a negative size"),
    ],
)
def test_claims_that_cannot_be_true(sizes, problem):
    assert problem in failure(lambda: check_claims("a", *sizes, 100) or [])


def test_claims_that_can_be_true():
    assert check_claims("a", 1000, 5000, 20, 100) is None


def test_unpacked_size(tmp_path):
    assert unpacked_bytes(write(tmp_path / "a", "x" * 3_000_000, packed=True)) == 3_000_000


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (KeyError("x\ny"), "a cannot be read as a thing ("),
        (ValueError(""), "a cannot be read as a thing (ValueError)"),
        (MemoryError(), "a does not fit into memory"),
        (EOFError("end"), "a is a damaged gzip file (end)"),
    ],
)
def test_errors_of_foreign_parsers(error, problem):
    def parse():
        with foreign_parser("a", "a thing"):
            raise error

    assert problem in failure(parse)


def test_own_errors_pass_unchanged():
    own = CorpusError("mine", "hint")
    with pytest.raises(CorpusError) as caught, foreign_parser("a", "a thing"):
        raise own
    assert caught.value is own


@pytest.mark.parametrize("name", ["mtx", "uci", "npz"])
def test_what_cannot_be_read_twice_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    message = failure(read_matrix, str(tmp_path / "pipe"), ReadOptions(name))
    assert "is a pipe or a device, and" in message and "write it to a file first" in message
