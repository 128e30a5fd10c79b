"""Doc2hash: gradients, the paper's two-logit form, equal bytes, resuming, unusual documents."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from helpers.paths import TESTS
from nphash import Doc2Hash
from nphash.codes import unpack
from nphash.errors import InputError, Interrupted
from nphash.hashers import ClassifierSettings, Training, doc2hash
from nphash.hashers.doc2hash import Doc2HashS
from nphash.nn.gumbel import gumbel_noise, gumbel_softmax, relaxed_bits, straight_through_gumbel
from nphash.nn.losses import categorical_kl, cross_entropy, reconstruction
from nphash.nn.ops import dense

X, y = small.documents()
DOUBLE = Training(epochs=4, dtype="float64")


def model(**params):
    defaults = {"hidden": (7, 6), "kl_weight": 0.7, "temperature": 0.6, "training": DOUBLE}
    return Doc2Hash(5, **{**defaults, **params})


def start(hasher, x=X, seed=0):
    params = hasher.initial_params(x, x, seed)
    rng = np.random.default_rng(seed)
    return {name: array + 0.1 * rng.normal(size=array.shape) for name, array in params.items()}


# --- gradients --------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(6,), (7, 6), (5, 4, 3)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("target", ["input", "binary"])
def test_the_gradients_of_the_relaxed_loss_are_the_numeric_ones(hidden, dropout, target):
    hasher = model(hidden=hidden, dropout=dropout, target=target, sampling="relaxed")
    batch = small.batch(X[:9], hasher._target(X[:9]), hasher=hasher)
    terms = small.check_loss_gradients(hasher, start(hasher), batch)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 0.7 * terms["KL"])


def autograd_loss(params, x, target, mask, noise, tau, beta):
    """The relaxed loss once more, dense and with nothing shared with the package."""
    h = 10 * x / anp.linalg.norm(x, axis=1, keepdims=True)
    for i in (1, 2):
        h = anp.maximum(anp.dot(h, params[f"W_{i}"]) + params[f"b_{i}"], 0)
    a = anp.dot(h * mask, params["W_a"]) + params["b_a"]
    z = 1 / (1 + anp.exp(-(a + noise) / tau))
    s = anp.dot(2 * z - 1, params["W_s"]) + params["b_s"]
    log_p = s - anp.log(anp.sum(anp.exp(s), axis=1, keepdims=True))
    q = 1 / (1 + anp.exp(-a))
    kl = anp.sum(q * anp.log(2 * q) + (1 - q) * anp.log(2 * (1 - q)))
    return (-anp.sum(target * log_p) + beta * kl) / len(x)


def test_the_gradients_of_the_relaxed_loss_are_autograds():
    hasher = model(sampling="relaxed", dropout=0.25)
    params, x = start(hasher), X[:9]
    rng = np.random.default_rng(2)
    uniform, noise = rng.random((9, 6)), rng.logistic(size=(9, 5))
    source = small.FixedNoise(random=uniform, logistic=noise)
    terms, back = hasher.loss(params, small.batch(x, rng=source, hasher=hasher))
    dense_x = x.toarray()
    theirs = (dense_x, dense_x, (uniform >= 0.25) / 0.75, noise, 0.6, 0.7)
    assert terms["loss"] == pytest.approx(autograd_loss(params, *theirs), rel=1e-12)
    expected = grad(autograd_loss)(params, *theirs)
    gradients = back()
    assert gradients.keys() == params.keys()
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-7, atol=1e-9), name


def test_straight_through_sends_the_relaxed_gradient_past_hard_bits(monkeypatch):
    """The step has no numeric gradient; a stand-in with its value and the relaxed slope has."""
    hasher = model(dropout=0.3)
    params, batch = start(hasher), small.batch(X[:9], hasher=hasher)
    terms, back = hasher.loss(params, batch)
    gradients = back()
    base = []

    def stand_in(logits, noise, temperature):
        relaxed, back = relaxed_bits(logits, noise, temperature)
        if not base:
            base.append((logits + noise > 0) - relaxed)
        return base[0] + relaxed, back

    monkeypatch.setitem(doc2hash.SAMPLING, "straight-through", stand_in)
    assert small.check_loss_gradients(hasher, params, batch) == pytest.approx(terms, rel=1e-12)
    for name, gradient in hasher.loss(params, batch)[1]().items():
        assert np.allclose(gradient, gradients[name], rtol=1e-12, atol=1e-12), name


@pytest.mark.parametrize("hidden", [None, 4])
@pytest.mark.parametrize("labels", ["classes", "indicator"])
def test_the_gradients_of_the_supervised_loss_are_the_numeric_ones(hidden, labels):
    hasher = Doc2HashS(5, hidden=(7,), kl_weight=0.7, labels=ClassifierSettings(1.3, hidden), training=DOUBLE)
    hasher.n_labels_, hasher.sampling = 3, "relaxed"
    classes = y[:9] if labels == "classes" else scipy.sparse.csr_matrix(X[:9, :3] > 0)
    terms = small.check_loss_gradients(hasher, start(hasher), small.batch(X[:9], y=classes, hasher=hasher))
    assert terms["loss"] == pytest.approx(
        terms["reconstruction"] + 0.7 * terms["KL"] + 1.3 * terms["labels"], rel=1e-12
    )


def test_the_classifier_sees_the_sampled_code_and_alpha_follows_its_schedule():
    hasher = Doc2HashS(
        5, hidden=(7,), labels=ClassifierSettings((0.0, 8.0), None), training=DOUBLE, dropout=0.0
    )
    hasher.n_labels_ = 3
    params = start(hasher)
    noise = np.random.default_rng(0).logistic(size=(60, 5))
    batch = small.batch(X, y=y, rng=small.FixedNoise(logistic=noise), epoch=1.0, hasher=hasher)
    code = np.where(hasher._logits(params, X) + noise > 0, 1.0, -1.0)
    expected, _ = cross_entropy(code @ params["W_y1"] + params["b_y1"], y)
    terms, _ = hasher.loss(params, batch)
    assert terms["labels"] == pytest.approx(expected, rel=1e-12)
    bound, _ = hasher.loss(params, replace(batch, y=None))
    assert terms["loss"] == pytest.approx(bound["loss"] + 2.0 * expected, rel=1e-12)


def test_labels_move_what_codes_tell_apart():
    many, _ = small.documents(600, 40)
    classes = many[:, 7].toarray()[:, 0] > 0  # of no weight in the reconstruction
    settings = Training(epochs=15, batch_size=20, learning_rate=0.005)
    labelled = Doc2HashS(
        8,
        hidden=(20,),
        dropout=0.2,
        labels=ClassifierSettings((0.0, 100.0)),
        training=settings,
        random_state=0,
    ).fit(many, classes)
    plain = Doc2Hash(8, hidden=(20,), training=settings, random_state=0).fit(many, classes)
    best = [max(record["P@100"] for record in h.history_) for h in (labelled, plain)]
    assert best[0] > best[1] + 0.1


def test_schedules_set_temperature_and_divergence_weight_of_the_moment():
    hasher = model(temperature=(1.0, 0.2), kl_weight=(0.0, 2.0), sampling="relaxed")
    params = start(hasher)
    for epoch, beta, tau in [(0.0, 0.0, 1.0), (2.0, 1.0, 0.6), (4.0, 2.0, 0.2)]:
        terms, _ = hasher.loss(params, small.batch(X, epoch=epoch, hasher=hasher))
        assert terms["loss"] == pytest.approx(terms["reconstruction"] + beta * terms["KL"])
        constant = model(temperature=tau, kl_weight=beta, sampling="relaxed")
        assert constant.loss(params, small.batch(X, hasher=constant))[0] == pytest.approx(terms)


# --- the paper's form: two logits a bit, Gumbel noise --------------------------------------------


@pytest.mark.parametrize("sampling", ["relaxed", "straight-through"])
def test_one_logit_a_bit_is_the_papers_two(sampling):
    hasher = model(sampling=sampling, dropout=0.0)
    params, x, tau, beta = start(hasher), X[:9], 0.6, 0.7
    rng = np.random.default_rng(4)
    noise = gumbel_noise(rng, (9, 5, 2))
    source = small.FixedNoise(logistic=noise[..., 1] - noise[..., 0])
    terms, back = hasher.loss(params, small.batch(x, rng=source, hasher=hasher))
    one = back()

    h = small.stretched(x)
    for i in (1, 2):
        h = np.maximum(h @ params[f"W_{i}"] + params[f"b_{i}"], 0)
    shift = rng.normal(size=(9, 5))  # what two logits have in common changes nothing
    a = h @ params["W_a"] + params["b_a"]
    logits = np.stack([shift, shift + a], axis=-1)  # (B, L, 2)
    sample = gumbel_softmax if sampling == "relaxed" else straight_through_gumbel
    z, back_z = sample(logits, noise, tau)
    decoder = np.stack([-params["W_s"], params["W_s"]], axis=1).reshape(10, -1)  # (2L, V)
    s, back_s = dense(z.reshape(9, 10), decoder, params["b_s"])
    likelihood, back_likelihood = reconstruction(s, x)
    kl, back_kl = categorical_kl(logits)

    assert terms["reconstruction"] == pytest.approx(likelihood, rel=1e-12)
    assert terms["KL"] == pytest.approx(kl, rel=1e-12)
    dz, ddecoder, db_s = back_s(back_likelihood())
    dlogits = back_z(dz.reshape(9, 5, 2)) + back_kl(beta)
    assert np.allclose(dlogits[..., 0], -dlogits[..., 1])
    assert np.allclose(h.T @ dlogits[..., 1], one["W_a"], rtol=1e-9, atol=1e-12)
    assert np.allclose(dlogits[..., 1].sum(axis=0), one["b_a"], rtol=1e-9, atol=1e-12)
    ddecoder = ddecoder.reshape(5, 2, -1)
    assert np.allclose(ddecoder[:, 1] - ddecoder[:, 0], one["W_s"], rtol=1e-9, atol=1e-12)
    assert np.allclose(db_s, one["b_s"], rtol=1e-9, atol=1e-12)


# --- same seed, same bytes -------------------------------------------------------------------------


def fit(x=X, labels=y, **options):
    params = {key: options.pop(key) for key in list(options) if key in ("threads", "random_state", "n_bits")}
    hasher = Doc2Hash(
        **{"n_bits": 12, "hidden": (9, 8), "random_state": 1, **params},
        training=options.pop("training", Training(epochs=3, batch_size=16)),
    )
    return hasher.fit(x, labels, **options)


def same_bytes(one, other):
    assert one.params_.keys() == other.params_.keys()
    return all(one.params_[name].tobytes() == other.params_[name].tobytes() for name in one.params_)


@pytest.mark.parametrize("labels", [None, y])
def test_the_number_of_threads_changes_no_byte(labels):
    wide, _ = small.documents(300, 700)
    labels = None if labels is None else np.arange(300) % 3
    one = fit(wide, labels, threads=1)
    for threads in (2, 8):
        many = fit(wide, labels, threads=threads)
        assert same_bytes(one, many)
        assert one.history_ == many.history_
        assert np.array_equal(one.transform(wide), many.transform(wide))


def test_the_seed_decides_and_generators_give_seeds():
    assert same_bytes(fit(random_state=1), fit(random_state=1))
    assert not same_bytes(fit(random_state=1), fit(random_state=2))
    assert not same_bytes(fit(random_state=None), fit(random_state=None))
    for kind in (np.random.default_rng, np.random.RandomState):
        assert same_bytes(fit(random_state=kind(5)), fit(random_state=kind(5)))


def test_dense_and_sparse_documents_give_the_same_model():
    assert same_bytes(fit(X), fit(X.toarray()))


def test_a_documents_code_does_not_depend_on_its_company():
    wide, _ = small.documents(700, 90)
    hasher = fit(wide, None)
    together = hasher.transform(wide)
    for rows in (slice(0, 1), slice(690, 700), slice(100, 460)):
        assert np.array_equal(hasher.transform(wide[rows]), together[rows])


# --- interrupted and taken up -----------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 4), (3, 1), (4, 3)])
def test_after_ctrl_c_a_fit_goes_on_to_the_same_bytes(epoch, step, tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    settings = Training(epochs=4, batch_size=16)

    def interrupt(progress):
        if (progress.epoch, progress.step) == (epoch, step):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"epoch {epoch + (step == 4)} of 4"):
        fit(training=settings, callback=interrupt, checkpoint=tmp_path)
    resumed = fit(training=settings, checkpoint=tmp_path, threads=2)
    whole = fit(training=settings)
    assert same_bytes(resumed, whole)
    assert (resumed.history_, resumed.best_epoch_) == (whole.history_, whole.best_epoch_)


KILLED = """
import os, signal, sys
from helpers import small
from nphash import Doc2Hash
from nphash.hashers import Training
from nphash.hashers.training import checkpoint
checkpoint.WRITING_SHARE = 1e9
X, y = small.documents()
def kill(progress):
    if (progress.epoch, progress.step) == (3, 2):
        os.kill(os.getpid(), signal.SIGKILL)
