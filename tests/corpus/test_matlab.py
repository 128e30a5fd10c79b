"""MATLAB files as SciPy writes them, and damaged ones."""

import gzip
import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import ReadOptions
from nphash.corpus.matlab import read, read_variables

TYPES = ["float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def save(path, compressed=False, **arrays):
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return str(path)


def variables(path, *wanted):
    return list(read_variables(str(path), wanted)[0].values())


@settings(deadline=None, max_examples=60)
@given(matrices(), st.booleans(), st.sampled_from(TYPES))
def test_what_scipy_writes_is_read(X, compressed, dtype):
    dense = X.toarray().astype(dtype)
    with folder() as here:
        source = save(
            here / "a.mat", compressed, sparse=X.astype(float), other={"a": 1}, dense=dense, text="x"
        )
        found, names = read_variables(source, ["sparse", "dense", "missing"])
    assert names == ["sparse", "other", "dense", "text"]
    assert set(found) == {"sparse", "dense"}
    assert same(found["sparse"], X)
    assert found["dense"].dtype == dtype
    assert np.array_equal(found["dense"], dense)


def element(kind, payload, order=">"):
    return struct.pack(f"{order}II", kind, len(payload)) + payload + bytes(-len(payload) % 8)


def matrix(values, rows, columns, kind=6, flags=0, order=">"):
    parts = element(6, struct.pack(f"{order}II", kind | flags, 0), order)
    parts += element(5, struct.pack(f"{order}ii", rows, columns), order)
    parts += struct.pack(f"{order}I", 1 << 16 | 1) + b"x\0\0\0"  # a name of one letter, in the short form
    return element(14, parts + values, order)


def file_of(*elements, order=">"):
    mark = b"\x01\x00MI" if order == ">" else b"\x00\x01IM"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(elements)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_narrow_storage(tmp_path, order):
    stored = element(2, bytes([1, 2, 3, 4]), order)  # doubles kept as bytes, as MATLAB does for small numbers
    write(
        tmp_path / "a.mat",
        file_of(element(1, b"note", order), matrix(stored, 2, 2, order=order), order=order),
    )
    assert variables(tmp_path / "a.mat", "x")[0].tolist() == [[1, 3], [2, 4]]


def doubles(*values):
    return element(9, struct.pack(f">{len(values)}d", *values))


def whole(*values):
    return element(5, struct.pack(f">{len(values)}i", *values))


def test_a_sparse_matrix_with_room_to_grow(tmp_path):
    body = whole(1, 0, 0) + whole(0, 1, 2) + doubles(5, 6, 0)  # three places, two in use
    write(tmp_path / "a.mat", file_of(matrix(body, 2, 2, kind=5)))
    assert variables(tmp_path / "a.mat", "x")[0].toarray().tolist() == [[0, 6], [5, 0]]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (matrix(doubles(1, 2, 3), 2, 2), "(3 numbers for a matrix of shape (2, 2))"),
        (matrix(doubles(1), 2**31 - 1, 1), "promises 2147483647 rows"),
        (matrix(doubles(1), 1, 2**31 - 1), "promises 2147483647 columns"),
        (matrix(doubles(1), -1, -1), "has a negative size"),
        (matrix(doubles(1), 1, 1, flags=0x0800), "x is no matrix of real numbers: save it as"),
        (matrix(doubles(1), 1, 1, kind=4), "x is no matrix of real numbers"),
        (matrix(element(99, b""), 1, 1), "(numbers of the unknown type 99)"),
        (matrix(b"", 1, 1), "a.mat cannot be read as a MATLAB file"),
        (matrix(whole(0) + whole(0, 5) + doubles(1), 1, 1, kind=5), "(broken index arrays for a matrix"),
        (matrix(whole(0) + whole(0, -1) + doubles(1), 1, 1, kind=5), "(broken index arrays for a matrix"),
        (matrix(whole(0) + whole(0) + doubles(1), 1, 1, kind=5), "(broken index arrays for a matrix"),
        (matrix(whole(9) + whole(0, 1) + doubles(1), 1, 1, kind=5), "x is no valid sparse matrix"),
        (matrix(whole(-9) + whole(0, 1) + doubles(1), 1, 1, kind=5), "a.mat"),
        (matrix(whole(0, 0) + whole(0, 2, 1) + doubles(1, 1), 1, 2, kind=5), "a.mat"),
        (struct.pack(">II", 14, 2**31) + bytes(8), "(it ends inside an element of 2147483648 bytes)"),
        (struct.pack(">II", 9 << 16 | 1, 0), "(it ends inside an element of 9 bytes)"),
        (element(15, b"not zlib"), "(a variable cannot be unpacked: Error"),
        (element(15, zlib.compress(b"short")), "a.mat cannot be read as a MATLAB file"),
    ],
)
def test_damaged_contents(tmp_path, content, problem):
    source = write(tmp_path / "a.mat", file_of(content))
    message = failure(lambda: variables(source, "x"))
    assert "a.mat" in message
    assert problem in message


