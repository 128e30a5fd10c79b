"""The state of a fit on disk."""

import errno

import numpy as np
import pytest
import scipy.sparse

from nphash.errors import CollectionError, InputError
from nphash.hashers.training.checkpoint import Checkpoint, State, fingerprint


def state():
    rng = np.random.default_rng(0)
    return State(
        epoch=3,
        params={"W_1": rng.random((4, 3)).astype(np.float32), "b_1": rng.random(3)},
        optimiser={"m.W_1": rng.random((4, 3)), "t": np.array(12)},
        best={"W_1": rng.random((4, 3))},
        best_epoch=2,
        history=[{"loss": 1.5, "P@100": 0.25}, {"loss": 1.0, "P@100": 0.1 + 0.2}],
    )


def test_a_state_comes_back_exactly(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "folder", "key")
    assert checkpoint.load() is None
    checkpoint.save(state())
    back, expected = checkpoint.load(), state()
    assert (back.epoch, back.best_epoch, back.history) == (3, 2, expected.history)
    for group in ("params", "optimiser", "best"):
        mine, theirs = getattr(back, group), getattr(expected, group)
        assert mine.keys() == theirs.keys()
        for name, array in theirs.items():
            assert mine[name].dtype == array.dtype and mine[name].tobytes() == array.tobytes()


def test_a_new_state_replaces_the_old_one_as_a_whole(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(state())

    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full_disk)
    later = state()
    later.epoch = 9
    with pytest.raises(OSError, match=r"no space left"):
        checkpoint.save(later)
    assert checkpoint.load().epoch == 3
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_full_disk_is_told_and_nothing_is_left_of_a_first_state(tmp_path, monkeypatch):
    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(CollectionError, match="the disk is full"):
        Checkpoint(tmp_path / "kept", "key").save(state())
    assert not (tmp_path / "kept").exists()


def test_a_fit_goes_on_where_its_state_cannot_be_written(tmp_path, monkeypatch, caplog):
    tries = []

    def full_disk(file, **arrays):
        tries.append(file)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)
    checkpoint = Checkpoint(tmp_path / "kept", "key")
    checkpoint.save_if_due(state())
    checkpoint.save_if_due(state())
    assert len(tries) == 1 and checkpoint.epoch == 0
    [message] = caplog.messages
    assert "the disk is full; the fit goes on" in message


def test_states_are_written_as_often_as_it_takes_little_of_the_time(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("nphash.hashers.training.checkpoint.time.monotonic", lambda: now)
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 0.05)
    monkeypatch.setattr("nphash.hashers.training.checkpoint.FIRST_WRITING", (0.1, 1e9))  # due after 2 s
    checkpoint, written = Checkpoint(tmp_path, "key"), []

    def two_seconds(file, **arrays):
        nonlocal now
        now += 2.0
        written.append(now)

    monkeypatch.setattr(np, "savez", two_seconds)
    for _ in range(900):  # epochs of a tenth of a second
        now += 0.1
        checkpoint.save_if_due(state())
    assert len(written) == 3 and checkpoint.epoch == 3
    np.testing.assert_allclose(np.diff(written), [42.0, 42.0], atol=0.15)


def test_a_small_state_is_written_within_a_second(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("nphash.hashers.training.checkpoint.time.monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save_if_due(state())
    assert checkpoint.load() is None
    now += 1.0
    checkpoint.save_if_due(state())
    assert checkpoint.load().epoch == 3


def test_delete_removes_file_and_empty_folder_only(tmp_path):
    checkpoint = Checkpoint(tmp_path / "own", "key")
    checkpoint.delete()  # nothing there: nothing to do
    checkpoint.save(state())
    checkpoint.delete()
    assert not (tmp_path / "own").exists()
    shared = Checkpoint(tmp_path, "key")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    shared.save(state())
    shared.delete()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("keep", [0, 10, 300, -40])
def test_a_damaged_file_is_recognised(tmp_path, keep):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(state())
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"cannot be read.*delete it"):
        checkpoint.load()


def test_a_file_of_something_else_is_recognised(tmp_path):
    checkpoint = Checkpoint(tmp_path, "key")
    np.savez(checkpoint.path, other=np.zeros(3))
    with pytest.raises(InputError, match=r"cannot be read"):
        checkpoint.load()


def test_another_fits_state_is_refused(tmp_path):
    Checkpoint(tmp_path, "key").save(state())
    with pytest.raises(InputError, match=r"other documents or settings"):
        Checkpoint(tmp_path, "other").load()


def test_the_fingerprint_sees_every_change():
    X = scipy.sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, 2.0]]))
    moved = scipy.sparse.csr_matrix(np.array([[0.0, 1.0], [0.0, 2.0]]))
    y = np.array(["a", "b"], dtype=object)
    prints = {
        fingerprint("a", [X]),
        fingerprint("b", [X]),
        fingerprint("a", [X.astype(np.float32)]),
        fingerprint("a", [moved]),
        fingerprint("a", [2 * X]),
        fingerprint("a", [X, y]),
        fingerprint("a", [X, y[::-1]]),
        fingerprint("a", []),
    }
    assert len(prints) == 8
    assert fingerprint("a", [X, y]) == fingerprint("a", [X.copy(), y.copy()])
