"""The right to write, also where the system has no locks, and where processes fork."""

import errno
import fcntl
import json
import os
import socket
import threading
import time

import pytest

from nphash.core import locks
from nphash.core.locks import folder_lock, locked, thread_lock
from nphash.errors import CollectionError

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def refusing(number, times=10**6):
    calls = []

    def flock(descriptor, flags):
        calls.append(descriptor)
        if len(calls) <= times:
            raise OSError(number, os.strerror(number))

    return flock


def test_one_at_a_time(tmp_path):
    with (
        locked(tmp_path / "lock", "it"),
        pytest.raises(CollectionError, match="another process is changing it"),
        locked(tmp_path / "lock", "it"),
    ):
        pass
    with locked(tmp_path / "lock", "it"):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, 524])
def test_without_locks_of_the_system_a_file_stands_for_one(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with locked(tmp_path / "lock", "it"):
        assert json.loads((tmp_path / "lock.held").read_text(encoding="utf-8"))["pid"] == os.getpid()
        with (
            pytest.raises(CollectionError, match="another process") as caught,
            locked(tmp_path / "lock", "it"),
        ):
            pass
        assert "lock.held: this file system has no locks" in caught.value.hint
    assert not (tmp_path / "lock.held").exists()
    assert "this file system has no locks" in caplog.text


@posix
def test_a_process_that_has_ended_gives_its_place_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    holder = {"host": socket.gethostname(), "pid": child}
    (tmp_path / "lock.held").write_text(json.dumps(holder), encoding="utf-8")
    with locked(tmp_path / "lock", "it"):
        pass
    for other in ({"host": "elsewhere", "pid": child}, {"host": socket.gethostname(), "pid": os.getpid()}):
        (tmp_path / "lock.held").write_text(json.dumps(other), encoding="utf-8")
        with pytest.raises(CollectionError), locked(tmp_path / "lock", "it"):
            pass
        assert (tmp_path / "lock.held").exists()


def test_a_signal_is_not_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EINTR, times=3))
    with locked(tmp_path / "lock", "it"):
        pass


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF])
def test_other_errors_are_what_they_are(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(OSError) as caught, locked(tmp_path / "lock", "it"):
        pass
    assert caught.value.errno == number


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_hold_the_lock_of_its_parent(tmp_path):
    with locked(tmp_path / "lock", "it"):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with locked(tmp_path / "lock", "it"):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_links_pipes_and_folders_are_no_locks(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "made")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(OSError), locked(tmp_path / name, "it"):
            pass
    assert not (tmp_path / "made").exists()


def test_a_lock_file_that_was_deleted_is_no_lock(tmp_path, monkeypatch):
    acquire = locks._acquire

    def deleted(*args):
        held = acquire(*args)
        if not seen:
            seen.append((tmp_path / "lock").unlink())
        return held

    seen = []
    monkeypatch.setattr(locks, "_acquire", deleted)
    with locked(tmp_path / "lock", "it"):
        assert (tmp_path / "lock").exists()


@pytest.mark.parametrize("umask, mode", [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_the_mode_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with locked(tmp_path / "lock", "it"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


def test_a_folder_is_locked_without_a_file(tmp_path):
    with folder_lock(tmp_path, "it", 0):
        with pytest.raises(CollectionError, match="another process"), folder_lock(tmp_path, "it", 0):
            pass
        assert not list(tmp_path.iterdir())


def test_a_folder_that_has_no_lock_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EBADF))
    with folder_lock(tmp_path, "it", 0), folder_lock(tmp_path, "it", 0):
        pass


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_lock_that_a_thread_holds_is_waited_for_before_a_fork():
    """A child has no such thread, and would wait for ever."""
    outer, inner = thread_lock(), thread_lock(inner=True)
    holding, done = threading.Event(), []

    def hold():
        with outer:
            holding.set()
            time.sleep(0.2)
            with inner:
                done.append(1)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if outer.acquire(timeout=5) and inner.acquire(timeout=5) else 1)
    assert done == [1]
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert outer.acquire(timeout=1) and inner.acquire(timeout=1)
