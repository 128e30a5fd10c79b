import pytest

from helpers.corpora import failure
from nphash.corpus.fields import make_document
from nphash.corpus.records import Document, ReadOptions
from nphash.errors import CorpusError


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
