import io

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from helpers.corpora import failure, folder, matrices, same, standard_input, write
from nphash.corpus import ReadOptions
from nphash.corpus.svmlight import read

OPTIONS = ReadOptions()


def with_both_ends(X):
    """Fill two corners, so that "auto" can see the base and the reader the number of columns."""
    X = X.tolil()
    X[0, 0] = X[0, X.shape[1] - 1] = 1.0
    return X.tocsr()


@settings(deadline=None, max_examples=60)
@given(matrices(), st.booleans(), st.booleans(), st.data())
def test_round_trip_with_scikit_learns_writer(X, zero_based, packed, data):
    X = with_both_ends(X)
    y = np.array(data.draw(st.lists(st.integers(-3, 9), min_size=X.shape[0], max_size=X.shape[0])))
    content = io.BytesIO()
    dump_svmlight_file(X, y, content, zero_based=zero_based, comment="a comment", query_id=np.arange(len(y)))
    with folder() as here:
        matrix = read(write(here / "a.svm", content.getvalue(), packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.labels == [(str(value),) for value in y]


def test_forms_of_a_line(tmp_path):
    source = write(
        tmp_path / "a.svm",
        "# header\n1,3,1 2:1 1:0.5\n\n 3:2 # no label\n-1\t1:1\t2:1\r\n+1 qid:7 2:1e1\n2\n"
        "4  qid:1  1:1  # c:1\n",
    )
    matrix = read(source, OPTIONS)
    assert matrix.X.toarray().tolist() == [
        [0.5, 1, 0],
        [0, 0, 2],
        [1, 1, 0],
        [0, 10, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]
    assert matrix.labels == [("1", "3"), (), ("-1",), ("+1",), ("2",), ("4",)]
    assert matrix.ids == ["a.svm:2", "a.svm:4", "a.svm:5", "a.svm:6", "a.svm:7", "a.svm:8"]
    assert matrix.splits == [""] * 6


@pytest.mark.parametrize(
    ("content", "base", "expected"),
    [
        ("1 1:1 2:2", "auto", [[1, 2]]),
        ("1 0:1 2:2", "auto", [[1, 0, 2]]),
        ("1 1:1 2:2", "0", [[0, 1, 2]]),
        ("1 2:1", "1", [[0, 1]]),
    ],
)
def test_index_base(tmp_path, content, base, expected):
    matrix = read(write(tmp_path / "a.svm", content), ReadOptions(index_base=base))
    assert matrix.X.toarray().tolist() == expected


def test_standard_input(monkeypatch):
    standard_input(monkeypatch, b"1 1:1\n")
    assert read("-", OPTIONS).ids == ["stdin:1"]


def test_last_words_of_the_vocabulary_may_not_occur(tmp_path):
    vocabulary = write(tmp_path / "v", "a\nb\nc\n")
    matrix = read(write(tmp_path / "a.svm", "1 1:1\n"), ReadOptions(vocabulary=vocabulary))
    assert (matrix.X.shape, matrix.vocabulary) == ((1, 3), ["a", "b", "c"])
    source = write(tmp_path / "b.svm", "1 4:1\n")
    assert "3 words for 4 columns" in failure(
        read, source, ReadOptions(vocabulary=vocabulary, index_base="1")
    )


def test_repeated_indices_add_up(tmp_path):
    assert read(write(tmp_path / "a.svm", "1 1:1 1:2\n"), OPTIONS).X.toarray().tolist() == [[3]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 x:1", "line 2: 'x:1' is no index:value pair: correct the line"),
        ("1 1:x", "line 2: '1:x' is no index:value pair"),
        ("1 1:", "line 2: '1:' is no index:value pair"),
        ("1 1 2:1", "line 2: '1' is no index:value pair"),
        ("1 1:1:1", "line 2: '1:1:1' is no index:value pair"),
        ("1 -1:1", "line 2: '-1:1' is no index:value pair"),
        ("1 1.5:1", "line 2: '1.5:1' is no index:value pair"),
        ("1 " + "9" * 30 + ":1", "is no index:value pair"),
        ("1 ٣:1", "is no index:value pair"),
        ("1 999999999:1", "has the index 999999999, but at most 16777216 columns are possible"),
        ("1 2:nan", "the entry in row 2, column 2 is nan"),
        ("1 2:-3", "the entry in row 2, column 2 is -3.0"),
        ("1 2:1e999", "the entry in row 2, column 2 is inf"),
    ],
)
def test_bad_lines(tmp_path, line, problem):
    message = failure(read, write(tmp_path / "a.svm", f"1 1:1\n{line}\n"), OPTIONS)
    assert "a.svm" in message
    assert problem in message


def test_bad_bases_and_empty_contents(tmp_path):
    source = write(tmp_path / "a.svm", "1 0:1\n")
    message = failure(read, source, ReadOptions(index_base="1"))
    assert "has the index 0, but indices begin at 1: give --index-base 0" in message
    assert "'2' is no index base" in failure(read, source, ReadOptions(index_base="2"))
    assert "holds labels only" in failure(read, write(tmp_path / "b.svm", "1\n2\n"), OPTIONS)
    assert "holds no document" in failure(read, write(tmp_path / "c.svm", "# nothing\n\n"), OPTIONS)


def test_many_lines_as_scipy_sees_them(tmp_path):
    X = with_both_ends(scipy.sparse.random(300, 50, 0.1, "csr", np.float32, random_state=3))
    lines = [
        "0 "
        + " ".join(
            f"{column + 1}:{value!r}" for column, value in zip(row.indices, row.data.tolist(), strict=True)
        )
        for row in (X[at] for at in range(300))
    ]
    assert same(read(write(tmp_path / "a.svm", "\n".join(lines)), OPTIONS).X, X)
