import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.text.tokenizer import MOST_MARKS, PATTERNS, WORD, WORD_1, make_tokenizer, may_be_endless, tokenize


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
        ("Grüße aus KÖLN", ["grüsse", "aus", "köln"]),
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
        ("東京", ["東", "東京", "京"]),
        ("葛\U000e0100城", ["葛", "葛城", "城"]),  # with the shape of its first character chosen
        ("東京都庁", ["東", "東京", "京", "京都", "都", "都庁", "庁"]),
        ("カメとPython3", ["カ", "カメ", "メ", "メと", "と", "python3"]),
        ("日ꪷ0", ["日ꪷ"]),  # a mark belongs to the character before it
        ("한국어 문서", ["한국어", "문서"]),  # Korean has spaces
        ("ภาษาไทย", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"]),
        ("หุ้น ปู่", ["หุ้", "หุ้น", "ปู่"]),  # letters with their vowels and tones; no single letters
        ("ປາວານ ពន្លឺ", ["ປາ", "າວ", "ວາ", "ານ", "ពន្", "ន្", "ន្លឺ", "លឺ"]),
        ("ปลา\u200bวาฬ", ["ปล", "ลา", "วา", "าฬ"]),  # a space of no width between words
    ],
)
def test_scripts_without_spaces(text, words):
    assert tokenize(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京都庁", ["東京", "京都", "都庁"]),
        ("カメラとPython3", ["カメ", "メラ", "ラと", "python3"]),
        ("ภาษาไทย", ["ภาษาไทย"]),
        ("Grüße infor\xadmation", ["grüße", "infor", "mation"]),
        ("葛\U000e0100城", ["葛城"]),
        ("İSTANBUL \u0131\u0640\u0131", ["i̇stanbul", "\u0131\u0640\u0131"]),
    ],
)
def test_the_first_form_goes_on_for_collections_that_were_made_by_it(text, words):
    assert tokenize(text, WORD_1) == words


UNSEEN = "\xad\u034f\u061c\u0640\u200b\u200c\u200d\u200e\u2060\u2064\ufeff\ufe0f"


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_is_not_seen_is_no_part_of_a_word(unseen):
    assert tokenize(f"infor{unseen}mation كت{unseen}اب") == ["information", "كتاب"]


@pytest.mark.parametrize(
    "spellings",
    [
        ("İSTANBUL", "istanbul", "Istanbul", "i\u0307stanbul"),
        ("ISPARTA", "\u0131sparta"),
        ("STRASSE", "straße", "Strasse", "STRAẞE"),
        ("ΟΔΟΣ", "οδος", "οδοσ"),
        ("ﬁne", "FINE"),
    ],
)
def test_spellings_of_one_word_meet(spellings):
    assert len({tuple(tokenize(spelling)) for spelling in spellings}) == 1


@pytest.mark.parametrize("pattern", [WORD, WORD_1])
@pytest.mark.parametrize("marks", ["\u0300\u0316", "\U0001d165\u0316", "\u0300\U0001d16d"])
def test_endless_marks_end(pattern, marks):
    assert [len(word) <= MOST_MARKS + 1 for word in tokenize("a" + 300_000 * marks, pattern)] == [True]


@pytest.mark.parametrize("pattern", [WORD, WORD_1])
def test_characters_that_make_eighteen_each_are_refused_in_great_numbers(pattern):
    assert len(tokenize(100 * "\ufdfa ", pattern)) == 400
    with pytest.raises(InputError, match=r"262,144 characters of which .* 4,718,592: this is no text"):
        tokenize(400_000 * "\ufdfa", pattern)


@pytest.mark.parametrize("pattern", [WORD, WORD_1, "vdsh", "whitespace"])
def test_long_texts_are_cut_piece_by_piece_into_the_same_words(pattern):
    text = "Grüße der 東京都, naïve read_csv \u0300x " * 4000
    assert tokenize(text, pattern) == tokenize(text[: len(text) // 4000], pattern) * 4000


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
    assert set(again) == set(words)
    assert again == words or any(ord(letter) >= 0xE00 for word in words for letter in word)
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


ENDLESS = [
    r"(?:a+)+b",
    r"(?:a|a)*b",
    r"(?:a|aa)+$",
    r"(?:\w+\s?)+x",
    r"(?:(?:a+))+b",
    r"(?:(?:a+)b?)*c",
    r"(?:.*)*x",
]
ENDLESS += [r"(?:x(?:a*)*)y", r"(?:[a-z]+)*\d", r"(?:a{1,9}){1,50}b", r"(?:-?\d+)+x", r"(?:-+a+)*x"]
ENDLESS += [r"(?:\wb?){2,}\d", r"(?:-(?:a*x*.?))+\w{2,}b{3}", r"(?:\w?a)+-*x{3}", r"(?:-[ab]?[ab]*)+a{2,}"]
ENDLESS += [r".*.*.*=x", r"a*a*a*b", r"\w+[-']?\w+\d*x", r"(?:a+){50}b", r"\b\w*\w*\w*$"]
ENDING = [
    r"(?:[A-F0-9]{2}:)+[A-F0-9]{2}",
    r"\b\w+[-']?\w*\b",
    r"\w+@\w+\.\w+x",
    r"\d+,?\d+\.\d+%",
    r"\d+(?:-\d+)*",
    r"\d+(?:-\d+)*x",
    r"\w+(?:'\w+)?",
    r"(?:[A-Z]\.)+",
    r"[a-z]+(?:[-'][a-z]+)*",
    r"[(+*]+x",
]
ENDING += [r"(?u)\b\w\w+\b", r"(?:foo|bar)+", r"\(\w+\)x", r"(?:\.\w+)*z", *PATTERNS.values()]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_patterns_that_may_never_end_are_refused(pattern):
    assert may_be_endless(pattern)
    with pytest.raises(InputError, match="has a repetition inside a repetition"):
        make_tokenizer(pattern)


@pytest.mark.parametrize("pattern", ENDING)
def test_patterns_that_end_are_not(pattern):
    assert not may_be_endless(pattern) and tokenize("a b", pattern) is not None


@given(st.text("ab(?:)[]*+{,}2|\\\\d^$.-"))
def test_any_pattern_is_judged(pattern):
    assert may_be_endless(pattern) in {True, False}


@pytest.mark.parametrize("pattern", [r"\x41+\w+b", r"\u00e9+\d", r"\N{DIGIT ONE}+x", r"[a\]b]+x", r"\x"])
def test_escapes_in_patterns(pattern):
    assert not may_be_endless(pattern)
