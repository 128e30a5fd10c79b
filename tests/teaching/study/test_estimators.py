import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from helpers.assessing import assess
from nphash.errors import InputError
from nphash.gradcheck import assert_gradients
from nphash.nn.gumbel import logistic_noise
from nphash.teaching.study import estimators

FEW = settings(deadline=None, max_examples=20)
N = 40_000


def per_row(objective):
    """The objective as an operation, to check its backward pass."""
    return lambda z: objective(z)


@pytest.fixture
def document(rng):
    W, b = rng.normal(size=(5, 12)), rng.normal(size=12)
    return estimators.document_loss(W, b, rng.random(12))


@pytest.fixture
def logits(rng):
    return rng.normal(size=5)


def test_all_codes_are_there_once():
    codes = estimators.all_codes(5)
    assert codes.shape == (32, 5)
    assert len(np.unique(codes, axis=0)) == 32
    assert estimators.all_codes(2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("n_bits", [0, 15, 2.5, "3"])
def test_too_many_bits_are_refused(n_bits):
    with pytest.raises(InputError, match="1 to 14"):
        estimators.all_codes(n_bits)


@FEW
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_exact_gradient_is_the_derivative_of_the_exact_value(seed, n_bits):
    rng = np.random.default_rng(seed)
    W, b, target = rng.normal(size=(n_bits, 7)), rng.normal(size=7), rng.random(7)
    objective = estimators.document_loss(W, b, target)

    def expectation(a):
        value, gradient = estimators.exact_gradient(a, objective)
        return value, lambda d: d * gradient

    assert_gradients(expectation, rng.normal(size=n_bits))


def test_exact_gradient_of_a_linear_objective_is_known():
    c = np.array([1.0, -2.0, 0.5])
    a = np.array([0.3, -1.0, 2.0])
    value, gradient = estimators.exact_gradient(a, lambda z: (z @ c, lambda d: d[:, None] * c))
    p = special.expit(a)
    assert value == pytest.approx(p @ c)
    np.testing.assert_allclose(gradient, c * p * (1 - p), rtol=1e-12)


def test_blocks_of_codes_add_up(rng):
    """14 bits are more than one block."""
    target = rng.random(14)
    a = rng.normal(size=14)
    value, gradient = estimators.exact_gradient(a, estimators.quadratic(target))
    p = special.expit(a)
    assert value == pytest.approx(np.sum(p * (1 - target) ** 2 + (1 - p) * target**2))
    np.testing.assert_allclose(gradient, p * (1 - p) * (1 - 2 * target), rtol=1e-9)


def test_objectives_have_right_gradients(rng):
    W, b = rng.normal(size=(4, 9)), rng.normal(size=9)
    assert_gradients(per_row(estimators.document_loss(W, b, rng.random(9))), rng.random((3, 4)))
    assert_gradients(per_row(estimators.quadratic(rng.random(4))), rng.random((3, 4)))


def test_document_loss_is_the_word_likelihood(rng):
    from scipy import sparse

    from nphash.nn.losses import reconstruction

    W, b, t = rng.normal(size=(4, 9)), rng.normal(size=9), rng.random(9)
    z = rng.random((3, 4))
    values, _ = estimators.document_loss(W, b, t)(z)
    for value, row in zip(values, z, strict=True):
        assert value == pytest.approx(reconstruction((row @ W + b)[None], sparse.csr_array(t[None]))[0])


def z_scores(estimates, exact):
    return (estimates.mean(axis=0) - exact) / (estimates.std(axis=0) / np.sqrt(len(estimates)))


@pytest.mark.parametrize("name", ["reinforce", "reinforce with baseline", "arm"])
def test_unbiased_estimators_agree_with_the_exact_gradient(name, rng, logits, document):
    value, exact = estimators.exact_gradient(logits, document)
    uniform = rng.random((N, 5))
    found = {
        "reinforce": lambda: estimators.reinforce(logits, document, uniform),
        "reinforce with baseline": lambda: estimators.reinforce(logits, document, uniform, baseline=value),
        "arm": lambda: estimators.arm(logits, document, uniform),
    }[name]()
    assert found.shape == (N, 5)
    assert np.abs(z_scores(found, exact)).max() < 4.5
    quality = assess(found, exact, rng, resamples=50)
    assert quality.bias.low <= 3 * np.sqrt(quality.variance.value / N)


def test_a_constant_in_the_loss_harms_only_the_estimator_without_baseline(rng, logits, document):
    value, exact = estimators.exact_gradient(logits, document)
    uniform = rng.random((4000, 5))

    def variances(offset):
        def shifted(z):
            values, back = document(z)
            return values + offset, back

        found = (
            estimators.reinforce(logits, shifted, uniform),
            estimators.reinforce(logits, shifted, uniform, baseline=value + offset),
            estimators.arm(logits, shifted, uniform),
        )
        return [assess(g, exact, rng, resamples=2).variance.value for g in found]

    plain, offset = variances(0.0), variances(50.0)
    assert offset[0] > 4 * plain[0]
    np.testing.assert_allclose(offset[1:], plain[1:], rtol=1e-6)


def test_relaxed_estimator_is_unbiased_for_the_relaxed_objective(rng, logits, document):
    """The pathwise derivative of E[f(relaxed z)], whose value is estimated from the same noise."""
    noise, tau, h = logistic_noise(rng, (N, 5)), 0.7, 1e-4
    found = estimators.gumbel_softmax(logits, document, noise, tau).mean(axis=0)
    for i, step in enumerate(np.eye(5) * h):
        ends = [document(special.expit((logits + s + noise) / tau))[0].mean() for s in (step, -step)]
        assert found[i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-8)


def test_a_low_temperature_lowers_the_bias_and_raises_the_variance(rng, logits, document):
    _, exact = estimators.exact_gradient(logits, document)
    noise = logistic_noise(rng, (N, 5))
    warm, cold = (
        assess(estimators.gumbel_softmax(logits, document, noise, tau), exact, rng, resamples=2)
        for tau in (1.5, 0.2)
    )
    assert cold.bias.value < warm.bias.value
    assert cold.variance.value > warm.variance.value


def test_straight_through_is_exact_where_f_is_linear(rng, logits):
    c = rng.normal(size=5)
    _, exact = estimators.exact_gradient(logits, lambda z: (z @ c, lambda d: d[:, None] * c))
    found = estimators.straight_through(
        logits, lambda z: (z @ c, lambda d: d[:, None] * c), rng.random((3, 5))
    )
    np.testing.assert_allclose(found, np.tile(exact, (3, 1)), rtol=1e-12)


def test_straight_through_is_biased_where_f_is_curved(rng, logits, document):
    _, exact = estimators.exact_gradient(logits, document)
    assert (
        np.abs(z_scores(estimators.straight_through(logits, document, rng.random((N, 5))), exact)).max() > 10
    )


def test_deterministic_straight_through_does_not_vary(logits, document):
    found = estimators.straight_through(logits, document, np.full((3, 5), 0.5))
    assert np.array_equal(found[0], found[1])


def test_straight_through_gumbel_is_between_hard_and_relaxed(rng, logits, document):
    """Its code is the hard one; as the temperature of the derivative changes, only the slope does."""
    noise = logistic_noise(rng, (6, 5))
    z = (logits + noise > 0).astype(float)
    _, back = document(z)
    dz = back(np.ones(6))
    for tau in (0.5, 2.0):
        y = special.expit((logits + noise) / tau)
        expected = dz * y * (1 - y) / tau
        np.testing.assert_allclose(
            estimators.straight_through_gumbel(logits, document, noise, tau), expected, rtol=1e-9
        )


@pytest.mark.parametrize("estimator", [estimators.gumbel_softmax, estimators.straight_through_gumbel])
def test_a_temperature_is_above_zero(estimator, logits, document):
    with pytest.raises(InputError, match="temperature is 0"):
        estimator(logits, document, np.zeros((2, 5)), 0)


ZERO, NEAR_0 = np.zeros(1), estimators.quadratic(np.array([0.0]))


@pytest.mark.parametrize(
    ("estimates", "wanted"),
    [
        (estimators.straight_through(ZERO, NEAR_0, np.array([[0.2], [0.8]])), [[0.5], [0.0]]),
        (estimators.gumbel_softmax(ZERO, NEAR_0, np.zeros((1, 1)), temperature=0.5), [[0.5]]),
        (estimators.straight_through_gumbel(ZERO, NEAR_0, np.full((1, 1), 1e-9), 0.5), [[1.0]]),
        (estimators.reinforce(ZERO, NEAR_0, np.array([[0.2], [0.8]]), baseline=0.5), [[0.25], [0.25]]),
        (estimators.arm(ZERO, NEAR_0, np.array([[0.2], [0.9]])), [[0.3], [0.4]]),
    ],
    ids=["straight-through", "Gumbel-softmax", "straight-through Gumbel", "REINFORCE", "ARM"],
)
def test_one_bit_by_hand(estimates, wanted):
    np.testing.assert_allclose(estimates, wanted, rtol=1e-8)


def test_a_raised_bit_costs_where_the_target_is_0():
    value, gradient = estimators.exact_gradient(np.zeros(2), estimators.quadratic(np.array([0.0, 1.0])))
    assert (value, gradient.tolist()) == (1.0, [0.25, -0.25])


def test_objectives_by_hand():
    values, back = estimators.quadratic(np.array([0.5, 0.5]))(np.array([[1.0, 0.0]]))
    assert (values.tolist(), back(np.ones(1)).tolist()) == ([0.5], [[1.0, -1.0]])
    fair = estimators.document_loss(np.zeros((3, 2)), np.zeros(2), np.array([1.0, 0.0]))
    assert fair(np.zeros((1, 3)))[0] == pytest.approx(np.log(2))


def test_moments_by_hand():
    found = estimators.moments(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([1.0, 0.0]))
    assert found == (0.0, 2.0, 1.0, 1.0)


# --- how good estimates of a gradient are


def test_assessment_recovers_a_known_bias_and_variance(rng):
    exact = np.array([3.0, 4.0])
    estimates = exact + np.array([0.0, 2.5]) + rng.normal(size=(20_000, 2)) * 2
    quality = assess(estimates, exact, rng)
    assert quality.bias.low <= 0.5 <= quality.bias.high
    assert quality.variance.low <= 8 / 25 <= quality.variance.high
    assert quality.mean_squared_error.value == pytest.approx(
        quality.bias.value**2 + quality.variance.value, rel=0.01
    )
    assert quality.cosine_of_mean.value == pytest.approx(
        np.dot([3, 6.5], exact) / (5 * np.linalg.norm([3, 6.5])), abs=0.01
    )


def test_intervals_cover_the_truth_most_of_the_time():
    rng = np.random.default_rng(0)
    exact, covered = np.array([1.0, 1.0]), 0
    for _ in range(60):
        quality = assess(exact * 1.2 + rng.normal(size=(200, 2)) * 0.5, exact, rng, resamples=100)
        covered += quality.bias.low <= 0.2 <= quality.bias.high
    assert covered >= 48  # 95 % nominal


@pytest.mark.parametrize(
    ("estimates", "exact"), [(np.ones((1, 2)), np.ones(2)), (np.ones((5, 2)), np.zeros(2))]
)
def test_assessment_needs_something_to_compare(rng, estimates, exact):
    with pytest.raises(InputError, match="cannot be compared"):
        assess(estimates, exact, rng)
