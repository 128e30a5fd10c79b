import errno
import os

import pytest

from nphash.core import disk
from nphash.errors import CollectionError


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


def test_flush_changes_nothing(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    disk.flush(path)
    disk.flush_folder(tmp_path)
    assert path.read_bytes() == b"abc"


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
