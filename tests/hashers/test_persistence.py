"""Hashers on disk: exact, without pickle, and damaged files are recognised."""

import errno
import json
import os
import shutil
import threading
from contextlib import suppress

import numpy as np
import pytest

from helpers import small
from helpers.paths import TESTS
from nphash import Doc2Hash
from nphash.core import disk, store
from nphash.core.checksums import seal
from nphash.errors import CollectionError, DamagedError, InputError, NotFittedError
from nphash.hashers import NeighbourSettings, Training, load, save
from nphash.hashers.training.settings import FORMER_NAMES
from nphash.nn.schedules import Exponential, Linear

X, y = small.documents()


@pytest.fixture(scope="module")
def fitted():
    return Doc2Hash(
        8,
        hidden=(6, 5),
        temperature=Linear(1.0, 0.5, 2),
        kl_weight=(0.0, 0.1),
        training=Training(epochs=2, learning_rate=Exponential(0.01, 0.9)),
        random_state=np.random.default_rng(3),
    ).fit(X, y)


@pytest.fixture
def folder(fitted, tmp_path):
    save(fitted, tmp_path)
    return tmp_path


@pytest.mark.parametrize("mmap", [True, False])
def test_what_is_loaded_is_what_was_saved(fitted, folder, mmap):
    same = load(folder, mmap=mmap)
    assert type(same) is Doc2Hash
    params, expected = same.get_params(), fitted.get_params()
    assert params.pop("random_state") is None and expected.pop("random_state") is not None
    assert params == expected
    assert same.params_.keys() == fitted.params_.keys()
    for name, array in fitted.params_.items():
        assert same.params_[name].dtype == array.dtype
        assert np.array_equal(same.params_[name], array)
        assert isinstance(same.params_[name], np.memmap) == mmap
    assert same.history_ == fitted.history_
    assert (same.best_epoch_, same.n_iter_) == (fitted.best_epoch_, fitted.n_iter_)
    assert np.array_equal(same.transform(X), fitted.transform(X))
    assert np.array_equal(same.decision_function(X), fitted.decision_function(X))


def test_save_returns_the_files_and_uses_no_pickle(fitted, tmp_path):
    files = save(fitted, tmp_path / "new" / "folder")
    assert sorted(files) == sorted((tmp_path / "new" / "folder").iterdir())
    for path in files:
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
    assert json.loads(files[0].read_text(encoding="utf-8"))["format"] == 2


def test_a_loaded_hasher_saves_again_to_the_same_bytes(folder, tmp_path):
    again = save(load(folder), tmp_path / "again")
    for path in again:
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_a_loaded_hasher_can_be_fitted_again(folder):
    assert load(folder).fit(X).transform(X).shape == (60, 8)