Doc2Hash(12, hidden=(9, 8), random_state=1, training=Training(epochs=4, batch_size=16)).fit(
    X, y, checkpoint=sys.argv[1], callback=kill)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_after_kill_9_a_fit_goes_on_to_the_same_bytes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoint.npz").exists()
    seen = []
    settings = Training(epochs=4, batch_size=16)
    resumed = fit(training=settings, checkpoint=tmp_path, callback=lambda p: seen.append(p.epoch))
    assert min(seen) == 3
    assert same_bytes(resumed, fit(training=settings))


def test_a_checkpoint_needs_a_seed_to_come_back_to(tmp_path):
    with pytest.raises(InputError, match=r"random_state is None.*number"):
        fit(random_state=None, checkpoint=tmp_path)


# --- the choice of the best epoch -------------------------------------------------------------------


def test_with_labels_precision_chooses_and_without_the_bound():
    X_valid, y_valid = small.documents(30, seed=1)
    labelled = fit(X_valid=X_valid, y_valid=y_valid)
    assert "P@60" in labelled.history_[0]
    for options in ({"labels": None}, {}):
        assert "bound" in fit(X_valid=X_valid, **options).history_[0]
    figures = [record["P@60"] for record in labelled.history_]
    assert labelled.best_epoch_ == 1 + int(np.argmax(figures))