def test_a_variable_that_unpacks_to_far_too_much(tmp_path):
    packed = zlib.compress(bytes(2**28 + 2**20))
    message = failure(lambda: variables(write(tmp_path / "a.mat", file_of(element(15, packed))), "x"))
    assert f"a variable of {len(packed)} bytes would unpack to more than 134217728" in message


@pytest.mark.parametrize("raw", [b"", b"text", bytes(500), b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x02IM"])
def test_files_of_another_kind(tmp_path, raw):
    message = failure(lambda: variables(write(tmp_path / "a.mat", raw), "x"))
    assert "a.mat is no MATLAB 5 file: save it again with -v7 or with scipy.io.savemat" in message


def test_version_4_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.eye(2)}, format="4")
    assert "is no MATLAB 5 file" in failure(lambda: variables(tmp_path / "a.mat", "x"))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_damage_is_noticed_or_harmless(data):
    X = scipy.sparse.random(4, 5, 0.5, "csc", random_state=1)
    with folder() as here:
        raw = bytearray((here / save(here / "a.mat", x=X, y=X.toarray())).read_bytes())
        for at in data.draw(st.lists(st.integers(128, len(raw) - 1), min_size=1, max_size=3)):
            raw[at] = data.draw(st.integers(0, 255))
        source = write(here / "b.mat", bytes(raw))
        try:
            found = variables(source, "x", "y")
        except Exception as error:
            assert type(error).__name__ == "CorpusError"
        else:
            assert all(len(one.shape) == 2 for one in found)


@pytest.mark.parametrize("starts", [[0, 5, 0], [0, 100_000, 0], [0, -1, 0], [1, 1, 1]])
def test_column_starts_that_lie_are_an_error(tmp_path, starts):
    body = whole(0, 0) + whole(*starts) + doubles(1, 1)
    source = write(tmp_path / "a.mat", file_of(matrix(body, 2, 2, kind=5)))
    assert "a.mat" in failure(lambda: variables(source, "x"))


# ---------------------------------------------------------------------- mat


OPTIONS = ReadOptions()


@settings(deadline=None, max_examples=30)
@given(matrices(), st.booleans(), st.booleans())
def test_round_trip(X, compressed, dense):
    X = X.astype(np.float64)
    parts = {"train": X, "test": X[:1], "cv": scipy.sparse.csr_matrix(X[::-1])}
    marks = {f"gnd_{name}": np.tile([[1, 0, 1]], (part.shape[0], 1)) for name, part in parts.items()}
    if dense:
        parts = {name: part.toarray() for name, part in parts.items()}
    with folder() as here:
        matrix = read(save(here / "a.mat", compressed, **parts, **marks, other=np.ones(3)), OPTIONS)
    n = X.shape[0]
    assert same(matrix.X, scipy.sparse.vstack([X, X[::-1], X[:1]], format="csr").astype(np.float32))
    assert matrix.splits == ["train"] * n + ["valid"] * n + ["test"]
    assert matrix.ids == [f"train:{i + 1}" for i in range(n)] + [f"cv:{i + 1}" for i in range(n)] + ["test:1"]
    assert matrix.labels == [("0", "2")] * (2 * n + 1)


