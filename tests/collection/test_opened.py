"""What is in an opened collection; what a closed one says is tested with `Collection`."""

import errno
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.collecting import SignHash, damage, documents, files, fresh, opened
from helpers.paths import TESTS
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from nphash.collection.opened import Opened
from nphash.errors import CollectionError, DamagedError
from nphash.search import HammingIndex


def test_a_collection_is_an_opened_state(tmp_path):
    with opened(tmp_path, n=6) as collection:
        assert isinstance(collection, Opened)
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
        assert [hit.id for hit in collection.search(["gold mine"], k=3)[0]] == ["late", "d1", "d7"]
        assert collection.codes[:, 0].tolist() == [235, 0, 15, 234, 102, 171, 0, 174, 117]
        reader = Collection.open(path)
        collection.add(documents(2, start=50))
        reader.add(documents(1, start=52))  # it knows the identity, though none was written
        collection.remove(["d0"])
        collection.compact()
        assert collection.verify() == [] and len(collection) == 11
    with Collection.open(path) as again:
        assert again.manifest.id == identity and len(again) == 11
        assert json.loads((path / "manifest.json").read_text(encoding="utf-8"))["format_version"] == 2


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
