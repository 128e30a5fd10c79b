import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import SignHash, damage, documents, fresh, opened
from nphash.collection import Collection
from nphash.collection.manifest import read_manifest
from nphash.collection.segments import Segments
from nphash.core.store import load_array, write_array
from nphash.errors import CollectionError, DamagedError


@pytest.fixture
def grown(tmp_path):
    """A collection of three segments with removed documents in two of them."""
    collection = opened(tmp_path, n=10)
    collection.add(documents(4, start=10))
    collection.add(documents(3, start=14))
    collection.remove(["d1", "d9", "d16"])
    return collection


def test_positions_count_through_the_segments(grown):
    segments = grown.segments
    assert segments.offsets.tolist() == [0, 10, 14, 17]
    assert segments.removed.tolist() == [1, 9, 16]
    assert segments.live_positions().tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]
    assert segments.positions_of(["d0", "d1", "d10", "d15", "nobody"]) == {"d0": 0, "d10": 10, "d15": 15}
    assert [position for position, _ in segments.iterate()] == segments.live_positions().tolist()
    assert [document.id for _, document in segments.iterate(first=1)] == [
        "d10",
        "d11",
        "d12",
        "d13",
        "d14",
        "d15",
    ]
    assert len(segments.labels()) == 14


def test_documents_and_codes_by_position(grown):
    wanted = [15, 0, 12, 0]
    found = grown.segments.documents_at(wanted)
    assert [found[position].id for position in wanted] == ["d15", "d0", "d12", "d0"]
    assert grown.segments.texts_at(wanted) == [found[position].text for position in wanted]
    codes = grown.segments.codes_at(wanted)
    np.testing.assert_array_equal(codes, grown.encode([found[position].text for position in wanted]))
    assert grown.segments.codes_at([]).shape == (0, 8)


def test_which_positions_are_removed(grown):
    assert grown.segments.is_removed([0, 1, 9, 10, 16, 400]).tolist() == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]
    assert grown.segments.is_removed([]).tolist() == []


@pytest.mark.parametrize("removed", [[3, 2], [-1, 2], [5, 10], [4, 4]])
def test_senseless_positions_are_damage(tmp_path, removed):
    path = fresh(tmp_path, n=10)
    Collection.open(path).remove(["d1", "d2"])
    manifest = read_manifest(path)
    np.save(path / manifest.removed, np.array(removed))
    with pytest.raises(CollectionError, match="not ascending"):
        Segments(path, manifest)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.binary(min_size=1, max_size=30))
def test_a_damaged_array_is_an_error_and_allocates_nothing(size, garbage):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        write_array(path, np.zeros((size, 8), np.uint8))
        assert load_array(path, np.uint8, (size, 8)).shape == (size, 8)
        data = path.read_bytes()
        for bad in (data[:-1], data[: 64 + len(garbage)], garbage, garbage + data, b""):
            path.write_bytes(bad)
            with pytest.raises(CollectionError, match="damaged"):
                load_array(path, np.uint8, (size, 8))


def test_arrays_that_claim_to_be_something_else(tmp_path):
    path = tmp_path / "a.npy"
    write_array(path, np.zeros((3, 8), np.uint8))
    for dtype, shape in ((np.int64, (3, 8)), (np.uint8, (4, 8)), (np.uint8, (24,))):
        with pytest.raises(CollectionError, match="damaged"):
            load_array(path, dtype, shape)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(CollectionError, match="damaged"):
        load_array(path, np.uint8, (3, 8))
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776, 8), }"
    path.write_bytes(header.ljust(127) + b"\n")
    with pytest.raises(CollectionError, match="damaged"):
        load_array(path, np.uint8, (1 << 40, 8))


def test_of_a_large_file_only_the_blocks_that_are_read_are_checked(tmp_path, monkeypatch):
    for name, value in (("core.checksums.LARGE", 100), ("core.checksums.BLOCK", 64)):
        monkeypatch.setattr(f"nphash.{name}", value)
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 100)
    path = tmp_path / "c"
    Collection.create(path, SignHash(16), documents(40)).close()
    manifest = read_manifest(path)
    assert len(manifest.files[manifest.segments[0].codes].blocks) == (128 + 40 * 8) // 64
    damage(path / manifest.segments[0].codes, -1)
    segments = Segments(path, manifest)
    assert segments.codes_at([0, 5, 31]).shape == (3, 8)
    for read in (lambda: segments.codes_at([0, 39]), lambda: segments.codes):
        with pytest.raises(DamagedError, match="codes-000001"):
            read()
    segments.close()
