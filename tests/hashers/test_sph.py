import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers.sph import SpectralHashing, modes

X, _ = small.documents(200, 60)


@settings(deadline=None, max_examples=40)
@given(ranges=st.lists(st.floats(0.1, 10), min_size=1, max_size=5), n_bits=st.integers(1, 12))
def test_modes_are_the_smoothest(ranges, n_bits):
    directions, waves = modes(np.array(ranges), n_bits)
    chosen = [k / ranges[i] for i, k in zip(directions, waves, strict=True)]
    everything = sorted(k / r for r in ranges for k in range(1, n_bits + 1))
    np.testing.assert_allclose(chosen, everything[:n_bits])
    assert len(set(zip(directions.tolist(), waves.tolist(), strict=True))) == n_bits


def test_bits_change_where_the_cosine_crosses_zero():
    line = np.zeros((101, 2))
    line[:, 0] = np.linspace(0, 1, 101)
    bits = unpack(SpectralHashing(3, random_state=0).fit_transform(line), 3)
    changes = (bits[1:] != bits[:-1]).sum(axis=0)
    np.testing.assert_array_equal(changes, [1, 2, 3])  # one direction, so 1, 2 and 3 half waves
    assert bits[:51, 0].mean() in (pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.05))


def test_first_bits_are_roughly_balanced_between_the_ends():
    values = SpectralHashing(4, random_state=0).fit(X).decision_function(X)
    assert np.abs(values).max() <= 1
    assert np.ptp(values, axis=0).min() > 1


def test_all_documents_the_same():
    with pytest.raises(InputError, match="the same"):
        SpectralHashing(2).fit(np.ones((5, 4)))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), n_bits=st.integers(1, 10))
def test_values_are_the_cosines_of_the_equation(seed, n_bits):
    rows = np.random.default_rng(seed).poisson(0.6, (30, 8)) + np.eye(30, 8)
    hasher = SpectralHashing(n_bits, random_state=0).fit(rows)
    coordinates = rows @ hasher.components_
    values = hasher.decision_function(rows)
    for j in range(n_bits):
        i, k = hasher.directions_[j], hasher.waves_[j]
        x, a, r = coordinates[:, i], hasher.lowest_[i], hasher.ranges_[i]
        np.testing.assert_allclose(values[:, j], np.cos(np.pi * k * (x - a) / r), atol=2e-3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), n_bits=st.integers(1, 12))
def test_the_box_holds_the_training_documents(seed, n_bits):
    rows = np.random.default_rng(seed).poisson(0.6, (25, 7)) + np.eye(25, 7)
    hasher = SpectralHashing(n_bits, random_state=0).fit(rows)
    d = len(hasher.ranges_)
    assert d <= min(n_bits, 7) and hasher.components_.shape == (7, d)
    assert (hasher.ranges_ > 0).all() and (hasher.directions_ < d).all() and (hasher.waves_ >= 1).all()
    share = (rows @ hasher.components_ - hasher.lowest_) / hasher.ranges_
    np.testing.assert_allclose(share.min(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(share.max(axis=0), 1, atol=1e-4)


def test_every_direction_has_its_first_wave_before_its_second():
    directions, waves = modes(np.array([1.0, 2.0, 3.0]), 12)
    for i in range(3):
        own = waves[directions == i]
        np.testing.assert_array_equal(own, np.arange(1, len(own) + 1))


def test_longer_edges_get_no_fewer_bits():
    directions, _ = modes(np.array([5.0, 2.0, 1.0]), 16)
    counts = np.bincount(directions, minlength=3)
    assert counts[0] >= counts[1] >= counts[2]


def test_directions_are_orthonormal_and_the_mean_is_taken_out():
    hasher = SpectralHashing(5, random_state=0).fit(X)
    W = hasher.components_
    np.testing.assert_allclose(W.T @ W, np.eye(5), atol=1e-5)
    dense = X.toarray()
    _, _, vt = np.linalg.svd(dense - dense.mean(axis=0), full_matrices=False)
    assert np.linalg.norm(vt[:5] @ W) ** 2 == pytest.approx(5, rel=1e-4)  # the same subspace
