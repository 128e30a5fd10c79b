import io
import zipfile

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import ReadOptions
from nphash.corpus.npz import read

OPTIONS = ReadOptions()


@settings(deadline=None, max_examples=40)
@given(matrices(), st.sampled_from(["csr", "csc", "coo"]), st.booleans())
def test_round_trip(X, form, compressed):
    with folder() as here:
        scipy.sparse.save_npz(here / "a.npz", X.asformat(form), compressed=compressed)
        matrix = read(str(here / "a.npz"), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.ids[0] == "a.npz:1"


def test_sparse_arrays_and_long_indices(tmp_path):
    X = scipy.sparse.csr_array([[0, 3], [1, 0]])
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    scipy.sparse.save_npz(tmp_path / "a.npz", X)
    assert read(str(tmp_path / "a.npz"), OPTIONS).X.toarray().tolist() == [[0, 3], [1, 0]]


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
    assert problem in failure(read, saved(tmp_path / "a.npz", parts(**changes)), OPTIONS)


def test_dense_arrays_are_explained(tmp_path):
    source = saved(tmp_path / "a.npz", {"X": np.ones((2, 3))})
    assert "holds no sparse matrix (it has X): write it with scipy.sparse.save_npz" in failure(
        read, source, OPTIONS
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
        read, source, OPTIONS
    )


def test_an_archive_that_unpacks_to_far_too_much(tmp_path):
    source = with_raw_member(tmp_path / "a.npz", "data", bytes(2**28 + 1))
    message = failure(read, source, OPTIONS)
    assert "bytes and would unpack to 2684" in message


@pytest.mark.parametrize("cut", [10, -1, 300])
def test_cut_files(tmp_path, cut):
    path = tmp_path / "a.npz"
    saved(path, parts())
    assert "cannot be read as a SciPy .npz matrix" in failure(
        read, write(path, path.read_bytes()[:cut]), OPTIONS
    )


def test_altered_bytes_are_noticed(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, parts())
    raw = bytearray(path.read_bytes())
    raw[raw.index(np.float64(2.0).tobytes())] ^= 1
    assert "cannot be read" in failure(read, write(path, bytes(raw)), OPTIONS)


def test_not_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read, "-", OPTIONS)


def test_missing_file(tmp_path):
    assert "does not exist" in failure(read, str(tmp_path / "a.npz"), OPTIONS)


@pytest.mark.parametrize("form", ["csc", "csr", "bsr"])
@pytest.mark.parametrize("pointers", [[0, 5, 0], [0, 100_000, 0], [0, -1, 0], [0, 0, 2**31 - 1], [1, 1, 1]])
def test_pointers_that_lie_are_an_error(tmp_path, form, pointers):
    X = scipy.sparse.csr_matrix([[1.0, 0.0], [0.0, 1.0]]).asformat(form)
    members = {"format": np.array(form), "shape": np.array(X.shape), "data": X.data, "indices": X.indices}
    source = saved(tmp_path / "a.npz", members | {"indptr": np.array(pointers, np.int32)})
    assert "a.npz" in failure(read, source, OPTIONS)


def test_coordinates_that_lie_are_an_error(tmp_path):
    members = {"format": np.array("coo"), "shape": np.array([2, 2]), "data": np.ones(2)}
    for row, column in (([0, 2], [0, 1]), ([0, 1], [-1, 1]), ([0, 1], [0, 2**31 - 1]), ([0], [0, 1])):
        source = saved(tmp_path / "a.npz", members | {"row": np.array(row), "col": np.array(column)})
        assert "a.npz" in failure(read, source, OPTIONS)


def test_diagonals_outside_the_matrix_hold_nothing(tmp_path):
    members = {"format": np.array("dia"), "shape": np.array([2, 2]), "data": np.ones((2, 9))}
    for far in (9, -9, 2**31 - 1, -(2**31)):
        source = saved(tmp_path / "a.npz", members | {"offsets": np.array([0, far])})
        assert read(source, OPTIONS).X.toarray().tolist() == [[1.0, 0.0], [0.0, 1.0]]