def test_documents_are_held_out_where_there_are_enough():
    many, classes = small.documents(150)
    hasher = fit(many, classes)
    assert "P@100" in hasher.history_[0]
    assert "bound" in fit(many, None).history_[0]
    few = fit()
    assert "epoch" in few.history_[0] and few.best_epoch_ == 3
    with pytest.raises(InputError, match=r"leaves nothing to learn from"):
        fit(many, classes, training=Training(validation_share=0.99999))


def test_the_kept_weights_are_those_of_the_best_epoch():
    X_valid, y_valid = small.documents(30, seed=1)
    kept = []

    def keep(progress):
        if progress.step == progress.steps:
            kept.append({name: array.copy() for name, array in progress.params.items()})

    hasher = fit(
        X_valid=X_valid, y_valid=y_valid, callback=keep, training=Training(epochs=6, learning_rate=0.01)
    )
    for name, array in kept[hasher.best_epoch_ - 1].items():
        assert np.array_equal(hasher.params_[name], array)


def test_patience_ends_a_fit_early():
    X_valid, y_valid = small.documents(30, seed=1)
    hasher = fit(
        X_valid=X_valid,
        y_valid=y_valid,
        training=Training(epochs=60, batch_size=16, learning_rate=0.01, patience=2),
    )
    assert hasher.n_iter_ == hasher.best_epoch_ + 2 < 60


