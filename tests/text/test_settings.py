"""Settings of the vectorizer, and lists of stop words."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict

import numpy as np
import pytest

from helpers.paths import ROOT
from nphash.errors import CorpusError, InputError
from nphash.text.settings import VectorizerSettings, as_source, parse_stop_words, stop_words
from nphash.text.tokenizer import tokenize


def test_presets():
    assert VectorizerSettings.preset() == VectorizerSettings()
    vdsh = VectorizerSettings.preset("vdsh")
    assert (vdsh.min_documents, vdsh.max_share, vdsh.max_words, vdsh.weighting) == (3, 0.8, 10_000, "tfidf")


def test_unknown_preset():
    with pytest.raises(InputError, match="'gensim' is no preset: choose one of default, vdsh"):
        VectorizerSettings.preset("gensim")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_documents": 0}, "min_documents is 0"),
        ({"pattern": "vdhs"}, "there is no token pattern 'vdhs': did you mean vdsh"),
        ({"max_share": 0.0}, "max_share is 0.0"),
        ({"max_share": 1.01}, "max_share is 1.01"),
        ({"max_share": float("nan")}, "max_share is nan"),
        ({"max_words": 0}, "max_words is 0, but at least 1 is needed: None keeps all"),
        ({"weighting": "count"}, "'count' is no weighting: choose one of binary"),
        ({"pattern": "("}, "not a regular expression"),
        ({"min_documents": 1.5}, "min_documents is 1.5, but a whole number"),
        ({"min_documents": True}, "min_documents is True"),
        ({"max_words": "a"}, "max_words is 'a', but a whole number"),
        ({"max_share": "a"}, "max_share is 'a'"),
        ({"max_share": True}, "max_share is True"),
        ({"stop_words": None}, "stop_words is None: give .* a list of words"),
        ({"stop_words": 5}, "stop_words is 5"),
        ({"stop_words": ["the", 5]}, "stop_words is .'the', 5."),
        ({"pattern": None}, "pattern is None"),
        ({"pattern": ["a"]}, "pattern is .'a'."),
        ({"weighting": None}, "None is no weighting"),
        ({"weighting": ["tf"]}, "is no weighting"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(InputError, match=message):
        VectorizerSettings(**values)


def test_stop_words_may_be_a_list_or_a_path(tmp_path):
    assert VectorizerSettings(stop_words=["the", "of"]) == VectorizerSettings(stop_words=("the", "of"))
    assert VectorizerSettings(stop_words={"b", "a"}).stop_words == ("a", "b")
    assert VectorizerSettings(stop_words=tmp_path / "x").stop_words == str(tmp_path / "x")
    assert hash(VectorizerSettings(stop_words=["the"])) == hash(VectorizerSettings(stop_words=("the",)))


def test_numbers_of_numpy_are_numbers():
    settings = VectorizerSettings(min_documents=np.int64(2), max_share=np.float32(0.5), max_words=np.int32(7))
    assert settings == VectorizerSettings(min_documents=2, max_share=0.5, max_words=7)
    assert json.loads(json.dumps(asdict(settings)))["min_documents"] == 2


# ---------------------------------------------------------------------- stop_words


def test_english_list_holds_function_words_and_no_subject_words():
    words = stop_words("english")
    assert {"the", "and", "of", "which", "would", "don", "ve"} <= words
    assert not words & {"oil", "computer", "system", "bank", "interest", "show", "fire", "seven"} - {"seven"}
    assert 300 < len(words) < 500


def test_english_list_is_made_of_words_the_tokenizer_can_produce():
    assert all(tokenize(word) == [word] for word in stop_words("english") if len(word) > 1)


def test_none_is_empty():
    assert stop_words("none") == frozenset()


def test_file_of_words(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeffDer\r\n\r\n# Artikel\r\n  die \r\nfür\r\n".encode())
    assert stop_words(str(path)) == {"der", "die", "für"}


def test_comments_and_blank_lines_only():
    assert parse_stop_words("# a\n\n   \n") == frozenset()


@pytest.mark.parametrize(
    "make", [None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe\n")]
)
def test_unreadable_file_is_named(tmp_path, make):
    path = tmp_path / "words.txt"
    if make is not None:
        make(path)
    with pytest.raises(CorpusError, match=r"words.txt' cannot be read .*one word a line"):
        stop_words(str(path))


def test_words_that_are_given_are_lower_case_too():
    assert stop_words(("Der", " die ", "für")) == {"der", "die", "für"}
    assert as_source(["Der"]) == ("Der",) and as_source("english") == "english" and as_source([]) == ()
    with pytest.raises(InputError, match="stop_words is 5"):
        as_source(5)


def test_english_words_are_read_from_a_zip_too(tmp_path):
    """As zipapp, PEX and Spark's --py-files import a package."""
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
        for path in (ROOT / "nphash").rglob("*"):
            if path.suffix in {".py", ".txt"}:
                file.write(path, path.relative_to(ROOT))
    program = "import nphash; from nphash.text.settings import stop_words as words; "
    program += "print(nphash.__file__, len(words()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "z.zip")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(tmp_path / "z.zip/nphash/__init__.py"), str(len(stop_words()))]


def test_only_regular_files_of_some_size_are_lists_of_stop_words(tmp_path, monkeypatch):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in ("/dev/zero", str(fifo)):
        with pytest.raises(CorpusError, match=r"cannot be read .*one word a line"):
            stop_words(path)
    monkeypatch.setattr("nphash.text.settings.MOST_BYTES", 5)
    (tmp_path / "long").write_text("stop\nwords", encoding="utf-8")
    with pytest.raises(CorpusError, match="it is longer than"):
        stop_words(str(tmp_path / "long"))
    (tmp_path / "link").symlink_to("short")
    (tmp_path / "short").write_text("a\nb", encoding="utf-8")
    assert stop_words(str(tmp_path / "link")) == {"a", "b"}
