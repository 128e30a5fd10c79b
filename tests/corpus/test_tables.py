import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import documents, failure, folder, standard_input, write
from nphash.corpus import Document, ReadOptions
from nphash.corpus.tables import read

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


def test_rows_that_cannot_be_used_are_left_out_on_request(tmp_path):
    source = write(tmp_path / "a.csv", "id,text\n1,x\n1,y\n2\n3,z\n")
    told = []
    options = ReadOptions(on_bad_record="skip", tell=told.append)
    assert [document.id for document in read(source, options)] == ["1", "3"]
    assert len(told) == 1 and told[0].startswith("left out 2 documents that cannot be used: ")
    assert "line 3: the id '1'" in told[0] and "line 4 has 1 cells" in told[0]
