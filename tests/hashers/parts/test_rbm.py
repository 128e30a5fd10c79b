import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive, small
from nphash.hashers.parts.rbm import contrastive_divergence, pretrain, scale_to_counts

X, y = small.documents(100, 30)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), words=st.booleans())
def test_a_step_agrees_with_the_twin(seed, words):
    rng = np.random.default_rng(seed)
    v = rng.poisson(1.0, (4, 5)).astype(float) if words else rng.random((4, 5))
    W, b, c = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(5)
    uniform = rng.random((4, 3))
    data = scipy.sparse.csr_matrix(v) if words else v
    (dW, db, dc), p = contrastive_divergence(data, W, b, c, uniform)
    expected = naive.contrastive_divergence(v, W, b, c, uniform, words)
    for ours, theirs in zip((dW, db, dc, p), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_nothing_moves_where_the_reconstruction_is_the_data():
    v = np.full((3, 4), 0.5)  # what binary units without weights reconstruct
    moves, p = contrastive_divergence(v, np.zeros((4, 2)), np.zeros(2), np.zeros(4), np.zeros((3, 2)))
    assert all(not move.any() for move in moves) and (p == 0.5).all()


def test_a_poisson_layer_reconstructs_the_length():
    """Rates sum to the document's length, so the visible biases' moves sum to zero."""
    rng = np.random.default_rng(0)
    (_, _, dc), _ = contrastive_divergence(
        X, rng.standard_normal((30, 4)), np.zeros(4), np.zeros(30), rng.random((100, 4))
    )
    assert dc.sum() == pytest.approx(0, abs=1e-9)
    assert np.abs(dc).max() > 0.01


def reconstruction_error(v, W, b, c):
    h = 1 / (1 + np.exp(-(v @ W + b)))
    return np.square(v - 1 / (1 + np.exp(-(h @ W.T + c)))).sum(axis=1).mean()


def test_pretraining_makes_reconstructions_better():
    rng = np.random.default_rng(0)
    v = (rng.random((200, 1)) < 0.5) * np.ones((1, 6)) * 0.8 + 0.1  # two kinds of rows
    errors = [reconstruction_error(v, *pretrain(v, 3, epochs, 0.1, [0])) for epochs in (0, 5, 40)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.2 * errors[0]


def test_pretraining_is_repeatable_and_keeps_the_dtype():
    v = X.astype(np.float32)
    first, second = pretrain(v, 4, 1, 0.02, [1, 2]), pretrain(v, 4, 1, 0.02, [1, 2])
    for one, other in zip(first, second, strict=True):
        assert one.dtype == np.float32 and one.tobytes() == other.tobytes()
    assert first[0].tobytes() != pretrain(v, 4, 1, 0.02, [1, 3])[0].tobytes()


def test_documents_scaled_to_counts():
    scaled = scale_to_counts(scipy.sparse.vstack([X * 0.01, scipy.sparse.csr_matrix((2, 30))]).tocsr())
    words = np.diff(scaled.indptr)
    np.testing.assert_allclose(np.asarray(scaled.sum(axis=1)).ravel(), words)
    assert np.isfinite(scaled.data).all()
