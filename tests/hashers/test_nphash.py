"""The package's own method: its graph, its loss and gradients, its choice of epochs."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash import hashers
from nphash.errors import InputError, Interrupted
from nphash.hashers import Training, doc2hash
from nphash.hashers import nphash as method
from nphash.hashers.neighbours import rounds
from nphash.hashers.nphash import NeighbourSettings, NpHash
from nphash.metrics import precision_at_k
from nphash.nn import gumbel
from nphash.nn.losses import NUMPY

X, y = small.documents(n=120, words=30, topics=3)
UNIT = small.unit_rows(X).astype(np.float64)


def model(**params):
    training = Training(epochs=2, average=0.9, dtype="float64")
    given = {"hidden": (6,), "dropout": 0.0, "training": training, "random_state": 0, **params}
    return NpHash(5, **given)


def batch_of(hasher, rows, X=UNIT):
    context = hasher._context(X, seed=0)
    params = hasher.initial_params(X, X, 0, context)
    batch = replace(small.batch(X[rows], hasher=hasher), rows=rows, context=context)
    return params, batch


@pytest.fixture
def relaxed(monkeypatch):
    """The relaxed sample instead of the hard one, whose numeric gradient is zero."""
    monkeypatch.setitem(doc2hash.SAMPLING, "straight-through", gumbel.relaxed_bits)


@pytest.mark.parametrize("weight", [0.0, 1.7])
def test_gradients_of_the_whole_loss(relaxed, weight):
    hasher = model(similarity=NeighbourSettings(weight=weight, lsi=9, graph_lsi=4, eigenmap=5))
    params, batch = batch_of(hasher, np.array([0, 3, 7, 50, 90]))
    grads = hasher.loss(params, batch)[1]()
    assert set(grads) == set(params) - {"V_u"}  # the LSI components are constants
    for name, grad in grads.items():
        entries = np.random.default_rng(1).permutation(grad.size)[:40]
        numeric = small.numeric_gradient(
            lambda: hasher.loss(params, batch)[0]["loss"], params[name], entries=entries
        )
        numeric, analytic = np.ravel(numeric)[entries], grad.ravel()[entries]
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-7 * max(1, np.abs(grad).max()))


def test_straight_through_takes_the_relaxed_gradient_at_hard_bits():
    params, batch = batch_of(model(), np.arange(8))
    terms, back = model().loss(params, batch)
    assert set(np.unique(small.decoder_input(model(), params, batch))) <= {-1.0, 1.0}
    assert np.isfinite(terms["loss"])
    assert any(np.abs(grad).max() > 0 for grad in back().values())


def test_the_target_is_the_document_and_one_of_its_neighbours():
    hasher = model()
    _, batch = batch_of(hasher, np.array([2, 40]))
    target = hasher._with_neighbour(batch) - batch.target
    for row, neighbours in enumerate(batch.context.neighbours[[2, 40]]):
        distances = [abs(target[row] - UNIT[j]).sum() for j in neighbours]
        assert min(distances) < 1e-12


def test_neighbours_and_teacher_follow_the_topics():
    hasher = model()
    alike = hasher._context(UNIT, seed=0)
    same = y[alike.neighbours] == y[:, None]
    assert same.mean() > 0.8
    assert not (alike.neighbours == np.arange(len(y))[:, None]).any()
    np.testing.assert_allclose(np.linalg.norm(alike.teacher, axis=1), 1, rtol=1e-5)


def test_the_encoder_reads_lsi_and_the_teachers_coordinates(monkeypatch):
    monkeypatch.setattr(rounds, "SHARES", (1.0,))  # no LSI in the teacher
    hasher = model(similarity=NeighbourSettings(lsi=9, eigenmap=5))
    params, batch = batch_of(hasher, np.arange(3))
    assert params["V_u"].shape == (30, 9 + 5)
    place = UNIT @ params["V_u"][:, 9:]
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    np.testing.assert_allclose(place, batch.context.teacher, atol=1e-4)


def test_without_labels_the_last_epoch_is_kept_and_all_documents_are_learned_from():
    given = model().fit(UNIT, X_valid=UNIT[:20])
    assert given.best_epoch_ == 2
    assert all((given.params_[name] == array).all() for name, array in model().fit(UNIT).params_.items())
    by_labels = model().fit(UNIT, y, X_valid=UNIT[:20], y_valid=y[:20])
    assert "P@100" in by_labels.history_[0]


def test_goes_on_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)

    def interrupt(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        model().fit(UNIT, callback=interrupt, checkpoint=str(tmp_path / "kept"))
    seen = []
    resumed = model().fit(UNIT, callback=seen.append, checkpoint=tmp_path / "kept")
    assert seen[0].epoch == 2
    straight = model().fit(UNIT)
    assert all((resumed.params_[name] == array).all() for name, array in straight.params_.items())
    assert not (tmp_path / "kept").exists()


def test_without_context_the_loss_is_the_bound():
    hasher = model()
    params = hasher.initial_params(UNIT, UNIT, seed=0)
    terms, _ = hasher.loss(params, small.batch(UNIT[:6], rng=False, hasher=hasher))
    assert terms["distillation"] == 0
    bound = hasher.elbo(params, UNIT[:6], UNIT[:6])
    assert bound == pytest.approx(-(terms["reconstruction"] + 0.2 * terms["KL"]))


def test_learns_topics_without_labels():
    X, y = small.documents(n=400, words=60, topics=4, seed=1)
    X_test, y_test = small.documents(n=100, words=60, topics=4, seed=2)
    hasher = NpHash(16, hidden=(32,), random_state=0, training=Training(epochs=60, average=0.98))
    database = hasher.fit_transform(small.unit_rows(X))
    figure = precision_at_k(hasher.transform(small.unit_rows(X_test)), y_test, database, y, 16, k=20)
    assert figure > 0.8  # by chance 0.25


def test_codes_are_read_from_encoder_regression_and_decoder():
    hasher = model().fit(UNIT)
    params, x = hasher.params_, UNIT[:7]
    u = method.coordinates(params, x, NUMPY)
    h = np.maximum(u @ params["W_1"] + params["b_1"], 0)
    parts = [h @ params["W_a"] + params["b_a"], x @ params["W_g"], x @ params["W_s"].T]
    a, g, s = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
    r = np.minimum(1, 2 / np.sqrt(np.diff(x.indptr)))[:, None]
    np.testing.assert_allclose(hasher.decision_function(x), 0.75 * a + (1 - r) * g + r * s, rtol=1e-9)
    empty = hasher.decision_function(scipy.sparse.csr_matrix((1, 30)))
    assert np.isfinite(empty).all()
    before = {name: array for name, array in params.items() if name != "W_g"}
    np.testing.assert_allclose(hasher.encoder_logits(before, x), a + s, rtol=1e-9)


def test_words_tell_the_bits_that_encoder_and_decoder_agree_on(monkeypatch):
    monkeypatch.setattr(method, "BITS_AT_ONCE", 3)
    hasher = model().fit(UNIT)
    before = {name: array for name, array in hasher.params_.items() if name != "W_g"}
    dense, bits = UNIT.toarray(), np.sign(hasher._logits(before, UNIT))
    expected = np.linalg.solve(dense.T @ dense + 2 * np.eye(30), dense.T @ bits)
    np.testing.assert_allclose(hasher.params_["W_g"], expected, atol=0.02 * np.abs(expected).max())


def test_a_query_of_one_word_is_near_documents_that_are_about_it():
    X, y = small.documents(n=400, words=60, topics=4, seed=1)
    hasher = NpHash(16, hidden=(32,), random_state=0, training=Training(epochs=40, average=0.98))
    database = hasher.fit_transform(small.unit_rows(X))
    topic_of_word = np.array([X[y == topic].sum(axis=0) for topic in range(4)]).reshape(4, -1).argmax(axis=0)
    words = scipy.sparse.identity(60, format="csr")
    assert precision_at_k(hasher.transform(words), topic_of_word, database, y, 16, k=20) > 0.6


@pytest.mark.parametrize("n", [2, 5, 30, 60])
def test_few_documents(n):
    codes = NpHash(8, hidden=(4,), training=Training(epochs=1), random_state=0).fit_transform(X[:n])
    assert codes.shape == (n, 8)


def test_documents_without_words_and_alike_documents():
    empty = scipy.sparse.vstack([UNIT, scipy.sparse.csr_matrix((20, 30))]).tocsr()
    NpHash(8, hidden=(4,), training=Training(epochs=1), random_state=0).fit(empty)
    same = scipy.sparse.vstack([UNIT[:1]] * 70).tocsr()
    codes = NpHash(8, hidden=(4,), training=Training(epochs=1), random_state=0).fit_transform(same)
    assert (codes == codes[0]).all()


@pytest.mark.parametrize(("n", "epochs"), [(100, 200), (7_747, 20), (50_000, 18), (500_000, 4)])
def test_epochs_fit_the_number_of_documents(n, epochs, monkeypatch):
    hasher = NpHash(8)
    monkeypatch.setattr(method.Doc2Hash, "_fit", lambda self, X, y, **options: None)
    hasher._fit(scipy.sparse.csr_matrix((n, 3)), None)
    assert hasher._training.epochs == epochs
    assert hasher._training.average == 0.998


def test_other_settings_leave_the_number_of_epochs_to_the_documents(monkeypatch, tmp_path):
    hasher = hashers.create("nphash", n_bits=8, training__batch_size=50, training__learning_rate=0.01)
    assert hasher.get_params()["training__epochs"] is None
    monkeypatch.setattr(method.Doc2Hash, "_fit", lambda self, X, y, **options: None)
    hasher._fit(scipy.sparse.csr_matrix((10_000, 3)), None)
    assert (hasher._training.epochs, hasher._training.learning_rate) == (18, 0.01)
    with pytest.raises(InputError, match="epochs is None"):
        hashers.create("doc2hash", training__epochs=None)._check_params()


def test_given_training_stays():
    hasher = NpHash(8, training=Training(epochs=3))
    hasher.n_epochs_ = 50
    assert hasher._training == Training(epochs=3)
    hasher.set_params(training__batch_size=50, training__epochs=None)
    assert hasher._training == Training(epochs=50, batch_size=50)
    assert hashers.create("nphash", training__epochs=7).training == Training(epochs=7, average=0.998)


def test_saved_and_loaded_with_its_settings(tmp_path):
    hasher = model(similarity=NeighbourSettings(weight=0.5), hidden=(4,)).fit(UNIT)
    hashers.save(hasher, tmp_path)
    same = hashers.load(tmp_path)
    assert same.similarity == NeighbourSettings(weight=0.5)
    assert (same.transform(UNIT) == hasher.transform(UNIT)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden": (5, 5)}, "one layer"),
        ({"temperature": (1.0, 0.0)}, "temperature"),
        ({"similarity": 3}, "similarity is 3"),
        ({"similarity": NeighbourSettings(neighbours=0)}, "similarity.neighbours"),
        ({"similarity": NeighbourSettings(rounds=0)}, "similarity.rounds"),
        ({"similarity": NeighbourSettings(weight=-1)}, "similarity.weight"),
        ({"similarity": NeighbourSettings(teacher_temperature=0)}, "similarity.teacher_temperature is 0"),
    ],
)
def test_settings_that_cannot_be(params, message):
    with pytest.raises(InputError, match=message):
        model(**params).fit(UNIT)
