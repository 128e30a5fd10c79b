"""The file of an index: what is written comes back, and damage is noticed."""

import json
import zlib

import numpy as np
import pytest

from nphash.errors import CollectionError
from nphash.search import files


def read(path, mmap=True, verify=True):
    facts, arrays, check = files.map_file(path)
    if verify:
        check(arrays)
    return facts, arrays if mmap else {name: array.copy() for name, array in arrays.items()}


@pytest.fixture
def path(tmp_path):
    arrays = {
        "numbers": [np.arange(5, dtype=">i8"), np.arange(5, 7, dtype=">i8")],
        "codes": [np.arange(24, dtype=np.uint8).reshape(3, 8)],
        "empty": [np.empty((0, 4), np.float32)],
    }
    files.write(tmp_path / "file", {"n_bits": 64}, arrays)
    return tmp_path / "file"


@pytest.mark.parametrize("mmap", [True, False])
def test_round_trip(path, mmap):
    facts, arrays = read(path, mmap=mmap)
    assert facts["n_bits"] == 64 and facts["nphash"]
    assert arrays["numbers"].tolist() == list(range(7))
    assert arrays["codes"].tolist() == np.arange(24).reshape(3, 8).tolist()
    assert arrays["empty"].shape == (0, 4)
    arrays["codes"][0, 0] = 77  # never reaches the file
    assert read(path)[1]["codes"][0, 0] == 0


def test_arrays_start_at_multiples_of_64(path):
    _, arrays = read(path)
    assert all(array.ctypes.data % 64 == 0 for array in arrays.values() if array.size)


def test_every_cut_is_noticed(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CollectionError):
            read(path)


def test_every_changed_byte_that_matters_is_noticed(path):
    content = path.read_bytes()
    _, whole = read(path, mmap=False)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            _, arrays = read(path, mmap=False)
        except CollectionError:
            continue
        # The padding between arrays may change: nothing is read from it.
        assert all(np.array_equal(arrays[name], whole[name]) for name in whole)


def test_without_verification_the_content_is_not_read(path):
    content = bytearray(path.read_bytes())
    content[64] ^= 1
    path.write_bytes(content)
    with pytest.raises(CollectionError, match="numbers does not match its checksum"):
        read(path)
    assert read(path, verify=False)[1]["numbers"][0] == 1


def test_a_newer_format_is_named(path):
    path.write_bytes(path.read_bytes().replace(b"index 1\n", b"index 2\n", 1))
    with pytest.raises(CollectionError, match=r"has format 2, but this nphash .* reads up to 1"):
        read(path)


def test_what_is_no_index_is_named(tmp_path):
    with pytest.raises(CollectionError, match="cannot be read"):
        read(tmp_path / "missing")
    with pytest.raises(CollectionError, match=str(tmp_path)):
        read(tmp_path)
    (tmp_path / "text").write_text("nothing of the kind", encoding="utf-8")
    with pytest.raises(CollectionError, match="not an index"):
        read(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(CollectionError, match="not an index"):
        read(tmp_path / "empty")


def test_a_failed_write_keeps_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(CollectionError, match=r"cannot be written \(No space left on device\)"):
        files.write(path, {}, {})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_missing_folder_is_an_error_not_a_traceback(tmp_path):
    with pytest.raises(CollectionError, match="cannot be written"):
        files.write(tmp_path / "no" / "file", {}, {})


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "O"},
        {"place": -64},
        {"shape": [1 << 60]},
        {"shape": "x"},
        {"dtype": "nothing"},
        {"crc32": 0},
    ],
)
def test_contents_that_make_no_sense_are_damage(path, entry):
    """Of a file whose contents have the right checksum, as somebody may have made it."""
    content = path.read_bytes()
    start = int(np.frombuffer(content[-16:-8], "<u8")[0])
    facts = json.loads(content[start:-16])
    facts["arrays"]["codes"].update(entry)
    text = json.dumps(facts).encode()
    path.write_bytes(content[:start] + text + np.array([start, zlib.crc32(text)], "<u8").tobytes())
    with pytest.raises(CollectionError, match="is damaged"):
        read(path)
