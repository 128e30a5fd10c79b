import errno
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import SignHash, contents, documents, files, fresh, opened
from nphash.collection import Collection
from nphash.collection.updating import SEGMENTS, AddReport
from nphash.corpus import Document, Matrix
from nphash.errors import CollectionError, InputError


def test_added_documents_are_found_after_the_old_ones(tmp_path):
    collection = opened(tmp_path)
    assert collection.add(documents(5, start=30)) == AddReport(added=5)
    assert list(collection.documents) == documents(35)
    np.testing.assert_array_equal(collection.codes, collection.encode([d.text for d in documents(35)]))
    assert collection.search([documents(1, start=33)[0].text], k=1)[0][0].id == "d33"
    assert contents(collection.path)[0] == documents(35)


def test_unknown_words_are_counted(tmp_path):
    report = opened(tmp_path).add([Document("a", "zzz"), Document("b", ""), Document("c", "gold")])
    assert (report.added, report.without_words) == (3, 2)


def test_a_taken_id_adds_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)
    with pytest.raises(InputError, match="has a document 'd3' already") as caught:
        collection.add([*documents(2, start=50), documents(1, start=3)[0]])
    assert "with on_duplicate" in caught.value.hint
    assert files(collection.path) == before and len(collection) == 30


def test_equal_new_ids_add_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)
    for on_duplicate in ("error", "replace"):
        with pytest.raises(InputError, match="two new documents have the id 'n'"):
            collection.add([Document("n", "gold"), Document("n", "ore")], on_duplicate=on_duplicate)
    assert files(collection.path) == before
    assert collection.add([Document("n", "gold"), Document("n", "ore")], on_duplicate="skip").skipped == 1
    assert collection.documents["n"].text == "gold"


def test_skip_and_replace(tmp_path):
    collection = opened(tmp_path)
    new = [Document("d3", "gold gold", ("changed",)), Document("n", "ore")]
    assert collection.add(new, on_duplicate="skip") == AddReport(added=1, skipped=1)
    assert collection.documents["d3"] == documents(1, start=3)[0]
    assert collection.add(new, on_duplicate="replace") == AddReport(added=2, replaced=2)
    assert collection.documents["d3"] == new[0] and len(collection) == 31
    assert [d.id for d in collection.documents].count("d3") == 1
    assert collection.verify() == []


def test_nothing_new_changes_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)
    assert collection.add(documents(3), on_duplicate="skip") == AddReport(skipped=3)
    assert collection.add([]) == AddReport()
    assert files(collection.path) == before


def test_unknown_ways_of_adding(tmp_path):
    with pytest.raises(InputError, match="on_duplicate is 'merge'"):
        opened(tmp_path).add([], on_duplicate="merge")


def test_an_error_of_the_reader_adds_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)

    def broken():
        yield from documents(2500, start=100)
        raise ValueError("line 2501")

    with pytest.raises(ValueError, match="line 2501"):
        collection.add(broken())
    assert files(collection.path) == before


def test_removed_documents_are_gone(tmp_path):
    collection = opened(tmp_path)
    text = collection.documents["d5"].text
    assert collection.remove(["d5", "d6", "d5"]) == 2
    assert len(collection) == 28 and "d5" not in collection.documents
    assert "d5" not in [hit.id for hit in collection.search([text], k=30)[0]]
    assert [d.id for d in collection.documents] == [f"d{i}" for i in range(30) if i not in {5, 6}]
    with pytest.raises(InputError, match="no document 'd5'"):
        collection.remove(["d5"])


def test_an_unknown_id_removes_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)
    with pytest.raises(InputError, match="no document 'x' and 1 more"):
        collection.remove(["d1", "x", "y"])
    assert files(collection.path) == before
    assert collection.remove(["d1", "x"], ignore_missing=True) == 1
    assert collection.remove(["x"], ignore_missing=True) == 0
    with pytest.raises(InputError, match="one string"):
        collection.remove("d1")


def test_an_id_can_be_used_again(tmp_path):
    collection = opened(tmp_path)
    collection.remove(["d5"])
    collection.add([Document("d5", "new text")])
    assert collection.documents["d5"].text == "new text"
    collection.compact()
    assert collection.documents["d5"].text == "new text"


