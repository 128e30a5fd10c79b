"""NASH and its relatives: gradients through bits and noise, what is stored, settings."""

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse
from autograd import grad

from helpers import small
from nphash.codes import unpack
from nphash.errors import InputError
from nphash.hashers import ClassifierSettings, Training, nash
from nphash.hashers.nash import Nash, NashDN, NashDNS, NashN
from nphash.hashers.networks import targets
from nphash.nn.ops import sigmoid

X, y = small.documents()
SYSTEMS = [Nash, NashN, NashDN, NashDNS]
LABELS = {
    "classes": targets(y)[0],
    "indicator": scipy.sparse.csr_matrix(np.eye(3, dtype=bool)[y] | (X.toarray()[:, :3] > 1)),
}


def model(cls, **params):
    settings = {"hidden": (7, 6), "kl_weight": 0.7, "training": Training(epochs=4, dtype="float64")}
    hasher = cls(5, **{**settings, **params})
    hasher.n_labels_ = 3
    return hasher


def start(hasher, seed=0):
    params = hasher.initial_params(X, X, seed)
    rng = np.random.default_rng(seed)
    return {name: array + 0.1 * rng.normal(size=array.shape) for name, array in params.items()}


def smooth_sample(logits, uniform):
    """A differentiable stand-in with the straight-through gradient: z0 + p(a) - p0, z0 and p0 constant."""
    if smooth_sample.base is None:
        p, _ = sigmoid(logits)
        smooth_sample.base = (p > uniform) - p
    p, back = sigmoid(logits)
    return smooth_sample.base + p, back


