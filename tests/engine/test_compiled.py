"""The engine of kernels against the equations in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.decoding import close, targets
from helpers.paths import TESTS
from helpers.small import FixedNoise, documents, unit_rows
from nphash.engine import compiled
from nphash.engine.compiled import CompiledEngine, sort_by_word
from nphash.engine.select import Engine
from nphash.errors import InputError
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training.settings import Training
from nphash.hashers.training.trainer import Batch
from nphash.nn.losses import NUMPY
from nphash.nn.schedules import values_at

pytestmark = pytest.mark.usefixtures("one_blas_thread")


def test_documents_of_other_words_are_refused():
    X, W = scipy.sparse.csr_array(np.ones((2, 5), np.float32)), np.ones((4, 3), np.float32)
    with pytest.raises(InputError, match="X has 5 columns, W 4 rows"):
        CompiledEngine().sparse_dense(X, W, np.zeros(3, np.float32))


@pytest.mark.parametrize("shape", [(3, 4, 5), (100, 300, 310)])  # the second is cut into blocks
def test_layers(rng, shape):
    rows, width, columns = shape
    x = rng.standard_normal((rows, width)).astype(np.float32)
    W, b = rng.standard_normal((width, columns)).astype(np.float32), rng.standard_normal(columns)
    dy = rng.standard_normal((rows, columns)).astype(np.float32)
    X = targets("usual", rows, width, rng)
    y, back = CompiledEngine(2).operations.relu(x)
    exact, exact_back = NUMPY.relu(x)
    assert np.array_equal(y, exact)
    assert np.array_equal(back(2 * x), exact_back(2 * x))
    assert np.array_equal(back(np.asfortranarray(x)), exact_back(x))
    for name, left in (("dense", x), ("sparse_dense", X)):
        y, back = getattr(CompiledEngine(2), name)(left, W, b.astype(np.float32))
        exact, exact_back = getattr(NUMPY, name)(left.astype(np.float64), W.astype(np.float64), b)
        close(y, exact)
        for gradient, wanted in zip(back(dy), exact_back(dy.astype(np.float64)), strict=True):
            close(gradient, wanted)


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("rows", [[], [3], [4, 0, 2], [5, 5, 5, 5, 5, 5, 5, 1]])
def test_documents_are_taken(rng, make, rows):
    X = make(targets("empty documents", 6, 20, rng))
    taken = CompiledEngine().take(X, np.array(rows, dtype=int))
    assert type(taken) is type(X)
    assert taken.shape == (len(rows), 20)
    assert np.array_equal(taken.toarray(), X.toarray()[rows])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_entries_by_word_are_the_transposed_matrix(rows, words, density, seed):
    X = scipy.sparse.random(rows, words, density, format="csr", rng=np.random.default_rng(seed))
    starts, documents, positions = sort_by_word(X)
    expected = X.T.tocsr()
    expected.sort_indices()
    assert np.array_equal(starts, expected.indptr)
    assert np.array_equal(documents, expected.indices)
    assert np.array_equal(X.data[positions], expected.data)


def test_repeated_entries_stay():
    X = scipy.sparse.csr_matrix(
        (np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]), np.array([0, 3])), shape=(1, 2)
    )
    starts, documents, positions = sort_by_word(X)
    assert (starts.tolist(), documents.tolist(), X.data[positions].tolist()) == (
        [0, 1, 3],
        [0, 0, 0],
        [3, 1, 2],
    )


def model(engine, sampling="relaxed", dtype="float32", **options):
    training = Training(dtype=dtype, engine=engine)
    return Doc2Hash(16, hidden=(20, 10), sampling=sampling, training=training, random_state=0, **options)


def batch_of(X, engine, dtype="float32"):
    X = X.astype(dtype)
    return Batch(
        X,
        X,
        None,
        FixedNoise(),
        operations=engine.operations,
        **values_at(model(engine.name, dtype=dtype).schedules(), 1.0),
    )


@pytest.mark.parametrize("sampling", ["relaxed", "straight-through"])
def test_gradients_of_every_tensor(sampling):
    X = unit_rows(documents(100, 700)[0]).astype(np.float32)
    params = model("numba").initial_params(X, X, seed=0)
    params["b_s"] += np.random.default_rng(0).standard_normal(700)  # at the start its gradient cancels
    _, back = model("numba", sampling).loss(params, batch_of(X, CompiledEngine(2)))
    exact_params = {name: array.astype(np.float64) for name, array in params.items()}
    _, exact_back = model("numpy", sampling).loss(exact_params, batch_of(X, Engine(), "float64"))
    got, exact = back(), exact_back()
    assert set(got) == set(exact) == set(params)
    for name, gradient in got.items():
        close(gradient, exact[name])


@pytest.mark.compiled
@pytest.mark.parametrize("sampling", ["relaxed", "straight-through"])
def test_300_steps_end_where_those_of_the_equations_end(sampling):
    X = unit_rows(documents(400, 300)[0]).astype(np.float32)
    start = model("numba").initial_params(X, X, seed=0)
    ends = []
    for engine in (CompiledEngine(2), Engine()):
        params, adam = {name: array.copy() for name, array in start.items()}, engine.optimiser()
        hasher = model(engine.name, sampling)
        numbers = values_at(hasher.schedules(), 1.0) | {"learning_rate": 1e-3}
        batches = []
        for step in range(300):
            rows = np.random.default_rng(step).permutation(400)[: 50 if step % 7 else 13]
            rng = np.random.default_rng([1, step])
            batches.append(Batch(X[rows], X[rows], rng=rng, operations=engine.operations, **numbers))
        for batch in adam.prepare(batches, 1_000):
            _, back = hasher.loss(params, batch)
            adam.step(params, back(), 1e-3)
        adam.flush()
        ends.append(params)
    for name, array in ends[0].items():
        assert np.abs(array - ends[1][name]).max() <= 1e-4, name


@pytest.mark.compiled
@pytest.mark.parametrize("sampling", ["relaxed", "straight-through"])
@pytest.mark.parametrize(("clip_norm", "batch_size"), [(None, 100), (0.5, 100), (None, 4)])
def test_same_bytes_for_any_number_of_threads(clip_norm, batch_size, sampling):
    X = unit_rows(documents(230, 600)[0])
    results = []
    for threads in (1, 2, 8):
        hasher = model("numba", sampling, threads=threads).set_params(
            training__epochs=2
            if batch_size == 100
            else 4,  # 228 steps: after 100, updates go on in the background
            training__batch_size=batch_size,
            training__clip_norm=clip_norm,
            training__validation_share=0.0,
        )
        hasher.fit(X)
        results.append({name: array.tobytes() for name, array in hasher.params_.items()})
    assert results[0] == results[1] == results[2]


@pytest.mark.compiled
@pytest.mark.parametrize("average", [None, 0.9])
def test_fits_of_both_engines_agree(average):
    X = unit_rows(documents(230, 300)[0])
    options = {"training__epochs": 3, "training__batch_size": 4, "training__average": average}
    fits = [model(engine).set_params(**options).fit(X) for engine in ("numba", "numpy")]
    for name, array in fits[0].params_.items():
        assert np.abs(array - fits[1].params_[name]).max() <= 1e-4, name
    assert fits[0].history_[-1]["loss"] == pytest.approx(fits[1].history_[-1]["loss"], rel=1e-4)


PROGRAM = """
import numpy as np, scipy.sparse
from nphash.engine.compiled import CompiledEngine
rng = np.random.default_rng(0)
z, W, b = rng.random((3, 8), "f"), rng.random((8, 70), "f"), rng.random(70, "f")
target = scipy.sparse.random(3, 70, 0.1, format="csr", rng=rng, dtype=np.float32)
for codes in (z, np.sign(z - 0.5)):
    loss, back = CompiledEngine().reconstruct(codes, W, b, target)
    print(loss, *(np.abs(np.asarray(g)).sum() for g in back()))
