"""First weights and the encoder network."""

from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from nphash.hashers.parts.networks import encoder, glorot, initial_layers, log_unigram
from nphash.nn.losses import NUMPY

X, _ = small.documents()


def test_glorot_weights_are_uniform_with_their_variance(rng):
    W = glorot(rng, 300, 200)
    assert W.shape == (300, 200) and W.dtype == np.float64
    assert abs(W.var() * 500 / 2 - 1) < 0.02
    assert np.abs(W).max() <= np.sqrt(6 / 500)


def test_layers_are_named_and_shaped_in_order(rng):
    params = initial_layers(rng, (7, 5, 3), "v")
    assert {name: array.shape for name, array in params.items()} == {
        "W_v1": (7, 5),
        "b_v1": (5,),
        "W_v2": (5, 3),
        "b_v2": (3,),
    }
    assert not params["b_v1"].any() and params["W_v1"].any()


def test_the_decoder_starts_at_the_share_of_each_word():
    target = scipy.sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0]]))
    shares = np.exp(log_unigram(target))
    assert np.allclose(shares, np.array([1, 3, 0.5]) / 4.5)
    assert np.allclose(np.exp(log_unigram(0 * target)), 1 / 3)


def weights(widths, name="", seed=0):
    rng = np.random.default_rng(seed)
    params = {}
    for i, (rows, columns) in enumerate(pairwise(widths), start=1):
        params[f"W_{name}{i}"] = rng.normal(size=(rows, columns))
        params[f"b_{name}{i}"] = rng.normal(size=columns)
    return params


@pytest.mark.parametrize("widths", [(40, 6), (40, 6, 5), (40, 6, 5, 4), (40, 3, 3, 3, 3)])
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("name", ["", "v"])
def test_the_encoder_and_its_gradients(widths, with_mask, name):
    params = weights(widths, name)
    rng = np.random.default_rng(1)
    mask = (rng.random((60, widths[-1])) > 0.3) / 0.7 if with_mask else None
    dh = rng.normal(size=(60, widths[-1]))

    def twin(params):
        h = small.stretched(X)
        for i in range(1, len(widths)):
            h = anp.maximum(anp.dot(h, params[f"W_{name}{i}"]) + params[f"b_{name}{i}"], 0)
        return h if mask is None else h * mask

    others = weights((40, 2, 2, 2, 2, 2), "" if name else "v", seed=5)
    h, back = encoder({**others, **params, "W_a": np.zeros(1), "W_va": np.zeros(1)}, X, mask, NUMPY, name)
    assert np.allclose(h, twin(params))
    expected = grad(lambda params: anp.sum(twin(params) * dh))(params)
    gradients = back(dh)
    assert gradients.keys() == expected.keys()
    for key in params:
        assert np.allclose(gradients[key], expected[key], rtol=1e-9, atol=1e-9), key
