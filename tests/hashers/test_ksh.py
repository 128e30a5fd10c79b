from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import ksh
from nphash.hashers.ksh import KSH, Residual, smooth_objective
from nphash.metrics.relevance import relevance

X, y = small.documents(120, 60, topics=4)


def residual(rng, n=12, sets=3, bits=2):
    """A residual and the matrix R that it stands for."""
    group = rng.integers(0, sets, n)
    between = rng.standard_normal((sets, sets))
    between += between.T
    members = scipy.sparse.csr_matrix((np.ones(n), (group, np.arange(n))), shape=(sets, n))
    codes = np.where(rng.random((n, bits)) < 0.5, 1.0, -1.0)
    return Residual(members, between, codes), between[group][:, group] - codes @ codes.T


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), bits=st.integers(0, 4))
def test_the_product_is_that_of_the_whole_matrix(seed, bits):
    rng = np.random.default_rng(seed)
    short, R = residual(rng, bits=bits)
    vector, matrix = rng.standard_normal(12), rng.standard_normal((12, 5))
    np.testing.assert_allclose(short.times(vector), R @ vector, atol=1e-10)
    np.testing.assert_allclose(short.times(matrix), R @ matrix, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_numeric_one(seed):
    rng = np.random.default_rng(seed)
    K, a = rng.standard_normal((12, 5)), rng.standard_normal(5)
    short, R = residual(rng)
    _, back = smooth_objective(a, K, short.times)
    numeric = small.numeric_gradient(lambda: smooth_objective(a, K, short.times)[0], a)
    assert np.abs(back() - numeric).max() <= 1e-7 * np.abs(numeric).max()
    np.testing.assert_allclose(back(3.0), 3 * back())

    def again(a):
        b = anp.tanh(anp.dot(K, a) / 2)
        return -anp.dot(b, anp.dot(R, b))

    np.testing.assert_allclose(back(), grad(again)(a), rtol=1e-10)


def test_descent_finds_the_minimum_of_a_bowl():
    centre = np.array([3.0, -2.0])
    curvature = np.array([1.0, 25.0])

    def bowl(a):
        return float((curvature * (a - centre) ** 2).sum()), lambda: 2 * curvature * (a - centre)

    np.testing.assert_allclose(ksh._descend(bowl, np.zeros(2), 500, 1e-12), centre, atol=1e-4)


def test_descent_never_ends_higher():
    rng = np.random.default_rng(0)
    K, a = rng.standard_normal((12, 5)), rng.standard_normal(5)
    short, _ = residual(rng)
    end = ksh._descend(lambda a: smooth_objective(a, K, short.times), a, 50, 1e-6)
    assert smooth_objective(end, K, short.times)[0] < smooth_objective(a, K, short.times)[0]


@pytest.mark.parametrize("kind", ["classes", "indicator"])
def test_label_sets_give_every_pair(kind):
    indicator = np.random.default_rng(0).random((20, 4)) < 0.4
    labels = y[:20] if kind == "classes" else scipy.sparse.csr_matrix(indicator)
    sets, between = ksh._label_sets(labels)
    expected = np.where(relevance(labels, labels), 1, -1)
    np.testing.assert_array_equal((sets.T @ between @ sets), expected)


@pytest.mark.parametrize("kind", ["classes", "indicator"])
def test_documents_with_a_common_label_are_near(kind):
    labels = y if kind == "classes" else np.eye(4, dtype=bool)[y]
    hasher = KSH(8, random_state=0).fit(X[:80], labels[:80])
    bits = unpack(hasher.transform(X), 8)
    distance = (bits[80:, None] != bits[None, :80]).sum(axis=2)
    same = y[80:, None] == y[:80]
    assert distance[same].mean() < 0.5 * distance[~same].mean()


def test_documents_without_labels_are_left_out_of_the_pairs():
    labels = np.eye(4, dtype=bool)[y]
    labels[::2] = False
    hasher = KSH(4, anchors=20, random_state=0).fit(X, labels)
    assert np.isfinite(hasher.components_).all()


def test_equal_anchors():
    twice = scipy.sparse.vstack([X[:10]] * 3).tocsr()
    assert np.isfinite(KSH(4, random_state=0).fit(twice, np.tile(y[:10], 3)).decision_function(twice)).all()


def test_every_two_documents_share_a_label():
    labels = np.eye(4, dtype=bool)[y]
    labels[:, 0] = True
    with pytest.raises(InputError, match="share a label"):
        KSH(4).fit(X, labels)


@pytest.mark.parametrize("name", ["anchors", "pairs_among", "dims", "iterations"])
@pytest.mark.parametrize("value", [0, -1, 2.5])
def test_wrong_parameters(name, value):
    with pytest.raises(InputError, match=name):
        KSH(4, **{name: value}).fit(X, y)


@pytest.fixture(scope="module")
def fitted():
    return KSH(6, anchors=25, dims=12, random_state=0).fit(X[:90], y[:90])


def test_similarities_are_those_of_the_equation(fitted):
    points = fitted._points(X)
    distances = ((points[:, None] - fitted.anchors_.T) ** 2).sum(axis=2)  # (n, m)
    np.testing.assert_allclose(fitted._similarities(points), np.exp(-distances / fitted.width_), atol=1e-4)


def test_anchors_are_training_documents_and_similar_to_themselves(fitted):
    points = fitted._points(X[:90])
    gaps = np.abs(points[:, None] - fitted.anchors_.T).max(axis=2)  # (n, m)
    assert (gaps.min(axis=0) < 1e-6).all()
    np.testing.assert_allclose(np.diag(fitted._similarities(fitted.anchors_.T)), 1, atol=1e-4)


def test_the_width_lies_within_the_distances_of_anchors(fitted):
    anchors = fitted.anchors_.T
    distances = ((anchors[:, None] - anchors) ** 2).sum(axis=2)
    assert 0 < fitted.width_ < 2 * distances.max()


def test_thresholds_take_the_mean_similarities_out(fitted):
    K = fitted._similarities(fitted._points(X[:90])).astype(np.float64)
    expected = (K - K.mean(axis=0)) @ fitted.components_
    np.testing.assert_allclose(fitted.decision_function(X[:90]), expected, atol=2e-3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), bits=st.integers(0, 3))
