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