def test_compacting_forgets_the_text(tmp_path):
    collection = opened(tmp_path)
    collection.add([Document("secret", "gold xyzzy")])
    collection.remove(["secret", "d0"])
    stored = b"".join(p.read_bytes() for p in collection.path.glob("*.sqlite"))
    assert b"xyzzy" in stored
    before = contents(collection.path)
    collection.compact()
    assert contents(collection.path) == before
    assert b"xyzzy" not in b"".join(p.read_bytes() for p in collection.path.glob("*.sqlite"))
    assert len(collection.manifest.segments) == 1 and collection.manifest.n_removed == 0


def test_many_small_additions_make_few_segments(tmp_path):
    collection = opened(tmp_path)
    most = 0
    for number in range(30, 75):
        collection.add(documents(1, start=number))
        most = max(most, len(collection.manifest.segments))
    assert most <= SEGMENTS + 1
    assert list(collection.documents) == documents(75)
    assert collection.manifest.segments[0].n_documents >= 30
    assert collection.verify() == []


def test_a_merge_without_room_is_put_off(tmp_path, monkeypatch):
    collection = opened(tmp_path)
    for number in range(30, 30 + SEGMENTS - 1):
        collection.add(documents(1, start=number))
    assert len(collection.manifest.segments) == SEGMENTS

    def full(*arguments):
        raise CollectionError("the disk is full")

    monkeypatch.setattr("nphash.collection.updating._merge", full)
    assert collection.add(documents(1, start=60)).added == 1
    assert len(collection.manifest.segments) == SEGMENTS + 1


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    collection = opened(tmp_path)
    before = files(collection.path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for change in (
        lambda: collection.add(documents(2, start=40)),
        lambda: collection.remove(["d1"]),
        collection.compact,
    ):
        with pytest.raises(CollectionError, match="the disk is full"):
            change()
    monkeypatch.undo()
    assert files(collection.path) == before and len(collection) == 30


def test_two_writers_after_one_another_both_count(tmp_path):
    path = fresh(tmp_path)
    one, two = Collection.open(path), Collection.open(path)
    one.add(documents(2, start=30))
    two.remove(["d0"])
    two.add(documents(1, start=32))
    assert [d.id for d in Collection.open(path).documents] == [f"d{i}" for i in range(1, 33)]


def test_a_matrix_is_added_with_its_own_weights(tmp_path):
    rng = np.random.default_rng(0)
    X = scipy.sparse.csr_matrix((rng.random((8, 6)) * (rng.random((8, 6)) < 0.7)).astype(np.float32))
    names = [f"r{i}" for i in range(8)]
    both = Matrix(X, names, [()] * 8, [""] * 8)
    collection = Collection.create(tmp_path / "m", SignHash(16), both)
    shuffled = Matrix(
        X[:, ::-1].tocsr(), [f"s{i}" for i in range(8)], [()] * 8, [""] * 8, [f"W{5 - c}" for c in range(6)]
    )
    collection.add(shuffled)
    np.testing.assert_array_equal(collection.codes[:8], collection.codes[8:])
    with pytest.raises(InputError, match="none of the collection's words"):
        collection.add(Matrix(X, names, [()] * 8, [""] * 8, list("abcdef")))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, 15), unique=True, max_size=6)),
        st.tuples(st.just("replace"), st.lists(st.integers(0, 15), unique=True, max_size=6)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 15), unique=True, max_size=6)),
        st.tuples(st.just("compact"), st.just([])),
    ),
    max_size=7,
)


@settings(max_examples=15, deadline=None)
@given(steps)
def test_any_history_equals_a_dictionary(history):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        collection = opened(Path(folder), n=6)
        model = {d.id: d for d in documents(6)}
        for version, (action, numbers) in enumerate(history):
            docs = [Document(f"d{i}", f"gold ore {version}") for i in numbers]
            if action == "add":
                collection.add(docs, on_duplicate="skip")
                model = {**model, **{d.id: d for d in docs if d.id not in model}}
            elif action == "replace":
                collection.add(docs, on_duplicate="replace")
                for d in docs:
                    model.pop(d.id, None)
                    model[d.id] = d
            elif action == "remove":
                collection.remove([d.id for d in docs], ignore_missing=True)
                for d in docs:
                    model.pop(d.id, None)
            else:
                collection.compact()
            assert list(collection.documents) == list(model.values())
        assert contents(collection.path)[0] == list(model.values())
        assert len(collection.index) == len(model)
        collection.close()