def test_the_residual_is_symmetric(seed, bits):
    rng = np.random.default_rng(seed)
    short, _ = residual(rng, bits=bits)
    u, v = rng.standard_normal((2, 12))
    assert u @ short.times(v) == pytest.approx(v @ short.times(u))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_smooth_objective_is_that_of_the_signs_where_scores_are_large(seed):
    rng = np.random.default_rng(seed)
    short, _ = residual(rng)
    K, a = rng.standard_normal((12, 5)), rng.standard_normal(5)
    scores = K @ a
    if np.abs(scores).min() > 1e-3:
        cost, _ = smooth_objective(1e6 * a, K, short.times)
        assert -cost == pytest.approx(ksh._quality(scores, short.times))


def test_bits_explain_more_and_more_of_the_labels():
    """|L S - B B^T|, what is minimised, falls with every bit that is found."""
    labels = np.where(y[:90, None] == y[:90], 1.0, -1.0)
    values = KSH(8, anchors=60, random_state=0).fit(X[:90], y[:90]).decision_function(X[:90])
    B = np.where(values > 0, 1.0, -1.0)
    errors = [np.linalg.norm(8 * labels - B[:, :bits] @ B[:, :bits].T) for bits in range(9)]
    assert all(later < earlier for earlier, later in pairwise(errors))


def test_names_of_classes_do_not_matter():
    renamed = np.array(["b", "d", "a", "c"])[y]
    first = KSH(6, random_state=0).fit(X, y).decision_function(X)
    second = KSH(6, random_state=0).fit(X, renamed).decision_function(X)
    assert ((first > 0) == (second > 0)).mean() > 0.98  # sums of groups in another order


def test_the_same_codes_for_any_number_of_threads():
    codes = [KSH(6, random_state=0, threads=threads).fit(X, y).transform(X).tobytes() for threads in (1, 3)]
    assert codes[0] == codes[1]
