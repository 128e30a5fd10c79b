"""Initial weights, the encoder network, classifiers on codes."""

from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from nphash.errors import InputError
from nphash.hashers.networks import classify, encoder, glorot, initial_layers, log_unigram, targets
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


# --- classifiers

B, L, H, C = 7, 5, 4, 3


def several(rng):
    return scipy.sparse.csr_matrix(rng.random((B, C)) < 0.4)


def one_each(rng):
    return rng.integers(0, C, B)


def classifier_twin(params, code, y):
    """The same loss, dense and with autograd."""
    scores = anp.dot(code, params["W_y1"]) + params["b_y1"]
    if "W_y2" in params:
        scores = anp.dot(anp.maximum(scores, 0), params["W_y2"]) + params["b_y2"]
    if y.ndim == 2:
        p = 1 / (1 + anp.exp(-scores))
        return -anp.sum(y * anp.log(p) + (1 - y) * anp.log(1 - p)) / len(code)
    log_p = scores - anp.log(anp.sum(anp.exp(scores), axis=1, keepdims=True))
    return -anp.sum(log_p[np.arange(len(code)), y]) / len(code)


@pytest.mark.parametrize("labels", [several, one_each])
@pytest.mark.parametrize("widths", [(L, C), (L, H, C)])
def test_loss_and_gradients_are_autograds_and_the_numeric_ones(labels, widths, rng):
    params = {name: array + 0.1 for name, array in initial_layers(rng, widths, "y").items()}
    code, y = rng.normal(size=(B, L)), labels(rng)
    dense_y = y.toarray() if y.ndim == 2 else y
    loss, back = classify({**params, "W_1": np.zeros(1)}, code, y)
    assert loss == pytest.approx(classifier_twin(params, code, dense_y), rel=1e-12)
    dcode, gradients = back(1.7)
    assert gradients.keys() == params.keys()
    expected = grad(lambda params: 1.7 * classifier_twin(params, code, dense_y))(params)
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-7, atol=1e-12), name
        numeric = small.numeric_gradient(lambda: classify(params, code, y)[0], params[name])
        assert np.abs(gradients[name] - 1.7 * numeric).max() < 1e-7
    assert np.allclose(dcode, 1.7 * grad(lambda code: classifier_twin(params, code, dense_y))(code))
    numeric = small.numeric_gradient(lambda: classify(params, code, y)[0], code)
    assert np.abs(dcode - 1.7 * numeric).max() < 1e-7


def test_classes_become_numbers_in_sorted_order():
    numbers, n = targets(np.array(["wheat", "corn", "wheat", "oil"]))
    assert (numbers.tolist(), n) == ([2, 0, 2, 1], 3)
    numbers, n = targets(np.array([7.5, -1.0]))
    assert (numbers.tolist(), n) == ([1, 0], 2)
    numbers, n = targets(np.array(["b", "a"], dtype=object))
    assert (numbers.tolist(), n) == ([1, 0], 2)


def test_an_indicator_stays_as_it_is():
    y = scipy.sparse.csr_matrix(np.array([[1, 0, 0], [0, 0, 0]], dtype=bool))
    same, n = targets(y)
    assert same is y and n == 3


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([1, 1, 1]), r"one class only \(.*1.*\)"),
        (scipy.sparse.csr_matrix((3, 2), dtype=bool), r"no document has a label"),
        (np.array([1, "a"], dtype=object), r"mixes classes"),
    ],
)
def test_labels_that_tell_nothing_apart_are_refused(y, message):
    with pytest.raises(InputError, match=message):
        targets(y)
