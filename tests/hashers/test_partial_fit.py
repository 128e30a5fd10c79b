"""`partial_fit`: one pass a call, as the epochs of a fit are; what stays between calls."""

import numpy as np
import pytest

from helpers import small
from nphash import hashers
from nphash.corpus import Shards
from nphash.errors import InputError, UnsupportedError
from nphash.hashers import Training

X, y = small.documents(90, 40)
SYSTEMS = ["doc2hash", "doc2hash-s", "nash", "nash-n", "nash-dn", "nash-dn-s", "vdsh", "vdsh-s", "vdsh-sp"]


def quick(method, **params):
    wanted = {"training__epochs": 3, "training__batch_size": 20, "random_state": 0, **params}
    return small.quick(method, **wanted)


def same(one, other):
    return one.params_.keys() == other.params_.keys() and all(
        one.params_[name].tobytes() == other.params_[name].tobytes() for name in one.params_
    )


@pytest.mark.parametrize("method", SYSTEMS)
def test_passes_over_the_same_documents_are_the_epochs_of_a_fit(method):
    whole = quick(method, training__epochs=3).fit(X, y)  # too few to hold some out
    parts = quick(method, training__epochs=3)
    for _ in range(3):
        assert parts.partial_fit(X, y) is parts
    assert same(whole, parts)
    assert parts.transform(X).tobytes() == whole.transform(X).tobytes()
    assert (parts.n_iter_, parts.best_epoch_, len(parts.history_)) == (3, 3, 3)
    assert [r["loss"] for r in parts.history_] == [r["loss"] for r in whole.history_]


@pytest.mark.parametrize("engine", [pytest.param("numba", marks=pytest.mark.compiled), "numpy"])
def test_saving_and_loading_between_calls_changes_nothing(tmp_path, engine):
    straight, stopped = (quick("doc2hash", training__engine=engine, random_state=None) for _ in range(2))
    straight.partial_fit(X[:50])
    stopped.seed_ = straight.seed_
    stopped.partial_fit(X[:50])
    hashers.save(stopped, tmp_path)
    loaded = hashers.load(tmp_path)
    straight.partial_fit(X[50:])
    loaded.partial_fit(X[50:])
    assert same(straight, loaded) and loaded.n_iter_ == 2
    hashers.save(loaded, tmp_path / "again")  # the mapped files were not written to
    assert not same(loaded, hashers.load(tmp_path))
    assert same(loaded, hashers.load(tmp_path / "again"))


def test_it_learns_from_parts():
    hasher = quick("doc2hash", hidden=(32,), training__epochs=30, training__learning_rate=0.01)
    for turn in range(30):
        hasher.partial_fit(X[turn % 3 :: 3])
    bits = np.unpackbits(hasher.transform(X), axis=1)[:, :8].astype(int)  # (n, L)
    distances = (bits[:, None] != bits).sum(axis=2)
    alike = y[:, None] == y
    assert distances[alike].mean() < distances[~alike].mean() - 0.5


def test_schedules_stand_at_the_number_of_calls_and_stay_at_their_end(monkeypatch):
    monkeypatch.setattr(Training, "check", lambda training: None)  # it asks the schedule for both ends
    seen = []

    def rate(epoch):
        seen.append(epoch)
        return 0.001

    hasher = quick("doc2hash", training__epochs=2, training__batch_size=45, training__learning_rate=rate)
    for _ in range(3):
        hasher.partial_fit(X)
    assert seen == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert hasher._schedule((1.0, 0.5))(2.5) == 0.5


def test_after_a_fit_it_goes_on_from_the_chosen_weights():
    hasher = quick("doc2hash", training__learning_rate=1e-9).fit(X)
    before = {name: array.copy() for name, array in hasher.params_.items()}
    hasher.partial_fit(X)
    assert hasher.n_iter_ == 4
    assert all(np.allclose(hasher.params_[name], before[name], atol=1e-7) for name in before)


def test_a_fit_begins_anew():
    hasher = quick("doc2hash-s").partial_fit(X, y)
    assert hasher.optimiser_ and hasher.classes_.tolist() == [0, 1, 2]
    hasher.fit(X, y)
    assert not {"optimiser_", "seed_", "classes_"} & vars(hasher).keys()
    assert same(hasher, quick("doc2hash-s").fit(X, y))


