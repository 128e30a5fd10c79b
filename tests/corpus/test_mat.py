import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import ReadOptions
from nphash.corpus.mat import read

OPTIONS = ReadOptions()


def save(path, compressed=False, **arrays):
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return str(path)


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
