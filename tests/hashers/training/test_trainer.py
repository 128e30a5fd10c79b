"""The epoch loop, with a model small enough to see through."""

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash.engine import lazy_rows
from nphash.engine.profiling import Profile
from nphash.errors import InputError, Interrupted
from nphash.hashers import ClassifierSettings, Training
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training import trainer
from nphash.hashers.training.trainer import Data, train
from nphash.nn.schedules import Exponential


class Mean:
    """Learns the mean row: loss |w - x|^2 / 2 a document. Keeps every batch it was shown."""

    def __init__(self):
        self.batches = []

    def __repr__(self):
        return "Mean()"

    def schedules(self):
        return {}

    def loss(self, params, batch):
        self.batches.append(batch)
        x = batch.x.toarray()
        difference = params["w"] - x
        value = float((difference**2).sum()) / (2 * len(x))
        return {"loss": value, "half": value / 2}, lambda: {"w": difference.mean(axis=0)}


X = scipy.sparse.csr_matrix(np.random.default_rng(0).random((25, 3)))
START = {"w": np.zeros(3)}


def fit(settings=None, model=None, validator=None, x=X, **options):
    settings = settings or Training(epochs=3, batch_size=10, learning_rate=0.05)
    return train(model or Mean(), START, Data(x, x), validator, settings, 5, **options)


def test_it_learns_and_leaves_the_initial_weights_alone():
    state = fit(Training(epochs=200, batch_size=10, learning_rate=Exponential(0.1, 0.97)))
    assert np.allclose(state.best["w"], X.toarray().mean(axis=0), atol=0.01)
    assert not START["w"].any()
    assert state.epoch == len(state.history) == 200


def test_every_epoch_shows_every_document_once_in_its_own_order():
    model = Mean()
    fit(model=model)
    assert len(model.batches) == 9
    assert [b.x.shape[0] for b in model.batches] == [10, 10, 5] * 3
    assert [round(b.epoch, 2) for b in model.batches[:4]] == [0.0, 0.33, 0.67, 1.0]
    epochs = [
        np.concatenate([b.x.toarray() for b in model.batches[i : i + 3]]).round(12).tolist()
        for i in (0, 3, 6)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(X.toarray().round(12).tolist())
    assert epochs[0] != epochs[1]
    assert len({b.rng.integers(2**40) for b in model.batches}) == 9  # every step has its own noise


def test_the_target_is_the_same_rows_and_labels_too():
    class Compare(Mean):
        def loss(self, params, batch):
            assert np.array_equal(batch.target.toarray(), 2 * batch.x.toarray())
            assert np.array_equal(batch.y, batch.x.toarray()[:, 0])
            return super().loss(params, batch)

    y = X.toarray()[:, 0]
    train(Compare(), START, Data(X, 2 * X, y), None, Training(epochs=2, batch_size=10), 5)


def test_fewer_documents_than_a_batch_are_one_step():
    model = Mean()
    fit(Training(epochs=2, batch_size=100), model)
    assert [b.x.shape[0] for b in model.batches] == [25, 25]


def test_terms_are_means_over_the_documents_of_an_epoch():
    model = Mean()
    state = fit(Training(epochs=1, batch_size=10, learning_rate=1e-12), model)
    expected = (X.toarray() ** 2).sum() / (2 * 25)
    assert state.history[0]["loss"] == pytest.approx(expected)
    assert state.history[0]["half"] == pytest.approx(expected / 2)


def test_without_a_validator_the_last_epoch_is_kept():
    state = fit()
    assert state.best_epoch == 3
    assert np.array_equal(state.best["w"], state.params["w"])


def validator_of(figures):
    figures = iter(figures)
    return lambda params: ("figure", next(figures))


def test_the_best_epoch_is_kept_the_first_of_equals():
    weights = []
    state = fit(
        Training(epochs=5, batch_size=10),
        validator=validator_of([0.1, 0.3, 0.2, 0.3, 0.1]),
        callback=lambda p: weights.append(p.params["w"].copy()) if p.step == p.steps else None,
    )
    assert state.best_epoch == 2
    assert np.array_equal(state.best["w"], weights[1])
    assert [record["figure"] for record in state.history] == [0.1, 0.3, 0.2, 0.3, 0.1]


def test_a_figure_that_is_no_number_is_never_the_best():
    nan = float("nan")
    for figures, best in (([nan, 0.5, 0.9, nan], 3), ([0.5, nan, 0.4, 0.6], 4), ([nan] * 4, 1)):
        state = fit(Training(epochs=4, batch_size=10), validator=validator_of(figures))
        assert state.best_epoch == best


def test_patience_ends_the_fit_so_many_epochs_after_the_best():
    state = fit(
        Training(epochs=50, batch_size=10, patience=2), validator=validator_of([0.1, 0.3, 0.2, 0.25, 0.9])
    )
    assert (state.best_epoch, state.epoch) == (2, 4)


def test_learning_rate_and_clipping_reach_the_optimiser():
    first = fit(Training(epochs=1, batch_size=25, learning_rate=0.5)).best["w"]
    assert np.allclose(np.abs(first), 0.5)  # Adam's first step is the rate
    clipped = fit(Training(epochs=1, batch_size=25, learning_rate=0.5, clip_norm=1e-12)).best["w"]
    assert (np.abs(clipped) < 0.5).all()


def test_progress_counts_steps_and_epochs_and_knows_the_best():
    seen = []
    fit(validator=validator_of([0.1, 0.3, 0.2]), callback=seen.append)
    assert [(p.epoch, p.step) for p in seen] == [(e, s) for e in (1, 2, 3) for s in (1, 2, 3)]
    assert all((p.epochs, p.steps) == (3, 3) for p in seen)
    ends = [p for p in seen if p.step == p.steps]
    assert [(p.validation_name, p.validation, p.best_epoch) for p in ends] == [
        ("figure", 0.1, 1),
        ("figure", 0.3, 2),
        ("figure", 0.2, 2),
    ]
    assert np.isnan(seen[0].validation) and seen[3].validation == 0.1
    assert ends[-1].seconds_left == 0
    assert all(p.seconds_left >= 0 and p.seconds >= 0 for p in seen)
    assert set(seen[0].terms) == {"loss", "half"}


def test_a_loss_that_is_no_number_names_the_epoch_and_what_to_do():
    class Broken(Mean):
        def loss(self, params, batch):
            terms, back = super().loss(params, batch)
            return ({"loss": float("nan")}, back) if batch.epoch >= 1 else (terms, back)

    with pytest.raises(InputError, match=r"nan in epoch 2.*learning rate"):
        fit(model=Broken())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("learning_rate", 0),
        ("learning_rate", -1),
        ("learning_rate", "fast"),
        ("patience", 0),
        ("validation_share", 1),
        ("validation_share", -0.1),
        ("dtype", "float16"),
    ],
)
def test_settings_with_which_nothing_is_learned_are_refused(setting, value):
    with pytest.raises(InputError, match=setting if setting != "learning_rate" else "learning_rate|schedule"):
        fit(Training(**{setting: value}))