def test_shards_are_parts_too(tmp_path):
    shards = Shards.write(tmp_path / "s", [X], 40, entries=100)
    few = Shards.write(tmp_path / "few", [X], 40)
    one, other = quick("doc2hash").partial_fit(few), quick("doc2hash").partial_fit(X)
    assert same(one, other)
    assert quick("doc2hash").partial_fit(shards).transform(shards).shape == (90, 8)


def test_another_number_of_words_is_refused_and_nothing_changes():
    hasher = quick("doc2hash").partial_fit(X)
    before = {name: array.copy() for name, array in hasher.params_.items()}
    with pytest.raises(InputError, match="39 features, but Doc2Hash is expecting 40"):
        hasher.partial_fit(X[:, :-1])
    assert hasher.n_iter_ == 1
    assert all(np.array_equal(hasher.params_[name], before[name]) for name in before)


def test_an_error_on_the_way_leaves_everything_as_it_was(monkeypatch):
    hasher = quick("doc2hash").partial_fit(X)
    kept = {name: array.copy() for name, array in hasher.params_.items()}
    moments = {name: array.copy() for name, array in hasher.optimiser_.items()}
    loss, calls = type(hasher).loss, []

    def stop(self, params, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return loss(self, params, batch)

    monkeypatch.setattr(type(hasher), "loss", stop)
    with pytest.raises(KeyboardInterrupt):
        hasher.partial_fit(X)
    assert all(np.array_equal(hasher.params_[name], kept[name]) for name in kept)
    assert all(np.array_equal(hasher.optimiser_[name], moments[name]) for name in moments)
    assert (hasher.n_iter_, len(hasher.history_)) == (1, 1)


def test_an_interrupted_first_call_leaves_nothing_of_itself(monkeypatch):
    hasher = quick("doc2hash-s")

    def stop(self, params, batch):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(hasher), "loss", stop)
        with pytest.raises(KeyboardInterrupt):
            hasher.partial_fit(X, np.array(["a", "b", "c"])[y])
    assert not [name for name in vars(hasher) if name.endswith("_")]
    hasher.partial_fit(X, np.array(["d", "e", "f", "g"])[np.arange(90) % 4])
    assert hasher.classes_.tolist() == ["d", "e", "f", "g"] and hasher.n_labels_ == 4
    with pytest.raises(InputError, match="the class 'a' was not"):
        hasher.partial_fit(X[:2], ["a", "d"])


def test_classes_are_numbered_as_in_the_first_call():
    names = np.array(["c", "a", "b"])[y]
    hasher = quick("doc2hash-s").partial_fit(X, names)
    assert hasher.classes_.tolist() == ["a", "b", "c"]
    only = names == "c"
    other = quick("doc2hash-s").partial_fit(X, names)
    hasher.partial_fit(X[only], names[only])
    other.partial_fit(X[only], names[only].astype(object))
    assert same(hasher, other) and hasher.n_labels_ == 3
    with pytest.raises(InputError, match=r"class .*d.* was not in the first call"):
        hasher.partial_fit(X[:2], ["a", "d"])


def test_indicators_keep_their_columns():
    indicators = np.eye(3)[y]
    hasher = quick("doc2hash-s").partial_fit(X, indicators).partial_fit(X[:3], indicators[:3])
    with pytest.raises(InputError, match="4 labels, but 3 before"):
        hasher.partial_fit(X[:4], np.eye(4))
    with pytest.raises(InputError, match="2 classes, but 3 before"):
        hasher.partial_fit(X[:4], [0, 1, 0, 1])


def test_supervised_systems_need_labels():
    with pytest.raises(InputError, match="requires y"):
        quick("doc2hash-s").partial_fit(X)


def test_an_average_of_weights_is_refused():
    with pytest.raises(InputError, match=r"training\.average"):
        quick("doc2hash", training__average=0.9).partial_fit(X)


def test_the_system_that_needs_all_documents_does_not_have_it():
    hasher = hashers.create("nphash")
    assert not hasattr(hasher, "partial_fit")
    with pytest.raises(UnsupportedError, match="all documents at once"):
        hasher.partial_fit(X)
