import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive, small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import Training
from nphash.hashers.srbm import StackedRBM, contrastive_divergence, pretrain, scale_to_counts

X, y = small.documents(120, 40)
FEW, _ = small.documents(100, 30)
QUICK = Training(epochs=3, batch_size=30)


def model(**params):
    defaults = {"hidden": (7, 6), "pretraining_epochs": 1, "training": QUICK, "random_state": 0}
    return StackedRBM(5, **{**defaults, **params})


@pytest.mark.parametrize("hidden", [(6,), (7, 6)])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_gradients_of_fine_tuning(hidden, noise):
    hasher = model(hidden=hidden, noise=noise)
    x = X[:12].astype(np.float64)
    params = hasher.initial_params(x, 0)
    assert {array.dtype for array in params.values()} == {np.dtype(np.float64)}
    small.check_loss_gradients(hasher, params, small.batch(x, hasher=hasher))


def test_the_halves_start_with_the_same_weights():
    params = model().initial_params(X.astype(np.float32), 0)
    for i in (1, 2, 3):
        np.testing.assert_array_equal(params[f"U_{i}"], params[f"W_{i}"].T)
    assert params["W_1"].shape == (40, 7) and params["W_3"].shape == (6, 5)


def test_noise_grows_over_the_epochs_and_is_off_without_a_source():
    hasher = model(noise=(0.0, 4.0))
    params = hasher.initial_params(X.astype(np.float64), 0)
    quiet = hasher.loss(params, small.batch(X, rng=False))[0]["loss"]
    first = hasher.loss(params, small.batch(X, epoch=0.0, hasher=hasher))[0]["loss"]
    last = hasher.loss(params, small.batch(X, epoch=3.0, hasher=hasher))[0]["loss"]
    assert first == pytest.approx(quiet) and last != quiet


def test_bits_are_balanced_by_medians():
    bits = unpack(model(training=Training(epochs=3, batch_size=30, validation_share=0.0)).fit_transform(X), 5)
    assert np.abs(bits.mean(axis=0) - 0.5).max() <= 0.02


def test_bits_tell_topics_apart():
    hasher = StackedRBM(8, hidden=(20,), training=Training(epochs=30, batch_size=30), random_state=0)
    bits = unpack(hasher.fit_transform(X), 8)
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    same = y[:, None] == y
    assert distance[same].mean() < 0.8 * distance[~same].mean()


def test_only_the_most_frequent_words_are_used():
    hasher = model(words=10, training=Training(epochs=1, validation_share=0.0)).fit(X)
    frequency = np.diff(X.tocsc().indptr)
    assert len(hasher.kept_) == 10
    assert frequency[hasher.kept_].min() >= np.sort(frequency)[-10]
    others = np.setdiff1d(np.arange(40), hasher.kept_)
    changed = X.toarray()
    changed[:, others] = 3
    np.testing.assert_array_equal(hasher.transform(changed), hasher.transform(X))


def test_the_scale_of_the_weights_does_not_matter():
    first, second = model().fit_transform(X), model().fit_transform(X * 0.125)
    np.testing.assert_array_equal(first, second)


def test_labels_choose_the_epoch_by_precision_and_documents_alone_by_the_bound():
    assert "P@100" in model().fit(X, y, X_valid=X[:20], y_valid=y[:20]).history_[0]
    assert "bound" in model().fit(X, X_valid=X[:20]).history_[0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hidden": ()}, "hidden"),
        ({"hidden": (0,)}, "hidden"),
        ({"words": 0}, "words"),
        ({"pretraining_epochs": -1}, "pretraining"),
        ({"pretraining_rate": 0.0}, "pretraining"),
        ({"noise": -1.0}, "noise"),
        ({"training": 3}, "training"),
    ],
)
def test_wrong_parameters(wrong, words):
    with pytest.raises(InputError, match=words):
        model(**wrong).fit(X)


# ---------------------------------------------------------------- pretraining


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
        FEW, rng.standard_normal((30, 4)), np.zeros(4), np.zeros(30), rng.random((100, 4))
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
    v = FEW.astype(np.float32)
    first, second = pretrain(v, 4, 1, 0.02, [1, 2]), pretrain(v, 4, 1, 0.02, [1, 2])
    for one, other in zip(first, second, strict=True):
        assert one.dtype == np.float32 and one.tobytes() == other.tobytes()
    assert first[0].tobytes() != pretrain(v, 4, 1, 0.02, [1, 3])[0].tobytes()


def test_documents_scaled_to_counts():
    scaled = scale_to_counts(scipy.sparse.vstack([FEW * 0.01, scipy.sparse.csr_matrix((2, 30))]).tocsr())
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
    _, _, c = pretrain(FEW, 3, 0, 0.1, [5])
    counts = np.asarray(FEW.sum(axis=0)).ravel()
    assert (np.argsort(c) == np.argsort(counts)).mean() > 0.8 and c[counts.argmax()] == c.max()


def test_one_step_by_hand():
    v = np.array([[1.0, 0.0]])
    (dW, _, _), p = contrastive_divergence(v, np.zeros((2, 1)), np.zeros(1), np.zeros(2), np.zeros((1, 1)))
    assert dW.ravel().tolist() == [0.25, -0.25] and p.tolist() == [[0.5]]  # reconstructed is a half


def test_counts_by_hand():
    scaled = scale_to_counts(scipy.sparse.csr_matrix([[0.1, 0.3, 0.0]])).toarray()
    np.testing.assert_allclose(scaled, [[0.5, 1.5, 0.0]])