def test_the_bound_rises_with_training_and_is_one_of_a_hard_code():
    hasher = model(hidden=(16,), training=Training(epochs=40, batch_size=16, learning_rate=0.01))
    hasher.random_state = 0
    target = X.astype(np.float32)
    hasher.fit(X)
    assert hasher.elbo(hasher.params_, target, target) > hasher.elbo(
        hasher.initial_params(target, target, 0), target, target
    )
    p, bits = hasher.params_, unpack(hasher.transform(X), 5)
    s = np.where(bits, 1.0, -1.0) @ p["W_s"] + p["b_s"]
    log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    a = hasher.decision_function(X).astype(np.float64)
    q = 1 / (1 + np.exp(-a))
    kl = (q * np.log(2 * q) + (1 - q) * np.log(2 * (1 - q))).sum(axis=1)
    expected = (X.toarray() * log_p).sum(axis=1).mean() - 0.7 * kl.mean()
    assert hasher.elbo(p, target, target) == pytest.approx(expected, rel=1e-4)


def test_topics_are_told_apart():
    many, classes = small.documents(200, 60)
    hasher = fit(
        small.unit_rows(many), classes, training=Training(epochs=25, batch_size=20, learning_rate=0.005)
    )
    assert max(record["P@100"] for record in hasher.history_) > 0.6  # a third by chance


