"""VDSH and its supervised forms: Gaussian gradients, medians, the private code."""

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import ClassifierSettings, Training, vdsh
from nphash.hashers.networks import classify, targets
from nphash.hashers.vdsh import Vdsh, VdshS, VdshSP

X, y = small.documents()
SYSTEMS = [Vdsh, VdshS, VdshSP]
CLASSES = targets(y)[0]
INDICATOR = scipy.sparse.csr_matrix(np.eye(3, dtype=bool)[y] | (X.toarray()[:, :3] > 1))


def model(cls, **params):
    settings = {"hidden": (7, 6), "kl_weight": 0.7, "training": Training(epochs=4, dtype="float64")}
    hasher = cls(5, **{**settings, **params})
    hasher.n_labels_ = 3
    return hasher


def start(hasher, seed=0):
    params = hasher.initial_params(X, X, seed)
    rng = np.random.default_rng(seed)
    return {name: array + 0.1 * rng.normal(size=array.shape) for name, array in params.items()}


@pytest.mark.parametrize("cls", SYSTEMS)
@pytest.mark.parametrize("variance", ["free", "sigmoid"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(("labels", "hidden"), [(CLASSES, None), (INDICATOR, 4)])
def test_every_gradient_is_the_numeric_one(cls, variance, dropout, labels, hidden):
    head = {"labels": ClassifierSettings(weight=1.3, hidden=hidden)} if cls.supervised else {}
    hasher = model(cls, variance=variance, dropout=dropout, **head)
    batch = small.batch(X[:9], y=labels[:9] if cls.supervised else None, hasher=hasher)
    terms = small.check_loss_gradients(hasher, start(hasher), batch)
    alpha_labels = 1.3 * terms.get("labels", 0.0)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 0.7 * terms["KL"] + alpha_labels)


def twin(params, x, draws, draws_v, y, bounded):
    """VDSH-SP once more, dense, with autograd and nothing shared with the package."""

    def normal(name, mean, spread, draws):
        h = 10 * x / anp.linalg.norm(x, axis=1, keepdims=True)
        for i in (1, 2):
            h = anp.maximum(anp.dot(h, params[f"W_{name}{i}"]) + params[f"b_{name}{i}"], 0)
        mu = anp.dot(h, params[f"W_{mean}"]) + params[f"b_{mean}"]
        lv = anp.dot(h, params[f"W_{spread}"]) + params[f"b_{spread}"]
        lv = 1 / (1 + anp.exp(-lv)) if bounded else lv
        kl = 0.5 * anp.sum(mu**2 + anp.exp(lv) - 1 - lv)
        return mu + draws * anp.exp(lv) ** 0.5, kl

    z, kl_z = normal("", "a", "l", draws)
    v, kl_v = normal("v", "va", "vl", draws_v)
    s = anp.dot(z + v, params["W_s"]) + params["b_s"]
    log_p = s - anp.log(anp.sum(anp.exp(s), axis=1, keepdims=True))
    scores = anp.dot(z, params["W_y1"]) + params["b_y1"]
    log_q = scores - anp.log(anp.sum(anp.exp(scores), axis=1, keepdims=True))
    cross_entropy = -anp.sum(log_q[np.arange(len(x)), y])
    return (-anp.sum(x * log_p) + 0.7 * (kl_z + kl_v) + 1.3 * cross_entropy) / len(x)


@pytest.mark.parametrize("variance", ["free", "sigmoid"])
def test_the_gradients_are_autograds(variance):
    hasher = model(VdshSP, variance=variance, dropout=0.0, labels=ClassifierSettings(weight=1.3, hidden=None))
    params, x = start(hasher), X[:9]
    draws, draws_v = np.random.default_rng(2).normal(size=(2, 9, 5))

    class Source:
        pending = [draws, draws_v] * 2

        def standard_normal(self, shape):
            return self.pending.pop(0)

    terms, back = hasher.loss(params, small.batch(x, y=CLASSES[:9], rng=Source(), hasher=hasher))
    theirs = (x.toarray(), draws, draws_v, CLASSES[:9], variance == "sigmoid")
    assert terms["loss"] == pytest.approx(twin(params, *theirs), rel=1e-12)
    expected, gradients = grad(twin)(params, *theirs), back()
    assert gradients.keys() == params.keys()
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-7, atol=1e-10), name


