"""Which engine a name gives."""

import numpy as np
import pytest
import scipy.sparse

from nphash.engine import compiled
from nphash.engine.select import create_engine, sparse_product
from nphash.errors import InputError


def test_names():
    assert create_engine("numpy").name == "numpy"
    assert create_engine("numba").name == "numba"
    assert create_engine("auto", "float64").name == "numpy"


@pytest.mark.parametrize(("there", "name"), [(True, "numba"), (False, "numpy")])
def test_auto_takes_kernels_where_they_are_compiled(monkeypatch, there, name):
    monkeypatch.setattr(compiled, "COMPILED", there)
    assert create_engine().name == name


def test_threads_are_handed_on():
    assert create_engine("numba", threads=3).threads == 3


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("few", [0, 1000])
def test_a_product_has_the_same_bytes_by_kernel_and_by_scipy(compiled, few, rng, monkeypatch):
    monkeypatch.setattr("nphash.engine.kernels.sparse.COMPILED", compiled)
    monkeypatch.setattr("nphash.engine.select.FEW_WEIGHTS", few)
    X = scipy.sparse.random(30, 50, 0.2, format="csr", rng=rng, dtype=np.float32)
    W = rng.standard_normal((50, 7)).astype(np.float32)
    assert np.array_equal(sparse_product(X, W, threads=2), X @ W)


def test_what_cannot_be_had_is_said():
    with pytest.raises(InputError, match="engine is 'torch'"):
        create_engine("torch")
    with pytest.raises(InputError, match="float32, not float64"):
        create_engine("numba", "float64")
