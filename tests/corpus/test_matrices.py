import io
import os
import zipfile

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import read_matrix
from nphash.corpus.matrices import (
    MAX_WORDS,
    check_claims,
    checked_csr,
    finish,
    foreign_parser,
    read_npz,
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
        (EOFError("end"), "a cannot be read as a thing (end)"),
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


# --- SciPy's own files ------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(matrices(), st.sampled_from(["csr", "csc", "coo"]), st.booleans())
def test_round_trip(X, form, compressed):
    with folder() as here:
        scipy.sparse.save_npz(here / "a.npz", X.asformat(form), compressed=compressed)
        matrix = read_npz(str(here / "a.npz"), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.ids[0] == "a.npz:1"


def test_sparse_arrays_and_long_indices(tmp_path):
    X = scipy.sparse.csr_array([[0, 3], [1, 0]])
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    scipy.sparse.save_npz(tmp_path / "a.npz", X)
    assert read_npz(str(tmp_path / "a.npz"), OPTIONS).X.toarray().tolist() == [[0, 3], [1, 0]]


def parts(**changes):
    """The members of a small correct file, some of them changed."""
    X = scipy.sparse.csr_matrix([[1.0, 0, 2.0], [0, 1.0, 0]])
    members = {"format": np.array(b"csr"), "shape": np.array(X.shape), "data": X.data}
    members |= {"indices": X.indices, "indptr": X.indptr}
    return {name: array for name, array in (members | changes).items() if array is not None}


def saved(path, members):
    np.savez(path, **members)
    return str(path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"format": None},
            "holds no sparse matrix (it has data, indices, indptr, shape): write it with scipy",
        ),
        ({"indices": np.array([0, 5, 1])}, "a.npz"),
        ({"indices": np.array([0, -1, 1])}, "a.npz"),
        ({"indptr": np.array([0, 3, 2])}, "a.npz"),
        ({"indptr": np.array([0, 2])}, "a.npz"),
        ({"data": np.array([1.0, np.nan, 1.0])}, "the entry in row 1, column 3 is nan"),
        ({"data": np.array([1.0, -2.0, 1.0])}, "the entry in row 1, column 3 is -2.0"),
        ({"data": np.array([1.0, 2.0, object()], dtype=object)}, "data holds Python objects"),
        ({"data": np.array(["a", "b", "c"])}, "a.npz"),
        ({"shape": np.array([10**12, 3])}, "promises 1000000000000 rows"),
        ({"shape": np.array([2, 10**12])}, "promises 1000000000000 columns"),
        ({"shape": np.array([2])}, "cannot be read as a SciPy .npz matrix"),
        ({"shape": np.array([-2, 3])}, "has a negative size"),
        ({"format": np.array(b"xyz")}, "cannot be read as a SciPy .npz matrix"),
        ({"format": np.array(b"coo"), "row": np.array([0, 0, 9]), "col": np.array([0, 1, 2])}, "a.npz"),
    ],
)
def test_damaged_matrices(tmp_path, changes, problem):
    assert problem in failure(read_npz, saved(tmp_path / "a.npz", parts(**changes)), OPTIONS)


def test_dense_arrays_are_explained(tmp_path):
    source = saved(tmp_path / "a.npz", {"X": np.ones((2, 3))})
    assert "holds no sparse matrix (it has X): write it with scipy.sparse.save_npz" in failure(
        read_npz, source, OPTIONS
    )


def with_raw_member(path, name, raw):
    members = parts()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, array in members.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{member}.npy", raw if member == name else content.getvalue())
    return str(path)


def test_a_header_that_promises_too_much(tmp_path):
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(content, header)
    source = with_raw_member(tmp_path / "a.npz", "data", content.getvalue() + bytes(24))
    assert "data promises 1000000000000 numbers, more than its 152 bytes can hold" in failure(
        read_npz, source, OPTIONS
    )


