import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import opened
from nphash.codes import hamming_distances, pack
from nphash.collection.searching import (
    MAX_CANDIDATES,
    MIN_CANDIDATES,
    TIES_BOUND,
    Reranker,
    SearchSettings,
    _may_hold,
    _with_ties,
    candidates,
    chosen,
    order,
)
from nphash.search import HammingIndex
from nphash.text.tokenizer import tokenize
from nphash.text.vectorizer import Vectorizer, VectorizerSettings


def test_number_of_candidates():
    assert SearchSettings(10).n_candidates(30) == MIN_CANDIDATES == 2_000
    assert SearchSettings(10).n_candidates(30_000) == 3_000
    assert SearchSettings(10).n_candidates(10**6) == MAX_CANDIDATES == 5_000
    assert SearchSettings(1000).n_candidates(30) == 10_000
    assert SearchSettings(10, candidates=12).n_candidates(10**6) == 12
    assert SearchSettings(10, rerank=False).n_candidates(10**6) == 10
    assert SearchSettings(None).n_candidates(10**6) is None


def test_a_number_of_results_takes_the_place_of_that_in_settings():
    assert chosen(SearchSettings(5, rerank=False), 3) == SearchSettings(3, rerank=False)
    assert chosen(SearchSettings(5), ...) == SearchSettings(5) and chosen(None, None).k is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40).map(sorted), st.integers(1, 45), st.booleans())
def test_ties_with_the_last_candidate_are_taken_up_to_a_bound(distances, wanted, ties):
    kept = _with_ties(np.array(distances), wanted, ties)
    if wanted >= len(distances):
        assert kept == len(distances)
    elif not ties:
        assert kept == wanted
    else:
        last = distances[wanted - 1]
        assert kept == min(sum(d <= last for d in distances), TIES_BOUND * wanted)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(0, 6)),
    st.booleans(),
    st.randoms(),
)
def test_candidates_equal_a_full_sort(n, k, radius, rerank, random):
    rng = np.random.default_rng(random.randrange(1 << 30))
    codes, queries = pack(rng.random((n, 6)) < 0.5), pack(rng.random((3, 6)) < 0.5)
    index = HammingIndex(6)
    index.add(codes)
    chosen = SearchSettings(k, radius, rerank, candidates=k)
    for distances, (found, positions) in zip(
        hamming_distances(queries, codes), candidates(index, queries, chosen), strict=True
    ):
        best = np.lexsort((np.arange(n), distances))
        if radius is not None:
            best = best[distances[best] <= radius]
        best = best[: _with_ties(distances[best], k, rerank)]
        assert positions.tolist() == best.tolist()
        assert found.tolist() == distances[best].tolist()


def test_no_candidates_in_an_empty_index():
    empty = HammingIndex(6)
    found = candidates(empty, pack(np.zeros((2, 6))), SearchSettings(3))
    assert [len(positions) for _, positions in found] == [0, 0]


def test_order_is_similarity_then_distance_then_position():
    found = order(np.array([2, 1, 1, 0]), np.array([0, 5, 3, 9]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert found.tolist() == [2, 1, 0, 3]


def test_radius_bounds_the_distance(tmp_path):
    with opened(tmp_path) as collection:
        everything = collection.search(["gold"], settings=SearchSettings(None, rerank=False))[0]
        near = collection.search(["gold"], settings=SearchSettings(None, radius=6))[0]
        assert {hit.id for hit in near} == {hit.id for hit in everything if hit.distance <= 6}
        assert len(collection.search(["gold"], settings=SearchSettings(2, radius=16))[0]) == 2
        assert collection.search(["gold"], settings=SearchSettings(None, radius=0))[0] == [
            hit for hit in collection.search(["gold"], settings=SearchSettings(None))[0] if hit.distance == 0
        ]


def test_few_candidates_bound_what_is_reranked(tmp_path):
    with opened(tmp_path) as collection:
        plain = collection.search(["gold"], settings=SearchSettings(30, rerank=False))[0]
        some = collection.search(["gold"], settings=SearchSettings(3, candidates=5))[0]
        bound = plain[min(len(plain), TIES_BOUND * 5) - 1].distance
        assert all(hit.distance <= bound for hit in some)


@pytest.mark.parametrize("rerank", [True, False])
def test_like_a_document_among_many_equal_codes(tmp_path, rerank):
    from nphash.corpus import Document

    with opened(tmp_path, n=6) as collection:
        collection.add([Document(f"same{i}", "gold ore") for i in range(40)])
        hits = collection.search_like("same39", settings=SearchSettings(5, rerank=rerank, candidates=5))
        assert len(hits) == 5 and "same39" not in {hit.id for hit in hits}


TEXTS = [
    "gold mine gold",
    "wheat ships",
    "na\u00efve gold \u017fhips",
    "",
    "Gold WHEAT",
    "mine mine mine ships \uff47old",
]


def naive_cosine(vectorizer, a, b):
    """TF-IDF cosine from the formula, word by word."""
    idf = {
        word: math.log((1 + vectorizer.n_documents_) / (1 + df)) + 1
        for word, df in zip(vectorizer.vocabulary_, vectorizer.document_frequency_, strict=True)
    }

    def row(text):
        counts = Counter(word for word in tokenize(text) if word in idf)
        return {word: (1 + math.log(count)) * idf[word] for word, count in counts.items()}

    a, b = row(a), row(b)
    norm = math.sqrt(sum(w * w for w in a.values())) * math.sqrt(sum(w * w for w in b.values()))
    return sum(a[word] * b[word] for word in a if word in b) / norm if norm else 0.0


@pytest.fixture(params=["tfidf", "binary", "bm25"])
def reranker(request):
    return Reranker(Vectorizer(VectorizerSettings(weighting=request.param)).fit(TEXTS))


@pytest.mark.parametrize("query", ["gold", "gold wheat ships", "mine unknown", "", "unknown", "SHIPS"])
def test_similarities_equal_the_formula(reranker, query):
    found = reranker.similarities(query, TEXTS)
    expected = [naive_cosine(reranker.vectorizer, query, text) for text in TEXTS]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float64 and (found >= 0).all() and (found <= 1).all()


def test_a_text_is_most_similar_to_itself(reranker):
    for number, text in enumerate(TEXTS):
        if text:
            assert reranker.similarities(text, TEXTS)[number] == pytest.approx(1, abs=1e-6)


def test_no_texts(reranker):
    assert reranker.similarities("gold", []).shape == (0,)


def test_shared_words_add_up_to_the_similarity(reranker):
    words = reranker.shared_words("gold mine ships", TEXTS[5])
    assert sum(part for _, part in words) == pytest.approx(
        reranker.similarities("gold mine ships", TEXTS)[5], abs=1e-6
    )
    assert [part for _, part in words] == sorted((part for _, part in words), reverse=True)
    assert reranker.shared_words("wheat", "gold") == []


@given(st.text(max_size=30), st.text("abcAB \u00e9\u212a", max_size=20))
def test_texts_that_hold_a_word_are_never_passed_over(text, more):
    for whole in (text + more, more):
        for word in tokenize(whole):
            assert _may_hold(whole, [word])
        for word in tokenize(whole, "vdsh"):
            assert _may_hold(whole, [word])
