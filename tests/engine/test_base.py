"""The engine of equations is the operations themselves."""

import numpy as np
import scipy.sparse

from nphash.engine.base import Engine
from nphash.nn.losses import reconstruction
from nphash.nn.ops import dense, relu, sparse_dense


def one_gradient(y, back):
    return y, lambda dy: (back(dy),)


def test_layers_are_the_operations(rng):
    X = scipy.sparse.random(4, 9, 0.4, format="csr", rng=rng)
    W, b, dy = rng.standard_normal((9, 5)), rng.standard_normal(5), rng.standard_normal((4, 5))
    engine = Engine()
    for (y, back), (expected, expected_back) in (
        (engine.sparse_dense(X, W, b), sparse_dense(X, W, b)),
        (engine.dense(X.toarray(), W, b), dense(X.toarray(), W, b)),
        (one_gradient(*engine.relu(dy)), one_gradient(*relu(dy))),
    ):
        assert np.array_equal(y, expected)
        for got, wanted in zip(back(dy), expected_back(dy), strict=True):
            assert np.array_equal(got, wanted)


def test_decode_is_dense_and_reconstruction(rng):
    z, W, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 9)), rng.standard_normal(9)
    target = scipy.sparse.random(4, 9, 0.4, format="csr", rng=rng)
    loss, back = Engine().decode(z, W, b, target)
    scores, back_scores = dense(z, W, b)
    expected, back_loss = reconstruction(scores, target)
    assert loss == expected
    for got, wanted in zip(back(2.0), back_scores(back_loss(2.0)), strict=True):
        assert np.array_equal(got, wanted)


def test_seconds_are_kept_by_part(rng):
    engine = Engine()
    _, back = engine.dense(np.ones((2, 3)), np.ones((3, 4)), np.zeros(4))
    back(np.ones((2, 4)))
    assert list(engine.profile.seconds) == ["hidden layers", "hidden layers, backward"]
