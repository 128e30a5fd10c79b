"""Whatever happens to a writer, a reader finds the old state or the new one."""

import errno
import operator
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import nphash
from helpers.collecting import (
    LeanSignHash,
    SignHash,
    contents,
    die_at,
    documents,
    files,
    fresh,
    in_child,
    is_change,
)
from nphash.collection import Collection, changes
from nphash.collection.changes import Change, _sweep, changing, check_target, creating, is_leftover
from nphash.collection.creating import CreateSettings
from nphash.collection.manifest import MANIFEST, read_manifest, write_lock
from nphash.errors import CollectionError, CorpusError, InputError, NewerFormatError

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

NEW = documents(5, start=100)


def add(path):
    Collection.open(path).add(NEW)


def remove(path):
    Collection.open(path).remove(["d3", "d4"])


def compact(path):
    Collection.open(path).compact()


def replace(path):
    Collection.create(path, SignHash(16), NEW, CreateSettings(force=True))


def replace_out_of_core(path):
    Collection.create(path, LeanSignHash(16), NEW, CreateSettings(force=True, out_of_core=True))


ACTIONS = [add, remove, compact, replace, replace_out_of_core]
EACH = [*ACTIONS[:-1], pytest.param(replace_out_of_core, marks=pytest.mark.slow)]


def state(path):
    return *contents(path), read_manifest(path).n_removed


def prepared(tmp_path):
    path = fresh(tmp_path)
    Collection.open(path).remove(["d0"])
    return path


@posix
@pytest.mark.parametrize("action", EACH)
def test_killed_at_any_instant_leaves_the_old_or_the_new_state(tmp_path, action):
    path = prepared(tmp_path)
    old = state(path)
    done = tmp_path / "done"
    Collection.open(path).close()
    shutil.copytree(path, done)
    action(done)
    new = state(done)
    seen, instant = [], 0
    while True:
        instant += 1
        status = in_child(partial(action, path), die_at(instant))
        found = state(path)
        assert found in (old, new), f"killed before change {instant}"
        seen.append(found == new)
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        if found == new:  # only tidying up was left; begin again from the old state
            shutil.rmtree(path)
            path = prepared(tmp_path)
    assert instant > 5
    assert not seen[0] and seen[-1]
    with changing(path):  # the next writer sweeps up what the killed ones left
        pass
    used = {name.split("/")[0] for name in read_manifest(path).named_files()}
    assert {p.name for p in path.iterdir()} == used | {MANIFEST, "lock"}


@posix
def test_killed_while_making_the_first_state_leaves_nothing_that_is_in_the_way(tmp_path):
    path, instant = tmp_path / "c", 0
    while True:
        instant += 1
        status = in_child(lambda: Collection.create(path, SignHash(16), NEW).close(), die_at(instant))
        if not os.WIFSIGNALED(status):
            break
        if (path / MANIFEST).exists():
            break
        if path.exists():
            assert is_leftover(path)
            with pytest.raises(CollectionError, match="not a collection"):
                Collection.open(path)
    assert instant > 5
    assert len(contents(path)[0]) == 5


@posix
@pytest.mark.parametrize("action", EACH)
def test_a_disk_that_fills_up_at_any_instant_leaves_the_old_state(tmp_path, action):
    path = prepared(tmp_path)
    before, old = files(path), state(path)
    failures = 0
    for instant in range(1, 100):
        reached = []

        def full(number, event, instant=instant, reached=reached):
            if number == instant:
                reached.append(event)
                if event in {"open", "os.mkdir", "os.rename", "sqlite3.connect"}:  # removing needs no room
                    raise OSError(errno.ENOSPC, "No space left on device")

        def attempt(path=path, reached=reached):
            try:
                action(path)
            except (CollectionError, CorpusError) as error:
                return 1 if "disk is full" in error.problem else 2
            return 0 if reached else 3

        status = in_child(attempt, full)
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) in {0, 1, 3}, (instant, status)
        if os.WEXITSTATUS(status) == 3:  # done before so many changes
            break
        if os.WEXITSTATUS(status) == 0:  # it was one that may fail; begin again from the old state
            shutil.rmtree(path)
            path = prepared(tmp_path)
            before, old = files(path), state(path)  # the manifest says when it was written
            continue
        failures += 1
        assert state(path) == old
        assert files(path) == before
    assert failures >= 3


