"""The similarity distillation against its definition."""

import numpy as np
import pytest

from nphash.errors import InputError
from nphash.gradcheck import assert_gradients
from nphash.nn.distillation import similarity_distillation


def naive(z, P, temperature):
    n, n_bits = z.shape
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        scores = np.array([z[i] @ z[j] / (n_bits * temperature) for j in others])
        log_q = scores - np.log(np.exp(scores).sum())
        total -= sum(P[i, j] * log for j, log in zip(others, log_q, strict=True))
    return total / n


def teacher(rng, n):
    P = rng.random((n, n)) * (1 - np.eye(n))
    return P / P.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "n_bits"), [(2, 1), (5, 3), (12, 16)])
def test_agrees_with_its_definition(n, n_bits):
    rng = np.random.default_rng(n)
    z, P = rng.choice([-1.0, 1.0], (n, n_bits)), teacher(rng, n)
    loss, _ = similarity_distillation(z, P, 0.3)
    assert loss == pytest.approx(naive(z, P, 0.3))


def test_gradient():
    rng = np.random.default_rng(0)
    P = teacher(rng, 6)
    assert_gradients(lambda z: similarity_distillation(z, P, 0.7), rng.normal(size=(6, 4)))


def test_the_loss_is_least_where_codes_say_what_the_teacher_says():
    z = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    scores = z @ z.T / (2 * 0.5)
    np.fill_diagonal(scores, -np.inf)
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    _, back = similarity_distillation(z, P, 0.5)
    np.testing.assert_allclose(back(), 0, atol=1e-12)


def test_float32_stays_float32():
    rng = np.random.default_rng(1)
    P = teacher(rng, 5).astype(np.float32)
    loss, back = similarity_distillation(rng.normal(size=(5, 4)).astype(np.float32), P, 0.3)
    assert back().dtype == np.float32
    assert np.isfinite(loss)


def test_a_teacher_of_another_shape_and_temperatures_that_cannot_be_are_refused():
    z = np.ones((3, 2), np.float32)
    for P in (np.ones(3), np.ones((3, 1)), np.ones((2, 2))):
        with pytest.raises(InputError, match=r"P has shape .* need \(3, 3\)"):
            similarity_distillation(z, P, 0.3)
    for temperature in (0, -1.0, np.nan, "1"):
        with pytest.raises(InputError, match="temperature is"):
            similarity_distillation(z, np.ones((3, 3), np.float32), temperature)
    assert similarity_distillation(z, np.ones((3, 3), np.float32), np.float64(0.3))[1]().dtype == np.float32
