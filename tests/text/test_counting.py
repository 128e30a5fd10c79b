from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.text import counting
from nphash.text.counting import count_blocks, join_blocks

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
    before, counting.TOKENS_PER_BLOCK = counting.TOKENS_PER_BLOCK, block
    try:
        blocks = list(count_blocks(iter(documents), str.split, number, first))
    finally:
        counting.TOKENS_PER_BLOCK = before
    expected = [
        sorted(Counter(LETTERS[w] for w in text.split() if LETTERS.get(w, -1) >= first).items())
        for text in documents
    ]
    assert rows_of(join_blocks(blocks)) == expected


def test_blocks_end_with_the_document_that_fills_them(monkeypatch):
    monkeypatch.setattr(counting, "TOKENS_PER_BLOCK", 3)
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
