"""Matrices written as text: Matrix Market, UCI and svmlight."""

import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from helpers.corpora import failure, folder, matrices, same, standard_input, write
from nphash.corpus import ReadOptions
from nphash.corpus.matrix_text import check_range, read_matrix_market, read_numbers, read_svmlight, read_uci


def numbered(lines):
    return iter(list(enumerate(lines, start=1)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.floats(allow_nan=False)), max_size=8), st.booleans()
)
def test_what_was_written_is_read(rows, blanks):
    lines = [f"{first} {second!r}" for first, second in rows]
    lines = [part for line in lines for part in ((line, "", "  ") if blanks else (line,))]
    found = read_numbers(numbered(lines), "f", len(rows), 2)
    assert found.shape == (len(rows), 2)
    assert [tuple(row) for row in found.tolist()] == [(float(a), b) for a, b in rows]


def test_whole_numbers_stay_exact():
    assert read_numbers(numbered([str(2**60 + 1)]), "f", 1, 1, np.int64)[0, 0] == 2**60 + 1


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["1 2"],
            "the header of f promises 2 lines of entries, and there are only 1: the file is not complete",
        ),
        ([], "promises 2 lines of entries, and there are only 0"),
        (["1 2"] * 3, "promises 2 lines of entries, and there are more"),
        (["1", "2"], "f has 1 numbers on a line where 2 are expected"),
        (["1 2", "1 2 3"], "f cannot be read as rows of numbers (the number of columns changed"),
        (["1 2", "1 x"], "f cannot be read as rows of numbers (could not convert string 'x'"),
        (["1 2", "# 1"], "f cannot be read as rows of numbers"),
    ],
)
def test_bad_rows(lines, problem):
    assert problem in failure(read_numbers, numbered(lines), "f", 2, 2)


def test_it_stops_after_one_line_too_many():
    def endless():
        for at in range(10**9):
            assert at < 10**6, "reads on and on"
            yield at, "1"

    assert "there are more" in failure(read_numbers, endless(), "f", 3, 1)


@pytest.mark.parametrize("bad", [0, -1, 6, 1.5, np.nan, np.inf, 1e300])
def test_numbers_out_of_range(bad):
    assert check_range(np.array([1, 5]), 5, "row", "f").tolist() == [0, 4]
    message = failure(check_range, np.array([1.0, bad]), 5, "row", "f")
    assert message.startswith(f"f, entry 2: the row {bad:g} is not in 1..5: the header")