def test_audit_events_are_told_apart():
    assert is_change("open", ("f", "w", os.O_WRONLY | os.O_CREAT))
    assert not is_change("open", ("f", "r", os.O_RDONLY))
    assert not is_change("import", ())


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 400 KB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_really_full_disk(tiny_disk):
    path = tiny_disk / "c"
    Collection.create(path, SignHash(16), documents(30)).close()
    old, before = contents(path), files(path)
    many = documents(20_000, start=1000)
    with pytest.raises(CollectionError, match="the disk is full") as caught:
        Collection.open(path).add(many)
    assert "nothing was changed" in caught.value.hint
    assert files(path) == before and contents(path) == old
    with pytest.raises(CollectionError, match="the disk is full"):
        Collection.create(tiny_disk / "second", SignHash(16), many)
    assert not (tiny_disk / "second").exists()
    with pytest.raises(CollectionError, match="the disk is full"):
        Collection.create(path, SignHash(16), many, CreateSettings(force=True))
    assert files(path) == before
    Collection.open(path).add(documents(10, start=50))
    assert len(contents(path)[0]) == 40


def test_an_error_discards_the_new_files(tmp_path):
    path = fresh(tmp_path)
    before = files(path)
    with pytest.raises(KeyError), changing(path) as (change, _):
        change.path("codes", ".npy").write_bytes(b"half")
        change.path("model", "").mkdir()
        raise KeyError("x")
    assert files(path) == before


def test_ctrl_c_right_after_the_swap_keeps_the_new_state(tmp_path, monkeypatch):
    path = fresh(tmp_path)
    monkeypatch.setattr("nphash.collection.changes._sweep", _interrupt_once())
    with pytest.raises(KeyboardInterrupt):
        Collection.open(path).remove(["d1"])
    monkeypatch.undo()
    assert len(contents(path)[0]) == 29


def _interrupt_once():
    calls = []

    def sweep(folder, names, journal):
        calls.append(1)
        if len(calls) == 2:  # the first call is before the change
            raise KeyboardInterrupt
        _sweep(folder, names, journal)

    return sweep


def test_two_writers_do_not_meet(tmp_path):
    path = fresh(tmp_path)
    with changing(path), pytest.raises(CollectionError, match="another process is changing"):
        Collection.open(path).remove(["d1"])
    assert len(contents(path)[0]) == 30


def test_changing_makes_no_lock_where_there_is_no_collection(tmp_path):
    with pytest.raises(CollectionError, match="not a collection"), changing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_names_carry_the_generation(tmp_path):
    change = Change(tmp_path, 7)
    assert change.path("codes", ".npy") == tmp_path / "codes-000007.npy"


def test_a_scratch_folder_is_gone_after_its_block_and_never_in_the_way(tmp_path):
    change = Change(tmp_path, 3)
    with pytest.raises(ValueError), change.scratch("shards") as path:
        assert path == tmp_path / "shards-000003" and not path.exists()
        path.mkdir()
        raise ValueError
    assert not path.exists() and change.new == []
    names = ["shards-000003", "shards-000003.counts"]
    with write_lock(tmp_path) as journal:
        journal.write(names)
    for name in names:  # as kill -9 leaves them
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.data.npy").touch()
    assert is_leftover(tmp_path)
    with creating(tmp_path, force=False):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    (tmp_path / "shards-000003").mkdir()  # another's: nothing of ours has noted it
    assert not is_leftover(tmp_path)


def test_targets_that_must_not_be_written_to(tmp_path):
    path = fresh(tmp_path)
    with pytest.raises(CollectionError, match="exists already") as caught:
        check_target(path, force=False)
    assert "CreateSettings(force=True)" in caught.value.hint
    check_target(path, force=True)
    check_target(tmp_path / "new", force=False)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(CollectionError, match="is a file"):
        check_target(tmp_path / "file", force=True)
    (tmp_path / "other").mkdir()
    check_target(tmp_path / "other", force=False)
    (tmp_path / "other" / "thesis.tex").write_text("x", encoding="utf-8")
    for force in (False, True):
        with pytest.raises(CollectionError, match="is not a collection"):
            check_target(tmp_path / "other", force)
    (tmp_path / "other" / MANIFEST).write_text('{"name": "web app"}', encoding="utf-8")
    with pytest.raises(CollectionError, match="another program"):
        check_target(tmp_path / "other", force=True)


