import io

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import ReadOptions
from nphash.corpus.matrix_market import read

OPTIONS = ReadOptions()
HEADER = "%%MatrixMarket matrix coordinate real general\n"


@settings(deadline=None, max_examples=40)
@given(matrices(), st.booleans(), st.booleans())
def test_round_trip_with_scipys_writer(X, packed, dense):
    content = io.BytesIO()
    scipy.io.mmwrite(
        content, X.toarray() if dense else X, comment="one\ntwo", precision=9, symmetry="general"
    )
    with folder() as here:
        matrix = read(write(here / "a.mtx", content.getvalue(), packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.ids == [f"a.mtx:{row}" for row in range(1, X.shape[0] + 1)]


def test_other_kinds_of_entries(tmp_path):
    pattern = "%%MatrixMarket matrix coordinate pattern general\n%\n\n2 3 2\n1 3\n2 1\n"
    assert read(write(tmp_path / "a.mtx", pattern), OPTIONS).X.toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
    symmetric = "%%MatrixMarket MATRIX Coordinate integer symmetric\n2 2 2\n1 1 4\n2 1 5\n"
    assert read(write(tmp_path / "b.mtx", symmetric), OPTIONS).X.toarray().tolist() == [[4, 5], [5, 0]]


def test_vocabulary(tmp_path):
    source = write(tmp_path / "a.mtx", HEADER + "1 2 1\n1 2 3\n")
    options = ReadOptions(vocabulary=write(tmp_path / "v", "x\ny\n"))
    assert read(source, options).vocabulary == ["x", "y"]
    options = ReadOptions(vocabulary=write(tmp_path / "w", "x\n"))
    assert "1 words for 2 columns" in failure(read, source, options)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("1 1 1\n1 1 1\n", "line 1 does not begin with %%MatrixMarket matrix"),
        ("%%MatrixMarket vector coordinate real general\n", "line 1 does not begin with"),
        (HEADER, "line 2: '' is not the sizes of a matrix: rows, columns and"),
        (HEADER + "% c\n2 2\n", "line 3: '2 2' is not the sizes of a matrix"),
        (HEADER + "2 2 x\n", "line 2: '2 2 x' is not the sizes"),
        (HEADER + "2 2 -1\n", "line 2: '2 2 -1' is not the sizes"),
        (HEADER + "1000000000000 2 1\n1 1 1\n", "promises 1000000000000 rows"),
        (HEADER + "2 1000000000000 1\n1 1 1\n", "promises 1000000000000 columns"),
        (HEADER + "2 2 1000000000000\n1 1 1\n", "promises 1000000000000 entries"),
        ("%%MatrixMarket matrix array real general\n1000000 1000000\n1\n", "promises 1000000000000 entries"),
        (HEADER + "2 2 2\n1 1 1\n", "promises 2 lines of entries, and there are only 1"),
        (HEADER + "2 2 1\n1 1 1\n2 2 1\n", "promises 1 lines of entries, and there are more"),
        (HEADER + "2 2 1\n3 1 1\n", "entry 1: the row 3 is not in 1..2"),
        (HEADER + "2 2 1\n1 0 1\n", "entry 1: the column 0 is not in 1..2"),
        (HEADER + "2 2 1\n1.5 1 1\n", "entry 1: the row 1.5 is not in 1..2"),
        (HEADER + "2 2 1\nnan 1 1\n", "entry 1: the row nan is not in 1..2"),
        (HEADER + "2 2 1\n1 1 x\n", "cannot be read as rows of numbers ("),
        (HEADER + "2 2 1\n%\n1 1 1\n", "cannot be read as rows of numbers ("),
        (HEADER + "2 2 1\n1 1\n", "has 2 numbers on a line where 3 are expected"),
        ("%%MatrixMarket matrix coordinate real symmetric\n1 2 1\n1 1 1\n", "is symmetric and not square"),
        ("%%MatrixMarket matrix array real symmetric\n1 1\n1\n", "is no kind of word weights: write it as"),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n1 1 0\n", "is no kind of word weights"),
        (HEADER + "2 2 1\n1 1 nan\n", "the entry in row 1, column 1 is nan"),
        (HEADER + "2 2 1\n2 1 -0.5\n", "the entry in row 2, column 1 is -0.5"),
        ("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 1\n", "is no kind of word weights"),
        (HEADER + "0 5 0\n", "holds no document (a matrix of shape (0, 5))"),
    ],
)
def test_bad_files(tmp_path, content, problem):
    message = failure(read, write(tmp_path / "a.mtx", content), OPTIONS)
    assert "a.mtx" in message
    assert problem in message


def test_a_packed_file_is_measured_unpacked(tmp_path):
    X = np.ones((400, 50))
    content = io.BytesIO()
    scipy.io.mmwrite(content, X)
    source = write(tmp_path / "a.mtx.gz", content.getvalue(), packed=True)
    assert (tmp_path / "a.mtx.gz").stat().st_size < X.size  # by its packed size it could not hold them
    assert np.array_equal(read(source, OPTIONS).X.toarray(), X)


def test_not_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read, "-", OPTIONS)
