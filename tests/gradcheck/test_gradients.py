"""Every ``back`` of ops, gumbel and losses against plain central differences and against autograd.

This file does not use the package's own gradient checker, so that the one can be trusted to test
the other.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from helpers import naive
from nphash.nn import gumbel, losses, ops

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # autograd probes NumPy functions that NumPy 2 renamed
    import autograd
    import autograd.numpy as anp

STEP = 1e-4

# Public names without a gradient: draws, types, and samples that are steps by nature.
NOT_DIFFERENTIABLE = {
    "ops": {"Operations", "dropout_mask", "normal_noise", "normalise_rows", "scale_rows"},
    "gumbel": {
        "gumbel_max",
        "gumbel_max_one_hot",
        "gumbel_noise",
        "gumbel_softmax_jacobian",
        "logistic_noise",
    },
    "losses": {"NUMPY"},
}


def a_softmax(x):
    e = anp.exp(x - anp.max(x, axis=-1, keepdims=True))
    return e / anp.sum(e, axis=-1, keepdims=True)


def a_sigmoid(x):
    return 1 / (1 + anp.exp(-x))


def a_log_softmax(x):
    return anp.log(a_softmax(x))


def documents(rng, b, v):
    X = sparse.csr_array(rng.random((b, v)) * (rng.random((b, v)) < 0.5))
    return X, X.toarray()


# Each entry draws (arguments, function of the differentiable ones, the same formula for autograd).
CASES = {}


def case(name):
    def keep(function):
        CASES[name] = function
        return function

    return keep


@case("ops.dense")
def _(rng, b, v, k):
    args = [rng.normal(size=(b, v)), rng.normal(size=(v, k)), rng.normal(size=k)]
    return args, ops.dense, lambda x, W, c: anp.dot(x, W) + c


@case("ops.sparse_dense")
def _(rng, b, v, k):
    X, full = documents(rng, b, v)
    args = [rng.normal(size=(v, k)), rng.normal(size=k)]
    return args, lambda W, c: ops.sparse_dense(X, W, c), lambda W, c: anp.dot(full, W) + c


def _unary(name, function, reference, away=0.0):
    @case(name)
    def _(rng, b, v, k):
        x = rng.normal(size=(b, k)) * 2
        return [x + away * np.sign(x)], function, reference


_unary("ops.relu", ops.relu, lambda x: anp.maximum(x, 0), away=0.01)  # off the kink
_unary("ops.sigmoid", ops.sigmoid, a_sigmoid)
_unary("ops.tanh", ops.tanh, anp.tanh)
_unary("ops.softplus", ops.softplus, lambda x: anp.log(1 + anp.exp(x)))
_unary("ops.softmax", ops.softmax, a_softmax)
_unary("ops.log_softmax", ops.log_softmax, a_log_softmax)


@case("ops.dropout")
def _(rng, b, v, k):
    mask = ops.dropout_mask(rng, (b, v), 0.3)
    return [rng.normal(size=(b, v))], lambda x: ops.dropout(x, mask), lambda x: x * mask


@case("ops.gaussian_sample")
def _(rng, b, v, k):
    noise = rng.normal(size=(b, k))
    args = [rng.normal(size=(b, k)), rng.normal(size=(b, k))]
    return args, lambda m, s: ops.gaussian_sample(m, s, noise), lambda m, s: m + anp.exp(s / 2) * noise


@case("gumbel.gumbel_softmax")
def _(rng, b, v, k):
    noise, tau = gumbel.gumbel_noise(rng, (b, v, k)), rng.uniform(0.4, 2)
    return (
        [rng.normal(size=(b, v, k))],
        lambda a: gumbel.gumbel_softmax(a, noise, tau),
        lambda a: a_softmax((a + noise) / tau),
    )


@case("gumbel.logit_difference")
def _(rng, b, v, k):
    return [rng.normal(size=(b, v, 2))], gumbel.logit_difference, lambda a: a[:, :, 1] - a[:, :, 0]


@case("gumbel.relaxed_bits")
def _(rng, b, v, k):
    noise, tau = gumbel.logistic_noise(rng, (b, v)), rng.uniform(0.4, 2)
    return (
        [rng.normal(size=(b, v))],
        lambda a: gumbel.relaxed_bits(a, noise, tau),
        lambda a: a_sigmoid((a + noise) / tau),
    )


@case("losses.reconstruct")
def _(rng, b, v, k):
    target, full = documents(rng, b, v)
    args = [rng.normal(size=(b, k)), rng.normal(size=(k, v)), rng.normal(size=v)]

    def reference(z, W, c):
        return -anp.sum(full * a_log_softmax(anp.dot(z, W) + c)) / b

    return args, lambda z, W, c: losses.reconstruct(z, W, c, target), reference


@case("losses.reconstruction")
def _(rng, b, v, k):
    target, full = documents(rng, b, v)
    return (
        [rng.normal(size=(b, v))],
        lambda s: losses.reconstruction(s, target),
        lambda s: -anp.sum(full * a_log_softmax(s)) / b,
    )


@case("losses.categorical_kl")
def _(rng, b, v, k):
    prior = rng.dirichlet(np.ones(k) * 3)
    return (
        [rng.normal(size=(b, v, k))],
        lambda a: losses.categorical_kl(a, prior),
        lambda a: anp.sum(a_softmax(a) * (a_log_softmax(a) - anp.log(prior))) / b,
    )


@case("losses.categorical_kl, uniform")
def _(rng, b, v, k):
    return (
        [rng.normal(size=(b, v, k))],
        losses.categorical_kl,
        lambda a: anp.sum(a_softmax(a) * (a_log_softmax(a) + anp.log(k))) / b,
    )


@case("losses.pooled_categorical_kl")
def _(rng, b, v, k):
    def reference(a):
        w = a_softmax(anp.reshape(a, (b, v * k)))
        return anp.sum(w * anp.log(k * w)) / b

    return [rng.normal(size=(b, v, k))], losses.pooled_categorical_kl, reference


@case("losses.bernoulli_kl")
def _(rng, b, v, k):
    r = rng.uniform(0.1, 0.9)

    def reference(a):
        p = a_sigmoid(a)
        return anp.sum(p * anp.log(p / r) + (1 - p) * anp.log((1 - p) / (1 - r))) / b

    return [rng.normal(size=(b, k))], lambda a: losses.bernoulli_kl(a, r), reference


@case("losses.gaussian_kl")
def _(rng, b, v, k):
    return (
        [rng.normal(size=(b, k)), rng.normal(size=(b, k))],
        losses.gaussian_kl,
        lambda m, s: anp.sum(m**2 + anp.exp(s) - 1 - s) / (2 * b),
    )


@case("losses.logistic_loss")
def _(rng, b, v, k):
    y = rng.integers(0, 2, (b, k))

    def reference(s):
        return -anp.sum(y * anp.log(a_sigmoid(s)) + (1 - y) * anp.log(1 - a_sigmoid(s))) / b

    return [rng.normal(size=(b, k))], lambda s: losses.logistic_loss(s, y), reference


@case("losses.cross_entropy")
def _(rng, b, v, k):
    y = rng.integers(0, k, b)
    hot = np.eye(k)[y]
    return (
        [rng.normal(size=(b, k))],
        lambda s: losses.cross_entropy(s, y),
        lambda s: -anp.sum(hot * a_log_softmax(s)) / b,
    )


@case("losses.l2_penalty")
def _(rng, b, v, k):
    weight = rng.uniform(0.01, 2)
    return (
        [rng.normal(size=(v, k))],
        lambda W: losses.l2_penalty(W, weight),
        lambda W: weight / 2 * anp.sum(W**2),
    )


@case("losses.similarity_distillation")
def _(rng, b, v, k):
    b += 1  # a document needs another one
    teacher = rng.random((b, b)) * (1 - np.eye(b))
    teacher /= teacher.sum(axis=1, keepdims=True)
    tau = rng.uniform(0.4, 2)

    def reference(z):
        scores = anp.dot(z, z.T) / (k * tau) - 1e9 * np.eye(b)
        return -anp.sum(teacher * anp.log(a_softmax(scores) + np.eye(b))) / b

    return (
        [rng.normal(size=(b, k))],
        lambda z: losses.similarity_distillation(z, teacher, tau),
        reference,
    )


def _two_numbers(name, function, reference):
    @case(name)
    def _(rng, b, v, k):
        weight = rng.uniform(0.1, 3)
        args = [np.asarray(rng.normal()), np.asarray(rng.normal())]
        return args, lambda x, y: function(x, y, weight), lambda x, y: reference(x, y, weight)


_two_numbers("losses.lower_bound", lambda x, y, w: losses.lower_bound(x, y), lambda x, y, w: -x - y)
_two_numbers("losses.bound_loss", losses.bound_loss, lambda x, y, w: x + w * y)
_two_numbers("losses.supervised_loss", losses.supervised_loss, lambda x, y, w: x + w * y)

# Straight-through: the forward pass is a step, the gradient by construction that of another function.
BORROWED = {
    "gumbel.straight_through_gumbel": "gumbel.gumbel_softmax",
    "gumbel.straight_through_bits": "gumbel.relaxed_bits",
    "gumbel.straight_through_bernoulli": "ops.sigmoid",
}


@st.composite
def draws(draw):
    b, v, k = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))), b, v, k


def gradients(function, args, rng):
    out, back = function(*args)
    dout = rng.normal(size=np.shape(out)) if np.ndim(out) else rng.normal()
    found = back(dout)
    return np.asarray(out), dout, found if isinstance(found, tuple) else (found,)


def plain(function):
    return lambda *args: np.array(function(*args)[0], copy=True)


def relative_error(found, expected):
    return np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-3)


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=10)
@given(draws())
def test_every_entry_agrees_with_central_differences(name, drawn):
    args, function, _ = CASES[name](*drawn)
    _, dout, found = gradients(function, args, drawn[0])
    assert len(found) == len(args)
    for position, gradient in enumerate(found):
        wide = naive.numeric_gradient(plain(function), args, position, dout, 2 * STEP)
        near = naive.numeric_gradient(plain(function), args, position, dout, STEP)
        expected = (4 * near - wide) / 3  # the h^2 error cancels
        assert np.shape(gradient) == args[position].shape
        assert relative_error(gradient, expected) <= 1e-7


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=10)
@given(draws())
def test_value_and_gradient_agree_with_autograd(name, drawn):
    args, function, reference = CASES[name](*drawn)
    out, dout, found = gradients(function, args, drawn[0])
    np.testing.assert_allclose(out, reference(*args), rtol=1e-9, atol=1e-9)
    for position, gradient in enumerate(found):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Output seems independent of input" for one category
            expected = autograd.grad(lambda *a: anp.sum(dout * reference(*a)), position)(*args)
        assert relative_error(gradient, expected) <= 1e-10


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32_and_near_float64(name, rng):
    args, function, _ = CASES[name](rng, 3, 4, 3)
    single = [a.astype(np.float32) for a in args]
    _, dout, expected = gradients(function, args, np.random.default_rng(1))
    out, back = function(*single)
    found = back(np.float32(dout) if np.ndim(out) else float(dout))
    for a, gradient, wanted in zip(
        single, found if isinstance(found, tuple) else (found,), expected, strict=True
    ):
        if a.ndim:
            assert gradient.dtype == np.float32 or name in WITH_FLOAT64_CONSTANTS
        assert relative_error(np.asarray(gradient, dtype=np.float64), wanted) <= 2e-5


# Their noise, masks and teachers above are float64 arrays, which make the result float64.
WITH_FLOAT64_CONSTANTS = {
    "ops.dropout",
    "ops.gaussian_sample",
    "gumbel.gumbel_softmax",
    "gumbel.relaxed_bits",
    "losses.similarity_distillation",
}


@pytest.mark.parametrize("name", CASES)
def test_back_may_be_called_again_and_is_linear(name, rng):
    args, function, _ = CASES[name](rng, 3, 4, 3)
    kept = [a.copy() for a in args]
    out, back = function(*args)
    dout = rng.normal(size=np.shape(out)) if np.ndim(out) else 1.5
    first, second, tripled = back(dout), back(dout), back(3 * dout)
    for one, two, three in zip(
        *(g if isinstance(g, tuple) else (g,) for g in (first, second, tripled)), strict=True
    ):
        assert np.array_equal(one, two)
        np.testing.assert_allclose(three, 3 * np.asarray(one), rtol=1e-12, atol=1e-15)
    assert all(np.array_equal(a, b) for a, b in zip(args, kept, strict=True))


@pytest.mark.parametrize("borrower", BORROWED)
@settings(deadline=None, max_examples=10)
@given(draws())
def test_straight_through_gradient_is_that_of_the_relaxed_function(borrower, drawn):
    rng, b, v, k = drawn
    tau = rng.uniform(0.4, 2)
    if borrower == "gumbel.straight_through_gumbel":
        logits, noise = rng.normal(size=(b, v, k)), gumbel.gumbel_noise(rng, (b, v, k))
        (z, back), (_, relaxed) = (
            f(logits, noise, tau) for f in (gumbel.straight_through_gumbel, gumbel.gumbel_softmax)
        )
    elif borrower == "gumbel.straight_through_bits":
        logits, noise = rng.normal(size=(b, v)), gumbel.logistic_noise(rng, (b, v))
        (z, back), (_, relaxed) = (
            f(logits, noise, tau) for f in (gumbel.straight_through_bits, gumbel.relaxed_bits)
        )
    else:
        logits = rng.normal(size=(b, v))
        z, back = gumbel.straight_through_bernoulli(logits, rng.random((b, v)))
        _, relaxed = ops.sigmoid(logits)
    assert set(np.unique(z)) <= {0.0, 1.0}
    dz = rng.normal(size=z.shape)
    assert np.array_equal(back(dz), relaxed(dz))


@pytest.mark.parametrize("module", [ops, gumbel, losses], ids=lambda module: module.__name__)
def test_every_public_operation_is_checked_here(module):
    short = module.__name__.rpartition(".")[2]
    differentiable = {f"{short}.{name}" for name in module.__all__} - {
        f"{short}.{name}" for name in NOT_DIFFERENTIABLE[short]
    }
    checked = {name.partition(",")[0] for name in CASES} | set(BORROWED)
    assert differentiable == {name for name in checked if name.startswith(f"{short}.")}
