"""Records, tables, and what a terminal may be sent."""

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.collecting import Stream, streams
from nphash.cli import output
from nphash.cli.output import Writer, chosen_format, echo_table, note


def written(form, fields, records, file=None):
    out = Stream()
    with streams(Stream(), out, Stream()):
        writer = Writer(form, fields, file)
        for record in records:
            writer.write(record)
    return out.text()


def test_the_form_suits_the_reader():
    for tty, form in ((True, "table"), (False, "jsonl")):
        with streams(Stream(), Stream(tty=tty), Stream()):
            assert chosen_format(None) == form
            assert chosen_format("csv") == "csv"


def test_json_lines():
    records = [{"a": "\u6771 \x1b\n", "b": float("nan"), "c": [1, "x"], "d": {"w": 0.5}}, {"a": None}]
    lines = written("jsonl", [], records).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"a": "\u6771 \x1b\n", "b": None, "c": [1, "x"], "d": {"w": 0.5}},
        {"a": None},
    ]
    assert "\u6771" in lines[0]


def test_csv():
    text = written(
        "csv", ["a", "b", "c"], [{"a": 'x,"\n', "b": ["p", "q"], "c": {"w": 0.5}}, {"b": float("inf")}]
    )
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [["a", "b", "c"], ['x,"\n', "p;q", '{"w": 0.5}'], ["", "", ""]]


def test_a_file_in_place_of_standard_output():
    file = io.StringIO()
    assert written("csv", ["a"], [{"a": 1}], file) == ""
    assert file.getvalue() == "a\n1\n"


@pytest.mark.parametrize("quiet", [True, False])
def test_notes_go_to_standard_error(quiet):
    out, err = Stream(), Stream()
    with streams(Stream(), out, err):
        note("said", quiet)
    assert (out.text(), err.text()) == ("", "" if quiet else "said\n")


def test_tables_have_a_dim_heading_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Stream(tty=True)
    with streams(Stream(), out, Stream()):
        echo_table([("a", "b"), ("1", "2")], [False, True])
    assert out.text() == "\x1b[2ma  b\x1b[0m\n1  2\n"


TEXT = st.text(max_size=60)
WIDE = "\u6771\u4eac\u90fd"


@given(TEXT)
def test_clean_text_cannot_drive_a_terminal(text):
    clean = output.clean(text)
    assert not any(unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} for char in clean)
    assert "  " not in clean and clean == clean.strip()
    assert output.clean(clean) == clean


def test_clean_keeps_letters():
    assert (
        output.clean("na\u00efve\t\u6771\u4eac\r\n\x1b]0;title\x07 end")
        == "na\u00efve \u6771\u4eac ]0;title end"
    )
    assert output.clean("a\u202eb\u200bc") == "abc"  # no right-to-left overrides, nothing invisible


@pytest.mark.parametrize("text, columns", [("", 0), ("abc", 3), (WIDE, 6), ("e\u0301", 1), ("a\u200db", 2)])
def test_width(text, columns):
    assert output.width(text) == columns


@given(TEXT.map(output.clean), st.integers(1, 30), st.booleans())
def test_fitted_text_fits(text, columns, keep_end):
    fitted = output.fit_width(text, columns, keep_end)
    assert output.width(fitted) <= columns
    if output.width(text) <= columns:
        assert fitted == text
    else:
        kept = fitted.strip("\u2026")
        assert text.endswith(kept) if keep_end else text.startswith(kept)


@given(TEXT, st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), st.integers(5, 40))
def test_a_snippet_fits_and_is_a_piece_of_the_text(text, words, columns):
    piece = output.snippet(text, words, columns)
    assert output.width(piece) <= columns
    assert piece.strip("\u2026").strip() in output.clean(text)


def test_a_snippet_shows_the_words():
    text = "nothing here " * 20 + "wheat from ships " + "and nothing there " * 20
    assert "wheat from ships" in output.snippet(text, ["wheat", "ships"], 40)
    assert output.snippet(text, ["unheard"], 40).startswith("nothing here")
    assert output.snippet("gold " + text, ["gold"], 40).startswith("gold nothing")
    both = "wheat " + "x " * 100 + "wheat ships " + "y " * 100
    assert "wheat ships" in output.snippet(both, ["wheat", "ships"], 40)
    assert output.snippet(text + "end", ["end"], 30).endswith("end")
    assert output.snippet("", ["a"], 30) == ""


def test_words_are_whole_words_whatever_their_signs():
    assert output.highlight("Gold golden c++ GOLD", ["gold", "c++"]) == (
        "\x1b[1mGold\x1b[0m golden \x1b[1mc++\x1b[0m \x1b[1mGOLD\x1b[0m"
    )
    assert output.highlight("read_csv", ["csv"]) == "read_\x1b[1mcsv\x1b[0m"
    assert output.highlight("text", []) == "text"


def test_tables_align_by_width():
    lines = output.table([["id", "n"], [WIDE, "7"], ["e\u0301", "10"]], [False, True])
    assert lines == ["id       n", f"{WIDE}   7", "e\u0301       10"]
    assert output.table([], []) == []


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert output.use_color()
    monkeypatch.setenv(name, value)
    assert not output.use_color()


def test_no_color_in_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not output.use_color()


def test_terminal_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    assert output.terminal_width() == 77


def test_numbers_of_things():
    assert output.many(1, "document") == "1 document" and output.many(2000, "document") == "2,000 documents"
    assert output.many(0, "bit") == "0 bits"


def test_shortened_text():
    assert output.fit_width("a long word", 7) == "a long\u2026"
    assert output.fit_width("folder/file.txt", 9, keep_end=True) == "\u2026file.txt"
    assert output.snippet("one two three four five six", ["five"], 14) == "\u2026four five six"
    assert output.printable("a\x1b[31m\u202eb\n\t") == "a\\x1b[31m\\u202eb\n\t"
    assert output.clean("two\n  lines \x1b[31mred") == "two lines [31mred"