def interrupt_at(epoch, step):
    def callback(progress):
        if (progress.epoch, progress.step) == (epoch, step):
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 3), (2, 2), (3, 1), (6, 3)])
def test_an_interrupted_fit_goes_on_to_the_same_weights(epoch, step, tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    settings = Training(epochs=6, batch_size=10, learning_rate=0.05)
    figures = [0.1, 0.5, 0.2, 0.6, 0.3, 0.4]
    whole = fit(settings, validator=validator_of(figures))
    with pytest.raises(Interrupted) as caught:
        fit(
            settings,
            validator=validator_of(figures),
            checkpoint=tmp_path / "kept",
            callback=interrupt_at(epoch, step),
        )
    done = epoch if step == 3 else epoch - 1
    assert (f"the state after epoch {done} is kept in {tmp_path / 'kept'}" in str(caught.value)) == (done > 0)
    assert "no epoch had been kept" in str(caught.value) or done
    assert (tmp_path / "kept").exists() == (done > 0)
    model = Mean()
    resumed = fit(settings, model, validator_of(figures[done:]), checkpoint=tmp_path / "kept")
    assert len(model.batches) == 3 * (6 - done)
    assert resumed.params["w"].tobytes() == whole.params["w"].tobytes()
    assert resumed.best["w"].tobytes() == whole.best["w"].tobytes()
    assert (resumed.best_epoch, resumed.history) == (whole.best_epoch, whole.history)
    assert not (tmp_path / "kept").exists()  # done: nothing to resume


def test_a_fit_that_patience_had_ended_stays_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    settings = Training(epochs=9, batch_size=10, patience=1)
    with pytest.raises(Interrupted):
        fit(settings, validator=validator_of([0.5, 0.1]), checkpoint=tmp_path, callback=interrupt_at(2, 3))
    model = Mean()
    assert fit(settings, model, validator_of([]), checkpoint=tmp_path).epoch == 2
    assert not model.batches


def test_without_a_checkpoint_ctrl_c_goes_through():
    with pytest.raises(KeyboardInterrupt):
        fit(callback=interrupt_at(2, 1))


def test_an_interruption_while_the_first_state_is_written_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)

    def interrupted(file, **arrays):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(Interrupted, match="no epoch had been kept"):
        fit(checkpoint=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_checkpoint_of_other_documents_or_settings_is_not_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    with pytest.raises(Interrupted):
        fit(checkpoint=tmp_path, callback=interrupt_at(2, 1))
    with pytest.raises(InputError, match=r"other documents or settings"):
        fit(checkpoint=tmp_path, x=2 * X)
    with pytest.raises(InputError, match=r"other documents or settings"):
        train(Mean(), START, Data(X, X), None, Training(), 6, checkpoint=tmp_path)


def test_averaged_weights_are_those_that_are_judged_and_resume_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    settings = Training(epochs=8, batch_size=5, learning_rate=0.05, average=0.9)
    whole = fit(settings)
    assert (whole.best["w"] == whole.average["w"]).all()
    assert (whole.best["w"] != whole.params["w"]).any()

    def stop(progress):
        if progress.epoch == 6:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train(Mean(), START, Data(X, X), None, settings, 5, callback=stop, checkpoint=tmp_path)
    again = train(Mean(), START, Data(X, X), None, settings, 5, checkpoint=tmp_path)
    np.testing.assert_array_equal(again.best["w"], whole.best["w"])


def test_averaging_follows_its_formula():
    settings = Training(epochs=1, batch_size=1, learning_rate=0.05, average=0.9)
    seen = []
    state = fit(settings, callback=lambda progress: seen.append(progress.params["w"].copy()))
    average = START["w"].copy()
    for t in (8, 16, 24):  # the average moves once in eight steps
        kept = min(0.9, (1 + t) / (10 + t)) ** 8
        average = kept * average + (1 - kept) * seen[t - 1]
    np.testing.assert_allclose(state.average["w"], average, rtol=1e-12)


@pytest.mark.compiled
def test_what_is_deferred_is_summed_over_a_limited_number_of_steps(monkeypatch):
    x, _ = small.documents(300, 400, topics=20)
    x = small.unit_rows(x).astype(np.float32)
    counts, fill = [], lazy_rows.fill_table
    monkeypatch.setattr(lazy_rows, "fill_table", lambda *args: counts.append(args[1]) or fill(*args))

    def weights(limit):
        monkeypatch.setattr("nphash.hashers.training.trainer.STEPS_DEFERRED", limit)
        counts.clear()
        how = Training(epochs=2, batch_size=2, engine="numba")
        return Doc2Hash(8, hidden=(4,), training=how, random_state=0).fit(x, X_valid=x[:1]).params_

    never = weights(10**6)
    assert max(counts) > 100
    often = weights(20)
    assert 0 < max(counts) <= 20
    for name, w in never.items():
        np.testing.assert_allclose(often[name], w, atol=1e-4)


def test_the_first_batch_gives_the_size_of_a_step():
    X, _ = small.documents(60, 40)
    seen = []
    hasher = small.quick(
        "doc2hash", training__batch_size=40, training__engine="numpy", threads=2, random_state=3
    )
    hasher.fit(X, callback=seen.append)
    assert [p.step for p in seen] == [1, 2, 1, 2]
    size = seen[0].step_size
    assert (size.engine, size.threads, size.documents) == ("numpy", 2, 40)
    rows = np.random.default_rng([3, 0]).permutation(60)[:40]
    assert size.weights == X[rows].nnz and size.words == np.unique(X[rows].indices).size
    assert all(p.step_size is size for p in seen)


def test_a_checkpoint_does_not_depend_on_the_names_of_settings():
    hasher = small.quick("doc2hash-s", labels=ClassifierSettings(weight=1.0))
    assert "labels', Labels(weight=1.0" in trainer._identity(hasher, 3)
    assert trainer._identity(hasher, 3) != trainer._identity(hasher.set_params(labels__weight=2.0), 3)


class Profiled:
    """A callback that wants to know where the time goes, and keeps what it was last told."""

    def __init__(self, profile):
        self.profile, self.last = profile, None

    def __call__(self, progress):
        self.last = progress


@pytest.mark.parametrize("engine", [pytest.param("numba", marks=pytest.mark.compiled), "numpy"])
def test_parts_of_a_step_are_timed_where_the_callback_asks_for_it(engine):
    x, _ = small.documents(60, 40)
    callback = Profiled(Profile())
    small.quick("doc2hash", training__engine=engine).fit(x, callback=callback)
    parts = {"batch", "first layer", "first layer, backward", "decoder", "decoder, backward", "optimiser"}
    assert parts | {"latent layers and noise", "validation"} <= callback.profile.seconds.keys()
    assert callback.last.profile == callback.profile.seconds
    unasked = Profiled("something else")
    small.quick("doc2hash", training__engine=engine).fit(x, callback=unasked)
    assert unasked.last.profile == {}
