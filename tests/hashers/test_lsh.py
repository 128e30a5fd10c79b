import numpy as np
import pytest

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
