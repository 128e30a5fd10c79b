"""Tables: no reading loses or merges rows without a word."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import documents, failure, folder, standard_input, write
from nphash.corpus import Document, ReadOptions
from nphash.corpus.tables import Dialect, Lines, find_dialect, read, records
from nphash.errors import CorpusError

OPTIONS = ReadOptions()
# The csv module of Python 3.10 reads no zero bytes, and lone carriage returns end rows in some versions.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@settings(deadline=None, max_examples=80)
@given(documents(text=cells), st.sampled_from(["csv", "tsv"]), st.booleans())
def test_round_trip(written, suffix, packed):
    content = io.StringIO()
    writer = csv.writer(content, delimiter="," if suffix == "csv" else "\t", lineterminator="\n")
    writer.writerow(["split", "text", "id", "labels", "other"])
    for document in written:
        writer.writerow([document.split, document.text, document.id, ";".join(document.labels), "x"])
    with folder() as here:
        assert list(read(write(here / f"a.{suffix}", content.getvalue(), packed), OPTIONS)) == written


def test_columns_for_a_file_without_header(tmp_path):
    source = write(tmp_path / "ag.csv", '"3","Wall St.","Short-sellers, dwindling"\r\n"4","a","b"\r\n')
    options = ReadOptions(columns=("label", "title", "body"), text_field="body")
    assert list(read(source, options)) == [
        Document("ag.csv:1", "Short-sellers, dwindling", ("3",)),
        Document("ag.csv:2", "b", ("4",)),
    ]


def test_line_numbers_count_line_ends_inside_cells(tmp_path):
    source = write(tmp_path / "a.csv", 'text\n"one\ntwo"\n\nthree\n')
    found = list(read(source, OPTIONS))
    assert [(document.id, document.text) for document in found] == [
        ("a.csv:2", "one\ntwo"),
        ("a.csv:5", "three"),
    ]


def test_standard_input_as_tsv(monkeypatch):
    standard_input(monkeypatch, b"text\tlabels\nx, y\ta;b; a\n")
    assert list(read("-", ReadOptions(input_format="tsv"))) == [Document("stdin:2", "x, y", ("a", "b"))]


def test_other_label_column(tmp_path):
    source = write(tmp_path / "a.csv", "text,topic\nx,a;b\n")
    assert next(read(source, ReadOptions(label_field="topic"))).labels == ("a", "b")


def test_cells_longer_than_the_csv_modules_default(tmp_path):
    source = write(tmp_path / "a.csv", "text\n" + "x" * 200_000 + "\n")
    assert len(next(read(source, OPTIONS)).text) == 200_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text,id\nx,1\ny\n", "a.csv, line 3 has 1 cells for 2 columns: quote cells that hold the separator"),
        ("text,id\nx,y,1\n", "a.csv, line 2 has 3 cells for 2 columns"),
        (
            "title,id\nx,1\n",
            "a.csv, line 2 has no field 'text' (it has title, id): name the field with --text",
        ),
        ("text,text\nx,y\n", "a.csv, line 1: two columns are named 'text'"),
        ("text,id\nx,1\ny,1\n", "a.csv, line 3: the id '1' was already used on line 2"),
        ('text\nfine\n"never\nclosed\n', "a.csv, line 3: the row cannot be read (unexpected end of data)"),
        ('text\n"a" b\n', "a.csv, line 2: the row cannot be read"),
    ],
)
def test_bad_tables(tmp_path, content, problem):
    assert problem in failure(read, write(tmp_path / "a.csv", content), OPTIONS)


def test_an_unclosed_quote_does_not_read_without_end(tmp_path):
    source = write(tmp_path / "a.csv", 'text\n"' + "line\n" * 100_000)
    assert "a.csv, line 2: the row cannot be read (" in failure(
        read, source, ReadOptions(max_document_bytes=1000)
    )


def test_column_names_given_twice(tmp_path):
    source = write(tmp_path / "a.csv", "x,y\n")
    assert "two columns are named 'text'" in failure(read, source, ReadOptions(columns=("text", "text")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_header_tells_what_separates_cells(tmp_path, delimiter, suffix):
    cells = [["id", "text", "label"], ["1", '"a, b; c | d\t."', "x"]]
    source = write(tmp_path / f"a.{suffix}", "".join(delimiter.join(row) + "\n" for row in cells))
    assert list(read(source, OPTIONS)) == [Document("1", "a, b; c | d\t.", ("x",))]


def test_a_header_without_the_text_tells_its_columns(tmp_path):
    message = failure(read, write(tmp_path / "a.csv", "id;body\n1;x, y\n"), OPTIONS)
    assert "no field 'text' (it has id, body)" in message
    message = failure(read, write(tmp_path / "b.csv", "id,a;b;c\n1,x\n"), OPTIONS)
    assert "no field 'text' (it has id, a;b;c)" in message


def test_named_columns_tell_what_separates_cells(tmp_path):
    source = write(tmp_path / "a.csv", "7;x\n8;y, z\n")
    found = list(read(source, ReadOptions(columns=("id", "text"))))
    assert found == [Document("7", "x"), Document("8", "y, z")]


def test_rows_that_cannot_be_used_are_skipped_on_request(tmp_path):
    source = write(tmp_path / "a.csv", "id,text\n1,x\n1,y\n2\n3,z\n")
    reported = []
    options = ReadOptions(on_bad_record="skip", report=reported.append)
    assert [document.id for document in read(source, options)] == ["1", "3"]
    assert len(reported) == 1 and reported[0].startswith("skipped 2 documents that cannot be used: ")
    assert "line 3: the id '1'" in reported[0] and "line 4 has 1 cells" in reported[0]


# ---------------------------------------------------------------------- dialect


TWO = ReadOptions(columns=("id", "text"))
# Letters, and what dialects are made of.
plain = st.text(st.sampled_from("ab \"',;|\\"), max_size=8)


def lines_of(content):
    return Lines(enumerate(content.split("\n"), start=1))


def rows_of(content, options=TWO, usual="\t"):
    lines = lines_of(content.removesuffix("\n"))
    return list(records(lines, find_dialect(lines, usual, options), "f"))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(plain, plain).filter(any), min_size=1, max_size=6))
def test_tabs_without_quoting_give_every_cell_back(rows):
    content = "".join("\t".join(row) + "\n" for row in rows)
    options = ReadOptions(columns=("id", "text"), quote=False)
    assert rows_of(content, options) == [(at, list(row)) for at, row in enumerate(rows, start=1)]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(plain, plain).filter(any), min_size=1, max_size=6))
def test_between_tabs_no_row_is_swallowed_by_default(rows):
    content = "".join("\t".join(row) + "\n" for row in rows)
    found = rows_of(content)
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
    assert [cells for _, cells in rows_of(content.getvalue(), options)] == [list(r) for r in rows if any(r)]


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
    assert [cells for _, cells in rows_of(content, ReadOptions())] == [["id", "text"], ["1", "a\n2\tb"]]


def test_what_cannot_be_told_apart_is_asked_for():
    content = '1\t"open\n2\tsecond\tbad\n3\tthird"\n4\tlast\n'
    (_, error), (_, last) = rows_of(content)
    assert "line 1: a quoted cell holds what looks like rows of their own: say which with --quote" in str(
        error
    )
    assert last == ["4", "last"]


def test_a_bad_row_is_its_first_line_only():
    content = 'id,text\n1,"say \\"hi\\" there, ok"\n2,"never\n3,"c"\n4,d\n'
    numbers = [
        (number, isinstance(cells, CorpusError)) for number, cells in rows_of(content, ReadOptions(), ",")
    ]
    assert numbers == [(1, False), (2, True), (3, True), (4, False), (5, False)]


def test_rows_of_another_length_name_the_option():
    (_, _), (_, error) = rows_of(
        "1\ta\n2\tb\n".replace("2\tb", '2\t"b\tc"'), ReadOptions(columns=("id", "text"), quote=False)
    )
    assert "has 3 cells for 2 columns: if quotes enclose cells" in str(error) and "--quote" in str(error)
    (_, error), *_ = rows_of('1,"a\n2,b\n', TWO, ",")
    assert "line 1: the row cannot be read (unexpected end of data), up to line 2" in str(error)
    assert "--no-quotes" in str(error)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"'])
def test_the_first_line_of_excel(first):
    assert rows_of(f"{first}\nid;text\n1;a, b\n", ReadOptions(), ",") == [
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


@pytest.mark.parametrize("rows", [['""\t""'], ['"a"\t"b"', '""\t""', '"c"\t""']])
def test_a_row_of_empty_quotes_is_kept_where_quotes_are_only_likely(rows):
    assert [number for number, _ in rows_of("\n".join(rows))] == list(range(1, len(rows) + 1))
    given = ReadOptions(columns=("id", "text"), quote=True)
    assert '""\t""' not in [cells for _, cells in rows_of("\n".join(rows), given)]
    assert len(rows_of("\n".join(rows), given)) == len(rows) - 1


def test_further_columns(tmp_path):
    source = write(tmp_path / "a.csv", "id,text,date,,label\n1,whale,2020-01-01,x,sea\n2,market,,,\n")
    found = list(read(source, ReadOptions(fields=("date",))))
    assert [document.fields for document in found] == [{"date": "2020-01-01"}, {}]
    found = list(read(source, ReadOptions(fields="all")))
    assert [document.fields for document in found] == [{"date": "2020-01-01"}, {}]


def test_a_header_of_very_many_names(tmp_path):
    names = ",".join(f"n{number}" for number in range(200_000))
    source = write(tmp_path / "a.csv", f"text,{names}\nwhale{',' * 200_000}\n")
    assert next(iter(read(source, OPTIONS))).text == "whale"


def test_further_fields_that_are_asked_for_must_be_columns(tmp_path):
    source = write(tmp_path / "a.csv", "id,text,year\nx,wheat,\n")
    given = ReadOptions(fields=("year", "nope"), given=frozenset({"fields"}))
    message = failure(read, source, given)
    assert "a.csv, line 1 has no field 'nope' (it has id, text, year): name the field with --field" in message
    kept = ReadOptions(fields=("year", "nope"))  # as of a collection: new documents may lack them
    assert list(read(source, kept)) == [Document("x", "wheat")]
    source = write(tmp_path / "b.csv", "x,wheat\n")
    named = ReadOptions(columns=("id", "text"), fields=("nope",), given=frozenset({"fields"}))
    assert "b.csv has no field 'nope'" in failure(read, source, named)