# --- unusual documents and settings --------------------------------------------------------------------


@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(lambda x: x[:2], id="two documents"),
        pytest.param(lambda x: x[:5], id="fewer documents than a batch and than bits"),
        pytest.param(lambda x: scipy.sparse.vstack([x, 0 * x[:7]]), id="empty documents"),
        pytest.param(lambda x: 0 * x, id="nothing but empty documents"),
        pytest.param(lambda x: x[[3] * 20], id="the same document twenty times"),
        pytest.param(lambda x: scipy.sparse.csr_matrix(np.ones((20, 1))), id="one word in every document"),
        pytest.param(
            lambda x: scipy.sparse.csr_matrix(np.eye(20, 40)[:, ::-1]), id="every document its own word"
        ),
        pytest.param(lambda x: 1e6 * x, id="heavy weights"),
        pytest.param(lambda x: 1e-6 * x, id="light weights"),
    ],
)
@pytest.mark.parametrize("target", ["input", "binary"])
def test_unusual_documents_give_finite_weights_and_codes(unusual, target):
    x = scipy.sparse.csr_matrix(unusual(X))
    hasher = Doc2Hash(12, hidden=(6,), target=target, training=Training(epochs=3), random_state=0).fit(x)
    assert all(np.isfinite(array).all() for array in hasher.params_.values())
    codes = hasher.transform(x)
    assert codes.shape == (x.shape[0], 8)
    assert np.array_equal(codes, hasher.transform(x.toarray()))


def test_equal_documents_have_equal_codes_and_the_empty_one_its_own():
    hasher = fit()
    codes = hasher.transform(scipy.sparse.vstack([X[:1], 0 * X[:1], X[:1], 0 * X[:1]]))
    assert np.array_equal(codes[0], codes[2]) and np.array_equal(codes[1], codes[3])
    empty = scipy.sparse.csr_matrix((0, 40))
    with pytest.raises(InputError, match=r"0 sample\(s\)"):
        hasher.transform(empty)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden": ()}, "hidden"),
        ({"hidden": 500}, "hidden"),
        ({"hidden": (0,)}, "hidden"),
        ({"hidden": (2.5,)}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": "some"}, "dropout"),
        ({"sampling": "gumbel"}, "straight-through, relaxed"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": (1.0, 0.0)}, "temperature"),
        ({"temperature": (0.0, 1.0)}, "temperature"),
        ({"temperature": "cold"}, "schedule"),
        ({"kl_weight": -0.1}, "kl_weight"),
        ({"kl_weight": (0.1, float("nan"))}, "kl_weight"),
        ({"target": "words"}, "input, binary"),
        ({"training": 20}, "training"),
        ({"training": Training(epochs=0)}, "epochs"),
        ({"random_state": -1}, "random_state"),
        ({"threads": 0}, "threads"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_learning(params, message):
    with pytest.raises(InputError, match=message):
        Doc2Hash(**{"n_bits": 8, **params}).fit(X)