def test_a_damaged_collection_can_be_replaced(tmp_path):
    path = fresh(tmp_path)
    (path / MANIFEST).write_text("{", encoding="utf-8")
    Collection.create(path, SignHash(16), NEW, CreateSettings(force=True)).close()
    assert len(contents(path)[0]) == 5
    assert read_manifest(path).generation == 2  # names of the damaged state's files are not used again


def test_a_failure_takes_a_new_directory_away_again(tmp_path):
    with pytest.raises(InputError), creating(tmp_path / "a" / "b", force=False) as change:
        change.path("codes", ".npy").write_bytes(b"half")
        raise InputError("x")
    assert not (tmp_path / "a" / "b").exists()


def test_tidying_leaves_other_files_alone(tmp_path):
    path = fresh(tmp_path)
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    (path / "codes-000099.npy").write_bytes(b"exported by somebody")
    Collection.open(path).remove(["d1"])
    assert (path / "notes.txt").exists()
    assert (path / "codes-000099.npy").read_bytes() == b"exported by somebody"


@pytest.mark.parametrize("where", ["nphash.collection.manifest.record", "nphash.core.store.load_array"])
def test_a_state_replaced_while_it_is_opened_is_opened_anew(where, tmp_path, monkeypatch):
    path = prepared(tmp_path)
    writer = Collection.open(path)
    read, changes = operator.attrgetter(where.removeprefix("nphash."))(nphash), []

    def read_late(*arguments, **options):
        if not changes:
            changes.append(1)
            writer.add(NEW)
            writer.compact()  # deletes the files of the state that is being opened
        return read(*arguments, **options)

    monkeypatch.setattr(where, read_late)
    with Collection.open(path) as reader:
        assert len(reader) == 34
    assert changes


@posix
def test_readers_are_never_disturbed(tmp_path):
    """One process changes the collection again and again while another opens and searches it."""
    path = fresh(tmp_path)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with Collection.open(path) as writer:
                for number in range(12):
                    writer.add(documents(2, start=100 + 2 * number))
                    writer.remove([f"d{100 + 2 * number}"])
                writer.compact()
            status = 0
        finally:
            os._exit(status)
    sizes = []
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        with Collection.open(path) as reader:
            hits = reader.search(["gold mine"], k=5)[0]
            assert len(hits) == 5 and all(hit.document.text for hit in hits)
            sizes.append(len(reader))
    assert sizes and all(30 <= size <= 44 for size in sizes)
    assert len(contents(path)[0]) == 42


# ---------------------------------------------------------------------- whose file is it


FOREIGN = ["model-100000/weights.bin", "model-000002/weights.bin", "codes-000777.npy", "codes-000002.npy"]
FOREIGN += [
    "photo-1706700000000.jpg",
    ".nfs000000000123456700000001",
    "documents-000003.sqlite",
    "manifest.json.old",
]
FOREIGN += ["shards-000001/a.npy", "vectorizer-000009.json", "manifest-000002.json", "removed-000002.npy"]


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_survive_everything_and_hinder_nothing(tmp_path, name):
    path = fresh(tmp_path)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text("precious", encoding="utf-8")
    for action in ACTIONS:
        action(path)
        assert (path / name).read_text(encoding="utf-8") == "precious", action
        assert Collection.open(path).verify() == []
        shutil.copytree(fresh(tmp_path, name=f"t-{action.__name__}"), path, dirs_exist_ok=True)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_foreign_files_is_refused_and_left_as_it_is(tmp_path, name, force):
    path = tmp_path / "c"
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("precious", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CollectionError, match="exists and is not a collection"):
        Collection.create(path, SignHash(16), NEW, CreateSettings(force=force))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unreadable_manifest_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / MANIFEST).write_text("# a manifest of another kind", encoding="utf-8")
    with pytest.raises(CollectionError):
        Collection.create(tmp_path, SignHash(16), NEW, CreateSettings(force=True))
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