def test_an_archive_that_unpacks_to_far_too_much(tmp_path):
    source = with_raw_member(tmp_path / "a.npz", "data", bytes(2**28 + 1))
    message = failure(read_npz, source, OPTIONS)
    assert "bytes and would unpack to 2684" in message


@pytest.mark.parametrize("cut", [10, -1, 300])
def test_cut_files(tmp_path, cut):
    path = tmp_path / "a.npz"
    saved(path, parts())
    assert "cannot be read as a SciPy .npz matrix" in failure(
        read_npz, write(path, path.read_bytes()[:cut]), OPTIONS
    )


def test_altered_bytes_are_noticed(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, parts())
    raw = bytearray(path.read_bytes())
    raw[raw.index(np.float64(2.0).tobytes())] ^= 1
    assert "cannot be read" in failure(read_npz, write(path, bytes(raw)), OPTIONS)


def test_not_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read_npz, "-", OPTIONS)


def test_missing_file(tmp_path):
    assert "does not exist" in failure(read_npz, str(tmp_path / "a.npz"), OPTIONS)


@pytest.mark.parametrize("form", ["csc", "csr", "bsr"])
@pytest.mark.parametrize("pointers", [[0, 5, 0], [0, 100_000, 0], [0, -1, 0], [0, 0, 2**31 - 1], [1, 1, 1]])
def test_pointers_that_lie_are_an_error(tmp_path, form, pointers):
    X = scipy.sparse.csr_matrix([[1.0, 0.0], [0.0, 1.0]]).asformat(form)
    members = {"format": np.array(form), "shape": np.array(X.shape), "data": X.data, "indices": X.indices}
    source = saved(tmp_path / "a.npz", members | {"indptr": np.array(pointers, np.int32)})
    assert "a.npz" in failure(read_npz, source, OPTIONS)


def test_coordinates_that_lie_are_an_error(tmp_path):
    members = {"format": np.array("coo"), "shape": np.array([2, 2]), "data": np.ones(2)}
    for row, column in (([0, 2], [0, 1]), ([0, 1], [-1, 1]), ([0, 1], [0, 2**31 - 1]), ([0], [0, 1])):
        source = saved(tmp_path / "a.npz", members | {"row": np.array(row), "col": np.array(column)})
        assert "a.npz" in failure(read_npz, source, OPTIONS)


def test_diagonals_outside_the_matrix_hold_nothing(tmp_path):
    members = {"format": np.array("dia"), "shape": np.array([2, 2]), "data": np.ones((2, 9))}
    for far in (9, -9, 2**31 - 1, -(2**31)):
        source = saved(tmp_path / "a.npz", members | {"offsets": np.array([0, far])})
        assert read_npz(source, OPTIONS).X.toarray().tolist() == [[1.0, 0.0], [0.0, 1.0]]


N_ENTRIES = 9_000_000


def entries_of_one_row():
    return scipy.sparse.csr_matrix(
        (np.ones(N_ENTRIES, np.int8), np.zeros(N_ENTRIES, np.int32), [0, N_ENTRIES]), (1, 1)
    )


def one_block():
    return scipy.sparse.bsr_matrix((np.ones((1, 3000, 3000), np.int8), [0], [0, 1]))


def one_diagonal():
    return scipy.sparse.dia_matrix((np.ones((1, N_ENTRIES), np.int8), [0]), (N_ENTRIES, N_ENTRIES))


@pytest.mark.parametrize("made", [entries_of_one_row, one_block, one_diagonal])
def test_few_bytes_that_would_be_many_entries(tmp_path, made):
    scipy.sparse.save_npz(tmp_path / "a.npz", made())
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    assert "bytes and would unpack to" in failure(read_npz, str(tmp_path / "a.npz"), OPTIONS)


def test_a_small_archive_with_wide_empty_columns(tmp_path):
    X = scipy.sparse.csr_matrix(([1.0], ([0], [0])), shape=(1_000, 2**24))
    scipy.sparse.save_npz(tmp_path / "a.npz", X)
    assert "promises 16777216 columns" in failure(read_npz, str(tmp_path / "a.npz"), OPTIONS)