@pytest.mark.parametrize(
    ("truth", "labels"),
    [
        (np.array([[3], [1]]), [("3",), ("1",)]),
        (np.array([[3, 1]]), [("3",), ("1",)]),
        (np.array([[0, 1], [0, 0]]), [("1",), ()]),
        (scipy.sparse.csc_matrix([[1.0, 0, 1.0], [0, 1.0, 0]]), [("0", "2"), ("1",)]),
        (np.array([[1, 0], [0, 1], [1, 1]]), [("0", "2"), ("1", "2")]),  # written the other way round
    ],
)
def test_forms_of_labels(tmp_path, truth, labels):
    source = save(tmp_path / "a.mat", train=scipy.sparse.csc_matrix([[1.0, 2.0], [0, 1.0]]), gnd_train=truth)
    assert read(source, OPTIONS).labels == labels


def test_only_the_training_part_is_needed(tmp_path):
    matrix = read(save(tmp_path / "a.mat", train=np.eye(2)), OPTIONS)
    assert (matrix.labels, matrix.splits) == ([(), ()], ["train", "train"])


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"fea": np.eye(2)}, "has no matrix 'train' (it has fea)"),
        ({"train": np.eye(2), "test": np.eye(3)}, "differ in their number of words (train 2, test 3)"),
        ({"train": np.eye(2), "gnd_train": np.ones((3, 4))}, "gnd_train has 3 rows for 2 documents"),
        (
            {"train": np.eye(2), "gnd_train": np.array([[1.0], [np.nan]])},
            "gnd_train holds values that are no",
        ),
        ({"train": np.array([[1.0, np.nan]])}, "the entry in row 1, column 2 is nan"),
        ({"train": np.array([[1.0, -1.0]])}, "the entry in row 1, column 2 is -1.0"),
        ({"train": "text"}, "a.mat: train is no matrix of real numbers"),
        ({"train": {"x": 1}}, "train is no matrix of real numbers"),
        ({"train": np.ones((2, 2, 2))}, "train is no matrix of real numbers"),
        ({"train": np.array([[1j]])}, "train is no matrix of real numbers"),
        ({"train": np.eye(2), "gnd_train": "ab"}, "gnd_train is no matrix of real numbers"),
    ],
)
def test_bad_contents(tmp_path, arrays, problem):
    assert problem in failure(read, save(tmp_path / "a.mat", **arrays), OPTIONS)


@pytest.mark.parametrize("raw", [b"\x89HDF\r\n\x1a\n" + bytes(600), b"MATLAB 7.3 MAT-file" + bytes(600)])
def test_hdf5_files_are_explained(tmp_path, raw):
    assert "is of MATLAB's HDF5 form: save it again with -v7" in failure(
        read, write(tmp_path / "a.mat", raw), OPTIONS
    )


@pytest.mark.parametrize("cut", [60, 140, -20])
@pytest.mark.parametrize("compressed", [True, False])
def test_cut_files(tmp_path, cut, compressed):
    path = tmp_path / "a.mat"
    save(path, compressed, train=np.eye(5))
    assert "a.mat" in failure(read, write(path, path.read_bytes()[:cut]), OPTIONS)


def test_not_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read, "-", OPTIONS)


def test_zeros_that_are_packed_are_read_no_further_than_they_can_mean_something(tmp_path):
    packed = gzip.compress(bytes(2**28), 1)
    assert "is no MATLAB 5 file" in failure(read, write(tmp_path / "a.mat.gz", packed), OPTIONS)
    packed = gzip.compress(file_of(b"") + bytes(2**27 + 2**20), 1)
    assert "a.mat" in failure(read, write(tmp_path / "a.mat.gz", packed), OPTIONS)
    assert "(it holds an empty element)" in failure(
        read, write(tmp_path / "a.mat", file_of(bytes(2**20))), OPTIONS
    )
