import csv
import io
import json

import pytest

from helpers.collecting import Stream, streams
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
    assert rows == [["a", "b", "c"], ['x,"\n', "p q", "w=0.5"], ["", "", ""]]


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
