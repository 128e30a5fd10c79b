import errno
import hashlib
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.collection import files
from nphash.errors import CollectionError


@given(st.binary(max_size=3000))
def test_record_is_size_and_sha256(data):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(data)
        assert files.record(path) == files.FileRecord(len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", ["a", "model-000001/model.json", "a..b", "documents-000001.sqlite"])
def test_plain_relative_names_are_taken(name):
    assert files.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../a",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "//",
        "/",
        "./a",
        "a/",
        "C:/a",
        "C:a",
        "a\\b",
        "a\0b",
        "x" * 300,
        None,
        3,
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(CollectionError, match="not inside the collection"):
        files.check_name(name)


@given(st.text(alphabet="ab./\\:\0", min_size=1, max_size=12))
def test_a_name_that_passes_stays_inside(name):
    try:
        files.check_name(name)
    except CollectionError:
        return
    assert os.path.normpath(f"/base/{name}").startswith("/base/")
    assert not pathlib.Path(name).is_absolute() and ".." not in name.split("/")


@pytest.mark.parametrize(
    "error, says",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission"),
        (OSError(errno.EROFS, "Read-only file system"), "no permission"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
    ],
)
def test_writing_says_what_is_wrong_with_the_disk(tmp_path, error, says):
    with pytest.raises(CollectionError, match=says) as caught, files.writing(tmp_path):
        raise error
    assert str(tmp_path) in caught.value.problem
    assert "nothing was changed" in caught.value.hint


def test_writing_lets_other_errors_through(tmp_path):
    with pytest.raises(CollectionError, match="own"), files.writing(tmp_path):
        raise CollectionError("own words")
    with pytest.raises(KeyError), files.writing(tmp_path):
        raise KeyError("x")


def test_one_lock_at_a_time(tmp_path):
    with (
        files.write_lock(tmp_path),
        pytest.raises(CollectionError, match="another process is changing"),
        files.write_lock(tmp_path),
    ):
        pass
    with files.write_lock(tmp_path):
        assert (tmp_path / "lock").exists()


def test_a_killed_process_gives_its_lock_back(tmp_path):
    program = (
        "import sys, os, pathlib, nphash.collection.files as f\n"
        f"with f.write_lock(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CollectionError, match="another process"), files.write_lock(tmp_path):
            pass
        holder.kill()
    with files.write_lock(tmp_path):
        pass


def test_no_lock_where_nothing_can_be_written(tmp_path):
    with pytest.raises(CollectionError, match="cannot write"), files.write_lock(tmp_path / "missing"):
        pass


def test_a_writer_can_wait_for_another(tmp_path):
    held, events = threading.Event(), []

    def other():
        with files.write_lock(tmp_path):
            held.set()
            time.sleep(0.3)
            events.append("other")

    writer = threading.Thread(target=other)
    writer.start()
    held.wait()
    for seconds in (0.0, 0.06, float("nan")):
        with pytest.raises(CollectionError, match="another process"), files.write_lock(tmp_path, seconds):
            pass
    with files.write_lock(tmp_path, 60):
        events.append("waited")
    writer.join()
    assert events == ["other", "waited"]