# ---------------------------------------------------------------------- matrix_market


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
        matrix = read_matrix_market(write(here / "a.mtx", content.getvalue(), packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.ids == [f"a.mtx:{row}" for row in range(1, X.shape[0] + 1)]


def test_other_kinds_of_entries(tmp_path):
    pattern = "%%MatrixMarket matrix coordinate pattern general\n%\n\n2 3 2\n1 3\n2 1\n"
    assert read_matrix_market(write(tmp_path / "a.mtx", pattern), OPTIONS).X.toarray().tolist() == [
        [0, 0, 1],
        [1, 0, 0],
    ]
    symmetric = "%%MatrixMarket MATRIX Coordinate integer symmetric\n2 2 2\n1 1 4\n2 1 5\n"
    assert read_matrix_market(write(tmp_path / "b.mtx", symmetric), OPTIONS).X.toarray().tolist() == [
        [4, 5],
        [5, 0],
    ]


def test_matrix_market_vocabulary(tmp_path):
    source = write(tmp_path / "a.mtx", HEADER + "1 2 1\n1 2 3\n")
    options = ReadOptions(vocabulary=write(tmp_path / "v", "x\ny\n"))
    assert read_matrix_market(source, options).vocabulary == ["x", "y"]
    options = ReadOptions(vocabulary=write(tmp_path / "w", "x\n"))
    assert "1 words for 2 columns" in failure(read_matrix_market, source, options)


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
def test_bad_matrix_market_files(tmp_path, content, problem):
    message = failure(read_matrix_market, write(tmp_path / "a.mtx", content), OPTIONS)
    assert "a.mtx" in message
    assert problem in message


def test_a_packed_file_is_measured_unpacked(tmp_path):
    X = np.ones((400, 50))
    content = io.BytesIO()
    scipy.io.mmwrite(content, X)
    source = write(tmp_path / "a.mtx.gz", content.getvalue(), packed=True)
    assert (tmp_path / "a.mtx.gz").stat().st_size < X.size  # by its packed size it could not hold them
    assert np.array_equal(read_matrix_market(source, OPTIONS).X.toarray(), X)


def test_no_matrix_market_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read_matrix_market, "-", OPTIONS)


# ---------------------------------------------------------------------- uci


@settings(deadline=None, max_examples=40)
@given(matrices(), st.booleans(), st.randoms())
def test_round_trip_of_uci(X, packed, random):
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
        matrix = read_uci(write(here / f"docword.tiny.txt{end}", "\n".join(lines) + "\n", packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.vocabulary == words


def test_vocabulary_is_found_given_or_missing(tmp_path):
    source = write(tmp_path / "docword.a.txt", "1\n2\n1\n1 2 3\n")
    assert read_uci(source, OPTIONS).vocabulary is None
    write(tmp_path / "vocab.a.txt", "x\ny\n")
    assert read_uci(source, OPTIONS).vocabulary == ["x", "y"]
    given_path = write(tmp_path / "mine", "p\nq\n")
    assert read_uci(source, ReadOptions(vocabulary=given_path)).vocabulary == ["p", "q"]
    assert read_uci(write(tmp_path / "other.txt", "1\n2\n1\n1 2 3\n"), OPTIONS).vocabulary is None


def test_vocabulary_of_another_length(tmp_path):
    source = write(tmp_path / "docword.a.txt", "1\n2\n1\n1 2 3\n")
    write(tmp_path / "vocab.a.txt", "x\n")
    assert "docword.a.txt has 1 words for 2 columns" in failure(read_uci, source, OPTIONS)


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
def test_bad_uci_files(tmp_path, content, problem):
    message = failure(read_uci, write(tmp_path / "docword.a.txt", content), OPTIONS)
    assert "docword.a.txt" in message
    assert problem in message


def test_blanks_of_any_kind_around_the_sizes(tmp_path):
    source = write(tmp_path / "docword.a.txt", "3\x1f\n 2\t\r\n1\n1 2 4\n")
    assert read_uci(source, OPTIONS).X.toarray().tolist() == [[0, 4], [0, 0], [0, 0]]


def test_no_triplets_at_all(tmp_path):
    assert read_uci(write(tmp_path / "docword.a.txt", "3\n2\n0\n"), OPTIONS).X.shape == (3, 2)


def test_no_uci_from_standard_input():
    assert "cannot be read from standard input: give a path" in failure(read_uci, "-", OPTIONS)


# ---------------------------------------------------------------------- svmlight


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
        matrix = read_svmlight(write(here / "a.svm", content.getvalue(), packed), OPTIONS)
    assert same(matrix.X, X)
    assert matrix.labels == [(str(value),) for value in y]


def test_forms_of_a_line(tmp_path):
    source = write(
        tmp_path / "a.svm",
        "# header\n1,3,1 2:1 1:0.5\n\n 3:2 # no label\n-1\t1:1\t2:1\r\n+1 qid:7 2:1e1\n2\n"
        "4  qid:1  1:1  # c:1\n",
    )
    matrix = read_svmlight(source, OPTIONS)
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
    matrix = read_svmlight(write(tmp_path / "a.svm", content), ReadOptions(index_base=base))
    assert matrix.X.toarray().tolist() == expected


def test_standard_input(monkeypatch):
    standard_input(monkeypatch, b"1 1:1\n")
    assert read_svmlight("-", OPTIONS).ids == ["stdin:1"]


def test_last_words_of_the_vocabulary_may_not_occur(tmp_path):
    vocabulary = write(tmp_path / "v", "a\nb\nc\n")
    matrix = read_svmlight(write(tmp_path / "a.svm", "1 1:1\n"), ReadOptions(vocabulary=vocabulary))
    assert (matrix.X.shape, matrix.vocabulary) == ((1, 3), ["a", "b", "c"])
    source = write(tmp_path / "b.svm", "1 4:1\n")
    assert "3 words for 4 columns" in failure(
        read_svmlight, source, ReadOptions(vocabulary=vocabulary, index_base="1")
    )


def test_repeated_indices_add_up(tmp_path):
    assert read_svmlight(write(tmp_path / "a.svm", "1 1:1 1:2\n"), OPTIONS).X.toarray().tolist() == [[3]]


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
    message = failure(read_svmlight, write(tmp_path / "a.svm", f"1 1:1\n{line}\n"), OPTIONS)
    assert "a.svm" in message
    assert problem in message


def test_bad_bases_and_empty_contents(tmp_path):
    source = write(tmp_path / "a.svm", "1 0:1\n")
    message = failure(read_svmlight, source, ReadOptions(index_base="1"))
    assert "has the index 0, but indices begin at 1: give --index-base 0" in message
    assert "'2' is no index base" in failure(read_svmlight, source, ReadOptions(index_base="2"))
    assert "holds labels only" in failure(read_svmlight, write(tmp_path / "b.svm", "1\n2\n"), OPTIONS)
    assert "holds no document" in failure(read_svmlight, write(tmp_path / "c.svm", "# nothing\n\n"), OPTIONS)


def test_many_lines_as_scipy_sees_them(tmp_path):
    X = with_both_ends(scipy.sparse.random(300, 50, 0.1, "csr", np.float32, random_state=3))
    lines = [
        "0 "
        + " ".join(
            f"{column + 1}:{value!r}" for column, value in zip(row.indices, row.data.tolist(), strict=True)
        )
        for row in (X[at] for at in range(300))
    ]
    assert same(read_svmlight(write(tmp_path / "a.svm", "\n".join(lines)), OPTIONS).X, X)


def test_tabs_and_blanks_between_pairs(tmp_path):
    content = "1 1:0.5\t2:0.25\n-1\t3:1 \t 4:2\nnew york\t1:1\n\t2:7\n"
    matrix = read_svmlight(write(tmp_path / "a.svm", content), OPTIONS)
    assert matrix.labels == [("1",), ("-1",), ("new york",), ()]
    assert matrix.X.toarray().tolist() == [[0.5, 0.25, 0, 0], [0, 0, 1, 2], [1, 0, 0, 0], [0, 7, 0, 0]]


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("docword.a.txt", "1000000\n16777216\n3\n1 1 1\n2 2 2\n3 3 3\n", read_uci),
        ("docword.a.txt", "9\n16777216\n3\n1 1 1\n2 2 2\n3 3 3\n", read_uci),
        ("a.mtx", "%%MatrixMarket matrix coordinate real general\n9 16777216 1\n1 1 1\n", read_matrix_market),
        ("a.svm", "1 1:1 16777215:1\n", read_svmlight),
    ],
)
def test_a_few_bytes_promise_no_millions_of_columns_or_rows(tmp_path, name, content, read):
    message = failure(read, write(tmp_path / name, content), OPTIONS)
    assert "more than its" in message and "can hold" in message


def test_columns_that_a_collection_knows_are_believed(tmp_path):
    source = write(tmp_path / "a.svm", "1 1:1 2000000:1\n")
    assert read_svmlight(source, ReadOptions(n_columns=2_000_000)).X.shape == (1, 2_000_000)


def test_a_long_line_of_pairs_is_read_some_at_a_time(tmp_path):
    pairs = " ".join(f"{at}:{at % 7 + 1}" for at in range(1, 40_001))
    matrix = read_svmlight(write(tmp_path / "a.svm", f"1 {pairs}\n0 3:1\n"), OPTIONS)
    assert matrix.X.shape == (2, 40_000) and matrix.X.nnz == 40_001 and matrix.X[0, 39_999] == 40_000 % 7 + 1
    wrong = pairs.replace("30000:", "30000;")
    assert "line 1: '30000;" in failure(read_svmlight, write(tmp_path / "b.svm", f"1 {wrong}\n"), OPTIONS)
