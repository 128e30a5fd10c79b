import numpy as np
import pytest

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import Training
from nphash.hashers.srbm import StackedRBM

X, y = small.documents(120, 40)
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
