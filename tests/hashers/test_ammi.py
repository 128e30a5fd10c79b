import itertools

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import Training
from nphash.hashers.ammi import AMMI, TINY, bit_entropy, markov_entropy
from nphash.hashers.itq import ITQ

X, y = small.documents(120, 60)


def pattern_shares(p, first, last):
    """Shares of a batch that have each pattern of the bits from first to last, by going through them."""
    shares = {}
    for pattern in itertools.product((0, 1), repeat=last - first):
        each = np.prod(
            [p[:, first + k] if one else 1 - p[:, first + k] for k, one in enumerate(pattern)], axis=0
        )
        shares[pattern] = np.mean(each * np.ones(len(p)))
    return shares


def entropy(shares):
    return -sum(s * np.log(s) for s in shares.values() if s > 0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), n_bits=st.integers(1, 7))
def test_the_markov_bound_by_its_definition(seed, n, n_bits):
    p = np.random.default_rng(seed).random((n, n_bits))
    expected = 0.0
    for j in range(n_bits):
        start = max(0, j - 3)
        expected += entropy(pattern_shares(p, start, j + 1)) - entropy(pattern_shares(p, start, j))
    assert markov_entropy(p)[0] == pytest.approx(expected, abs=200 * n_bits * TINY)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n_bits=st.integers(1, 6))
def test_it_bounds_the_entropy_of_codes_from_above(seed, n_bits):
    p = np.random.default_rng(seed).random((4, n_bits))
    assert markov_entropy(p)[0] >= entropy(pattern_shares(p, 0, n_bits)) - 1e-3


def test_up_to_four_bits_it_is_the_entropy():
    p = np.random.default_rng(0).random((4, 4))
    assert markov_entropy(p)[0] == pytest.approx(entropy(pattern_shares(p, 0, 4)), abs=1e-3)


def test_fair_independent_bits_have_all_entropy():
    assert markov_entropy(np.full((3, 9), 0.5))[0] == pytest.approx(9 * np.log(2), abs=1e-3)


@pytest.mark.parametrize("n_bits", [1, 3, 8])
def test_gradients_of_both_entropies(n_bits):
    rng = np.random.default_rng(n_bits)
    p, a = rng.uniform(0.1, 0.9, (5, n_bits)), rng.standard_normal((5, n_bits))
    for function, array in ((markov_entropy, p), (bit_entropy, a)):
        _, back = function(array)
        numeric = small.numeric_gradient(lambda: function(array)[0], array)  # noqa: B023
        assert np.abs(back() - numeric).max() <= 1e-7
        np.testing.assert_allclose(back(2.0), 2 * back())


def test_gradients_of_the_loss():
    hasher = AMMI(6, training=Training(dtype="float64"))
    rng = np.random.default_rng(0)
    params = {"W": 0.3 * rng.standard_normal((60, 6)), "b": 0.1 * rng.standard_normal(6)}
    small.check_loss_gradients(hasher, params, small.batch(X[:20]), tolerance=1e-7)


def test_the_loss_once_more_by_autograd():
    hasher = AMMI(4, entropy_weight=1.5)
    rng = np.random.default_rng(0)
    params = {"W": 0.3 * rng.standard_normal((60, 4)), "b": 0.1 * rng.standard_normal(4)}
    x = X[:15].toarray()

    def again(params):
        p = 1 / (1 + anp.exp(-(anp.dot(x, params["W"]) + params["b"])))
        uncertainty = -anp.sum(p * anp.log(p) + (1 - p) * anp.log(1 - p)) / len(x)
        total = 0.0
        for pattern in itertools.product((0, 1), repeat=4):  # four bits: the chain is the whole
            each = 1.0
            for j, one in enumerate(pattern):
                each = each * (p[:, j] if one else 1 - p[:, j])
            share = anp.mean(each)
            total = total - share * anp.log(share)
        return uncertainty - 1.5 * total

    terms, back = hasher.loss(params, small.batch(X[:15]))
    assert terms["loss"] == pytest.approx(again(params), abs=1e-3)
    for name, gradient in grad(again)(params).items():
        np.testing.assert_allclose(back()[name], gradient, atol=1e-3)


def test_bits_tell_topics_apart():
    training = Training(epochs=20, batch_size=60, learning_rate=0.01)
    bits = unpack(AMMI(8, training=training, random_state=0).fit_transform(X), 8)
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    same = y[:, None] == y
    assert distance[same].mean() < 0.7 * distance[~same].mean()


def test_both_starts():
    quick = Training(epochs=1, batch_size=60, learning_rate=1e-9, validation_share=0.0)
    itq = AMMI(8, training=quick, random_state=0).fit(X)
    twin = ITQ(8, random_state=0).fit(X)
    cosines = (itq.components_ * twin.components_).sum(axis=0) / np.linalg.norm(itq.components_, axis=0)
    np.testing.assert_allclose(cosines, np.linalg.norm(twin.components_, axis=0), rtol=1e-3)
    assert itq.decision_function(X).std(axis=0).mean() == pytest.approx(2, rel=0.05)
    assert (itq.transform(X) == twin.transform(X)).mean() > 0.8
    random = AMMI(8, start="random", training=quick, random_state=0).fit(X)
    assert np.abs(random.components_).max() <= 0.1 + 1e-6


def test_labels_choose_the_epoch_by_precision_and_documents_alone_by_the_bound():
    training = Training(epochs=3, batch_size=30)
    with_labels = AMMI(8, training=training, random_state=0).fit(X, y, X_valid=X[:20], y_valid=y[:20])
    without = AMMI(8, training=training, random_state=0).fit(X, X_valid=X[:20])
    assert "P@100" in with_labels.history_[0] and "bound" in without.history_[0]
    assert without.best_epoch_ == 1 + int(np.argmax([record["bound"] for record in without.history_]))


@pytest.mark.parametrize(
    "wrong",
    [{"entropy_weight": -1}, {"start": "here"}, {"training": "long"}, {"training": Training(epochs=0)}],
)
def test_wrong_parameters(wrong):
    with pytest.raises(InputError, match="epochs" if "epochs" in str(wrong) else next(iter(wrong))):
        AMMI(4, **wrong).fit(X)
