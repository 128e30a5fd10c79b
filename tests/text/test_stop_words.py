import pytest

from nphash.errors import CorpusError, InputError
from nphash.text.stop_words import as_source, parse_stop_words, stop_words
from nphash.text.tokenizer import tokenize


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
