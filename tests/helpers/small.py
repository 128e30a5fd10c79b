"""Small inputs for the tests of hashers, and the numeric gradient that theirs are compared with."""

from dataclasses import replace

import numpy as np
import scipy.sparse

from nphash import hashers
from nphash.hashers.training.trainer import Batch
from nphash.nn.losses import NUMPY
from nphash.nn.schedules import values_at

# What a method needs besides to be quick.
QUICK = {
    "ksh": {"anchors": 20, "iterations": 20},
    "s-rbm": {"pretraining_epochs": 1},
    "itq": {"iterations": 5},
}


def documents(n=60, words=40, topics=3, seed=0):
    """Documents of a few topics with their own words: (CSR of counts, class of each)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, topics, n)
    rates = np.where(np.arange(words) % topics == y[:, None], 1.0, 0.1)  # (n, words)
    X = rng.poisson(rates).astype(np.float64)
    X[np.arange(n), y] += 1  # no empty document
    return scipy.sparse.csr_matrix(X), y


def unit_rows(X):
    """Rows of length one, as the weightings make them."""
    return scipy.sparse.csr_matrix(X / np.maximum(scipy.sparse.linalg.norm(X, axis=1), 1e-12)[:, None])


def quick(method, **params):
    """A hasher by its method's name that fits in a moment, whatever the method."""
    hasher = hashers.create(method)
    few = {} if "training" in params else {"training__epochs": 2}
    wanted = {"hidden": (8,), **few, **QUICK.get(method, {}), "n_bits": 8, **params}
    known = hasher.get_params()
    return hasher.set_params(**{name: value for name, value in wanted.items() if name in known})


def stretched(X):
    """Rows as the encoder sees them, dense: of length ten."""
    X = X.toarray().astype(np.float64)
    return 10 * X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-300)


class FixedNoise:
    """A source of noise that draws the same every time, or what it was given for a kind of draw."""

    def __init__(self, seed=0, **given):
        self.seed = seed
        self.given = given

    def __getattr__(self, kind):
        if kind.startswith("__"):
            raise AttributeError(kind)
        if kind in self.given:
            return lambda *shape, size=None, **options: self.given[kind]
        return getattr(np.random.default_rng(self.seed), kind)


def batch(X, target=None, y=None, rng=None, epoch=1.0, hasher=None, **options):
    """A batch with fixed noise, or with none at all for ``rng=False``; schedules are those of a hasher."""
    source = FixedNoise() if rng is None else rng or None
    numbers = {} if hasher is None else values_at(hasher.schedules(), epoch)
    return Batch(X, X if target is None else target, y, source, epoch, **numbers, **options)


def decoder_input(hasher, params, a_batch):
    """What the decoder sees of the codes of a batch, by a reconstruction that is handed in."""
    seen = []

    def reconstruct(z, W, b, target):
        seen.append(z)
        return NUMPY.reconstruct(z, W, b, target)

    hasher.loss(params, replace(a_batch, operations=NUMPY._replace(reconstruct=reconstruct)))
    return seen[0]


def numeric_gradient(function, array, step=1e-5, entries=None):
    """Central differences of a scalar by entries of an array (all, or flat numbers), changed in place."""
    gradient = np.zeros(array.size)
    flat = array.reshape(-1)
    for i in range(array.size) if entries is None else entries:
        kept = flat[i]
        flat[i] = kept + step
        above = function()
        flat[i] = kept - step
        below = function()
        flat[i] = kept
        gradient[i] = (above - below) / (2 * step)
    return gradient.reshape(array.shape)


def check_loss_gradients(model, params, a_batch, most_entries=25, tolerance=1e-7, among=None):
    """Every parameter's gradient of `loss` against central differences, in float64."""
    terms, back = model.loss(params, a_batch)
    gradients = back()
    assert set(gradients) == set(params)
    for name in among or params:
        array, analytic = params[name], gradients[name]
        assert analytic.shape == array.shape and analytic.dtype == np.float64, name
        entries = np.random.default_rng(1).permutation(array.size)[:most_entries]
        numeric = numeric_gradient(
            lambda: model.loss(params, a_batch)[0]["loss"], array, entries=entries
        ).reshape(-1)[entries]
        scale = max(1.0, np.abs(numeric).max())
        assert np.abs(analytic.reshape(-1)[entries] - numeric).max() <= tolerance * scale, name
        assert np.abs(analytic).max() > 0, f"no gradient reaches {name}"
    return terms


def squared_hinge_objective(X, signs, C, w):
    """The primal of a support vector machine whose last weight is the bias, as the equation says."""
    margins = signs * (X @ w[:-1] + w[-1])
    return w @ w / 2 + C * (np.maximum(0, 1 - margins) ** 2).sum()
