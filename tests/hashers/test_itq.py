from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers.itq import ITQ, rotation
from nphash.hashers.linear import project
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.nn.ops import normalise_rows

X, y = small.documents(200, 60, topics=4)


def error(V, R):
    return np.linalg.norm(np.where(V @ R > 0, 1, -1) - V @ R)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), d=st.integers(1, 6), more=st.integers(0, 4))
def test_the_rotation_has_orthonormal_rows_and_improves(seed, d, more):
    V = np.random.default_rng(seed).standard_normal((30, d))
    errors = []
    for iterations in (0, 1, 5, 20):
        R = rotation(V, d + more, iterations, seed)
        assert R.shape == (d, d + more)
        np.testing.assert_allclose(R @ R.T, np.eye(d), atol=1e-10)
        errors.append(error(V, R))
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(errors))


def test_the_linear_form_is_the_two_steps():
    """Projecting, scaling and rotating one after the other gives the same real-valued bits."""
    hasher = ITQ(6, random_state=0).fit(X)
    components = fit_lsi(X, 6, 0).components
    rows = normalise_rows(project(X, components))
    mean = rows.mean(axis=0, dtype=np.float64)
    expected = (rows - mean) @ rotation(rows - mean, 6, 50, 0)
    np.testing.assert_allclose(hasher.decision_function(X), expected, atol=1e-4)


def test_bits_tell_topics_apart():
    bits = unpack(ITQ(8, random_state=0).fit_transform(X), 8)
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    same = y[:, None] == y
    assert distance[same].mean() < 0.6 * distance[~same].mean()


def test_lengths_do_not_matter():
    hasher = ITQ(8, random_state=0).fit(X)
    np.testing.assert_array_equal(hasher.transform(X), hasher.transform(X * 7.0))


def test_more_bits_than_dimensions():
    few = X[:10, :5]
    codes = ITQ(32, random_state=0).fit_transform(few)
    assert len(np.unique(codes, axis=0)) > 1
    bits = unpack(codes, 32)
    assert (bits.any(axis=0) & ~bits.all(axis=0)).mean() > 0.5  # most bits differ somewhere


def test_the_same_documents_everywhere_and_empty_ones():
    # one direction: no error, and equal documents have equal codes
    codes = ITQ(4, random_state=0).fit_transform(scipy.sparse.csr_matrix(np.ones((9, 4))))
    assert len(np.unique(codes, axis=0)) == 1
    with pytest.raises(InputError, match="empty"):
        ITQ(4).fit(np.zeros((9, 4)))


def test_iterations_below_zero():
    with pytest.raises(InputError, match="iterations"):
        ITQ(iterations=-1).fit(X)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), d=st.integers(1, 6), n=st.integers(2, 40))
def test_a_square_rotation_keeps_lengths_and_angles(seed, d, n):
    V = np.random.default_rng(seed).standard_normal((n, d))
    rotated = V @ rotation(V, d, 10, seed)
    np.testing.assert_allclose(rotated @ rotated.T, V @ V.T, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), d=st.integers(1, 5))
def test_corners_of_a_turned_cube_are_turned_back(seed, d):
    """Where the corners can be reached, quantisation from the right start leaves no error."""
    rng = np.random.default_rng(seed)
    corners = np.where(rng.random((60, d)) < 0.5, -1.0, 1.0)
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    errors = [error(corners @ Q, rotation(corners @ Q, d, 60, start)) for start in range(8)]
    assert min(errors) < 1e-6 * len(corners)


def test_the_same_seed_gives_the_same_rotation_and_another_seed_another():
    V = np.random.default_rng(0).standard_normal((30, 4))
    first = rotation(V, 4, 5, 1)
    assert first.tobytes() == rotation(V, 4, 5, 1).tobytes()
    assert not np.allclose(first, rotation(V, 4, 0, 2))


@pytest.mark.parametrize("threads", [1, 3])
def test_thresholds_are_the_rotated_mean(threads):
    hasher = ITQ(6, random_state=0, threads=threads).fit(X)
    rotated = project(X, hasher.components_)
    mean = normalise_rows(rotated).mean(axis=0)  # a rotation keeps lengths: normalise before or after
    np.testing.assert_allclose(hasher.thresholds_, mean, atol=1e-5)
    assert np.abs(hasher.decision_function(X).mean(axis=0)).max() < 1e-5


def test_components_are_an_orthonormal_basis_of_the_lsi_space():
    W = ITQ(6, random_state=0).fit(X).components_
    np.testing.assert_allclose(W.T @ W, np.eye(6), atol=1e-5)
    lsi = fit_lsi(X, 6, 0).components
    np.testing.assert_allclose(lsi @ (lsi.T @ W), W, atol=1e-4)


def test_more_iterations_quantise_better():
    rows = normalise_rows(project(X, fit_lsi(X, 6, 0).components)).astype(np.float64)
    rows -= rows.mean(axis=0)
    errors = []
    for iterations in (0, 50):
        values = ITQ(6, iterations=iterations, random_state=0).fit(X).decision_function(X)
        errors.append(np.linalg.norm(np.where(values > 0, 1, -1) - values))
    assert errors[1] < errors[0]