def test_the_published_variance_is_never_below_the_priors():
    hasher = model(Vdsh, variance="sigmoid", dropout=0.0)
    params = start(hasher)
    params["W_l"][:], params["b_l"][:] = 0, [-50, -1, 0, 1, 50]
    spread = []
    for seed in range(60):
        sources = (small.FixedNoise(seed), False)
        batches = [small.batch(X, rng=source, hasher=hasher) for source in sources]
        drawn, mean = (small.decoder_input(hasher, params, batch) for batch in batches)
        spread.append(drawn - mean)
    variance = np.concatenate(spread).var(axis=0)
    assert np.allclose(variance, np.exp(1 / (1 + np.exp([50.0, 1, 0, -1, -50]))), rtol=0.1)
    assert (variance > 0.95).all() and (variance < np.e * 1.05).all()


def test_the_decoder_sees_both_codes_and_the_classifier_the_shared_one(monkeypatch):
    hasher = model(VdshSP, dropout=0.0)
    params = start(hasher)
    classified = []
    monkeypatch.setattr(vdsh, "classify", lambda w, code, y: classified.append(code) or classify(w, code, y))
    seen = small.decoder_input(hasher, params, small.batch(X, y=CLASSES, rng=False, hasher=hasher))
    shared = hasher._logits(params, X)
    h = np.maximum(small.stretched(X) @ params["W_v1"] + params["b_v1"], 0)
    private = np.maximum(h @ params["W_v2"] + params["b_v2"], 0) @ params["W_va"] + params["b_va"]
    assert np.allclose(classified[0], shared)
    assert np.allclose(seen, shared + private)


def test_labels_leave_the_private_encoder_alone():
    hasher = model(VdshSP, dropout=0.0, kl_weight=0.0, labels=ClassifierSettings(weight=1.0))
    params = start(hasher)
    gradients = []
    for weight in (1.0, 100.0):
        hasher.labels = ClassifierSettings(weight=weight)
        gradients.append(hasher.loss(params, small.batch(X, y=CLASSES, hasher=hasher))[1]())
    for name in params:
        private = name.startswith(("W_v", "b_v", "W_s", "b_s", "W_va", "W_vl"))
        assert np.allclose(gradients[0][name], gradients[1][name]) == private, name


@pytest.mark.parametrize("cls", SYSTEMS)
def test_bits_are_cut_at_the_median_of_the_training_documents(cls):
    many, classes = small.documents(90)
    hasher = cls(12, hidden=(9,), training=Training(epochs=2), random_state=0).fit(many, classes)
    bits = unpack(hasher.transform(many), 12)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02
    h = np.maximum(small.stretched(many) @ hasher.params_["W_1"] + hasher.params_["b_1"], 0)
    mu = h @ hasher.params_["W_a"] + hasher.params_["b_a"]
    assert np.allclose(np.median(mu, axis=0), hasher.params_["median"], atol=1e-6)
    assert np.allclose(hasher.decision_function(many), mu - np.median(mu, axis=0), atol=1e-5)


def test_the_validator_sees_codes_cut_at_the_median(monkeypatch):
    seen = []
    monkeypatch.setattr(
        Vdsh,
        "encode",
        lambda self, params, X: seen.append(sorted(params)) or np.zeros((X.shape[0], 8), np.uint8),
    )
    Vdsh(5, hidden=(4,), training=Training(epochs=2)).fit(X, y, X_valid=X[:9], y_valid=y[:9])
    assert len(seen) == 4
    assert all("median" in names for names in seen)


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (Vdsh, {"variance": "small"}, r"free, sigmoid"),
        (VdshS, {"labels": ClassifierSettings(hidden=0)}, r"labels.hidden"),
        (VdshSP, {"labels": ClassifierSettings(weight=float("nan"))}, r"labels.weight"),
    ],
)
def test_settings_that_make_no_sense_are_refused(cls, params, message):
    with pytest.raises(InputError, match=message):
        cls(8, **params).fit(X, y)
