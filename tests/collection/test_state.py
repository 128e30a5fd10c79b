"""One state of a collection: positions through its segments, documents by id, what is open and stays so."""

import errno
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import SignHash, damage, documents, files, fresh, opened
from helpers.paths import TESTS
from nphash.collection import Collection, Documents
from nphash.collection.creating import CreateSettings
from nphash.collection.manifest import read_manifest
from nphash.collection.state import Segments
from nphash.core.store import load_array, write_array
from nphash.errors import CollectionError, DamagedError, InputError
from nphash.search import HammingIndex


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


def test_documents_are_a_mapping_in_order_of_insertion(tmp_path):
    with opened(tmp_path, n=9) as collection:
        collection.remove(["d2"])
        collection.add(documents(2, start=20))
        view = collection.documents
        assert isinstance(view, Documents) and len(view) == 10
        assert [d.id for d in view] == ["d0", "d1", "d3", "d4", "d5", "d6", "d7", "d8", "d20", "d21"]
        assert view.position("d20") == 9
        assert "d2" not in view and "d21" in view and None not in view
        with pytest.raises(InputError, match="case-sensitive"):
            view.position("D1")
        with pytest.raises(InputError, match="no document 5"):
            view[5]


def test_a_collection_is_an_opened_state(tmp_path):
    with opened(tmp_path, n=6) as collection:
        assert repr(collection) == f"<Collection {str(tmp_path / 'c')!r}: 6 documents, 16 bits>"
        assert collection.index is collection.index and collection.hasher is collection.hasher
        assert (collection.index.codes == collection.codes).all()


def test_a_change_keeps_the_model_and_makes_the_index_anew(tmp_path):
    with opened(tmp_path, n=6) as collection:
        index, hasher = collection.index, collection.hasher
        collection.add(documents(2, start=50))
        assert collection.hasher is hasher
        assert len(index) == 6 and len(collection.index) == 8


def test_leaving_the_block_closes_it(tmp_path):
    with opened(tmp_path, n=6) as collection:
        first = collection
    assert isinstance(first, Collection)
    with Collection.open(first.path) as again:
        assert len(again.codes) == 6


OLD = TESTS / "data" / "format_1"  # by version 0.1.0: LSH, 11 words, 8 bits


def test_a_collection_of_the_first_format_is_searched_and_changed(tmp_path):
    path = tmp_path / "c"
    shutil.copytree(OLD / "collection", path)
    with Collection.open(path) as collection:
        identity = collection.manifest.id
        assert collection.verify() == [] and len(identity) == 32
        assert [hit.id for hit in collection.search(["gold mine"], k=3)[0]] == ["d1", "d7", "late"]
        assert collection.codes[:, 0].tolist() == [235, 0, 15, 234, 102, 171, 0, 174, 117]
        reader = Collection.open(path)
        collection.add(documents(2, start=50))
        reader.add(documents(1, start=52))  # it knows the identity, though none was written
        collection.remove(["d0"])
        collection.compact()
        assert collection.verify() == [] and len(collection) == 11
    with Collection.open(path) as again:
        assert again.manifest.id == identity and len(again) == 11
        assert json.loads((path / "manifest.json").read_text(encoding="utf-8"))["format_version"] == 3


def test_an_index_of_the_first_format_is_read():
    index = HammingIndex.load(OLD / "index")
    assert len(index) == 9 and index.codes[:, 0].tolist() == [235, 0, 15, 234, 102, 171, 0, 174, 117]


def refit(path):
    Collection.create(path, SignHash(16, random_state=7), documents(12, start=60), CreateSettings(force=True))


def remake(path):
    shutil.rmtree(path)
    Collection.create(path, SignHash(16, random_state=7), documents(12, start=60))


