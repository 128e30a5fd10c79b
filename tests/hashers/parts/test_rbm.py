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


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.01, 3.0, 1000.0]))
def test_counts_do_not_depend_on_the_scale(seed, factor):
    rows = scipy.sparse.random(8, 6, 0.5, "csr", random_state=seed)
    scaled, other = scale_to_counts(rows), scale_to_counts(rows * factor)
    np.testing.assert_allclose(other.toarray(), scaled.toarray(), rtol=1e-9)
    np.testing.assert_array_equal(scaled.indices, rows.indices)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), words=st.booleans())
def test_sampled_units_change_the_visible_side_only_through_the_draw(seed, words):
    """With random numbers of one no unit is on, with zeros all are: the reconstruction is known then."""
    rng = np.random.default_rng(seed)
    v = rng.poisson(1.0, (4, 5)).astype(float) if words else rng.random((4, 5))
    data = scipy.sparse.csr_matrix(v) if words else v
    W, b, c = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(5)
    for uniform, h in ((np.ones((4, 3)), 0.0), (np.zeros((4, 3)), 1.0)):
        (_, _, dc), p = contrastive_divergence(data, W, b, c, uniform)
        scores = np.full((4, 3), h) @ W.T + c
        if words:
            shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            expected = v.sum(axis=1, keepdims=True) * shares
        else:
            expected = 1 / (1 + np.exp(-scores))
        np.testing.assert_allclose(dc, (v - expected).mean(axis=0), atol=1e-9)
        assert ((p > 0) & (p < 1)).all()


def test_pretraining_without_epochs_is_the_initialisation():
    W, b, c = pretrain(np.full((6, 4), 0.5), 3, 0, 0.1, [5])
    expected = 0.1 * np.random.default_rng([5]).standard_normal((4, 3))
    np.testing.assert_array_equal(W, expected)
    assert not b.any() and not c.any()


def test_visible_biases_of_words_start_at_their_frequencies():
    _, _, c = pretrain(X, 3, 0, 0.1, [5])
    counts = np.asarray(X.sum(axis=0)).ravel()
    assert (np.argsort(c) == np.argsort(counts)).mean() > 0.8 and c[counts.argmax()] == c.max()
