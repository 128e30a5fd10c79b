import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.collection.reranking import Reranker, _may_hold
from nphash.text.tokenizer import tokenize
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

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
