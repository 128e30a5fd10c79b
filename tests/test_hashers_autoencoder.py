"""What the variational systems share: first weights, encoder, decoder's bias, targets."""

from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
import small
from autograd import grad

from nphash import Doc2Hash
from nphash.hashers import Training
from nphash.hashers.autoencoder import ENCODE_ROWS, encoder, glorot, log_unigram

X, _ = small.documents()


def test_glorot_weights_are_uniform_with_their_variance(rng):
    W = glorot(rng, 300, 200)
    assert W.shape == (300, 200) and W.dtype == np.float64
    assert abs(W.var() * 500 / 2 - 1) < 0.02
    assert np.abs(W).max() <= np.sqrt(6 / 500)


def test_the_decoder_starts_at_the_share_of_each_word():
    target = scipy.sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0]]))
    shares = np.exp(log_unigram(target))
    assert np.allclose(shares, np.array([1, 3, 0.5]) / 4.5)
    assert np.allclose(np.exp(log_unigram(0 * target)), 1 / 3)


def weights(widths, seed=0):
    rng = np.random.default_rng(seed)
    params = {}
    for i, (rows, columns) in enumerate(pairwise(widths), start=1):
        params |= {f"W_{i}": rng.normal(size=(rows, columns)), f"b_{i}": rng.normal(size=columns)}
    return params


@pytest.mark.parametrize("widths", [(40, 6), (40, 6, 5), (40, 6, 5, 4), (40, 3, 3, 3, 3)])
@pytest.mark.parametrize("with_mask", [False, True])
def test_the_encoder_and_its_gradients(widths, with_mask):
    params = weights(widths)
    rng = np.random.default_rng(1)
    mask = (rng.random((60, widths[-1])) > 0.3) / 0.7 if with_mask else None
    dh = rng.normal(size=(60, widths[-1]))

    def twin(params):
        h = X.toarray()
        for i in range(1, len(widths)):
            h = anp.maximum(anp.dot(h, params[f"W_{i}"]) + params[f"b_{i}"], 0)
        return h if mask is None else h * mask

    h, back = encoder({**params, "W_a": np.zeros((1, 1)), "W_s": np.zeros((1, 1))}, X, mask)
    assert np.allclose(h, twin(params))
    expected = grad(lambda params: anp.sum(twin(params) * dh))(params)
    gradients = back(dh)
    assert gradients.keys() == expected.keys()
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-9, atol=1e-9), name


def test_first_weights_come_from_the_seed_in_the_training_dtype():
    hasher = Doc2Hash(8, hidden=(6, 5))
    params = hasher.start_params(X, X, 3)
    assert {name: array.shape for name, array in params.items()} == {
        "W_1": (40, 6),
        "b_1": (6,),
        "W_2": (6, 5),
        "b_2": (5,),
        "W_a": (5, 8),
        "b_a": (8,),
        "W_s": (8, 40),
        "b_s": (40,),
    }
    assert all(array.dtype == np.float32 for array in params.values())
    assert np.array_equal(params["W_1"], hasher.start_params(X, X, 3)["W_1"])
    assert not np.array_equal(params["W_1"], hasher.start_params(X, X, 4)["W_1"])
    double = hasher.set_params(training=Training(dtype="float64")).start_params(X, X, 3)
    assert np.array_equal(double["W_1"].astype(np.float32), params["W_1"])


def test_a_binary_target_is_presence():
    assert np.array_equal(Doc2Hash(target="binary")._target(X).toarray(), X.toarray() > 0)
    assert Doc2Hash()._target(X) is X


@pytest.mark.parametrize("n", [1, ENCODE_ROWS - 1, ENCODE_ROWS, ENCODE_ROWS + 1, 2 * ENCODE_ROWS + 3])
def test_blocks_of_encoding_are_the_whole(n):
    x, _ = small.documents(n, 30)
    hasher = Doc2Hash(8, hidden=(6, 5), training=Training(dtype="float64"))
    params = hasher.start_params(x, x, 0)
    h = np.maximum(x @ params["W_1"], 0)
    expected = np.maximum(h @ params["W_2"], 0) @ params["W_a"]
    assert np.allclose(hasher._logits(params, x), expected, atol=1e-12)
