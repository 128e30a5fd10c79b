"""Classifiers on codes."""

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from nphash.errors import InputError
from nphash.hashers.parts.heads import classify, targets
from nphash.hashers.parts.networks import initial_layers

B, L, H, C = 7, 5, 4, 3


def several(rng):
    return scipy.sparse.csr_matrix(rng.random((B, C)) < 0.4)


def one_each(rng):
    return rng.integers(0, C, B)


def twin(params, code, y):
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
    assert loss == pytest.approx(twin(params, code, dense_y), rel=1e-12)
    dcode, gradients = back(1.7)
    assert gradients.keys() == params.keys()
    expected = grad(lambda params: 1.7 * twin(params, code, dense_y))(params)
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-7, atol=1e-12), name
        numeric = small.numeric_gradient(lambda: classify(params, code, y)[0], params[name])
        assert np.abs(gradients[name] - 1.7 * numeric).max() < 1e-7
    assert np.allclose(dcode, 1.7 * grad(lambda code: twin(params, code, dense_y))(code))
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