def test_only_fitted_hashers_can_be_saved(tmp_path):
    with pytest.raises(NotFittedError, match=r"call fit"):
        save(Doc2Hash(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_function_of_ones_own_cannot_be_saved(tmp_path):
    hasher = Doc2Hash(
        8, hidden=(3,), kl_weight=lambda epoch: 0.1, training=Training(epochs=1), random_state=0
    ).fit(X)
    with pytest.raises(InputError, match=r"without pickle.*schedule"):
        save(hasher, tmp_path / "model")
    assert not (tmp_path / "model").exists() or not list((tmp_path / "model").iterdir())


def fit(n_bits=8, words=40, seed=1):
    X, _ = small.documents(words=words, seed=seed)
    training = Training(epochs=1)
    return Doc2Hash(n_bits, hidden=(5,), training=training, random_state=seed).fit(X), X


def test_a_loaded_hasher_can_be_saved_where_it_came_from(fitted, folder):
    same = load(folder)
    files = save(same, folder)
    assert sorted(files) == sorted(folder.iterdir())  # nothing of the old model is left
    for hasher in (same, load(folder), load(folder, mmap=False)):
        assert np.array_equal(hasher.transform(X), fitted.transform(X))
    again = save(load(folder), folder)
    assert sorted(again) == sorted(folder.iterdir())


def test_a_hasher_in_use_goes_on_when_another_is_saved_over_it(fitted, folder):
    live, expected = load(folder), fitted.transform(X)
    other, _ = fit()  # as many bits, other weights
    save(other, folder)
    assert np.array_equal(live.transform(X), expected)
    smaller, few = fit(4, words=9)  # writing this over mapped files would end the process
    save(smaller, folder)
    assert np.array_equal(live.transform(X), expected)
    assert np.array_equal(load(folder).transform(few), smaller.transform(few))


def test_another_methods_arrays_are_deleted_and_no_other_files(fitted, tmp_path):
    save(small.quick("nash-dn", random_state=0).fit(X), tmp_path)
    mine = [tmp_path / name for name in ("notes.txt", "labels_.npy", "model-2.npy")]
    for path in mine:
        path.write_text("mine", encoding="utf-8")
    itq = small.quick("itq", random_state=0).fit(X)
    files = save(itq, tmp_path)
    assert sorted([*files, *mine]) == sorted(tmp_path.iterdir())
    assert np.array_equal(load(tmp_path).transform(X), itq.transform(X))


def fail_at(monkeypatch, where, count, error):
    """Let the count-th call of a function of the module raise an error after its work is done."""
    original, calls = getattr(store, where), []

    def failing(*args):
        result = original(*args)
        calls.append(args)
        if len(calls) == count:
            raise error
        return result

    monkeypatch.setattr(store, where, failing)


@pytest.mark.parametrize(
    "where, count",
    [("write_array", 1), ("write_array", 3), ("flush_folder", 1), ("record", 2), ("replace_text", 1)],
)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_the_old_model(fitted, folder, monkeypatch, where, count, error):
    before = sorted(folder.iterdir())
    fail_at(monkeypatch, where, count, error)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else CollectionError
    with pytest.raises(expected) as caught:
        save(fit()[0], folder)
    if expected is CollectionError:
        assert f"cannot write {folder}: the disk is full: nothing was changed" in str(caught.value)
    assert sorted(folder.iterdir()) == before
    assert np.array_equal(load(folder).transform(X), fitted.transform(X))


def test_ctrl_c_when_the_new_model_is_in_place_does_not_delete_it(folder, monkeypatch):
    fail_at(monkeypatch, "replace_text", 2, KeyboardInterrupt())  # the first notes what will be written
    other, _ = fit()
    with pytest.raises(KeyboardInterrupt):
        save(other, folder)
    assert np.array_equal(load(folder).transform(X), other.transform(X))
    assert len(list(folder.iterdir())) == 1 + len(other.params_)  # and the old one is gone


def test_a_first_save_that_fails_leaves_no_model(fitted, tmp_path, monkeypatch):
    fail_at(monkeypatch, "write_array", 2, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(CollectionError, match=r"cannot write .*full"):
        save(fitted, tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())
    with pytest.raises(CollectionError, match=r"cannot write .*model"):
        (tmp_path / "file").write_text("", encoding="utf-8")
        save(fitted, tmp_path / "file" / "model")


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(fitted, folder, monkeypatch):
    other, _ = fit()
    read, calls = store.load_array, []

    def replaced(*args):
        calls.append(args)
        if len(calls) == 2:
            save(other, folder)
        return read(*args)

    monkeypatch.setattr(store, "load_array", replaced)
    assert np.array_equal(load(folder).transform(X), other.transform(X))


OLD = TESTS / "data" / "format_1" / "model"  # by version 0.1.0: LSH, 11 words, 8 bits
OLD_CODES = [138, 106, 19, 81, 11, 39, 228, 132, 189, 40, 235]  # of single words


@pytest.mark.parametrize("edition", [None, 1, 2])
def test_a_model_of_the_first_format_is_read_and_replaced(tmp_path, edition):
    shutil.copytree(OLD, tmp_path / "m")
    about = json.loads((OLD / "model.json").read_text(encoding="utf-8"))
    if edition is None:
        del about["edition"]
    elif edition == 2:
        about["edition"] = 2
        for name in about["arrays"]:
            (tmp_path / "m" / f"{name}.npy").rename(tmp_path / "m" / f"{name}-2.npy")
    (tmp_path / "m" / "model.json").write_text(json.dumps(about), encoding="utf-8")
    old = load(tmp_path / "m")
    words = np.eye(11, dtype=np.float32)
    assert old.transform(words)[:, 0].tolist() == OLD_CODES
    files = save(old, tmp_path / "m")
    assert sorted(files) == sorted((tmp_path / "m").iterdir())
    assert load(tmp_path / "m").transform(words)[:, 0].tolist() == OLD_CODES


@pytest.mark.parametrize("edition", ["1/../1", 1.5, None])
def test_senseless_editions_are_refused(tmp_path, edition):
    shutil.copytree(OLD, tmp_path / "m")
    damage_json(lambda about: about.update(edition=edition))(tmp_path / "m")
    with pytest.raises(DamagedError, match="fit it again"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    "text", ['{"class_name": "Sequential"}', '{"learner": {}, "version": [2, 0]}', "{", "", "[]"]
)
def test_another_programs_model_is_never_overwritten(fitted, tmp_path, text):
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    np.save(tmp_path / "fold_-2.npy", np.arange(3))
    with pytest.raises(CollectionError, match=r"model\.json"):
        save(fitted, tmp_path)
    assert (tmp_path / "model.json").read_text(encoding="utf-8") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold_-2.npy", "model.json"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ENOMEM])
def test_a_model_that_cannot_be_read_now_is_not_taken_for_none(fitted, folder, monkeypatch, number):
    """An error while looking tells nothing: what is there is neither deleted nor called damaged."""
    before, original = sorted(folder.iterdir()), disk.open_file
    for instant in range(1, 5):
        calls = []

        def failing(*args, instant=instant, calls=calls):
            calls.append(args)
            if len(calls) == instant:
                raise OSError(number, os.strerror(number))
            return original(*args)

        monkeypatch.setattr(disk, "open_file", failing)
        with suppress(CollectionError):
            save(fitted, folder)
        monkeypatch.undo()
        assert np.array_equal(load(folder).transform(X), fitted.transform(X))
    monkeypatch.setattr(disk, "open_file", original)
    save(fitted, folder)
    assert len(list(folder.iterdir())) == len(before)


def test_two_savers_at_once(tmp_path):
    models = [fit(seed=seed) for seed in (1, 2)]
    save(models[0][0], tmp_path)
    wrong = []

    def again(hasher):
        try:
            for _ in range(15):
                save(hasher, tmp_path)
                load(tmp_path)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=again, args=(hasher,)) for hasher, _ in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(list(tmp_path.iterdir())) == 1 + len(models[0][0].params_)


def test_an_interrupted_save_is_tidied_up_by_the_next(fitted, folder, monkeypatch):
    """As a killed process leaves it: the files that it noted are there, and nobody names them."""
    monkeypatch.setattr(store, "_undo", lambda *args: None)
    fail_at(monkeypatch, "write_array", 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save(fit()[0], folder)
    monkeypatch.undo()
    assert np.array_equal(load(folder).transform(X), fitted.transform(X))
    files = save(fitted, folder)
    assert sorted(files) == sorted(folder.iterdir())


@pytest.mark.parametrize("mmap", [True, False])
def test_every_changed_byte_is_noticed(folder, mmap):
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            try:
                again = load(folder, mmap=mmap)
            except CollectionError:
                continue
            assert path.name == "model.json" and again.get_params()["n_bits"] == 8  # white space
        path.write_bytes(whole)


@pytest.mark.parametrize("former", sorted(FORMER_NAMES))
def test_settings_are_read_under_their_former_names(former, tmp_path):
    method, group = {"Labels": ("doc2hash-s", "labels"), "Similarity": ("nphash", "similarity")}[former]
    hasher = small.quick(method, **{f"{group}__weight": 0.5}).fit(X, y)
    save(hasher, tmp_path)
    saved = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["params"][group]
    assert saved["settings"] == FORMER_NAMES[former]
    damage_json(lambda about: about["params"][group].update(settings=former))(tmp_path)
    assert getattr(load(tmp_path), group) == getattr(hasher, group)


def damage_json(change):
    def damage(folder):
        path = folder / "model.json"
        about = json.loads(path.read_text(encoding="utf-8"))
        about.pop("checksum", None)
        change(about)
        path.write_text(seal(about), encoding="utf-8")  # by someone who mends the checksum

    return damage


def truncate(name, size):
    def damage(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[:size])

    return damage


def remove(name):
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        remove("model.json"),
        remove("params_.W_1.npy"),
        truncate("model.json", 100),
        truncate("model.json", 0),
        truncate("params_.W_1.npy", 0),
        truncate("params_.W_1.npy", 60),
        truncate("params_.W_1.npy", 200),
        lambda folder: np.save(folder / "params_.W_1.npy", np.zeros((2, 2))),
        lambda folder: np.save(folder / "params_.W_1.npy", np.array([{}], dtype=object), allow_pickle=True),
        lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "model.json").write_text("[]", encoding="utf-8"),
        damage_json(lambda about: about.pop("arrays")),
        damage_json(lambda about: about.update(format="new")),
        damage_json(lambda about: about["arrays"]["params_.W_1"].update(file="params_.W_1-2.npy")),
        damage_json(lambda about: about["arrays"]["params_.W_1"].update(file="../params_.W_1.npy")),
        damage_json(lambda about: about["arrays"]["params_.W_1"].update(record={"size": 1})),
        damage_json(lambda about: about["arrays"]["params_.W_1"]["record"].update(sha256="0" * 64)),
        damage_json(lambda about: about.update(method="magic")),
        damage_json(lambda about: about["params"].update(magic=1)),
        damage_json(lambda about: about["params"].update(training={"settings": "Path"})),
        damage_json(lambda about: about["params"]["training"].update(magic=1)),
        damage_json(lambda about: about["learned"].update(transform=1)),
        damage_json(lambda about: about["learned"].update(__class_=1)),
        damage_json(lambda about: about["learned"].pop("n_features_in_")),
        damage_json(lambda about: about["arrays"].update({"../x_": about["arrays"]["params_.W_1"]})),
        damage_json(lambda about: about["arrays"]["params_.W_1"].update(dtype="float64")),
    ],
)
def test_damaged_models_are_recognised(folder, damage, mmap):
    damage(folder)
    with pytest.raises(CollectionError, match=r"fit it again"):
        load(folder, mmap=mmap)


def test_settings_under_their_former_name_are_read(tmp_path):
    hasher = small.quick("nphash", similarity=NeighbourSettings(rounds=2, lsi=9), random_state=0).fit(X)
    save(hasher, tmp_path)
    damage_json(lambda about: about["params"]["similarity"].update(settings="Similarity"))(tmp_path)
    assert '"Similarity"' in (tmp_path / "model.json").read_text(encoding="utf-8")
    same = load(tmp_path)
    assert same.similarity == NeighbourSettings(rounds=2, lsi=9)
    np.testing.assert_array_equal(same.transform(X), hasher.transform(X))


def test_a_newer_format_is_named(folder):
    damage_json(lambda about: about.update(format=99))(folder)
    with pytest.raises(CollectionError, match=r"format 99.*update nphash"):
        load(folder)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(
        CollectionError, match=r"nothing holds no model: it has no model\.json: give a folder"
    ):
        load(tmp_path / "nothing")
