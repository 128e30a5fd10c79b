"""Records of files, whole and by blocks; JSON that carries its checksum."""

import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.core import checksums
from nphash.core.checksums import Blocks, FileRecord, Recorder, record, seal, unseal
from nphash.errors import DamagedError


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(checksums, "BLOCK", 8)
    monkeypatch.setattr(checksums, "LARGE", 20)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_that_of_all_bytes_at_once(tmp_path, monkeypatch, rng, size):
    monkeypatch.setattr(checksums, "_PIECE", 8)
    data = rng.bytes(size)
    (tmp_path / "file").write_bytes(data)
    assert record(tmp_path / "file") == FileRecord(size, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [20, 21, 24, 25, 100])
def test_the_pieces_in_which_bytes_come_are_no_matter(small_blocks, rng, size):
    data = rng.bytes(size)
    whole, pieces = Recorder(), Recorder()
    whole.update(data)
    for start in range(0, size, 3):
        pieces.update(data[start : start + 3])
    assert whole.record() == pieces.record()
    assert len(whole.record().blocks) == (0 if size <= 20 else -(-size // 8))
    assert FileRecord.from_json(json.loads(json.dumps(whole.record().to_json()))) == whole.record()


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"size": -1, "sha256": ""},
        {"size": "1", "sha256": ""},
        {"size": 1, "sha256": 5},
        {"size": 1, "sha256": "", "blocks": [1, 2]},
        {"size": 1, "sha256": "", "blocks": ["a"]},
        {"size": 1, "sha256": "", "blocks": 3},
        {"size": 1, "sha256": "", "more": 3},
    ],
)
def test_senseless_records_are_refused(entry):
    with pytest.raises((TypeError, ValueError)):
        FileRecord.from_json(entry)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        record(tmp_path / "nothing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_ordinary_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"a")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "zeros", "pipe", "."):
        with pytest.raises(OSError):
            record(tmp_path / name)


@pytest.mark.parametrize("with_blocks", [True, False])
def test_a_changed_byte_is_noticed_when_its_block_is_read(small_blocks, tmp_path, rng, with_blocks):
    data = bytearray(rng.bytes(61))
    (tmp_path / "f").write_bytes(data)
    known = record(tmp_path / "f")
    known = known if with_blocks else FileRecord(known.size, known.sha256)
    Blocks(tmp_path / "f", known).check()
    data[20] ^= 1  # in the third block
    (tmp_path / "f").write_bytes(data)
    blocks = Blocks(tmp_path / "f", known)
    if with_blocks:
        blocks.check(0, 16)
        blocks.check(24, 61)
    for start, stop in ((20, 21), (0, None), (16, 17)):
        with pytest.raises(DamagedError, match="not what was written"):
            blocks.check(start, stop)


def test_a_shorter_file_is_damaged(small_blocks, tmp_path, rng):
    (tmp_path / "f").write_bytes(rng.bytes(61))
    known = record(tmp_path / "f")
    (tmp_path / "f").write_bytes((tmp_path / "f").read_bytes()[:40])
    with pytest.raises(DamagedError):
        Blocks(tmp_path / "f", known).check()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda name: name != "checksum"), values), st.integers(0, 10**6))
def test_what_is_sealed_is_read_and_every_change_noticed(body, place):
    text = seal(body)
    assert unseal(json.loads(text)) == json.loads(json.dumps(body))
    place %= len(text)
    changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
    try:
        again = json.loads(changed)
        assert not isinstance(again, dict) or unseal(again) == body
    except ValueError:
        pass


@given(st.binary(max_size=3000))
def test_record_is_size_and_sha256(data):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(data)
        assert record(path) == FileRecord(len(data), hashlib.sha256(data).hexdigest())
