"""One document a line: plain, or a JSON object with named fields."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import documents, failure, folder, standard_input, texts, words, write
from nphash.corpus import Document, ReadOptions
from nphash.corpus.lines import looks_like_json, make_document, read_jsonl, read_lines
from nphash.errors import CorpusError

OPTIONS = ReadOptions()
one_line = texts.map(lambda text: " ".join(text.replace("_", " ").split())).filter(bool)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(one_line, st.lists(words, unique=True, max_size=3)), max_size=6), st.booleans())
def test_round_trip(written, packed):
    with folder() as here:
        content = "".join(
            " ".join([*(f"__label__{label}" for label in labels), text]) + "\n" for text, labels in written
        )
        found = list(read_lines(write(here / "a.txt", content, packed), OPTIONS))
    assert [(document.text, list(document.labels)) for document in found] == written
    assert [document.id for document in found] == [f"a.txt:{at}" for at in range(1, len(written) + 1)]


@pytest.mark.parametrize(
    ("line", "text", "labels"),
    [
        ("plain text", "plain text", ()),
        ("__label__a __label__b text", "text", ("a", "b")),
        ("text first __label__a", "text first", ("a",)),
        ("middle __label__a of it", "middle of it", ("a",)),
        ("__label__a __label__a x", "x", ("a",)),
        ("__label__a", "", ("a",)),
        ("__label__ alone", "__label__ alone", ()),
        ("not__label__x here", "not__label__x here", ()),
        ("__label__a\ttext", "text", ("a",)),
    ],
)
def test_fasttext_labels(tmp_path, line, text, labels):
    assert list(read_lines(write(tmp_path / "a.txt", line), OPTIONS)) == [Document("a.txt:1", text, labels)]


def test_blank_lines_are_skipped_but_counted(monkeypatch):
    standard_input(monkeypatch, b"\n  \nx\r\n\ny\n")
    assert [document.id for document in read_lines("-", OPTIONS)] == ["stdin:3", "stdin:5"]


def test_lines_of_another_encoding_are_skipped_on_request(tmp_path):
    source = write(tmp_path / "a.txt", b"one\ntw\xf6\nthree\n")
    reported = []
    options = ReadOptions(on_bad_record="skip", report=reported.append)
    assert [document.id for document in read_lines(source, options)] == ["a.txt:1", "a.txt:3"]
    assert len(reported) == 1 and "line 2: byte 0xf6 at offset 6 is not utf-8" in reported[0]


@pytest.mark.parametrize("text", ['{"text": "x"}\n', '[\n{"text": "x"}]\n', '\n[{"text": "x"}]\n'])
def test_json_in_a_text_file_is_asked_about(tmp_path, text):
    source = write(tmp_path / "a.txt", text)
    assert "begins like JSON, not like text: give --input-format jsonl" in failure(
        read_lines, source, OPTIONS
    )
    assert len(list(read_lines(source, ReadOptions("lines")))) == text.strip().count("\n") + 1


# ---------------------------------------------------------------------- jsonl


def as_json(document, ascii_only):
    fields = {"id": document.id, "text": document.text, "labels": document.labels, "split": document.split}
    return json.dumps(fields, ensure_ascii=ascii_only) + "\n"


@settings(deadline=None, max_examples=60)
@given(documents(), st.booleans(), st.booleans())
def test_round_trip_of_json(written, ascii_only, packed):
    with folder() as here:
        content = "".join(as_json(document, ascii_only) for document in written)
        assert list(read_jsonl(write(here / "a.jsonl", content, packed), OPTIONS)) == written


def test_generated_id_ids_and_blank_lines(tmp_path):
    source = write(tmp_path / "a.jsonl.gz", '{"text": "x"}\n\n  \r\n{"text": "y"}', packed=True)
    assert [document.id for document in read_jsonl(source, OPTIONS)] == ["a.jsonl:1", "a.jsonl:4"]


def test_json_on_standard_input(monkeypatch):
    standard_input(monkeypatch, b'{"text": "x"}\n')
    assert [document.id for document in read_jsonl("-", OPTIONS)] == ["stdin:1"]


def test_it_streams(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"text": "x"}\nbroken\n')
    assert next(read_jsonl(source, OPTIONS)).text == "x"


def test_half_surrogates_become_replacement_characters(tmp_path):
    source = write(
        tmp_path / "a.jsonl", r'{"text": "a\ud83d b\uDE00", "labels": ["\ud800"], "id": "\ud83d\ude00"}'
    )
    (document,) = read_jsonl(source, OPTIONS)
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
    message = failure(read_jsonl, source, OPTIONS)
    assert "a.jsonl, line 2" in message
    assert problem in message
    assert len(message) < 400


def test_lines_that_cannot_be_used_are_skipped_on_request(tmp_path):
    lines = b'{"id": 1, "text": "a"}\n{"id": 2, "text": null}\n{"id": 1, "text": "b"}\n'
    lines += b'{broken\n"\xff"\n{"text": "c"}\n'
    source = write(tmp_path / "a.jsonl", lines)
    reported = []
    options = ReadOptions(on_bad_record="skip", report=reported.append)
    assert [document.text for document in read_jsonl(source, options)] == ["a", "c"]
    assert reported[0].startswith("skipped 4 documents that cannot be used: ") and "line 2" in reported[0]
    assert "line 2" in failure(read_jsonl, source, ReadOptions(report=reported.append)) and len(reported) == 1


# ---------------------------------------------------------------------- fields


def make(fields, **options):
    return make_document(fields, "f, line 1", "f:1", ReadOptions(**options))


def test_all_fields():
    fields = {"id": 7, "text": "t", "labels": ["a", 3], "split": "train", "other": {}}
    assert make(fields) == Document("7", "t", ("a", "3"), "train")


def test_only_the_text_is_needed():
    assert make({"text": ""}) == Document("f:1", "", (), "")
    nulls = {"text": "t", "id": None, "labels": None, "split": None}
    assert make(nulls) == Document("f:1", "t", (), "")


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ({"labels": "one two"}, ("one two",)),
        ({"label": "x"}, ("x",)),
        ({"label": 0}, ("0",)),
        ({"labels": ["b", "a"], "label": "x"}, ("b", "a")),
        ({"labels": []}, ()),
        ({"labels": ""}, ()),
    ],
)
def test_forms_of_labels(fields, labels):
    assert make({"text": "t", **fields}).labels == labels


def test_several_texts_are_joined_by_a_blank_line():
    fields = {"title": "Wheat", "body": "Ships carry it.", "note": ""}
    assert make(fields, text_field=("title", "note", "body")).text == "Wheat\n\nShips carry it."
    with pytest.raises(CorpusError, match="no field 'text'"):
        make(fields, text_field=("title", "text"))


def test_blanks_around_a_split_do_not_count():
    assert make({"text": "t", "split": " test\t"}).split == "test"


def test_other_names():
    names = {"text_field": "body", "id_field": "key", "label_field": "tags", "split_field": "part"}
    fields = {"body": "t", "key": "k", "tags": ["x"], "part": "test", "label": "y"}
    assert make(fields, **names) == Document("k", "t", ("x",), "test")


@pytest.mark.parametrize(
    ("option", "flag"),
    [
        ("text_field", "--text-field"),
        ("id_field", "--id-field"),
        ("label_field", "--label-field"),
        ("split_field", "--split-field"),
    ],
)
def test_a_named_field_must_be_there(option, flag):
    message = failure(lambda: make({"text": "t", "body": "b"}, **{option: "gone"}))
    assert message == f"f, line 1 has no field 'gone' (it has text, body): name the field with {flag}"


def test_missing_text_names_what_is_there():
    assert "has no field 'text' (it has title)" in failure(make, {"title": "t"})
    assert "(it has nothing)" in failure(make, {})
    many = {f"field{at}": at for at in range(1000)}
    assert len(failure(make, many)) < 300


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": None}, "'text' is null, not a string"),
        ({"text": ["a"]}, "'text' is a list, not a string"),
        ({"text": 5}, "'text' is a number, not a string"),
        ({"text": "t", "id": 1.5}, "'id' is a number, not a string or a whole number"),
        ({"text": "t", "id": True}, "'id' is true or false"),
        ({"text": "t", "labels": {"a": 1}}, "'labels' is an object, not a string or a list of strings"),
        ({"text": "t", "labels": [["a"]]}, "'labels' is a list"),
        ({"text": "t", "label": [None]}, "'label' is null"),
        ({"text": "t", "split": 1}, "'split' is a number, not a string"),
    ],
)
def test_unusable_types(fields, problem):
    assert f"f, line 1: the field {problem}" in failure(make, fields)


@pytest.mark.parametrize(
    ("head", "expected"),
    [('{"text"', True), ('[\n  {"text"', True), ("[Music] la la", False), ("[[wiki link]]", False)],
)
def test_what_looks_like_json(head, expected):
    assert looks_like_json(head) == expected


def test_further_fields_are_kept_as_text(tmp_path):
    row = {"text": "a", "id": 1, "year": 1851, "by": "Melville", "tags": ["sea", 2], "ok": True, "none": None}
    row |= {"at": {"x": [1]}, "empty": ""}
    source = write(tmp_path / "a.jsonl", json.dumps(row) + '\n{"text": "b", "by": "X"}\n')
    named = list(read_jsonl(source, ReadOptions(fields=("year", "by", "missing"))))
    assert [document.fields for document in named] == [{"year": "1851", "by": "Melville"}, {"by": "X"}]
    every = list(read_jsonl(source, ReadOptions(fields="all")))
    assert every[0].fields == {
        "year": "1851",
        "by": "Melville",
        "tags": "sea; 2",
        "ok": "true",
        "at": '{"x": [1]}',
    }
    assert next(iter(read_jsonl(source, ReadOptions()))).fields == {}
    assert hash(every[0]) == hash(replace(every[0], fields={}))


def test_further_fields_that_no_document_has_are_reported(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"text": "x"}\n{"text": "y", "year": 1851}\n')
    reported = []
    for names in (frozenset({"fields"}), frozenset()):
        options = ReadOptions(fields=("year", "nope"), given=names, report=reported.append)
        assert [document.fields for document in read_jsonl(source, options)] == [{}, {"year": "1851"}]
    assert reported == [f"no document of {source} has anything in the field 'nope'"]