def test_texts_are_no_documents_and_add_nothing(tmp_path):
    path = fresh(tmp_path)
    before = files(path)
    with Collection.open(path) as collection:
        for given in (["a text"], "a text", [documents(1, start=99)[0], "a text"], None):
            with pytest.raises(InputError, match=r"write Document\(id, text\)"):
                collection.add(given)
    assert files(path) == before


def test_ids_to_remove_are_strings_and_may_come_one_by_one(tmp_path):
    with opened(tmp_path) as collection:
        with pytest.raises(InputError, match=r"the id 5 is no string"):
            collection.remove(["d1", 5])
        with pytest.raises(InputError, match=r"no document 'no'"):
            collection.remove(id_ for id_ in ["d1", "no"])
        assert collection.remove(id_ for id_ in ["d1", "d2"]) == 2
        assert len(collection) == 28


def test_ids_made_by_a_reader_replace_no_other_text(tmp_path):
    collection = opened(tmp_path)
    collection.add([Document("a.txt:1", "gold", generated_id=True)])
    other = Document("a.txt:1", "wheat", generated_id=True)
    for on_duplicate in ("error", "skip", "replace"):
        with pytest.raises(InputError, match=r"'a\.txt:1' already, with another text"):
            collection.add([Document("n", "ore"), other], on_duplicate=on_duplicate)
    assert "n" not in collection.documents and collection.documents["a.txt:1"].text == "gold"
    same = [Document("a.txt:1", "gold", ("metal",), generated_id=True)]
    assert collection.add(same, on_duplicate="replace") == AddReport(added=1, replaced=1)
    two = [Document("b.txt:1", text, generated_id=True) for text in ("gold", "ore")]
    with pytest.raises(InputError, match=r"two new documents have the id 'b\.txt:1'"):
        collection.add(two, on_duplicate="skip")


def test_a_text_that_is_stored_otherwise_is_the_same_text(tmp_path):
    collection = opened(tmp_path)
    lone = [Document("a.txt:1", "gold \ud800", generated_id=True)]
    collection.add(lone)
    assert collection.add(lone, on_duplicate="skip") == AddReport(skipped=1)


def test_update_adds_replaces_and_removes(tmp_path):
    collection = opened(tmp_path)
    old = documents(30)
    changed = [replace(old[0], text="gold gold"), replace(old[1], labels=("new",)), *old[2:25]]
    report = collection.update([*changed, Document("n", "zzz")])
    assert report == AddReport(added=3, skipped=23, replaced=2, removed=5, without_words=1)
    assert {d.id: d for d in collection.documents} == {d.id: d for d in [*changed, Document("n", "zzz")]}
    assert collection.verify() == []


@pytest.mark.parametrize("kept", [30, 7])
def test_update_by_what_is_there_adds_nothing(tmp_path, kept):
    collection = opened(tmp_path)
    before = files(collection.path)
    report = collection.update(documents(kept), force=kept < 15)
    assert report == AddReport(skipped=kept, removed=30 - kept)
    assert [d.id for d in collection.documents] == [d.id for d in documents(kept)]
    named = {name for name in files(collection.path) if "documents-" in str(name)}
    assert named == {name for name in before if "documents-" in str(name)}
    assert (files(collection.path) == before) is (kept == 30)


def test_an_update_that_fails_changes_nothing(tmp_path):
    collection = opened(tmp_path)
    before = files(collection.path)
    for wrong, why in [
        ([], "30 of the 30 documents"),
        (documents(14), "16 of the 30"),
        ([*documents(3), *documents(1)], "two new documents"),
    ]:
        with pytest.raises(InputError, match=why):
            collection.update(wrong)
    weights = Matrix(
        scipy.sparse.csr_matrix(np.full((1, 2), 0.5, np.float32)), ["a"], [()], [""], ["gold", "ore"]
    )
    with pytest.raises(InputError, match="what has changed cannot be seen"):
        collection.update(weights)
    assert files(collection.path) == before


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 8), st.sampled_from(["gold", "ore mine", ""]), min_size=1), max_size=4
    )
)
def test_after_updates_a_collection_holds_the_last_corpus(states):
    with TemporaryDirectory() as folder, opened(Path(folder)) as collection:
        for state in states:
            collection.update([Document(str(i), text) for i, text in state.items()], force=True)
            assert {d.id: d.text for d in collection.documents} == {str(i): t for i, t in state.items()}
