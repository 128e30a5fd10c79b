"""Arrays with one JSON file; what a model needs of it beside is tested with the hashers' persistence."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nphash.core import checksums, store
from nphash.core.checksums import record
from nphash.core.store import Kind, StoredArray, load_array, read, save, write_array
from nphash.errors import CollectionError, DamagedError

KIND = Kind("thing", 2, frozenset({"old"}))
DTYPES = st.sampled_from([np.uint8, np.int64, np.float32, ">f8", "U3", np.bool_])


@given(npst.arrays(DTYPES, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.sampled_from("CFT"))
def test_arrays_are_written_as_numpy_does(array, order):
    import tempfile

    array = array.T if order == "T" else np.array(array, order=order)
    with tempfile.TemporaryDirectory() as folder:
        path, theirs = Path(folder) / "a.npy", Path(folder) / "b.npy"
        known = write_array(path, array)
        np.save(theirs, array)
        assert path.read_bytes() == theirs.read_bytes() and known == record(path)
        if array.size and array.ndim:
            np.testing.assert_array_equal(load_array(path, array.dtype, array.shape), array)


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="objects"):
        write_array(tmp_path / "a.npy", np.array([{}]))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("size", [1, 400, 5000, 300_000])
def test_a_disk_that_is_full_at_the_last_byte_is_noticed(size):
    """`numpy.save` did not notice what was lost when its buffer was written at the end."""
    with pytest.raises(OSError) as caught, Path("/dev/full").open("wb") as file:
        store.write_to(file, np.zeros(size, np.uint8))
        file.flush()
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO])
def test_what_the_system_refuses_is_not_damage(tmp_path, monkeypatch, number):
    write_array(tmp_path / "a.npy", np.zeros(3))

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store, "open_file", refuse)
    with pytest.raises(CollectionError, match=os.strerror(number)) as caught:
        load_array(tmp_path / "a.npy", np.float64, (3,))
    assert not isinstance(caught.value, DamagedError) and "copy" not in caught.value.hint


def test_what_is_saved_is_read(tmp_path):
    arrays = {"a": np.arange(3), "b.c": np.zeros((2, 2), np.float32)}
    files = save(tmp_path / "x" / "thing.json", KIND, {"fact": 1}, arrays)
    assert sorted(files) == sorted((tmp_path / "x").iterdir())
    saved = read(files[0], KIND)
    assert saved.about["fact"] == 1 and len(saved.about["id"]) == 32
    assert saved.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(saved.arrays[name], array)
    assert read(tmp_path / "y" / "thing.json", KIND) is None


def test_of_a_large_file_what_is_read_is_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "LARGE", 100)
    files = save(tmp_path / "t.json", KIND, {}, {"a": np.zeros(1000)})
    assert json.loads(files[0].read_text(encoding="utf-8"))["arrays"]["a"]["record"]["blocks"]
    data = bytearray(files[1].read_bytes())
    data[-1] ^= 1
    files[1].write_bytes(bytes(data))
    with pytest.raises(DamagedError, match="not what was written"):
        read(files[0], KIND)
    later = read(files[0], KIND, records={})  # what others have checked
    assert later.arrays["a"][-1] != 0
    unread = read(files[0], KIND, records={"a.npy": checksums.FileRecord(8128, "0")})
    with pytest.raises(DamagedError):
        unread.check()


def test_a_foreign_name_in_the_file_list_deletes_nothing(tmp_path):
    """A stranger's file that notes more than arrays does not lead us to other files."""
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.npy").write_text("mine", encoding="utf-8")
    body = {"kind": "thing", "format": 2, "unfinished": ["thesis.tex", "sub/a.npy", "../x.npy"]}
    (tmp_path / "t.json").write_text(checksums.seal(body), encoding="utf-8")
    save(tmp_path / "t.json", KIND, {}, {"a": np.zeros(3)})
    assert (tmp_path / "thesis.tex").exists() and (tmp_path / "sub" / "a.npy").exists()


def test_newer_and_other_files_are_refused(tmp_path):
    for text, says in (
        ('{"kind": "thing", "format": 3}', "format 3"),
        ('{"kind": "pot", "format": 1}', "another"),
    ):
        (tmp_path / "t.json").write_text(text, encoding="utf-8")
        for use in (lambda: read(tmp_path / "t.json", KIND), lambda: save(tmp_path / "t.json", KIND, {}, {})):
            with pytest.raises(CollectionError, match=says):
                use()
        assert (tmp_path / "t.json").read_text(encoding="utf-8") == text


def test_of_a_stored_array_only_what_is_read_is_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "LARGE", 100)
    monkeypatch.setattr(checksums, "BLOCK", 64)
    array = np.arange(400, dtype=np.uint8).reshape(50, 8)
    known = write_array(tmp_path / "a.npy", array)
    data = bytearray((tmp_path / "a.npy").read_bytes())
    data[-1] ^= 1  # in the last row
    (tmp_path / "a.npy").write_bytes(data)
    stored = StoredArray(tmp_path / "a.npy", np.uint8, (50, 8), known)
    rows = np.array([3, 0, 40])
    np.testing.assert_array_equal(stored.rows(rows), array[rows])
    assert stored.rows(np.zeros(0, np.int64)).shape == (0, 8)
    for read_all in (stored.whole, lambda: stored.rows(np.array([0, 49]))):
        with pytest.raises(DamagedError, match="not what was written"):
            read_all()
    checked = StoredArray(tmp_path / "a.npy", np.uint8, (50, 8), None)  # by others
    assert checked.whole()[-1, -1] == array[-1, -1] ^ 1


