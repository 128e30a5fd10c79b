import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers.lsh import LSH

X, _ = small.documents()


def test_differing_bits_estimate_the_angle():
    u, v = np.array([1.0, 0.0]), np.array([1.0, 1.0])  # 45 degrees
    codes = LSH(4096, spread="equal", random_state=0).fit_transform(np.stack([u, v]))
    bits = unpack(codes, 4096)
    assert (bits[0] != bits[1]).mean() == pytest.approx(0.25, abs=0.03)


def test_lengths_do_not_matter():
    hasher = LSH(64, random_state=0).fit(X)
    np.testing.assert_array_equal(hasher.transform(X), hasher.transform(5 * X))


def test_spread_follows_the_weights():
    dense = np.zeros((50, 3))
    dense[:, 0], dense[:10, 1] = 2.0, 1.0
    components = LSH(4096, random_state=0).fit(dense).components_
    np.testing.assert_allclose(components.std(axis=1), [2, np.sqrt(0.2), 0], rtol=0.05)
    assert LSH(4096, spread="equal", random_state=0).fit(dense).components_.std() == pytest.approx(
        1, rel=0.05
    )


def test_an_empty_document_has_no_ones():
    assert not LSH(16, random_state=0).fit(X).transform(0 * X[:1]).any()


def test_seeds_differ():
    first, second = (LSH(32, random_state=seed).fit_transform(X) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_unknown_spread():
    with pytest.raises(InputError, match="spread"):
        LSH(spread="wide").fit(X)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), angle=st.floats(0.05, np.pi / 2 - 0.05))
def test_bits_estimate_every_angle(seed, angle):
    pair = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    bits = unpack(LSH(4096, spread="equal", random_state=seed).fit_transform(pair), 4096)
    assert (bits[0] != bits[1]).mean() == pytest.approx(angle / np.pi, abs=0.04)  # five standard deviations


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), n_bits=st.integers(1, 70))
def test_bits_are_the_sides_of_hyperplanes_through_the_origin(seed, n_bits):
    hasher = LSH(n_bits, random_state=seed).fit(X)
    assert hasher.components_.shape == (40, n_bits) and not hasher.thresholds_.any()
    values = X @ hasher.components_.astype(np.float64)
    sure = np.abs(values) > 1e-5
    assert ((values > 0) == unpack(hasher.transform(X), n_bits))[sure].all()


def test_the_same_seed_gives_the_same_codes_for_any_number_of_threads():
    codes = [LSH(32, random_state=7, threads=threads).fit_transform(X).tobytes() for threads in (1, 2, 5)]
    assert len(set(codes)) == 1


def test_words_without_weight_do_not_count():
    dense = X.toarray()
    dense[:, 3] = 0
    hasher = LSH(32, random_state=0).fit(dense)
    assert not hasher.components_[3].any()
    with_word = dense.copy()
    with_word[:, 3] = 9.0
    np.testing.assert_array_equal(hasher.transform(dense), hasher.transform(with_word))
