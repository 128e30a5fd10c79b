import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure
from nphash.corpus.numbers import check_range, read_numbers


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