def test_facts_that_could_not_be_read_again_are_not_written(tmp_path, monkeypatch):
    files = save(tmp_path / "t.json", KIND, {"fact": 1}, {"a": np.zeros(3)})
    monkeypatch.setattr(store, "MOST_BYTES", 5_000)
    with pytest.raises(CollectionError, match="would have over 5,000 bytes"):
        save(tmp_path / "t.json", KIND, {"fact": "x" * 5_000}, {"a": np.ones(3)})
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert read(files[0], KIND).about["fact"] == 1


def killed_before_deleting(folder, monkeypatch):
    """Save a second time, and leave it as a process killed just after the JSON file was replaced does."""
    save(folder / "t.json", KIND, {"n": 1}, {"a": np.zeros(3)})
    with monkeypatch.context() as patch:
        patch.setattr(store, "_delete", lambda *args: None)
        save(folder / "t.json", KIND, {"n": 2}, {"a": np.ones(3)})
    assert {path.name for path in folder.iterdir()} == {"t.json", "a.npy", "a-2.npy"}


def test_old_arrays_that_a_killed_save_has_left_go_with_the_next(tmp_path, monkeypatch):
    killed_before_deleting(tmp_path, monkeypatch)
    assert read(tmp_path / "t.json", KIND).about["n"] == 2
    files = save(tmp_path / "t.json", KIND, {"n": 3}, {"a": np.full(3, 2.0)})
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_file_of_somebody_else_in_the_place_of_an_old_array_stays(tmp_path, monkeypatch):
    killed_before_deleting(tmp_path, monkeypatch)
    np.save(tmp_path / "a.npy", np.full(3, 7.0))  # as large as the one that was to be deleted
    save(tmp_path / "t.json", KIND, {"n": 3}, {"a": np.full(3, 2.0)})
    assert np.load(tmp_path / "a.npy")[0] == 7


@pytest.mark.parametrize("existing", [True, False])
def test_what_cannot_be_deleted_after_an_error_is_noted_and_goes_with_the_next(
    tmp_path, monkeypatch, existing
):
    """New arrays stay noted until they are gone: the JSON file of before comes back after that."""
    path = tmp_path / "t.json"
    if existing:
        save(path, KIND, {"n": 1}, {"a": np.zeros(3)})
    before = path.read_bytes() if existing else None
    with monkeypatch.context() as patch:
        patch.setattr(store, "_read_back", raising(OSError(errno.EIO, "Input/output error")))
        patch.setattr(store, "_delete", lambda *args: None)
        with pytest.raises(CollectionError, match="Input/output"):
            save(path, KIND, {"n": 2}, {"a": np.ones(3)})
    assert json.loads(path.read_text(encoding="utf-8"))["unfinished"] == ["a-2.npy" if existing else "a.npy"]
    found = read(path, KIND)
    assert found.about["n"] == 1 if existing else found is None
    with monkeypatch.context() as patch:
        patch.setattr(store, "_read_back", raising(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(CollectionError, match="Input/output"):
            save(path, KIND, {"n": 2}, {"a": np.ones(3)})
    assert {file.name for file in tmp_path.iterdir()} == ({"t.json", "a.npy"} if existing else set())
    if existing:
        assert path.read_bytes() == before  # without a note


def raising(error):
    def function(*_, **__):
        raise error

    return function


def test_a_save_that_is_neither_confirmed_nor_undone_is_not_told_as_no_change(tmp_path, monkeypatch):
    path = tmp_path / "t.json"
    save(path, KIND, {"n": 1}, {"a": np.zeros(3)})
    replace_text, calls = store.replace_text, []

    def unconfirmed(*args):
        calls.append(args)
        if len(calls) == 2:
            replace_text(*args)
        if len(calls) >= 2:
            raise OSError(errno.EIO, "Input/output error")
        replace_text(*args)

    monkeypatch.setattr(store, "replace_text", unconfirmed)
    with pytest.raises(CollectionError, match="not confirmed") as caught:
        save(path, KIND, {"n": 2}, {"a": np.ones(3)})
    assert "nothing was changed" not in str(caught.value)
    assert read(path, KIND).about["n"] == 2  # whole


@pytest.mark.parametrize(
    "body", [{"former": [1]}, {"former": {"a.npy": {"size": "x"}}}, {"arrays": {"a": 5}}]
)
def test_lists_of_files_that_make_no_sense_are_damage(tmp_path, body):
    (tmp_path / "t.json").write_text(checksums.seal({"kind": "thing", "format": 2, **body}), encoding="utf-8")
    with pytest.raises(DamagedError, match="damaged"):
        save(tmp_path / "t.json", KIND, {}, {"a": np.zeros(3)})


def test_pipes_and_links_in_the_place_of_arrays_are_not_followed(tmp_path):
    files = save(tmp_path / "t.json", KIND, {}, {"a": np.zeros(3)})
    files[1].rename(tmp_path / "elsewhere.npy")
    os.mkfifo(files[1])
    with pytest.raises(CollectionError, match="no ordinary file"):  # and does not wait for a writer
        read(files[0], KIND)
    files[1].unlink()
    files[1].symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(CollectionError, match="cannot read"):
        read(files[0], KIND)
