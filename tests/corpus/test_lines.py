import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, standard_input, texts, words, write
from nphash.corpus import Document, ReadOptions
from nphash.corpus.lines import read

OPTIONS = ReadOptions()
one_line = texts.map(lambda text: " ".join(text.replace("_", " ").split())).filter(bool)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(one_line, st.lists(words, unique=True, max_size=3)), max_size=6), st.booleans())
def test_round_trip(written, packed):
    with folder() as here:
        content = "".join(
            " ".join([*(f"__label__{label}" for label in labels), text]) + "\n" for text, labels in written
        )
        found = list(read(write(here / "a.txt", content, packed), OPTIONS))
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
    assert list(read(write(tmp_path / "a.txt", line), OPTIONS)) == [Document("a.txt:1", text, labels)]


def test_blank_lines_are_skipped_but_counted(monkeypatch):
    standard_input(monkeypatch, b"\n  \nx\r\n\ny\n")
    assert [document.id for document in read("-", OPTIONS)] == ["stdin:3", "stdin:5"]


def test_lines_of_another_encoding_are_left_out_on_request(tmp_path):
    source = write(tmp_path / "a.txt", b"one\ntw\xf6\nthree\n")
    told = []
    options = ReadOptions(on_bad_record="skip", tell=told.append)
    assert [document.id for document in read(source, options)] == ["a.txt:1", "a.txt:3"]
    assert len(told) == 1 and "line 2: byte 0xf6 at offset 6 is not utf-8" in told[0]


@pytest.mark.parametrize("text", ['{"text": "x"}\n', '[\n{"text": "x"}]\n', '\n[{"text": "x"}]\n'])
def test_json_in_a_text_file_is_asked_about(tmp_path, text):
    source = write(tmp_path / "a.txt", text)
    assert "begins like JSON, not like text: give --input-format jsonl" in failure(read, source, OPTIONS)
    assert len(list(read(source, ReadOptions("lines")))) == text.strip().count("\n") + 1
