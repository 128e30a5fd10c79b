"""What the variational systems share: initial weights, targets, encoding in blocks, ELBO."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash import Doc2Hash
from nphash.engine.select import create_engine
from nphash.hashers import Training
from nphash.hashers.autoencoder import ENCODE_ROWS, VALIDATION_ROWS, decaying_training
from nphash.hashers.training import validation
from nphash.hashers.training.trainer import train

X, _ = small.documents()


def test_initial_weights_come_from_the_seed_in_the_training_dtype():
    hasher = Doc2Hash(8, hidden=(6, 5))
    params = hasher.initial_params(X, X, 3)
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
    assert np.array_equal(params["W_1"], hasher.initial_params(X, X, 3)["W_1"])
    assert not np.array_equal(params["W_1"], hasher.initial_params(X, X, 4)["W_1"])
    double = hasher.set_params(training=Training(dtype="float64")).initial_params(X, X, 3)
    assert np.array_equal(double["W_1"].astype(np.float32), params["W_1"])


def test_a_binary_target_is_presence():
    assert np.array_equal(Doc2Hash(target="binary")._target(X).toarray(), X.toarray() > 0)
    assert Doc2Hash()._target(X) is X


@pytest.mark.parametrize("n", [1, ENCODE_ROWS - 1, ENCODE_ROWS, ENCODE_ROWS + 1, 2 * ENCODE_ROWS + 3])
def test_blocks_of_encoding_are_the_whole(n):
    x, _ = small.documents(n, 30)
    hasher = Doc2Hash(8, hidden=(6, 5), training=Training(dtype="float64"))
    params = hasher.initial_params(x, x, 0)
    h = np.maximum(small.stretched(x) @ params["W_1"], 0)
    expected = np.maximum(h @ params["W_2"], 0) @ params["W_a"]
    assert np.allclose(hasher._logits(params, x), expected, atol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("method", ["doc2hash", "nash", "vdsh"])
def test_the_bound_is_the_same_by_kernels(method):
    x, _ = small.documents(2 * VALIDATION_ROWS + 5, 300)
    x = small.unit_rows(x).astype(np.float32)
    hasher = small.quick(method)
    params = hasher.initial_params(x, x, 0)
    compiled = create_engine("numba", threads=2).operations
    assert hasher.elbo(params, x, x, compiled) == pytest.approx(hasher.elbo(params, x, x), rel=1e-5)


@pytest.mark.compiled
def test_validation_takes_the_memory_of_a_batch(monkeypatch):
    n_words, small_batch = 30_000, {"epochs": 1, "batch_size": 64, "engine": "numba"}
    x, _ = small.documents(600, n_words)
    x = small.unit_rows(x[:, np.random.default_rng(0).permutation(n_words)]).astype(np.float32)
    hasher = Doc2Hash(8, hidden=(2,), training=Training(**small_batch), random_state=0)
    peaks = []

    def bound(self, *args):
        tracemalloc.start()
        value = unwatched(self, *args)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return value

    unwatched = Doc2Hash.elbo
    monkeypatch.setattr(Doc2Hash, "elbo", bound)
    hasher.fit(x, X_valid=x[:200])
    per_word = x[:VALIDATION_ROWS].nnz * 24  # the documents' own words, sorted
    assert 4 * VALIDATION_ROWS * n_words < peaks[0] < 8 * VALIDATION_ROWS * n_words + per_word


@pytest.mark.parametrize("n", [1, 60, ENCODE_ROWS + 5])
def test_the_bound_is_the_mean_over_blocks_without_noise(n):
    x, _ = small.documents(n, 30)
    hasher = Doc2Hash(8, hidden=(6,), kl_weight=(0.0, 0.5), training=Training(epochs=3, dtype="float64"))
    params = hasher.initial_params(x, x, 0)
    terms, _ = hasher.loss(params, small.batch(x, rng=False, epoch=3.0, hasher=hasher))
    assert hasher.elbo(params, x, x) == pytest.approx(-terms["loss"], rel=1e-12)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 0.5 * terms["KL"])


def test_a_mapped_matrix_is_learned_from_where_it_lies(tmp_path, monkeypatch):
    inside = scipy.sparse.csr_matrix(small.documents(80, 30)[0], dtype=np.float32)
    mapped = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / name, getattr(inside, name))
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    on_disk = scipy.sparse.csr_matrix(tuple(mapped), shape=inside.shape, copy=False)

    seen = []

    def watched(model, params, data, *arguments, **options):
        seen.append(np.shares_memory(data.x.data, mapped[0]) and data.target is data.x)
        return train(model, params, data, *arguments, **options)

    monkeypatch.setattr(validation, "train", watched)
    fits = [small.quick("doc2hash", random_state=0).fit(x, X_valid=inside[:5]) for x in (on_disk, inside)]
    assert seen == [True, False]
    for name, array in fits[0].params_.items():
        assert np.array_equal(array, fits[1].params_[name])


def test_the_learning_rate_decays_where_no_training_is_given():
    hasher = Doc2Hash()
    assert hasher._training == decaying_training() == Training(learning_rate=(1e-3, 1e-4))
    assert hasher.set_params(training__epochs=5)._training == Training(epochs=5, learning_rate=(1e-3, 1e-4))
    assert Doc2Hash(training=Training(epochs=5))._training.learning_rate == 1e-3
