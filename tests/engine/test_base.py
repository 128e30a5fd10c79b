"""The engine of equations is the operations themselves."""

import numpy as np
import scipy.sparse

from nphash.engine.base import Engine, Optimiser
from nphash.nn import losses, ops, optim


def test_the_operations_are_the_equations():
    assert Engine().operations == (ops.sparse_dense, ops.dense, ops.relu, losses.reconstruct)


def test_documents_are_taken_by_their_numbers(rng):
    X = scipy.sparse.random(9, 4, 0.4, format="csr", rng=rng)
    assert np.array_equal(Engine().take(X, np.array([3, 0])).toarray(), X.toarray()[[3, 0]])


def test_the_optimiser_is_adam_and_leaves_batches_alone():
    optimiser = Engine(threads=2).optimiser(max_norm=0.5)
    assert isinstance(optimiser, Optimiser) and isinstance(optimiser, optim.Adam)
    assert (optimiser.max_norm, list(optimiser.prepare("abc", flush_every=2))) == (0.5, list("abc"))
    params = {"w": np.ones(2)}
    optimiser.step(params, {"w": np.ones(2)})
    after = params["w"].copy()
    optimiser.flush()
    optimiser.abandon()
    assert np.array_equal(params["w"], after)