@pytest.mark.parametrize("replace", [refit, remake])
@pytest.mark.parametrize("used", [False, True])
def test_another_collection_in_its_place_disturbs_no_reader_and_gets_no_foreign_codes(
    tmp_path, replace, used
):
    path = fresh(tmp_path)
    with Collection.open(path) as expected:
        before = expected.codes, [hit.id for hit in expected.search(["gold mine"], k=5)[0]]
    collection = Collection.open(path)
    if used:
        collection.search(["gold"])
    replace(path)
    assert (collection.codes == before[0]).all()
    assert [hit.id for hit in collection.search(["gold mine"], k=5)[0]] == before[1]
    assert collection.hasher.random_state == 0 and collection.documents["d0"]
    for change in (
        lambda: collection.add(documents(2, start=99)),
        lambda: collection.remove(["d1"]),
        collection.compact,
    ):
        with pytest.raises(CollectionError, match="was replaced by another one meanwhile: open it again"):
            change()
    with Collection.open(path) as new:
        texts = [document.text for document in new.documents]
        assert (new.codes == new.encode(texts)).all() and len(new) == 12


def test_the_working_directory_is_no_matter(tmp_path, monkeypatch):
    fresh(tmp_path)
    monkeypatch.chdir(tmp_path)
    collection = Collection.open("c")
    monkeypatch.chdir("/")
    assert collection.search(["gold"], k=1)[0]
    assert collection.add(documents(1, start=90)).added == 1 and collection.verify() == []


def test_any_thread_may_search_and_add(tmp_path):
    with opened(tmp_path) as collection, ThreadPoolExecutor(4) as pool:
        expected = [hit.id for hit in collection.search(["gold mine"], k=3)[0]]
        found = pool.submit(collection.search, ["gold mine"], 3).result()
        assert [hit.id for hit in found[0]] == expected
        assert pool.submit(collection.add, documents(1, start=70)).result().added == 1
        assert "d70" in collection.documents and len(collection) == 31


def test_threads_search_while_others_change(tmp_path):
    with opened(tmp_path) as collection, ThreadPoolExecutor(6) as pool:
        adding = [pool.submit(collection.add, documents(1, start=100 + n)) for n in range(12)]
        searching = [pool.submit(collection.search, ["gold mine silver"], 3) for _ in range(60)]
        assert all(len(search.result()[0]) == 3 for search in searching)
        assert all(add.result().added == 1 for add in adding)
        assert len(collection) == 42 and collection.verify() == []


def test_a_pickle_is_the_path(tmp_path):
    with opened(tmp_path) as collection:
        again = pickle.loads(pickle.dumps(collection))  # noqa: S301 - made here
        assert again.path == collection.path and (again.codes == collection.codes).all()
        again.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ENOMEM])
@pytest.mark.parametrize(
    "where", ["codes", "documents", "vectorizer", "model.json", "manifest.json", "planes_"]
)
def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, monkeypatch, number, where):
    path, original = fresh(tmp_path), os.open

    def refuse(name, *args, **options):
        if where in str(name):
            raise OSError(number, os.strerror(number))
        return original(name, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CollectionError, match=os.strerror(number)) as caught:
        Collection.open(path)
    assert not isinstance(caught.value, DamagedError)
    assert "damaged" not in str(caught.value) and "copy" not in caught.value.hint


def test_nothing_large_is_believed_unread(tmp_path, monkeypatch):
    """With every file too large to be hashed at once: what is read is checked, when it is."""
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    for kind, use in (
        ("codes", lambda c: c.search(["gold"])),
        ("codes", lambda c: c.codes),
        ("codes", lambda c: c.index),
        ("planes_", lambda c: c.encode(["gold"])),
        ("vectorizer", lambda c: c.encode(["gold"])),
        ("documents", lambda c: "nobody" in c.documents),
        ("documents", lambda c: c.add(documents(1, start=99))),
        ("codes", lambda c: c.compact()),
        ("documents", lambda c: c.compact()),
    ):
        path = fresh(tmp_path, name=f"{kind}-{len(list(tmp_path.iterdir()))}")
        [file] = [file for file in path.rglob("*") if file.name.startswith(kind)]
        damage(file, -1)
        before = files(path)
        with Collection.open(path) as collection, pytest.raises(DamagedError, match=kind):
            use(collection)
        assert files(path) == before
