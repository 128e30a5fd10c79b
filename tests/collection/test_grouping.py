"""Groups by code, and by text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import naive_cosine, opened
from nphash.collection import grouping
from nphash.collection.grouping import code_groups, group_similarity, groups_of, text_groups
from nphash.corpus import Document


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] != p[1]), max_size=20)
)
def test_groups_are_what_pairs_connect(pairs):
    groups = {i: {i} for pair in pairs for i in pair}
    for a, b in pairs:
        together = groups[a] | groups[b]
        for i in together:
            groups[i] = together
    expected = sorted({tuple(sorted(group)) for group in groups.values()})
    first, second = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    assert [tuple(group.tolist()) for group in groups_of(first, second)] == expected


def texts_of(collection, positions):
    return collection.segments.texts_at(positions.tolist())


@pytest.fixture
def collection(tmp_path):
    """30 documents, copies of nine of them, some without a known word, one removed."""
    with opened(tmp_path) as found:
        copies = [Document(f"c{i}", document.text) for i, document in enumerate(list(found.documents)[:9])]
        found.add([*copies, Document("x", "zzz"), Document("y", "yyy"), Document("z", "zzz")])
        found.remove(["d4"])
        yield found


def test_equal_codes_are_grouped_as_a_join_groups_them(collection):
    first, second, _ = collection.index.self_join(0)
    expected = [group.tolist() for group in groups_of(first, second)]
    assert [group.tolist() for group in code_groups(collection, 0)] == expected != []


def test_group_similarity_is_with_the_first_of_the_group(collection, monkeypatch):
    monkeypatch.setattr(grouping, "AT_ONCE", 4)
    groups, calls = code_groups(collection, 3), []
    like = group_similarity(collection, groups, lambda *now: calls.append(now))
    at = 0
    for group in groups:
        texts = texts_of(collection, group)
        mine = slice(at, at + len(group))
        expected = np.array([naive_cosine(collection.vectorizer, texts[0], text) for text in texts])
        expected[[text == texts[0] for text in texts]] = 1
        np.testing.assert_allclose(like.similarity[mine], expected, atol=1e-6)
        assert like.same_text[mine].tolist() == [texts.count(text) > 1 for text in texts]
        at += len(group)
    assert calls[-1] == (at, at) and like.same_text.any() and not like.same_text.all()


@pytest.mark.parametrize("at_once", [1, 5, 1000])
@pytest.mark.parametrize("least", [0.3, 0.8, 1.0])
def test_parts_of_groups_are_what_like_texts_connect(collection, monkeypatch, at_once, least):
    monkeypatch.setattr(grouping, "AT_ONCE", at_once)
    monkeypatch.setattr(grouping, "PAIRS_AT_ONCE", 8 * at_once)
    groups = code_groups(collection, 2)
    pairs = []
    for group in groups:
        texts = texts_of(collection, group)
        for i, text in enumerate(texts):
            for j, other in enumerate(texts):
                if i < j and (
                    naive_cosine(collection.vectorizer, text, other) >= least - 1e-7 or text == other
                ):
                    pairs.append((group[i], group[j]))
    expected = groups_of(*np.array(pairs, dtype=np.int64).T)
    found = text_groups(collection, groups, least)
    assert [group.tolist() for group in found] == [group.tolist() for group in expected] != []


def test_no_groups(tmp_path):
    with opened(tmp_path) as collection:
        assert (
            text_groups(collection, [], 0.5) == [] and len(group_similarity(collection, []).similarity) == 0
        )
        collection.remove([f"d{i}" for i in range(30)])
        assert code_groups(collection, 0) == code_groups(collection, 2) == []