"""


def run(**environment):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=300
    )
    return [float(number) for number in done.stdout.split()]


def test_kernels_are_right_as_plain_python():
    np.testing.assert_allclose(run(NPHASH_JIT="0"), run(), rtol=1e-5)


@pytest.mark.slow
def test_it_works_where_no_cache_can_be_written():
    np.testing.assert_allclose(run(NPHASH_CACHE="0"), run(), rtol=1e-6)


@pytest.mark.slow
def test_same_bytes_just_compiled_and_read_from_the_cache(tmp_path):
    script = """
import hashlib, numpy as np
from helpers import small
from nphash.hashers import Training
from nphash.hashers.doc2hash import Doc2Hash
X, _ = small.documents(n=300, words=700, topics=3)
hasher = Doc2Hash(16, hidden=(20,), random_state=0, training=Training(epochs=2, clip_norm=5.0))
hasher.fit(small.unit_rows(X).astype(np.float32))
print(hashlib.sha256(b"".join(hasher.params_[name].tobytes() for name in sorted(hasher.params_))).hexdigest())
"""
    where = {**os.environ, "PYTHONPATH": str(TESTS), "NUMBA_CACHE_DIR": str(tmp_path)}

    def digest(**settings):
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env={**where, **settings}, check=True, capture_output=True).stdout

    compiled, cached, never_kept = digest(), digest(), digest(NPHASH_CACHE="0")
    assert len(compiled) > 60
    assert compiled == cached == never_kept


@pytest.mark.slow
@pytest.mark.compiled
def test_programs_beside_compile_what_a_fit_needs(tmp_path):
    """The first of them on a machine: no kernel of theirs is left to the process that trains."""
    program = (
        "import logging, numpy as np\n"
        "from numba.core import event\n"
        "from nphash.core.jit.cache import compiling_beside\n"
        "from nphash.engine.compiled import PROGRAMS\n"
        "from nphash.hashers import create\n"
        "class Names(event.Listener):\n"
        "    def on_start(self, event): print(event.data['dispatcher'].__name__)\n"
        "    def on_end(self, event): pass\n"
        "event.register('numba:compile', Names())\n"
        "X = np.random.default_rng(0).poisson(0.2, (300, 80))\n"
        "with compiling_beside(PROGRAMS): create('nphash', n_bits=16, random_state=0).fit(X)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    compiled_here = set(done.stdout.split())
    assert "_times_dense" in compiled_here  # the cache was empty
    theirs = {kernel.__name__ for kernels in compiled.PROGRAMS.values() for kernel in kernels}
    assert theirs == {"forward", "combine", "update_tiles", "fill_bias"} and not theirs & compiled_here
