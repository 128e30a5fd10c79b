"""Divergences of a code's distribution from its prior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from nphash.errors import InputError
from nphash.nn import divergences, losses

FEW = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seeds, st.integers(2, 5))
def test_categorical_divergence_is_that_of_scipy(seed, k):
    rng = np.random.default_rng(seed)
    logits, prior = rng.normal(size=(3, 4, k)), rng.dirichlet(np.full(k, 5.0))
    q = special.softmax(logits, axis=-1)
    assert divergences.categorical_kl(logits, prior)[0] == pytest.approx(special.rel_entr(q, prior).sum() / 3)
    assert divergences.categorical_kl(logits)[0] == pytest.approx(
        special.rel_entr(q, np.full(k, 1 / k)).sum() / 3
    )


@FEW
@given(seeds)
def test_divergences_are_zero_at_the_prior_and_positive_elsewhere(seed):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(3, 5.0))
    at_prior, back = divergences.categorical_kl(np.broadcast_to(np.log(prior), (2, 4, 3)), prior)
    assert at_prior == pytest.approx(0, abs=1e-12)
    assert np.abs(back()).max() < 1e-12
    assert divergences.categorical_kl(rng.normal(size=(2, 4, 3)), prior)[0] > 0
    assert divergences.bernoulli_kl(rng.normal(size=(2, 4)))[0] > 0
    r = rng.uniform(0.1, 0.9)
    assert divergences.bernoulli_kl(np.full((2, 4), np.log(r / (1 - r))), r)[0] == pytest.approx(0, abs=1e-12)
    assert divergences.gaussian_kl(np.zeros((2, 4)), np.zeros((2, 4)))[0] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_of_certain_bits_is_log_two_each(dtype):
    logits = np.array([[300.0, -300.0, 1e4]], dtype=dtype)
    loss, back = divergences.bernoulli_kl(logits)
    assert loss == pytest.approx(3 * np.log(2), rel=1e-6)
    assert np.isfinite(back()).all()


@FEW
@given(seeds)
def test_one_softmax_over_all_bits_is_another_divergence(seed):
    """For bits of equal mass it is the true one divided by L, less log L; it is never below -log L."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(3, 5, 2))
    logits -= special.logsumexp(logits, axis=-1, keepdims=True)  # equal masses
    true, pooled = divergences.categorical_kl(logits)[0], divergences.pooled_categorical_kl(logits)[0]
    assert pooled == pytest.approx(true / 5 - np.log(5))
    assert divergences.pooled_categorical_kl(rng.normal(size=(3, 5, 2)))[0] >= -np.log(5) - 1e-12


def test_they_are_among_the_losses():
    for name in divergences.__all__:
        assert getattr(losses, name) is getattr(divergences, name)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ([0.3, 0.3], "no distribution"),  # its divergence may be negative
        ([1.5, -0.5], "no distribution"),
        ([1.0, 0.0], "no distribution"),
        ([1.0], "no distribution"),  # of one category, it would count for each
        ([np.nan, 0.5], "no distribution"),
        ([0.2, 0.3, 0.5], "does not broadcast"),
        (np.full((5, 1, 1, 2), 0.5), "does not broadcast"),
        ("half", "no distribution"),
    ],
)
def test_a_prior_is_a_distribution_over_the_categories(prior, message):
    with pytest.raises(InputError, match=message):
        divergences.categorical_kl(np.zeros((3, 4, 2)), prior)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_priors_of_every_kind_that_broadcasts(dtype):
    logits = np.zeros((3, 4, 2), dtype)
    of_each_bit = np.random.default_rng(0).dirichlet(np.ones(2), 4).astype(dtype)  # (L, K)
    for prior in (0.5, [0.5, 0.5], of_each_bit, np.broadcast_to(of_each_bit, logits.shape)):
        loss, back = divergences.categorical_kl(logits, prior)
        assert loss >= 0
        assert back().dtype == dtype


@pytest.mark.parametrize("prior", [1.5, 0.0, 1, -0.1, np.nan, "0.5", None])
def test_the_probability_of_a_one_lies_between_0_and_1(prior):
    with pytest.raises(InputError, match="prior is"):
        divergences.bernoulli_kl(np.zeros((1, 2)), prior)


def test_mean_and_variance_have_one_shape():
    with pytest.raises(InputError, match=r"mu has shape \(3, 2\), log_variance \(2,\)"):
        divergences.gaussian_kl(np.zeros((3, 2)), np.zeros(2))
