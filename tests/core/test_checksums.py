"""Checksums of files read in pieces."""

import hashlib

import pytest

from nphash.core import checksums
from nphash.core.checksums import sha256_of


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_that_of_all_bytes_at_once(tmp_path, monkeypatch, rng, size):
    monkeypatch.setattr(checksums, "_PIECE", 8)
    data = rng.bytes(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "nothing")
