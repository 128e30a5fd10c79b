import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from nphash.errors import InputError
from nphash.nn import gumbel, losses, ops

FEW = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)


def test_gumbel_noise_follows_its_distribution(rng):
    assert stats.kstest(gumbel.gumbel_noise(rng, (20_000,)), "gumbel_r").pvalue > 0.001


def test_logistic_noise_is_a_difference_of_gumbel_draws(rng):
    assert stats.kstest(gumbel.logistic_noise(rng, (20_000,)), "logistic").pvalue > 0.001
    pair = gumbel.gumbel_noise(rng, (20_000, 2))
    assert stats.kstest(pair[:, 1] - pair[:, 0], "logistic").pvalue > 0.001


@pytest.mark.parametrize("draw", [gumbel.gumbel_noise, gumbel.logistic_noise])
def test_noise_is_the_same_in_both_dtypes(draw):
    double = draw(np.random.default_rng(1), (3, 4))
    single = draw(np.random.default_rng(1), (3, 4), np.float32)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    assert np.array_equal(single, double.astype(np.float32))


def test_noise_is_finite_even_for_an_exponential_draw_of_zero():
    class Zero:
        def standard_exponential(self, shape):
            return np.zeros(shape)

    assert np.isfinite(gumbel.gumbel_noise(Zero(), (2,))).all()


def test_gumbel_max_draws_from_the_softmax(rng):
    logits = np.log([[[0.5, 0.3, 0.2]]])
    noise = gumbel.gumbel_noise(rng, (60_000, 1, 3))
    counts = np.bincount(gumbel.gumbel_max(logits, noise)[:, 0], minlength=3)
    assert stats.chisquare(counts, 60_000 * np.array([0.5, 0.3, 0.2])).pvalue > 0.001


def test_without_the_outer_minus_three_categories_are_drawn_wrong(rng):
    """The paper prints log(-log U): harmless for two categories, wrong for more."""
    logits = np.log([[[0.5, 0.3, 0.2]]])
    noise = gumbel.gumbel_noise(rng, (60_000, 1, 3))
    counts = np.bincount(gumbel.gumbel_max(logits, -noise)[:, 0], minlength=3)
    assert stats.chisquare(counts, 60_000 * np.array([0.5, 0.3, 0.2])).pvalue < 1e-6
    two = np.log([[[0.7, 0.3]]])
    counts = np.bincount(gumbel.gumbel_max(two, -noise[:, :, :2])[:, 0], minlength=2)
    assert stats.chisquare(counts, 60_000 * np.array([0.7, 0.3])).pvalue > 0.001


@FEW
@given(seeds)
def test_relaxed_sample_approaches_the_one_hot_sample(seed):
    rng = np.random.default_rng(seed)
    logits, noise = rng.normal(size=(3, 4, 5)), gumbel.gumbel_noise(rng, (3, 4, 5))
    one_hot = gumbel.gumbel_max_one_hot(logits, noise)
    assert np.array_equal(one_hot.argmax(-1), gumbel.gumbel_max(logits, noise))
    assert (one_hot.sum(-1) == 1).all()
    gaps = [np.abs(gumbel.gumbel_softmax(logits, noise, tau)[0] - one_hot).sum() for tau in (1.0, 0.3, 1e-3)]
    assert gaps[0] > gaps[1] > gaps[2]


