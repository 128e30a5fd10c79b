"""BM25 against the formula, word by word, and the best of scores against a full sort."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.codes import hamming_distances, pack
from nphash.collection.ranking import (
    K1,
    WEIGHT,
    B,
    Words,
    best,
    best_that_match,
    distances_to,
    from_codes,
    from_words,
)
from nphash.collection.word_index import WordIndex
from nphash.text.query import Term, matches, parse, plain
from nphash.text.tokenizer import tokenize

WORD = st.sampled_from(["gold", "golden", "ore", "\u91d1\u9271", "na\u00efve"])
TEXTS = st.lists(st.lists(WORD, max_size=9).map(" ".join), min_size=1, max_size=9)


def words_of(texts, cuts, removed=()):
    """The words of texts that are spread over indexes, cut before each of `cuts`."""
    edges = [0, *sorted(cuts), len(texts)]
    indexes = [WordIndex.of_texts(texts[a:b], "unicode") for a, b in itertools.pairwise(edges)]
    return Words(indexes, np.array(sorted(removed), dtype=np.int64))


def naive_bm25(texts, query):
    """BM25 of each text by the formula; ``go*`` counts all words that begin so as one."""
    tokens = [tokenize(text) for text in texts]
    mean = sum(map(len, tokens)) / len(tokens)

    def tf(term, words):
        if not term.is_prefix:
            return words.count(term.word)
        return sum(count for word, count in Counter(words).items() if word.startswith(term.word))

    scores = []
    for words in tokens:
        score = 0.0
        for term in query.counts:
            df = sum(tf(term, other) > 0 for other in tokens)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            count = tf(term, words)
            score += idf * count * (K1 + 1) / (count + K1 * (1 - B + B * len(words) / mean)) if count else 0.0
        scores.append(score)
    return scores


@settings(deadline=None)
@given(
    TEXTS,
    st.data(),
    st.sampled_from(["gold", "gold ore na\u00efve", "gol* ore", "\u91d1\u9271 gone", "zz* gold"]),
)
def test_scores_equal_the_formula(texts, data, asked):
    removed = data.draw(st.sets(st.integers(0, len(texts) - 1), max_size=len(texts) - 1))
    words = words_of(texts, data.draw(st.lists(st.integers(0, len(texts)), max_size=3)), removed)
    query = parse(asked)
    live = [i for i in range(len(texts)) if i not in removed]
    found = words.score([words.find(term) for term in query.counts])
    np.testing.assert_allclose(found[live], naive_bm25([texts[i] for i in live], query), rtol=1e-5)
    assert (found[sorted(removed)] == 0).all() and found.dtype == np.float32
    assert words.n_documents == len(live) and words.live.sum() == len(live)


def test_the_own_score_is_that_of_a_document_equal_to_the_query():
    texts = ["gold ore gold", "ore tin", "silver"]
    words = words_of(texts, [1])
    for text in texts:
        query = plain(text)
        found = {term: words.find(term) for term in query.counts}
        assert words.own_score(query, found) == pytest.approx(
            words.score(found.values())[texts.index(text)], rel=1e-6
        )
    assert words.find(Term("zinc")).positions.size == 0 and words.own_score(plain("zinc"), {}) == 0


@settings(deadline=None)
@given(
    TEXTS,
    st.sampled_from(
        [
            '"gold ore"',
            "gold -ore",
            "gold AND (ore OR golden)",
            "NEAR(gold ore, 1) OR golden",
            '-"ore gold" AND go*',
        ]
    ),
    st.lists(st.integers(0, 9), max_size=2),
)
def test_bounds_hold_what_matches(texts, asked, cuts):
    words, query = words_of(texts, [min(cut, len(texts)) for cut in cuts]), parse(asked)
    certain, possible = words.bounds(query.condition)
    meets = np.array([matches(query.condition, tokenize(text)) for text in texts])
    assert (certain <= meets).all() and (meets <= possible).all()
    if '"' not in asked and "NEAR" not in asked:
        assert (certain == possible).all()


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.booleans(), st.booleans(), st.booleans()), max_size=90
    ),
    st.one_of(st.none(), st.integers(1, 20)),
)
def test_best_equal_a_full_sort(rows, k):
    scores = np.array([row[0] for row in rows], dtype=np.float32)
    possible, certain, meets = (np.array([row[i] for row in rows], dtype=bool) for i in (1, 2, 3))
    certain &= possible
    order = np.lexsort((np.arange(len(rows)), -scores))
    assert best(scores, possible, k).tolist() == [i for i in order if possible[i]][:k]
    asked = []

    def hold(positions):
        asked.extend(positions.tolist())
        return meets[positions]

    expected = [i for i in order if certain[i] or (possible[i] and meets[i])][:k]
    assert best_that_match(scores, certain, possible, k, hold).tolist() == expected
    assert len(asked) == len(set(asked)) and not certain[asked].any()


def test_distances_over_arrays_of_codes(rng):
    codes, query = pack(rng.random((9, 70)) < 0.5), pack(rng.random((1, 70)) < 0.5)
    found = distances_to(query, [codes[:4], codes[4:4], codes[4:]])
    assert found.tolist() == hamming_distances(query, codes)[0].tolist()
    assert distances_to(query, []).tolist() == []


def test_parts_of_the_score():
    assert from_words(np.float32([0, 1, 2]), 2.0).tolist() == [0, 0.25, 1]
    assert from_words(np.float32([0, 0]), 0.0).tolist() == [0, 0]
    assert from_codes(np.array([0, 8, 16]), 16, 0.5).tolist() == pytest.approx([WEIGHT / 2, WEIGHT / 4, 0])


def test_no_documents():
    words = Words([], np.zeros(0, np.int64))
    assert words.n_documents == 0 and words.mean_length == 0 and words.n_words() == 0
    assert words.score([words.find(Term("gold"))]).shape == (0,)
