"""Groups by code, and by text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import TOPICS, naive_cosine, opened
from nphash.codes import hamming_distances
from nphash.collection import grouping
from nphash.collection.grouping import THRESHOLDS, Texts, code_groups, groups_of, matches, nearness
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
    like = Texts(collection, groups, lambda *now: calls.append(now)).similarity(groups)
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
                cosine = naive_cosine(collection.vectorizer, text, other)
                if i < j and (cosine >= least - 1e-7 or text == other):
                    pairs.append((group[i], group[j]))
    expected = groups_of(*np.array(pairs, dtype=np.int64).T)
    found = Texts(collection, groups).groups(least)
    assert [group.tolist() for group in found] == [group.tolist() for group in expected] != []


def cosines(collection, left, right):
    found = np.array([[naive_cosine(collection.vectorizer, a, b) for b in right] for a in left])
    return np.where(np.array(left)[:, None] == np.array(right), 1.0, found)


@pytest.fixture(params=[0, 1])
def varied(request, tmp_path):
    """Documents in chains, each the one before with a word more or less, and copies of them."""
    rng = np.random.default_rng(request.param)
    words = [word for topic in TOPICS.values() for word in topic]
    with opened(tmp_path) as found:
        texts, text = [], list(rng.choice(words, 12))
        for _ in range(30):
            at = rng.integers(len(text))
            text = [list(rng.choice(words, 12)), text[:at] + text[at + 1 :], [*text, rng.choice(words)]][
                rng.choice(3, p=[0.2, 0.4, 0.4]) if len(text) > 3 else 0
            ]
            texts += [" ".join(text)] * rng.integers(1, 4)
        found.add([Document(f"v{i}", texts[i]) for i in rng.permutation(len(texts))])
        yield found


@pytest.mark.parametrize("at_once", [40, 1000])
def test_no_pair_of_like_texts_is_missed(varied, monkeypatch, at_once):
    monkeypatch.setattr(grouping, "AT_ONCE", at_once)
    monkeypatch.setattr(grouping, "PAIRS_AT_ONCE", at_once)
    texts = texts_of(varied, np.arange(len(varied)))
    cosine = cosines(varied, texts, texts)
    compared = Texts(varied)
    for least, found in zip(THRESHOLDS, compared.preview(THRESHOLDS), strict=True):
        expected = groups_of(*np.nonzero(np.triu(cosine >= least - 1e-6, 1)))
        assert [group.tolist() for group in found] == [group.tolist() for group in expected] != []
        assert [group.tolist() for group in compared.groups(least)] == [g.tolist() for g in found]


@pytest.mark.parametrize("keep", ["first", "longest", "newest"])
@pytest.mark.parametrize(("radius", "least"), [(None, 0.8), (2, None), (3, 0.7)])
def test_what_goes_is_near_what_stays(varied, keep, radius, least):
    groups = None if radius is None else code_groups(varied, radius)
    texts, near = Texts(varied, groups), nearness(varied, radius, least)
    groups = groups if least is None else texts.groups(least)
    read = texts_of(varied, np.arange(len(varied)))
    cosine, codes = cosines(varied, read, read), varied.codes
    close = hamming_distances(codes, codes) <= radius if least is None else cosine >= least - 1e-6
    gone = 0
    for group in groups:
        drops = list(texts.redundant(group, keep, near))
        stay = set(group.tolist()) - {drop.position for drop in drops}
        rank = {"first": lambda i: i, "newest": lambda i: -i, "longest": lambda i: (-len(read[i]), i)}[keep]
        for position, kept, similarity, same in drops:
            assert kept in stay and close[position, kept] and rank(kept) < rank(position)
            assert similarity == pytest.approx(cosine[position, kept], abs=1e-6)
            assert same == (read[position] == read[kept])
        assert min(group, key=rank) in stay
        assert close[np.ix_(list(stay), list(stay))].sum() == len(stay)  # none is left beside another
        gone += len(drops)
    assert gone


@pytest.mark.parametrize("at_once", [20, 1000])
def test_matches_are_the_most_similar_of_the_other(varied, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(grouping, "AT_ONCE", at_once)
    monkeypatch.setattr(grouping, "PAIRS_AT_ONCE", at_once)
    (tmp_path / "other").mkdir()
    with opened(tmp_path / "other", n=20, n_bits=32) as other:
        mine = texts_of(varied, np.arange(len(varied)))
        other.add([Document(f"o{i}", text + " corn" * (i % 3)) for i, text in enumerate(mine[20::2])])
        other.remove(["d3", "o1"])
        theirs, live = [document.text for document in other.documents], other.segments.live_positions()
        cosine = cosines(varied, mine, theirs) + (np.array(mine)[:, None] == np.array(theirs))
        found = {match.position: match for match in matches(Texts(varied), other, 0.8)}
        assert sorted(found) == np.flatnonzero(cosine.max(axis=1) >= 0.8 - 1e-6).tolist() != []
        for position, match in found.items():
            best = np.round(cosine[position], 6)
            assert best[live.tolist().index(match.other)] == best.max()
            assert match.same_text == (best.max() == 2)
            assert match.similarity == pytest.approx(min(1, best.max()), abs=1e-6)
            if match.same_text:
                assert match.other == live[np.argmax(best)]  # the first of them


def test_no_groups(tmp_path):
    with opened(tmp_path) as collection:
        none = Texts(collection, [])
        assert none.groups(0.5) == [] and len(none.similarity([]).similarity) == 0
        collection.remove([f"d{i}" for i in range(30)])
        assert code_groups(collection, 0) == code_groups(collection, 2) == []
        assert Texts(collection).groups(0.5) == list(matches(Texts(collection), collection, 0.5)) == []
