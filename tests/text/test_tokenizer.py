import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.text.tokenizer import PATTERNS, make_tokenizer, tokenize


def test_english_words_lose_case_punctuation_and_single_letters():
    assert tokenize("It's A read_csv() call: 3.14 vs. B2B!") == [
        "it",
        "read",
        "csv",
        "call",
        "14",
        "vs",
        "b2b",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Grüße aus KÖLN", ["grüße", "aus", "köln"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("नमस्ते हिन्दी", ["नमस्ते", "हिन्दी"]),  # vowel signs and viramas stay in their word
        ("עברית עם נִקּוּד", [unicodedata.normalize("NFKC", w) for w in ("עברית", "עם", "נִקּוּד")]),
        ("\uff37\uff29\uff24\uff25 \ufb01ne", ["wide", "fine"]),
        ("nai\u0308ve café", ["naïve", "café"]),
        ("x é 1", []),
        ("", []),
        ("… — 😀 !!", []),
    ],
)
def test_words_of_many_scripts(text, words):
    assert tokenize(text) == words


def test_composed_and_decomposed_accents_are_one_word():
    assert tokenize("caf\u00e9") == tokenize("cafe\u0301") == ["café"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東", ["東"]),
        ("東京", ["東京"]),
        ("葛\U000e0100城", ["葛城"]),  # with the shape of its first character chosen
        ("東京都庁", ["東京", "京都", "都庁"]),
        ("カメラとPython3", ["カメ", "メラ", "ラと", "python3"]),
        ("한국어 문서", ["한국어", "문서"]),  # Korean has spaces
        ("ภาษาไทย", ["ภาษาไทย"]),  # documented: one word between spaces
    ],
)
def test_scripts_without_spaces(text, words):
    assert tokenize(text) == words


def test_vdsh_pattern_is_ascii_with_underscores():
    assert tokenize("Naïve snake_Case a 42", "vdsh") == ["na", "ve", "snake_case", "42"]


def test_vdsh_lower_cases_after_matching():
    assert tokenize("300 \u212aelvin", "vdsh") == ["300", "elvin"]  # the Kelvin sign becomes k when lowered


def test_own_expression():
    assert tokenize("tel 0049-30 or 110", r"\d+(?:-\d+)*") == ["0049-30", "110"]


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "*"])
def test_not_an_expression(pattern):
    with pytest.raises(InputError, match=r"is not a regular expression .*unicode, vdsh, whitespace"):
        tokenize("text", pattern)


def test_capturing_groups_are_refused():
    with pytest.raises(InputError, match=r"capturing groups: write \(\?:"):
        make_tokenizer(r"(\w)+")


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_words_are_lower_case_and_found_again(text):
    words = tokenize(text)
    again = tokenize(" ".join(words))
    assert again == words
    assert all(len(word) > 1 or ord(word) > 0x3000 for word in words)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(max_codepoint=127)))
def test_the_fast_way_for_ascii_is_the_general_way(text):
    marked = tokenize(text + " \u00e9t\u00e9")  # one word more, which leaves the ASCII way
    assert marked == [*tokenize(text), "été"]


@settings(deadline=None, max_examples=100)
@given(st.text(), st.sampled_from(sorted(PATTERNS)))
def test_any_text_can_be_cut(text, pattern):
    assert all(isinstance(word, str) and word for word in tokenize(text, pattern))


def test_words_between_blanks():
    assert make_tokenizer("whitespace")("C++ and F#") == ["c++", "and", "f#"]
