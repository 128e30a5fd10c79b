import errno
import os
import pathlib

import pytest

from nphash.core import disk
from nphash.errors import CollectionError, DamagedError


def test_replace_text_puts_the_whole_text_in_place(tmp_path):
    path = tmp_path / "m.json"
    disk.replace_text(path, "old")
    disk.replace_text(path, "n\u00e9w\n")
    assert path.read_bytes() == "n\u00e9w\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_text(tmp_path, monkeypatch):
    path = tmp_path / "m.json"
    disk.replace_text(path, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        disk.replace_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", raising(OSError(number, "no")))
    disk.flush_folder(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EBADF])
def test_a_flush_of_a_folder_that_fails_is_one(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", raising(OSError(number, "no")))
    with pytest.raises(OSError, match="no"):
        disk.flush_folder(tmp_path)


def raising(error):
    def function(*_, **__):
        raise error

    return function


def test_a_new_file_takes_no_ones_place_and_follows_no_link(tmp_path):
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "made")
    for name in ("mine", "link", "nowhere"):
        with pytest.raises(FileExistsError), disk.new_file(tmp_path / name) as file:
            file.write(b"other")
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("unnamed", [True, False])
def test_replacing_a_link_leaves_what_it_points_to(tmp_path, monkeypatch, unnamed):
    if not unnamed:
        monkeypatch.setattr(disk, "_unnamed", lambda folder: None)
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    (tmp_path / "m.json").symlink_to(tmp_path / "mine")
    disk.replace_text(tmp_path / "m.json", "new")
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "m.json").read_text(encoding="utf-8") == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "mine"]


@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_nothing_is_left_of_a_replacement_that_fails(tmp_path, monkeypatch, unnamed, call):
    if not unnamed:
        monkeypatch.setattr(disk, "_unnamed", lambda folder: None)
    if call == "link" and disk._unnamed(tmp_path) is None:
        pytest.skip("files are named from the beginning here")
    monkeypatch.setattr(os, call, raising(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"), disk.replacing(tmp_path / "f") as file:
        file.write(b"abc")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_the_mode_of_what_is_replaced_is_kept(tmp_path):
    path = tmp_path / "m.json"
    disk.replace_text(path, "a")
    path.chmod(0o640)
    disk.replace_text(path, "b")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="owners of POSIX")
def test_owner_and_mode_are_taken_from_another_file_as_far_as_that_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "a").touch(0o600)
    (tmp_path / "b").touch()
    (tmp_path / "link").symlink_to("a")
    asked = []

    def chown(target, owner, group):
        asked.append((owner, group))
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", chown)
    for model in ("link", ".", "nothing"):  # no file
        disk.take_after(tmp_path / model, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 != 0o600
    disk.take_after(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600 and asked == []
    found = (tmp_path / "a").lstat()
    other = os.stat_result((*found[:4], found.st_uid + 1, found.st_gid + 1, *found[6:10]))
    monkeypatch.setattr(pathlib.Path, "lstat", lambda path: other)
    disk.take_after(tmp_path / "a", tmp_path / "b")
    assert asked == [(found.st_uid + 1, -1), (-1, found.st_gid + 1)]


@pytest.mark.parametrize("name", [".", "", "/", "folder"])
def test_a_folder_is_not_replaced_by_a_file(tmp_path, monkeypatch, name):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError), disk.replacing(pathlib.Path(name)):
        pass


def test_a_file_that_is_short_is_noticed(tmp_path):
    with pytest.raises(OSError, match="has not taken all"), disk.new_file(tmp_path / "f") as file:
        file.write(b"x" * 5000)
        file.flush()
        os.ftruncate(file.fileno(), 100)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    "number, says",
    [
        (errno.EMFILE, "too many files open: close collections"),
        (errno.ENOMEM, "free memory"),
        (errno.EIO, "the disk or the network drive failed"),
        (errno.EACCES, "check its permissions"),
    ],
)
def test_what_hinders_reading_is_not_damage(number, says):
    error = disk.cannot_read("c", OSError(number, os.strerror(number)))
    assert not isinstance(error, DamagedError)
    assert os.strerror(number) in error.problem and says in error.hint
    assert "copy" not in error.hint
    assert isinstance(disk.cannot_read("c", OSError(errno.ENOENT, "No such file")), DamagedError)


