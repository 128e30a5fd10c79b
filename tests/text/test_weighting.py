import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from nphash.errors import InputError
from nphash.text.weighting import WEIGHTINGS, Counts, Statistics, bm25, tfidf, weigh


def random_counts(seed, n=7, words=9):
    rng = np.random.default_rng(seed)
    return scipy.sparse.csr_matrix(rng.poisson(0.6, (n, words)))


def statistics_of(X):
    return Statistics(
        np.bincount(X.indices, minlength=X.shape[1]), X.shape[0], float(X.data.sum()) / X.shape[0]
    )


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_tfidf_is_scikit_learns_sublinear_tfidf(seed):
    X = random_counts(seed)
    reference = TfidfTransformer(sublinear_tf=True).fit_transform(X)
    np.testing.assert_allclose(tfidf(X, statistics_of(X)), reference.data, rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(sorted(WEIGHTINGS)))
def test_a_row_alone_has_the_same_bits_as_in_the_matrix(seed, name):
    X = random_counts(seed)
    statistics = statistics_of(X)
    together = weigh(name, X, statistics)
    alone = [weigh(name, X[at], statistics) for at in range(X.shape[0])]
    assert together.dtype == np.float32
    assert np.array_equal(np.concatenate(alone), together)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(sorted(WEIGHTINGS)))
def test_weights_are_positive_and_grow_with_the_count(seed, name):
    X = random_counts(seed)
    assert np.all(weigh(name, X, statistics_of(X)) > 0)
    once, often = (Counts(np.array([tf]), np.array([0]), np.array([0, 1])) for tf in (1, 5))
    statistics = Statistics(np.array([2]), 10, 3.0)
    assert weigh(name, often, statistics)[0] >= weigh(name, once, statistics)[0]


def test_bm25_by_hand():
    counts = Counts(np.array([2, 1]), np.array([0, 1]), np.array([0, 2]))
    got = bm25(counts, Statistics(np.array([1, 3]), 4, 1.5))
    brake = 1.2 * (0.25 + 0.75 * 3 / 1.5)
    first = np.log(1 + 3.5 / 1.5) * 2 * 2.2 / (2 + brake)
    second = np.log(1 + 1.5 / 3.5) * 1 * 2.2 / (1 + brake)
    np.testing.assert_allclose(got, [first, second], rtol=1e-6)


def test_bm25_of_a_corpus_without_words_is_finite():
    counts = Counts(np.array([2]), np.array([0]), np.array([0, 1]))
    assert np.isfinite(bm25(counts, Statistics(np.array([0]), 4, 0.0))).all()


@pytest.mark.parametrize("name", sorted(WEIGHTINGS))
def test_empty_rows_and_matrices(name):
    empty = Counts(np.empty(0, np.int32), np.empty(0, np.int32), np.zeros(4, np.int64))
    assert weigh(name, empty, Statistics(np.array([1]), 4, 1.0)).shape == (0,)


def test_unknown_weighting():
    with pytest.raises(InputError, match="'idf' is no weighting: choose one of binary, tf, tfidf, bm25"):
        weigh("idf", random_counts(0), Statistics(np.ones(9), 7, 1.0))
