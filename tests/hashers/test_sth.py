import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers.sth import SelfTaughtHashing, linear_classifiers

X, y = small.documents(150, 60)


def test_bits_tell_topics_apart():
    bits = unpack(SelfTaughtHashing(8, neighbours=10, random_state=0).fit_transform(X), 8)
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    same = y[:, None] == y
    assert distance[same].mean() < 0.8 * distance[~same].mean()


def test_bits_are_roughly_balanced():
    bits = unpack(SelfTaughtHashing(8, random_state=0).fit_transform(X), 8)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.25


def test_classifiers_learn_what_can_be_learned():
    bits = np.stack([y == 0, y == 1, np.arange(150) % 2 == 0], axis=1)
    weights = linear_classifiers(X, bits, C=1.0, seed=0)
    predicted = X @ weights[:-1] + weights[-1] > 0
    right = (predicted == bits).mean(axis=0)
    assert right[:2].min() > 0.97 and weights.shape == (61, 3)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_classifiers_are_the_same_for_any_number_of_threads(threads):
    bits = np.stack([y == 0, y == 1, y == 2], axis=1)
    expected = linear_classifiers(X, bits, C=0.1, seed=0, threads=1)
    assert linear_classifiers(X, bits, C=0.1, seed=0, threads=threads).tobytes() == expected.tobytes()


def test_disconnected_documents():
    pieces = scipy.sparse.block_diag([X[:70], X[:50], X[:2]]).tocsr()
    hasher = SelfTaughtHashing(4, neighbours=5, random_state=0)
    bits = unpack(hasher.fit_transform(pieces), 4)
    assert len(np.unique(bits[:70], axis=0)) > 1
    assert not np.array_equal(bits[:50], bits[70:120])


def test_fewer_documents_than_bits():
    with pytest.raises(InputError, match=r"8 sample\(s\) are too few for 8 bits"):
        SelfTaughtHashing(8).fit(X[:8])
    assert SelfTaughtHashing(8).fit_transform(X[:9]).shape == (9, 8)


def test_no_two_documents_share_a_word():
    with pytest.raises(InputError, match="no document has a neighbour"):
        SelfTaughtHashing(2).fit(np.eye(6))


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"neighbours": 2.5}, {"C": 0}, {"C": np.inf}])
def test_wrong_parameters(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SelfTaughtHashing(2, **wrong).fit(X)