@pytest.mark.parametrize(
    "error, says",
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "the disk is full: nothing was changed; make room",
        ),
        (OSError("152000 requested and 38880 written"), "the disk is full: nothing was changed; make room"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to write there: .* owner"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error: nothing was changed"),
    ],
)
def test_writing_says_what_is_wrong_with_the_disk(tmp_path, error, says):
    with pytest.raises(CollectionError, match=says), disk.writing(tmp_path):
        raise error
    with pytest.raises(CollectionError, match="own"), disk.writing(tmp_path):
        raise CollectionError("own words")


@pytest.mark.parametrize("unnamed", [True, False])
def test_what_a_killed_replacement_leaves_goes_with_the_next(tmp_path, monkeypatch, unnamed):
    """A process is killed with the new file named, and others have files that look like it."""
    if not unnamed:
        monkeypatch.setattr(disk, "_unnamed", lambda folder: None)
    path, other = tmp_path / "x.index", tmp_path / "y.index"
    foreign = [tmp_path / f".x.index.{'0' * 16}.new", tmp_path / ".x.index.mine.new"]
    for file in foreign:
        file.write_text("mine", encoding="utf-8")
    for target in (path, other):
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(os, "replace", lambda *_: os._exit(0))
            disk.replace_text(target, "half")
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert len(list(tmp_path.iterdir())) == 4
    disk.replace_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new" and not other.exists()
    assert len(list(tmp_path.iterdir())) == 4  # that of the other file is none of ours
    disk.replace_text(other, "new")
    assert set(tmp_path.iterdir()) == {path, other, *foreign}


def test_a_replacement_that_is_going_on_is_no_leftover(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_unnamed", lambda folder: None)
    path = tmp_path / "x.index"
    with disk.replacing(path) as first:
        first.write(b"first")
        disk.replace_text(path, "second")
        assert path.read_text(encoding="utf-8") == "second"
    assert path.read_text(encoding="utf-8") == "first" and list(tmp_path.iterdir()) == [path]


def test_what_is_read_is_an_ordinary_file_and_no_more_than_asked_for(tmp_path):
    (tmp_path / "f").write_bytes(b"abcdef")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    os.mkfifo(tmp_path / "pipe")
    assert disk.read_bytes(tmp_path / "f") == b"abcdef"
    assert disk.read_bytes(tmp_path / "f", 3) == b"abcd"  # one more says that there is more
    for missing in (tmp_path / "nothing", tmp_path / "f" / "g"):
        assert disk.read_bytes(missing) is None
    for name in ("link", "pipe", "."):
        with pytest.raises(CollectionError, match="cannot read") as caught:
            disk.read_bytes(tmp_path / name)
        assert not isinstance(caught.value, DamagedError)


def test_a_folder_that_cannot_be_listed_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "listdir", raising(PermissionError(errno.EACCES, "Permission denied")))
    disk.replace_text(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text(encoding="utf-8") == "new"


def test_a_full_disk_is_told_from_other_errors():
    assert disk.is_full(OSError("152000 requested and 38880 written"))
    assert not disk.is_full(OSError(errno.EACCES, "denied"))
    expected = "cannot write c: the disk is full: nothing was changed; make room and try again"
    assert str(disk.cannot_write(pathlib.Path("c"), disk.FULL)) == expected
    assert (
        disk.advice(OSError(errno.EROFS, "Read-only file system")) == "take a folder on another file system"
    )
    assert disk.cannot_read("c", OSError(errno.ENOMEM, "No memory")).problem == "cannot read c: No memory"
