import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import documents, failure, folder, standard_input, write
from nphash.corpus import ReadOptions
from nphash.corpus.jsonl import read

OPTIONS = ReadOptions()


def as_json(document, ascii_only):
    fields = {"id": document.id, "text": document.text, "labels": document.labels, "split": document.split}
    return json.dumps(fields, ensure_ascii=ascii_only) + "\n"


@settings(deadline=None, max_examples=60)
@given(documents(), st.booleans(), st.booleans())
def test_round_trip(written, ascii_only, packed):
    with folder() as here:
        content = "".join(as_json(document, ascii_only) for document in written)
        assert list(read(write(here / "a.jsonl", content, packed), OPTIONS)) == written


def test_made_up_ids_and_blank_lines(tmp_path):
    source = write(tmp_path / "a.jsonl.gz", '{"text": "x"}\n\n  \r\n{"text": "y"}', packed=True)
    assert [document.id for document in read(source, OPTIONS)] == ["a.jsonl:1", "a.jsonl:4"]


def test_standard_input(monkeypatch):
    standard_input(monkeypatch, b'{"text": "x"}\n')
    assert [document.id for document in read("-", OPTIONS)] == ["stdin:1"]


def test_it_streams(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"text": "x"}\nbroken\n')
    assert next(read(source, OPTIONS)).text == "x"


def test_half_surrogates_become_replacement_characters(tmp_path):
    source = write(
        tmp_path / "a.jsonl", r'{"text": "a\ud83d b\uDE00", "labels": ["\ud800"], "id": "\ud83d\ude00"}'
    )
    (document,) = read(source, OPTIONS)
    assert (document.text, document.labels, document.id) == ("a\ufffd b\ufffd", ("\ufffd",), "\U0001f600")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            '{"text": "x"',
            "is broken JSON (Expecting ',' delimiter at column 13): each line must hold one whole",
        ),
        ("[", "turn one large array into lines with: jq -c '.[]'"),
        ('["x"]', "is no JSON object"),
        ('"x"', "is no JSON object"),
        ("{'text': 1}", "is broken JSON"),
        ("[" * 100_000, "JSON"),
        ('{"text": ' + "9" * 5000 + "}", "JSON"),
        ('{"title": "x"}', "has no field 'text' (it has title): name the field with --text-field"),
        ('{"text": null}', "the field 'text' is null"),
        ('{"text": "x", "id": "first"}', "the id 'first' was already used on line 1"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, problem):
    source = write(tmp_path / "a.jsonl", f'{{"text": "x", "id": "first"}}\n{line}\n')
    message = failure(read, source, OPTIONS)
    assert "a.jsonl, line 2" in message
    assert problem in message
    assert len(message) < 400


def test_lines_that_cannot_be_used_are_left_out_on_request(tmp_path):
    lines = b'{"id": 1, "text": "a"}\n{"id": 2, "text": null}\n{"id": 1, "text": "b"}\n'
    lines += b'{broken\n"\xff"\n{"text": "c"}\n'
    source = write(tmp_path / "a.jsonl", lines)
    told = []
    options = ReadOptions(on_bad_record="skip", tell=told.append)
    assert [document.text for document in read(source, options)] == ["a", "c"]
    assert told[0].startswith("left out 4 documents that cannot be used: ") and "line 2" in told[0]
    assert "line 2" in failure(read, source, ReadOptions(tell=told.append)) and len(told) == 1
