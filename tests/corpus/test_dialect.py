"""What separates and encloses cells: no reading loses or merges rows without a word."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.corpus.dialect import Dialect, Lines, find_dialect, records
from nphash.corpus.records import ReadOptions
from nphash.errors import CorpusError

TWO = ReadOptions(columns=("id", "text"))
# Letters, and what dialects are made of.
plain = st.text(st.sampled_from("ab \"',;|\\"), max_size=8)


def lines_of(content):
    return Lines(enumerate(content.split("\n"), start=1))


def read(content, options=TWO, usual="\t"):
    lines = lines_of(content.removesuffix("\n"))
    return list(records(lines, find_dialect(lines, usual, options), "f"))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(plain, plain).filter(any), min_size=1, max_size=6))
def test_tabs_without_quoting_give_every_cell_back(rows):
    content = "".join("\t".join(row) + "\n" for row in rows)
    options = ReadOptions(columns=("id", "text"), quote=False)
    assert read(content, options) == [(at, list(row)) for at, row in enumerate(rows, start=1)]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(plain, plain).filter(any), min_size=1, max_size=6))
def test_between_tabs_no_row_is_swallowed_by_default(rows):
    content = "".join("\t".join(row) + "\n" for row in rows)
    found = read(content)
    assert [number for number, _ in found] == list(range(1, len(rows) + 1))
    for (_, cells), row in zip(found, rows, strict=True):
        assert [cell.replace('"', "") for cell in cells] == [cell.replace('"', "") for cell in row]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(plain, st.text(st.sampled_from('ab"\n\t, '), max_size=9)), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from("\t,;|"),
)
def test_what_the_csv_module_writes_is_read_with_quotes(rows, quoting, delimiter):
    content = io.StringIO()
    csv.writer(content, quoting=quoting, delimiter=delimiter, lineterminator="\n").writerows(rows)
    options = ReadOptions(columns=("id", "text"), quote=True, delimiter=delimiter)
    assert [cells for _, cells in read(content.getvalue(), options)] == [list(r) for r in rows if any(r)]


@pytest.mark.parametrize(
    ("content", "quote"),
    [
        ('1\t"open\n2\tsecond\n3\tclosed"\n4\tlast\n', False),  # both readings fit
        ('1\tplain\n2\t"Great movie" was it\n', False),
        ('1\t"Great movie"\n2\tplain\n', False),
        ('1\tsay "hi"\n2\t"a ""b"""\n', False),  # who encloses would have enclosed the first
        ('1\t"a ""b"""\n2\tplain\n', True),
        ('"1"\t"a"\n"2"\t"b"\n', True),
        ('1\t"two\nlines"\n2\tb\n', True),
        ('1\t"a\ttab"\n2\tb\n', True),
        ("1\ta\n2\tb\n", False),
        ("", False),
    ],
)
def test_evidence_between_tabs(content, quote):
    assert find_dialect(lines_of(content.removesuffix("\n")), "\t", TWO).quote is quote


def test_a_quoted_header_says_that_quotes_enclose():
    content = '"id"\t"text"\n1\t"a\n2\tb"\n'
    assert [cells for _, cells in read(content, ReadOptions())] == [["id", "text"], ["1", "a\n2\tb"]]


def test_what_cannot_be_told_apart_is_asked_for():
    content = '1\t"open\n2\tsecond\tbad\n3\tthird"\n4\tlast\n'
    (_, error), (_, last) = read(content)
    assert "line 1: a quoted cell holds what looks like rows of their own: say which with --quote" in str(
        error
    )
    assert last == ["4", "last"]


def test_a_bad_row_is_its_first_line_only():
    content = 'id,text\n1,"say \\"hi\\" there, ok"\n2,"never\n3,"c"\n4,d\n'
    numbers = [
        (number, isinstance(cells, CorpusError)) for number, cells in read(content, ReadOptions(), ",")
    ]
    assert numbers == [(1, False), (2, True), (3, True), (4, False), (5, False)]


def test_rows_of_another_length_name_the_option():
    (_, _), (_, error) = read(
        "1\ta\n2\tb\n".replace("2\tb", '2\t"b\tc"'), ReadOptions(columns=("id", "text"), quote=False)
    )
    assert "has 3 cells for 2 columns: if quotes enclose cells" in str(error) and "--quote" in str(error)
    (_, error), *_ = read('1,"a\n2,b\n', TWO, ",")
    assert "line 1: the row cannot be read (unexpected end of data), up to line 2" in str(error)
    assert "--no-quotes" in str(error)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"'])
def test_the_first_line_of_excel(first):
    assert read(f"{first}\nid;text\n1;a, b\n", ReadOptions(), ",") == [
        (2, ["id", "text"]),
        (3, ["1", "a, b"]),
    ]


def test_columns_take_the_delimiter_that_fits_most_lines():
    assert find_dialect(lines_of("1;hello, world\n2;foo\n3;bar"), ",", TWO).delimiter == ";"
    assert find_dialect(
        lines_of("1;hello, world"), ",", ReadOptions(columns=("id", "text"), delimiter=";")
    ) == Dialect(";", True, 2)


def test_lines_that_were_looked_at_are_still_there():
    lines = lines_of("a\nb\nc")
    assert lines.look(2) == ["a"] and not lines.ended
    assert next(lines) == (1, "a")
    lines.give_back([(1, "a")])
    assert lines.look() == ["a", "b", "c"] and lines.ended
    assert [number for number, _ in lines] == [1, 2, 3]


@pytest.mark.parametrize("delimiter", ["ab", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter):
    with pytest.raises(CorpusError, match="separates no cells: give one character"):
        find_dialect(lines_of("a,b"), ",", ReadOptions(delimiter=delimiter))