@FEW
@given(seeds, st.integers(2, 5), st.floats(0.2, 3))
def test_jacobian_written_out_is_what_back_applies(seed, k, tau):
    rng = np.random.default_rng(seed)
    logits, noise = rng.normal(size=(2, 3, k)), gumbel.gumbel_noise(rng, (2, 3, k))
    y, back = gumbel.gumbel_softmax(logits, noise, tau)
    dy = rng.normal(size=y.shape)
    jacobian = gumbel.gumbel_softmax_jacobian(y, tau)
    np.testing.assert_allclose(np.einsum("blkj,blk->blj", jacobian, dy), back(dy), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(jacobian, jacobian.swapaxes(-1, -2), rtol=1e-12)


def two_forms(rng, b=4, bits=6):
    """Two logits a bit with Gumbel noise, and the one logit with the logistic noise that match."""
    logits, noise = rng.normal(size=(b, bits, 2)), gumbel.gumbel_noise(rng, (b, bits, 2))
    (one, back), (logistic, _) = gumbel.logit_difference(logits), gumbel.logit_difference(noise)
    return logits, noise, one, logistic, back


@FEW
@given(seeds, st.floats(0.1, 2))
def test_one_logit_a_bit_draws_the_same_bits(seed, tau):
    logits, noise, one, logistic, _ = two_forms(np.random.default_rng(seed))
    relaxed, _ = gumbel.gumbel_softmax(logits, noise, tau)
    np.testing.assert_allclose(
        gumbel.relaxed_bits(one, logistic, tau)[0], relaxed[..., 1], rtol=1e-9, atol=1e-12
    )
    hard, _ = gumbel.straight_through_gumbel(logits, noise, tau)
    assert np.array_equal(gumbel.straight_through_bits(one, logistic, tau)[0], hard[..., 1])


@FEW
@given(seeds, st.floats(0.2, 2))
def test_one_logit_a_bit_has_the_same_divergence_and_its_gradient(seed, _tau):
    logits, _, one, _, difference_back = two_forms(np.random.default_rng(seed))
    two_loss, two_back = losses.categorical_kl(logits)
    one_loss, one_back = losses.bernoulli_kl(one)
    assert one_loss == pytest.approx(two_loss, rel=1e-12)
    np.testing.assert_allclose(difference_back(one_back()), two_back(), rtol=1e-9, atol=1e-12)


@FEW
@given(seeds, st.floats(0.2, 2), st.booleans())
def test_both_forms_give_one_loss_and_gradient_through_the_decoder(seed, tau, hard):
    """dq_1 = -dq_0 = da, and a decoder of 2 L one-hot inputs equals one of L bits."""
    rng = np.random.default_rng(seed)
    logits, noise, one, logistic, difference_back = two_forms(rng)
    b, bits = one.shape
    v = 9
    target = sparse.csr_array(rng.random((b, v)) * (rng.random((b, v)) < 0.5))
    W2, bias = rng.normal(size=(bits, 2, v)), rng.normal(size=v)

    sample = gumbel.straight_through_gumbel if hard else gumbel.gumbel_softmax
    z2, sample_back = sample(logits, noise, tau)
    scores, dense_back = ops.dense(z2.reshape(b, -1), W2.reshape(-1, v), bias)
    loss2, loss_back = losses.reconstruction(scores, target)
    dz2, dW2, dbias2 = dense_back(loss_back())
    dlogits = sample_back(dz2.reshape(z2.shape))

    sample = gumbel.straight_through_bits if hard else gumbel.relaxed_bits
    z1, sample_back = sample(one, logistic, tau)
    W1, bias1 = W2[:, 1] - W2[:, 0], bias + W2[:, 0].sum(axis=0)
    scores, dense_back = ops.dense(z1, W1, bias1)
    loss1, loss_back = losses.reconstruction(scores, target)
    dz1, dW1, dbias1 = dense_back(loss_back())
    da = sample_back(dz1)

    assert loss1 == pytest.approx(loss2, rel=1e-10)
    np.testing.assert_allclose(difference_back(da), dlogits, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(dW1, dW2.reshape(bits, 2, v)[:, 1], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(dbias1, dbias2, rtol=1e-7, atol=1e-10)


def test_bernoulli_sample_has_its_probability(rng):
    p = 0.3
    logits = np.full((50_000, 1), np.log(p / (1 - p)))
    z, _ = gumbel.straight_through_bernoulli(logits, rng.random((50_000, 1)))
    assert z.mean() == pytest.approx(p, abs=0.01)
    logistic, _ = gumbel.straight_through_bits(logits, gumbel.logistic_noise(rng, (50_000, 1)), 1.0)
    assert logistic.mean() == pytest.approx(p, abs=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_samples(rng, dtype):
    many, one = rng.normal(size=(2, 3, 2)).astype(dtype), rng.normal(size=(2, 3)).astype(dtype)
    noise_many, noise_one = (
        gumbel.gumbel_noise(rng, (2, 3, 2), dtype),
        gumbel.logistic_noise(rng, (2, 3), dtype),
    )
    pairs = [
        gumbel.gumbel_softmax(many, noise_many, 0.5),
        gumbel.straight_through_gumbel(many, noise_many, 0.5),
        gumbel.relaxed_bits(one, noise_one, 0.5),
        gumbel.straight_through_bits(one, noise_one, 0.5),
        gumbel.straight_through_bernoulli(one, noise_one),
        gumbel.logit_difference(many),
    ]
    for out, back in pairs:
        assert out.dtype == back(np.ones_like(out)).dtype == dtype


def test_cold_temperatures_do_not_overflow():
    logits, noise = np.array([[500.0, -500.0]]), np.zeros((1, 2))
    z, back = gumbel.relaxed_bits(logits, noise, 1e-3)
    assert z.tolist() == [[1.0, 0.0]]
    assert np.isfinite(back(np.ones((1, 2)))).all()


SAMPLES = [
    (gumbel.gumbel_softmax, (2, 3, 2)),
    (gumbel.straight_through_gumbel, (2, 3, 2)),
    (gumbel.relaxed_bits, (2, 3)),
    (gumbel.straight_through_bits, (2, 3)),
]


@pytest.mark.parametrize(("sample", "shape"), SAMPLES)
@pytest.mark.parametrize("temperature", [0.5, np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_the_temperature_leaves_the_dtype_as_it_is(sample, shape, temperature):
    logits = np.ones(shape, np.float32)
    z, back = sample(logits, logits, temperature)
    assert z.dtype == back(z).dtype == np.float32
    assert gumbel.gumbel_softmax_jacobian(z, temperature).dtype == np.float32


@pytest.mark.parametrize("temperature", [0, -0.5, np.nan, np.inf, "1", True])
def test_a_temperature_is_above_zero(temperature):
    for sample, shape in SAMPLES:
        with pytest.raises(InputError, match="temperature is"):
            sample(np.ones(shape), np.zeros(shape), temperature)
    with pytest.raises(InputError, match="temperature is"):
        gumbel.gumbel_softmax_jacobian(np.ones((1, 1, 2)), temperature)


def test_without_a_source_noise_is_its_middle(rng):
    assert not gumbel.logistic_noise(None, (2, 3), np.float32).any()
    assert gumbel.logistic_noise(rng, (2, 3), np.float32).all()