@pytest.mark.parametrize("cls", SYSTEMS)
@pytest.mark.parametrize("labels", ["classes", "indicator"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_every_gradient_is_numeric_where_the_step_is_replaced_by_its_stand_in(
    cls, labels, dropout, monkeypatch
):
    hasher = model(
        cls,
        dropout=dropout,
        **({"labels": ClassifierSettings(weight=1.3, hidden=4)} if cls.supervised else {}),
    )
    params = start(hasher)
    batch = small.batch(X[:9], y=LABELS[labels][:9] if cls.supervised else None, hasher=hasher)
    terms, back = hasher.loss(params, batch)
    gradients = back()
    smooth_sample.base = None
    monkeypatch.setattr(nash, "straight_through_bernoulli", smooth_sample)
    same_terms = small.check_loss_gradients(hasher, params, batch)
    assert same_terms == pytest.approx(terms, rel=1e-12)
    _, same_back = hasher.loss(params, batch)
    for name, gradient in same_back().items():
        assert np.allclose(gradient, gradients[name], rtol=1e-12, atol=1e-12), name


def twin(params, x, draws, z_minus_p, y):
    """NASH-DN-S once more, dense, with autograd and nothing shared with the package."""
    h = 10 * x / anp.linalg.norm(x, axis=1, keepdims=True)
    for i in (1, 2):
        h = anp.maximum(anp.dot(h, params[f"W_{i}"]) + params[f"b_{i}"], 0)
    a = anp.dot(h, params["W_a"]) + params["b_a"]
    p = 1 / (1 + anp.exp(-a))
    code = 2 * (p + z_minus_p) - 1
    decoded = code + draws * anp.exp((anp.dot(h, params["W_n"]) + params["b_n"]) / 2)
    s = anp.dot(decoded, params["W_s"]) + params["b_s"]
    log_p = s - anp.log(anp.sum(anp.exp(s), axis=1, keepdims=True))
    kl = anp.sum(p * anp.log(2 * p) + (1 - p) * anp.log(2 * (1 - p)))
    t = anp.maximum(anp.dot(code, params["W_y1"]) + params["b_y1"], 0)
    q = 1 / (1 + anp.exp(-(anp.dot(t, params["W_y2"]) + params["b_y2"])))
    logistic = -anp.sum(y * anp.log(q) + (1 - y) * anp.log(1 - q))
    return (-anp.sum(x * log_p) + 0.7 * kl + 1.3 * logistic) / len(x)


def test_the_gradients_are_autograds():
    hasher = model(NashDNS, dropout=0.0, labels=ClassifierSettings(weight=1.3, hidden=4))
    params, x = start(hasher), X[:9]
    rng = np.random.default_rng(2)
    uniform, draws = rng.random((9, 5)), rng.normal(size=(9, 5))
    source = small.FixedNoise(random=uniform, standard_normal=draws)
    labels = LABELS["indicator"][:9]
    terms, back = hasher.loss(params, small.batch(x, y=labels, rng=source, hasher=hasher))
    h = np.maximum(
        np.maximum(small.stretched(x) @ params["W_1"] + params["b_1"], 0) @ params["W_2"] + params["b_2"], 0
    )
    p = 1 / (1 + np.exp(-(h @ params["W_a"] + params["b_a"])))
    theirs = (x.toarray(), draws, (p > uniform) - p, labels.toarray().astype(float))
    assert terms["loss"] == pytest.approx(twin(params, *theirs), rel=1e-12)
    expected, gradients = grad(twin)(params, *theirs), back()
    assert gradients.keys() == params.keys()
    for name in params:
        assert np.allclose(gradients[name], expected[name], rtol=1e-7, atol=1e-10), name


def test_stochastic_bits_follow_their_probability_and_deterministic_ones_do_not_move():
    hasher = model(Nash, dropout=0.0)
    params = start(hasher)
    p, _ = sigmoid(hasher._logits(params, X[:9]))
    batches = [small.batch(X[:9], rng=small.FixedNoise(seed), hasher=hasher) for seed in range(2000)]
    codes = [small.decoder_input(hasher, params, batch) for batch in batches]
    assert np.abs((np.mean(codes, axis=0) + 1) / 2 - p).max() < 0.05
    hasher = model(Nash, dropout=0.0, sampling="deterministic")
    for seed in range(3):
        batch = small.batch(X[:9], rng=small.FixedNoise(seed), hasher=hasher)
        assert np.array_equal(small.decoder_input(hasher, params, batch), np.where(p > 0.5, 1.0, -1.0))


def test_noise_has_the_size_asked_for_and_is_off_when_codes_are_stored():
    hasher = model(NashN, noise=(2.0, 0.0), dropout=0.0)
    params = start(hasher)
    for epoch, scale in [(0.0, 2.0), (2.0, 1.0), (4.0, 0.0)]:
        seen = small.decoder_input(hasher, params, small.batch(X, epoch=epoch, hasher=hasher))
        code = small.decoder_input(hasher, params, small.batch(X))  # without noise, of the same bits
        assert set(np.unique(code)) == {-1.0, 1.0}
        assert (seen - code).std() == pytest.approx(scale, rel=0.15)
    for cls in SYSTEMS:
        quiet = model(cls)
        params, batch = start(quiet), small.batch(X, rng=False, hasher=quiet)
        bits = quiet._logits(params, X) > 0
        assert np.array_equal(small.decoder_input(quiet, params, batch), np.where(bits, 1.0, -1.0))


def test_the_size_of_data_dependent_noise_is_the_networks():
    hasher = model(NashDN, dropout=0.0)
    params = start(hasher)
    params["W_n"][:], params["b_n"][:] = 0.0, np.log([0.01, 0.25, 1.0, 4.0, 9.0])
    params_of_code = {name: array for name, array in params.items() if name not in ("W_n", "b_n")}
    differences = []
    for seed in range(30):
        batch = small.batch(X, rng=small.FixedNoise(seed), hasher=hasher)
        code = small.decoder_input(model(Nash, dropout=0.0), params_of_code, batch)
        differences.append(small.decoder_input(hasher, params, batch) - code)
    assert np.allclose(np.concatenate(differences).std(axis=0), [0.1, 0.5, 1.0, 2.0, 3.0], rtol=0.1)


def test_noise_decays_to_plain_nash():
    plain, noisy = model(Nash, dropout=0.0), model(NashN, noise=0.0, dropout=0.0)
    params = start(plain)
    uniform = np.random.default_rng(0).random((60, 5))
    batch = small.batch(X, rng=small.FixedNoise(random=uniform), hasher=plain)
    one, back = plain.loss(params, batch)
    other, back_other = noisy.loss(params, batch)
    assert one == other
    theirs = back_other()
    assert all(np.array_equal(gradient, theirs[name]) for name, gradient in back().items())


@pytest.mark.parametrize("cls", SYSTEMS)
def test_stored_bits_are_those_of_positive_logits(cls):
    hasher = cls(12, hidden=(9,), training=Training(epochs=2), random_state=0).fit(X, y)
    h = np.maximum(small.stretched(X) @ hasher.params_["W_1"] + hasher.params_["b_1"], 0)
    logits = h @ hasher.params_["W_a"] + hasher.params_["b_a"]
    assert np.array_equal(unpack(hasher.transform(X), 12), logits > 0)


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (Nash, {"sampling": "hard"}, r"stochastic, deterministic"),
        (NashN, {"noise": -1}, r"noise"),
        (NashN, {"noise": (1.0, float("inf"))}, r"noise"),
        (NashDN, {"kl_weight": -1}, r"kl_weight"),
        (NashDNS, {"labels": ClassifierSettings(weight=-1)}, r"labels.weight"),
        (NashDNS, {"labels": 5}, r"labels is 5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(cls, params, message):
    with pytest.raises(InputError, match=message):
        cls(8, **params).fit(X, y)


@pytest.mark.parametrize("cls", SYSTEMS)
def test_only_noise_of_a_size_of_its_own_has_weights(cls):
    params = model(cls).initial_params(X, X, 0)
    assert ("W_n" in params) == issubclass(cls, NashDN)
    assert params.get("W_n", params["W_a"]).shape == (6, 5)
