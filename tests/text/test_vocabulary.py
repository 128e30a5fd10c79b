"""Words counted in blocks, and chosen."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.text import vocabulary
from nphash.text.settings import VectorizerSettings
from nphash.text.vocabulary import count_blocks, join_blocks, learn, select

LETTERS = {letter: at for at, letter in enumerate("abcdef")}
texts = st.lists(st.lists(st.sampled_from("abcdefXY"), max_size=12).map(" ".join), max_size=12)


def number(words):
    return (LETTERS.get(word, -1) for word in words)


def rows_of(counts):
    pairs = list(zip(counts.indices.tolist(), counts.data.tolist(), strict=True))
    bounds = counts.indptr.tolist()
    return [pairs[a:b] for a, b in pairwise(bounds)]


@settings(deadline=None, max_examples=100)
@given(texts, st.integers(1, 30), st.integers(0, 2))
def test_counts_are_those_of_a_counter_whatever_the_blocks(documents, block, first):
    before, vocabulary.TOKENS_PER_BLOCK = vocabulary.TOKENS_PER_BLOCK, block
    try:
        blocks = list(count_blocks(iter(documents), str.split, number, first))
    finally:
        vocabulary.TOKENS_PER_BLOCK = before
    expected = [
        sorted(Counter(LETTERS[w] for w in text.split() if LETTERS.get(w, -1) >= first).items())
        for text in documents
    ]
    assert rows_of(join_blocks(blocks)) == expected


def test_blocks_end_with_the_document_that_fills_them(monkeypatch):
    monkeypatch.setattr(vocabulary, "TOKENS_PER_BLOCK", 3)
    blocks = list(count_blocks(["a", "b c d", "", "e"], str.split, number))
    assert [len(block.indptr) - 1 for block in blocks] == [2, 2]


def test_types_and_no_documents():
    joined = join_blocks(list(count_blocks([], str.split, number)))
    assert (joined.data.size, joined.indices.size, joined.indptr.tolist()) == (0, 0, [0])
    (block,) = count_blocks(["a a"], str.split, number)
    assert (block.data.dtype, block.indices.dtype, block.indptr.dtype) == (np.int32, np.int32, np.int64)


def test_one_string_is_refused():
    with pytest.raises(InputError, match="one single string: give a list"):
        list(count_blocks("a b", str.split, number))


@pytest.mark.parametrize("item", [None, b"a", 3.0])
def test_items_that_are_no_strings_are_named(item):
    with pytest.raises(InputError, match=f"document 1 is of type {type(item).__name__}"):
        list(count_blocks(["a", item], str.split, number))


# ---------------------------------------------------------------------- vocabulary


PLAIN = VectorizerSettings("whitespace", "none", min_documents=1, max_share=1.0, max_words=None)


def words_of(texts, **values):
    settings = VectorizerSettings(**{**PLAIN.__dict__, **values})
    return learn(texts, settings)[0].words


def test_what_is_counted():
    found, columns = learn(iter(["b a b", "c", ""]), PLAIN)
    assert (found.words, found.document_frequency.tolist()) == (["a", "b", "c"], [1, 1, 1])
    assert (found.n_documents, found.mean_length) == (3, pytest.approx(4 / 3))
    assert columns.tolist() == [1, 0, 2]  # in the order in which words were met


def test_document_frequency_limits_count_documents_not_occurrences():
    texts = ["a a a b c", "b c", "c d", "c"]
    assert words_of(texts, min_documents=2) == ["b", "c"]
    assert words_of(texts, max_share=0.5) == ["a", "b", "d"]
    assert words_of(texts, max_share=0.99) == ["a", "b", "d"]


def test_the_most_frequent_words_are_kept_and_ties_go_by_alphabet():
    texts = ["x x x z y", "z y b"]
    assert words_of(texts, max_words=1) == ["x"]
    assert words_of(texts, max_words=2) == ["x", "y"]
    assert words_of(texts, max_words=3) == ["x", "y", "z"]


def test_how_many_words_might_have_been_kept():
    texts = ["x x x z y", "z y b"]
    for most in (1, 4, None):
        settings = VectorizerSettings(**{**PLAIN.__dict__, "max_words": most})
        assert learn(texts, settings)[0].n_candidates == 4
    settings = VectorizerSettings(**{**PLAIN.__dict__, "max_words": 1, "min_documents": 2})
    assert learn(texts, settings)[0].n_candidates == 2


def test_stop_words_go_before_anything_is_counted():
    found, _ = learn(["the ship and the sea"], VectorizerSettings())
    assert (found.words, found.mean_length) == (["sea", "ship"], 2.0)


def test_limits_left_open_follow_the_size_of_the_corpus():
    open_limits = VectorizerSettings("whitespace", "none")
    rare = ["often rare1", "often rare2"] + ["often"] * 47
    assert learn(rare, open_limits)[0].words == ["often", "rare1", "rare2"]  # 49 documents: no limits
    with pytest.raises(InputError, match="in 3 or more and at most 80% of all"):
        learn([*rare, "often"], open_limits)  # 50: rare words are too rare, the other too common


def test_order_of_documents_does_not_matter():
    texts = ["d a", "b a", "c b a", "a a a"]
    assert words_of(texts, max_words=2) == words_of(texts[::-1], max_words=2) == ["a", "b"]


def test_a_vocabulary_that_grows_over_blocks(monkeypatch):
    whole = learn(["a b", "c a", "d d", "a"], PLAIN)[0]
    monkeypatch.setattr(vocabulary, "TOKENS_PER_BLOCK", 1)
    blocks = []
    found, _ = learn(["a b", "c a", "d d", "a"], PLAIN, blocks.append)
    assert found.words == whole.words
    assert found.document_frequency.tolist() == whole.document_frequency.tolist() == [3, 1, 1, 1]
    assert len(blocks) == 4


def test_no_document():
    with pytest.raises(InputError, match="no document to learn words from"):
        learn([], PLAIN)


@pytest.mark.parametrize("texts", [[""], ["the of and"], ["!", "?"]])
def test_no_word(texts):
    with pytest.raises(
        InputError, match=r"no word is left of 0 in \d documents? \(kept .* or give more text"
    ):
        learn(texts, VectorizerSettings())


def test_blocks_are_handed_on_and_says_where_words_went():
    kept = []
    found, columns = learn(
        ["the a b a", "c"], VectorizerSettings(**{**PLAIN.__dict__, "max_words": 2}), kept.append
    )
    assert found.words == ["a", "b"]
    assert sorted(columns[columns >= 0].tolist()) == [0, 1]
    block = select(kept[0], columns)
    assert sorted(zip(block.indices.tolist(), block.data.tolist(), strict=True)) == [(0, 2), (1, 1)]
    assert block.indptr.tolist() == [0, 2, 2]


def test_stop_words_that_are_never_one_word_are_reported(caplog):
    given = (
        "don't",
        "\uff34\uff48\uff45",
        "Stra\u00dfe",
        "e\u0301te\u0301",
        "covid-19",
        "\u6211\u4eec\u7684",
    )
    texts = ["don't the strasse \u00e9t\u00e9 covid-19 whale", "sea"]
    found, _ = learn(texts, VectorizerSettings(stop_words=given))
    assert found.words == ["19", "covid", "don", "sea", "whale"]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "3 stop words that are never one word of a text have no effect: 'covid"
    )
    caplog.clear()
    learn(texts, VectorizerSettings(pattern="whitespace", stop_words=given))
    learn(texts, VectorizerSettings())
    assert not caplog.records


def test_scripts_without_spaces_are_reported(caplog):
    texts = ["ปลาวาฬนอนในทะเลเรือตลาดหุ้นธนาคาร", "ดอกเบี้ยจรวดอวกาศปลาวาฬนอน"] * 2
    learn(texts, VectorizerSettings())
    assert "Thai is written without spaces" in caplog.text
    caplog.clear()
    learn(["whale ภาษา", "sea"], VectorizerSettings())
    assert not caplog.records


def test_a_document_of_too_many_words_is_named(monkeypatch):
    monkeypatch.setattr("nphash.text.vocabulary.MOST_WORDS", 100)
    monkeypatch.setattr("nphash.text.vocabulary.TOKENS_PER_BLOCK", 50)
    with pytest.raises(InputError, match=r"document 1 has more than 100 words: split it"):
        learn(["ab " * 100, "ab " * 101], VectorizerSettings())
    with pytest.raises(InputError, match=r"document 1 has 262,144 characters of which"):
        learn(["whale", "\ufdfa" * 2**18], VectorizerSettings())
