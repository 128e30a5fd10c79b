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
