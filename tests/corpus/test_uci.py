import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, matrices, same, write
from nphash.corpus import ReadOptions
from nphash.corpus.uci import read

OPTIONS = ReadOptions()


@settings(deadline=None, max_examples=40)
@given(matrices(), st.booleans(), st.randoms())
def test_round_trip(X, packed, random):
    X.data = np.ceil(X.data)
    entries = X.tocoo()
    triplets = list(zip(entries.row + 1, entries.col + 1, entries.data.astype(int), strict=True))
    random.shuffle(triplets)
    lines = [str(X.shape[0]), str(X.shape[1]), str(X.nnz)] + [
        " ".join(map(str, triplet)) for triplet in triplets
    ]
    words = [f"w{column}" for column in range(X.shape[1])]
    end = ".gz" if packed else ""
    with folder() as here:
        write(here / f"vocab.tiny.txt{end}", "\n".join(words) + "\n", packed)
        matrix = read(write(here / f"docword.tiny.txt{end}", "\n".join(lines) + "\n", packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.vocabulary == words


def test_vocabulary_is_found_given_or_missing(tmp_path):
    source = write(tmp_path / "docword.a.txt", "1\n2\n1\n1 2 3\n")
    assert read(source, OPTIONS).vocabulary is None
    write(tmp_path / "vocab.a.txt", "x\ny\n")
    assert read(source, OPTIONS).vocabulary == ["x", "y"]
    given_path = write(tmp_path / "mine", "p\nq\n")
    assert read(source, ReadOptions(vocabulary=given_path)).vocabulary == ["p", "q"]
    assert read(write(tmp_path / "other.txt", "1\n2\n1\n1 2 3\n"), OPTIONS).vocabulary is None


def test_vocabulary_of_another_length(tmp_path):
    source = write(tmp_path / "docword.a.txt", "1\n2\n1\n1 2 3\n")
    write(tmp_path / "vocab.a.txt", "x\n")
    assert "docword.a.txt has 1 words for 2 columns" in failure(read, source, OPTIONS)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: '' is no whole number: the first three lines are"),
        ("3\n2\n", "line 3: '' is no whole number"),
        ("3\n2 2\n1\n", "line 2: '2 2' is no whole number"),
        ("3\nx\n1\n", "line 2: 'x' is no whole number"),
        ("3\n2\n-1\n", "line 3: '-1' is no whole number"),
        ("1000000000000\n2\n1\n1 1 1\n", "promises 1000000000000 rows"),
        ("3\n1000000000000\n1\n1 1 1\n", "promises 1000000000000 columns"),
        ("3\n2\n1000000000000\n1 1 1\n", "promises 1000000000000 entries"),
        ("3\n2\n2\n1 1 1\n", "promises 2 lines of entries, and there are only 1: the file is not complete"),
        ("3\n2\n1\n1 1 1\n1 2 1\n", "promises 1 lines of entries, and there are more"),
        ("3\n2\n2\n1 1 1\n4 1 1\n", "entry 2: the document 4 is not in 1..3"),
        ("3\n2\n1\n1 0 1\n", "entry 1: the word 0 is not in 1..2"),
        ("3\n2\n1\n1 1\n", "has 2 numbers on a line where 3 are expected"),
        ("3\n2\n2\n1 1 1\n1 2\n", "cannot be read as rows of numbers"),
        ("3\n2\n1\n1 1 x\n", "cannot be read as rows of numbers"),
        ("3\n2\n1\n1 1 0.5\n", "cannot be read as rows of numbers"),
        ("3\n2\n1\n1 1 -2\n", "the entry in row 1, column 1 is -2"),
        ("3\n2\n1\n1 1 99999999999999999999\n", "cannot be read as rows of numbers"),
    ],
)
def test_bad_files(tmp_path, content, problem):
    message = failure(read, write(tmp_path / "docword.a.txt", content), OPTIONS)
    assert "docword.a.txt" in message
    assert problem in message


def test_blanks_of_any_kind_around_the_sizes(tmp_path):
    source = write(tmp_path / "docword.a.txt", "3\x1f\n 2\t\r\n1\n1 2 4\n")
    assert read(source, OPTIONS).X.toarray().tolist() == [[0, 4], [0, 0], [0, 0]]


def test_no_triplets_at_all(tmp_path):
    assert read(write(tmp_path / "docword.a.txt", "3\n2\n0\n"), OPTIONS).X.shape == (3, 2)


def test_not_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read, "-", OPTIONS)
