from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import shttm
from nphash.hashers.shttm import SHTTM, tag_step

X, y = small.documents(120, 60, topics=4)


def tags_objective(Y, U, T, Theta, absent, alpha, gamma):
    """What is minimised: weighted squared errors of tags, and distance from the topics."""
    weights = np.where(T > 0, 1.0, absent)  # (n, C)
    errors = (weights * (T - Y @ U.T) ** 2).sum()
    return errors + alpha * (U**2).sum() + gamma * ((Y - Theta) ** 2).sum()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), absent=st.sampled_from([0.01, 0.3, 1.0]))
def test_each_step_is_the_minimum_of_the_objective(seed, absent):
    """At the solution of one step the objective's gradient by the rows solved for is zero."""
    rng = np.random.default_rng(seed)
    T = rng.random((6, 4)) < 0.4
    tags = scipy.sparse.csr_matrix(T, dtype=float)
    Theta, U = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))
    alpha, gamma = 0.7, 0.3
    Y = tag_step(tags, U, Theta, absent, gamma)
    gradient = small.numeric_gradient(lambda: tags_objective(Y, U, T, Theta, absent, alpha, gamma), Y)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    U = tag_step(tags.T.tocsr(), Y, np.zeros((4, 3)), absent, alpha)
    gradient = small.numeric_gradient(lambda: tags_objective(Y, U, T, Theta, absent, alpha, gamma), U)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


def test_turns_lower_the_objective(rng):
    T = rng.random((20, 5)) < 0.3
    tags = scipy.sparse.csr_matrix(T, dtype=float)
    Theta = rng.standard_normal((20, 4))
    Y, values = Theta, []
    for _ in range(5):
        U = tag_step(tags.T.tocsr(), Y, np.zeros((5, 4)), 0.1, 0.5)
        Y = tag_step(tags, U, Theta, 0.1, 0.2)
        values.append(tags_objective(Y, U, T, Theta, 0.1, 0.5, 0.2))
    assert all(later < earlier for earlier, later in pairwise(values))


@pytest.mark.parametrize("kind", ["classes", "indicator"])
def test_tags_are_in_the_codes_of_new_documents(kind):
    labels = y if kind == "classes" else np.eye(4, dtype=bool)[y]
    hasher = SHTTM(8, random_state=0).fit(X[:80], labels[:80])
    bits = unpack(hasher.transform(X), 8)
    distance = (bits[80:, None] != bits[None, :80]).sum(axis=2)
    same = y[80:, None] == y[:80]
    assert distance[same].mean() < 0.6 * distance[~same].mean()


def test_bits_are_balanced():
    bits = unpack(SHTTM(8, random_state=0).fit_transform(X, y), 8)
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=0.02)


def test_more_bits_than_topics():
    hasher = SHTTM(32, random_state=0).fit(X[:20, :6], y[:20])
    assert np.isfinite(hasher.decision_function(X[:, :6])).all()


@pytest.mark.parametrize("name", ["absent", "alpha", "gamma", "penalty", "iterations"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_wrong_parameters(name, value):
    with pytest.raises(InputError, match=name):
        SHTTM(4, **{name: value}).fit(X, y)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), absent=st.sampled_from([0.01, 0.3, 1.0]), pull=st.floats(0.05, 2))
def test_each_row_is_its_own_weighted_ridge_regression(seed, absent, pull):
    """Rows with the same tags are solved together; one after the other gives the same."""
    rng = np.random.default_rng(seed)
    T = rng.random((9, 4)) < 0.4
    U, anchor = rng.standard_normal((4, 3)), rng.standard_normal((9, 3))
    rows = tag_step(scipy.sparse.csr_matrix(T, dtype=float), U, anchor, absent, pull)
    for i in range(9):
        c = np.where(T[i], 1.0, absent)
        left = (U.T * c) @ U + pull * np.eye(3)
        expected = np.linalg.solve(left, (U.T * c) @ T[i] + pull * anchor[i])
        np.testing.assert_allclose(rows[i], expected, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_a_step_does_not_depend_on_the_order_of_the_rows(seed):
    rng = np.random.default_rng(seed)
    tags = scipy.sparse.csr_matrix(rng.random((8, 4)) < 0.4, dtype=float)
    U, anchor, order = rng.standard_normal((4, 3)), rng.standard_normal((8, 3)), rng.permutation(8)
    rows = tag_step(tags, U, anchor, 0.1, 0.5)
    np.testing.assert_allclose(tag_step(tags[order], U, anchor[order], 0.1, 0.5), rows[order], atol=1e-12)


def test_a_strong_pull_leaves_rows_at_their_anchors(rng):
    tags = scipy.sparse.csr_matrix(rng.random((6, 4)) < 0.5, dtype=float)
    U, anchor = rng.standard_normal((4, 3)), rng.standard_normal((6, 3))
    np.testing.assert_allclose(tag_step(tags, U, anchor, 0.1, 1e9), anchor, atol=1e-6)


def test_rotating_the_codes_changes_nothing_of_the_objective(rng):
    Y, U, Theta = rng.standard_normal((6, 3)), rng.standard_normal((4, 3)), rng.standard_normal((6, 3))
    T, Q = rng.random((6, 4)) < 0.5, np.linalg.qr(rng.standard_normal((3, 3)))[0]
    before = tags_objective(Y, U, T, Theta, 0.1, 0.5, 0.2)
    assert tags_objective(Y @ Q, U @ Q, T, Theta @ Q, 0.1, 0.5, 0.2) == pytest.approx(before)


@pytest.mark.parametrize("kind", ["classes", "indicator"])
def test_classes_and_an_indicator_of_them_are_the_same_tags(kind):
    labels = y if kind == "classes" else scipy.sparse.csr_matrix(np.eye(4)[y])
    indicator = shttm._indicator(labels, 4)
    np.testing.assert_array_equal(indicator.toarray(), np.eye(4)[y])
    assert indicator.dtype == np.float64


def test_thresholds_are_medians_of_the_projected_documents():
    hasher = SHTTM(6, random_state=0).fit(X, y)
    np.testing.assert_allclose(hasher.thresholds_, np.median(X @ hasher.components_, axis=0), atol=1e-5)
    codes = [SHTTM(6, random_state=0, threads=threads).fit_transform(X, y).tobytes() for threads in (1, 3)]
    assert codes[0] == codes[1]
