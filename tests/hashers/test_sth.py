import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import kernels, sth
from nphash.hashers.sth import SelfTaughtHashing, linear_classifiers, squared_hinge_newton

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


# --- classifiers without compiled kernels ---------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), C=st.sampled_from([0.01, 0.1, 1.0, 30.0]), L=st.integers(1, 3))
def test_newton_ends_where_the_gradient_is_zero(seed, C, L):
    rng = np.random.default_rng(seed)
    rows = scipy.sparse.csr_matrix(rng.random((12, 5)) * (rng.random((12, 5)) < 0.6))
    bits = rng.random((12, L)) < 0.5
    weights = squared_hinge_newton(rows, bits, C)
    assert weights.shape == (6, L)
    for j in range(L):
        w, signs = weights[:, j].copy(), np.where(bits[:, j], 1.0, -1.0)
        first = small.numeric_gradient(
            lambda w=w, signs=signs: small.squared_hinge_objective(rows, signs, C, w), w
        )
        # the ridge solver ends at a thousandth of its first residual
        start = np.linalg.norm(2 * C * (rows.T @ signs)) + 2 * C * abs(signs.sum())
        assert np.linalg.norm(first) <= 5e-3 * start + 1e-6


def test_newton_agrees_with_the_compiled_solver():
    bits = np.stack([y == 0, y == 1, np.arange(150) % 2 == 0], axis=1)
    newton = squared_hinge_newton(X, bits, C=0.1)
    descent = linear_classifiers(X, bits, C=0.1, seed=0)
    for j in range(3):
        signs = np.where(bits[:, j], 1.0, -1.0)
        best, other = (small.squared_hinge_objective(X, signs, 0.1, w[:, j]) for w in (newton, descent))
        assert best <= other * 1.001
    agreement = ((X @ newton[:-1] + newton[-1] > 0) == (X @ descent[:-1] + descent[-1] > 0)).mean()
    assert agreement > 0.98


def test_newton_of_one_sided_bits_and_empty_documents():
    weights = squared_hinge_newton(scipy.sparse.csr_matrix((6, 3)), np.ones((6, 1), bool), 1.0)
    np.testing.assert_array_equal(weights[:-1], 0)
    assert weights[-1, 0] == pytest.approx(12 / 13, abs=1e-5)  # minimum of b^2 / 2 + 6 (1 - b)^2


def test_codes_without_compiled_kernels_are_nearly_the_same(monkeypatch):
    compiled = unpack(SelfTaughtHashing(8, neighbours=10, random_state=0).fit_transform(X), 8)
    monkeypatch.setattr(kernels, "COMPILED", False)
    plain = unpack(SelfTaughtHashing(8, neighbours=10, random_state=0).fit_transform(X), 8)
    assert (compiled == plain).mean() > 0.97


def bits_to_predict(monkeypatch, documents, **options):
    seen = []

    def record(X, bits, *others):
        seen.append(bits)
        return np.zeros((X.shape[1] + 1, bits.shape[1]))

    monkeypatch.setattr(sth, "linear_classifiers", record)
    SelfTaughtHashing(5, random_state=0, **options).fit(documents)
    return seen[0]


def test_bits_to_predict_are_balanced(monkeypatch):
    """Thresholds are medians: half of the documents are ones, if the graph is in one piece."""
    bits = bits_to_predict(monkeypatch, X, neighbours=40)
    assert bits.shape == (150, 5)
    assert np.abs(bits.sum(axis=0) - 75).max() <= 1


def test_lengths_of_training_documents_do_not_matter_to_the_bits(monkeypatch):
    """Neighbours are found by cosine (powers of two, so that none are swapped by rounding)."""
    powers = 2.0 ** np.random.default_rng(0).integers(-3, 4, 150)
    scaled = (scipy.sparse.diags_array(powers) @ X).tocsr()
    np.testing.assert_array_equal(bits_to_predict(monkeypatch, X), bits_to_predict(monkeypatch, scaled))


def test_thresholds_are_minus_the_biases(monkeypatch):
    weights = np.arange(61 * 2, dtype=float).reshape(61, 2)
    monkeypatch.setattr(sth, "linear_classifiers", lambda *given: weights)
    hasher = SelfTaughtHashing(2, neighbours=10, random_state=0).fit(X)
    expected = X @ weights[:-1] + weights[-1]
    np.testing.assert_allclose(hasher.decision_function(X), expected, rtol=1e-4)
