from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
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