@pytest.mark.parametrize("name", ["manifest.json.new", "lock", "codes-000002.npy", "manifest-000002.json"])
def test_links_of_a_stranger_lead_nowhere(tmp_path, name):
    (tmp_path / "bashrc").write_text("mine", encoding="utf-8")
    for target in (tmp_path / "bashrc", tmp_path / "made"):
        path = fresh(tmp_path, name=f"to-{target.name}")
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(target)
        for action in ACTIONS:
            with suppress(CollectionError):
                action(path)
    assert (tmp_path / "bashrc").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "made").exists()


def test_a_second_first_fit_leaves_the_work_of_the_first(tmp_path):
    path = tmp_path / "c"
    with creating(path, force=False) as change:
        change.path("codes", ".npy").write_bytes(b"half")
        with pytest.raises(CollectionError, match="another process"), creating(path, force=False):
            pass
        assert (path / "codes-000001.npy").exists()


@posix
def test_what_killed_fits_leave_does_not_pile_up(tmp_path):
    path = fresh(tmp_path)
    for instant in (8, 12, 16, 20, 24):
        in_child(partial(replace, path), die_at(instant))
    with pytest.raises(KeyError), creating(path, force=True):
        assert {p.name.split("-")[0] for p in path.iterdir()} <= {
            "codes",
            "documents",
            "words",
            "vectorizer",
            "model",
            "lock",
            MANIFEST,
        }
        assert len(list(path.iterdir())) == 7
        raise KeyError


@pytest.mark.parametrize("damage", [b"{", b"", None])
def test_the_manifest_before_an_interrupted_change_is_taken_where_the_new_one_is_damaged(
    tmp_path, monkeypatch, damage, caplog
):
    path = fresh(tmp_path)
    old = contents(path)
    monkeypatch.setattr("nphash.collection.changes._sweep", lambda *args: None)  # as killed before tidying
    Collection.open(path).remove(["d1"])
    monkeypatch.undo()
    assert len(contents(path)[0]) == 29
    if damage is None:
        (path / MANIFEST).unlink()
    else:
        (path / MANIFEST).write_bytes(damage)
    assert contents(path) == old
    if damage is not None:
        assert "the state before it is used" in caplog.text
    Collection.open(path).remove(["d2"])
    assert len(contents(path)[0]) == 29
    used = {name.split("/")[0] for name in read_manifest(path).named_files()}
    assert {p.name for p in path.iterdir()} == used | {MANIFEST, "lock"}


def test_what_was_done_is_not_told_as_an_error(tmp_path, monkeypatch, caplog):
    path = fresh(tmp_path)

    def broken(*args):
        if calls:
            raise OSError(errno.EIO, "Input/output error")
        calls.append(_sweep(*args))

    calls = []
    monkeypatch.setattr("nphash.collection.changes._sweep", broken)
    collection = Collection.open(path)
    assert collection.add(NEW).added == 5 and len(collection) == 35
    assert "the change is made" in caplog.text
    monkeypatch.undo()
    assert len(contents(path)[0]) == 35


@posix
def test_a_forked_child_that_ends_in_a_change_takes_nothing_away(tmp_path):
    path = fresh(tmp_path)
    with changing(path) as (change, _):
        change.path("codes", ".npy").write_bytes(b"half")
        child = os.fork()
        if child == 0:
            change.discard()
            os._exit(0)
        os.waitpid(child, 0)
        assert (path / "codes-000002.npy").exists()


def test_a_change_that_is_neither_confirmed_nor_undone_is_not_told_as_no_change(tmp_path, monkeypatch):
    path = fresh(tmp_path)
    replace_text, calls = changes.replace_text, []

    def unconfirmed(*args):
        calls.append(args)
        if len(calls) == 1:
            replace_text(*args)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(changes, "replace_text", unconfirmed)
    with pytest.raises(CollectionError, match="has not confirmed") as caught:
        Collection.open(path).remove(["d1"])
    assert "nothing was changed" not in str(caught.value) and len(calls) == 2
    monkeypatch.undo()
    assert len(contents(path)[0]) == 29
    Collection.open(path).remove(["d2"])
    used = {name.split("/")[0] for name in read_manifest(path).named_files()}
    assert {p.name for p in path.iterdir()} == used | {MANIFEST, "lock"}


