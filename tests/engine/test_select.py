"""Which engine a name gives, and that the engine of equations is the operations themselves."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from nphash.core import jit
from nphash.engine.select import Engine, Optimiser, create_engine, sparse_product
from nphash.errors import InputError
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


@pytest.mark.compiled
def test_the_compiled_engine_by_name():
    assert create_engine("numba").name == "numba"
    assert create_engine("numba", threads=3).threads == 3


def test_names():
    assert create_engine("numpy").name == "numpy"
    assert create_engine("auto", "float64").name == "numpy"


@pytest.mark.parametrize(("there", "name"), [(True, "numba"), (False, "numpy")])
def test_auto_takes_kernels_where_they_are_compiled(monkeypatch, there, name):
    monkeypatch.setattr(jit, "COMPILED", there)
    assert create_engine().name == name


def test_kernels_that_are_not_compiled_are_refused_for_the_reason(monkeypatch):
    monkeypatch.setattr(jit, "COMPILED", False)
    monkeypatch.setattr(jit, "WHY_NOT", "switched off by somebody")
    with pytest.raises(InputError, match="no numba engine here: switched off by somebody"):
        create_engine("numba")


def test_the_engine_of_equations_loads_no_kernel():
    program = (
        "import sys; from nphash.engine.select import create_engine; create_engine('numpy'); "
        "print([m for m in sys.modules if m.startswith(('nphash.engine.', 'numba'))])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['nphash.engine.select']"


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("few", [0, 1000])
def test_a_product_has_the_same_bytes_by_kernel_and_by_scipy(compiled, few, rng, monkeypatch):
    monkeypatch.setattr(jit, "COMPILED", compiled)
    monkeypatch.setattr("nphash.engine.select.FEW_WEIGHTS", few)
    X = scipy.sparse.random(30, 50, 0.2, format="csr", rng=rng, dtype=np.float32)
    W = rng.standard_normal((50, 7)).astype(np.float32)
    assert np.array_equal(sparse_product(X, W, threads=2), X @ W)


def test_what_cannot_be_had_is_said():
    with pytest.raises(InputError, match="engine is 'torch'"):
        create_engine("torch")
    with pytest.raises(InputError, match="float32, not float64"):
        create_engine("numba", "float64")