def test_a_collection_of_a_newer_version_can_be_replaced(tmp_path):
    path = fresh(tmp_path)
    newer = '{"format": "nphash collection", "format_version": 99, "nphash_version": "9.0"}'
    (path / MANIFEST).write_text(newer, encoding="utf-8")
    with pytest.raises(NewerFormatError, match="was written by nphash 9"):
        Collection.open(path)
    replace(path)
    assert len(contents(path)[0]) == 5


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("folder_mode, mode", [(0o700, 0o600), (0o770, 0o660)])
def test_modes_of_a_collection_are_kept_by_all_changes(tmp_path, folder_mode, mode):
    path = fresh(tmp_path)
    for entry in [path, *path.rglob("*")]:
        entry.chmod(folder_mode if entry.is_dir() else mode)
    for action in ACTIONS:
        action(path)
        for entry in [path, *path.rglob("*")]:
            assert entry.stat().st_mode & 0o777 == (folder_mode if entry.is_dir() else mode), (action, entry)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes two other users")
def test_users_of_a_group_share_a_collection():
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "s"
        Path(folder).chmod(0o755)
        shared.mkdir()
        os.chown(shared, 0, 60)
        shared.chmod(0o2775)
        for number, action in enumerate([create_anew, add, remove, compact, create_anew, remove, add]):
            assert in_child(partial(as_user, 5001 + number % 2, action, shared / "c"), ignore) == 0, action
        owners = {entry.stat().st_gid for entry in shared.rglob("*")}
        modes = {entry.stat().st_mode & 0o777 for entry in shared.rglob("*") if entry.is_file()}
        assert owners == {60} and modes == {0o664}


def create_anew(path):
    Collection.create(path, SignHash(16), documents(30), CreateSettings(force=True))


def as_user(number, action, path):
    os.umask(0o002)
    os.setgroups([])
    os.setgid(60)
    os.setuid(number)
    action(path)


def ignore(*_):
    pass


@pytest.mark.parametrize("instant", range(1, 12))
def test_an_error_while_looking_for_the_manifest_is_not_taken_for_none(tmp_path, monkeypatch, instant):
    """Files of a state that has just been made were deleted, where one look at its manifest failed."""
    path, calls = tmp_path / "c", []

    def looked(original):
        def look(target, *args, **options):
            if target == path / MANIFEST:
                calls.append(target)
                if len(calls) == instant:
                    raise PermissionError(errno.EACCES, "Permission denied")
            return original(target, *args, **options)

        return look

    with monkeypatch.context() as patch:
        for name in ("stat", "lstat"):
            patch.setattr(os, name, looked(getattr(os, name)))
        with suppress(CollectionError):
            Collection.create(path, SignHash(16), NEW).close()
    assert instant > 3 or len(calls) >= instant
    assert not path.exists() or len(contents(path)[0]) == 5


@pytest.mark.parametrize("left", [b"", b"{", b'{\n "format": "nph', bytes(345)])
def test_a_lock_that_a_power_cut_has_left_is_not_in_the_way(tmp_path, left):
    (tmp_path / "lock").write_bytes(left)
    Collection.create(tmp_path, SignHash(16), NEW).close()
    assert len(contents(tmp_path)[0]) == 5


@pytest.mark.parametrize("foreign", [b"1234", b"{}", b'{\n "format": "mine"}'])
def test_a_lock_of_another_program_is(tmp_path, foreign):
    (tmp_path / "lock").write_bytes(foreign)
    with pytest.raises(CollectionError, match="is not a collection"):
        Collection.create(tmp_path, SignHash(16), NEW)
    assert (tmp_path / "lock").read_bytes() == foreign


def test_the_name_of_the_lock_is_on_the_disk_before_those_that_it_notes(tmp_path, monkeypatch):
    done = []
    for name in ("flush_folder", "write_array"):
        original = getattr(changes, name)
        monkeypatch.setattr(changes, name, lambda *a, f=original, n=name: (done.append((n, a[0])), f(*a))[1])
    path = tmp_path / "c"
    with creating(path, force=False) as change:
        change.write_array("codes", np.zeros((1, 8), np.uint8))
    assert done[-2:] == [("flush_folder", path), ("write_array", path / "codes-000001.npy")]
