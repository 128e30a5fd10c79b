import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nphash
from helpers.collecting import LeanSignHash, SignHash, contents, documents, files, fresh, registered
from nphash.collection import Collection
from nphash.collection.creating import (
    MOST_REPEATS,
    CreateSettings,
    checked_matrix,
    column_names,
    holds_counts,
    matrix_documents,
    select_columns,
    weighed,
)
from nphash.corpus import Document, Matrix
from nphash.errors import CollectionError, InputError
from nphash.hashers import Training
from nphash.text.vectorizer import Vectorizer, VectorizerSettings


class Watching(SignHash):
    """Keeps what it was fitted with, and is iterative as far as anyone can see."""

    def __init__(self, n_bits=16, random_state=0, training=None):
        super().__init__(n_bits, random_state)
        self.training = training

    def fit(self, X, y=None, **options):
        self.seen = X, y, options
        return super().fit(X, y)


@pytest.fixture(scope="module", autouse=True)
def watching():
    with registered(watching=Watching):
        yield


def create(tmp_path, docs, hasher=None, **settings):
    hasher = hasher or SignHash(16)
    return Collection.create(tmp_path / "c", hasher, docs, CreateSettings(**settings))


def test_documents_are_read_once(tmp_path):
    stream = iter(documents(20))
    with create(tmp_path, stream) as collection:
        assert len(collection) == 20
    assert list(stream) == []


def test_test_documents_are_held_out(tmp_path):
    docs = documents(12) + documents(5, start=12, split="test") + documents(3, start=17, split="TEST")
    with create(tmp_path, docs) as collection:
        assert len(collection) == 12
        assert collection.manifest.corpus["n_held_out"] == 8
        assert "d13" not in collection.documents


def test_valid_documents_choose_the_epoch_and_are_stored(tmp_path):
    hasher = Watching()
    docs = documents(12) + documents(5, start=12, split="valid")
    with create(tmp_path, docs, hasher) as collection:
        X, y, options = hasher.seen
        assert X.shape[0] == y.shape[0] == 12
        assert options["X_valid"].shape[0] == options["y_valid"].shape[0] == 5
        assert len(collection) == 17 and collection.manifest.corpus["n_validation"] == 5


def test_validation_is_split_off_by_a_hash_of_the_id(tmp_path):
    hasher = Watching()
    docs = documents(200)
    create(tmp_path, docs, hasher, validation=0.2).close()
    share = {d.id: int.from_bytes(hashlib.sha256(d.id.encode()).digest()[:4], "big") / 2**32 for d in docs}
    expected = sum(value < 0.2 for value in share.values())
    assert hasher.seen[2]["X_valid"].shape[0] == expected
    assert 20 < expected < 60
    again = Watching()
    Collection.create(tmp_path / "again", again, reversed(docs), CreateSettings(validation=0.2)).close()
    assert again.seen[2]["X_valid"].shape[0] == expected


@pytest.mark.parametrize("n, validation", [(99, 0.2), (200, 0.0)])
def test_small_corpora_and_no_share_hold_nothing_out(tmp_path, n, validation):
    hasher = Watching()
    create(tmp_path, documents(n), hasher, validation=validation).close()
    assert "X_valid" not in hasher.seen[2] and hasher.seen[0].shape[0] == n


def test_hashers_that_do_not_iterate_learn_from_everything(tmp_path):
    with create(tmp_path, documents(200)) as collection:
        assert collection.manifest.corpus["n_validation"] == 0


def test_without_labels_there_is_no_y(tmp_path):
    hasher = Watching()
    create(tmp_path, [Document(d.id, d.text) for d in documents(5)], hasher).close()
    assert hasher.seen[1] is None


def test_a_corpus_that_is_all_marked_test(tmp_path):
    with pytest.raises(InputError, match=r"all documents \(7\) are marked test, and those are held out"):
        create(tmp_path, documents(7, split="test"))


def test_doc2hash_goes_the_whole_way(tmp_path):
    seen = []
    hasher = nphash.Doc2Hash(16, hidden=(8,), training=Training(epochs=2), random_state=0)
    with Collection.create(tmp_path / "c", hasher, documents(150), callback=seen.append) as collection:
        assert seen[-1].epoch == 2
        fit = collection.manifest.fit
        assert fit["epochs"] == 2 and fit["best_epoch"] in {1, 2} and "P@100" in fit["figures"]
        X = collection.vectorizer.transform([d.text for d in documents(150)])
        np.testing.assert_array_equal(hasher.transform(X), collection.codes)
        np.testing.assert_array_equal(collection.hasher.transform(X), collection.codes)


def test_no_epoch_is_called_best_where_the_last_is_kept(tmp_path):
    hasher = nphash.NpHash(8, hidden=(8,), training=Training(epochs=2), random_state=0)
    with Collection.create(tmp_path / "c", hasher, documents(60)) as collection:
        fit = collection.manifest.fit
        assert fit["epochs"] == 2 and "best_epoch" not in fit and "epoch" not in fit["figures"]
        assert fit["figures"]["loss"] > 0


def test_same_seed_same_bytes(tmp_path):
    for name in "ab":
        hasher = nphash.Doc2Hash(8, hidden=(4,), training=Training(epochs=1), random_state=3)
        Collection.create(tmp_path / name, hasher, documents(40)).close()
    one, two = (
        {p: b for p, b in files(tmp_path / name).items() if p.name != "manifest.json"} for name in "ab"
    )
    assert one == two


def test_documents_without_known_words_are_counted_and_coded(tmp_path):
    docs = [*documents(60), Document("odd", "unheard"), Document("empty", "")]
    with create(tmp_path, docs) as collection:
        assert collection.manifest.corpus["n_without_words"] == 2
        assert len(collection) == 62
        assert collection.documents["empty"].text == ""


@pytest.mark.parametrize(
    "docs, says",
    [
        ([], "no document|0 document"),
        (documents(1), "1 document to learn from"),
        (documents(1) + documents(3, start=1, split="test"), r"3 are marked test and held out"),
        (documents(3) + documents(1), "two documents have the id 'd0'"),
        ([Document(str(i), "") for i in range(5)], "word"),
        ([Document(str(i), f"only{i}") for i in range(60)], "word"),
    ],
)
def test_corpora_that_cannot_be_used_leave_nothing_behind(tmp_path, docs, says):
    with pytest.raises(InputError, match=says):
        create(tmp_path, docs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("docs", [["a text"], "a text", None, scipy.sparse.csr_matrix(np.eye(3))])
def test_what_is_no_document_leaves_nothing_behind(tmp_path, docs):
    with pytest.raises(InputError, match=r"write Document\(id, text\)"):
        Collection.create(tmp_path / "c", SignHash(), docs)
    assert not (tmp_path / "c").exists()


def test_an_error_of_the_reader_leaves_nothing_behind(tmp_path):
    def broken():
        yield from documents(5)
        raise OSError(5, "the cable is out")

    with pytest.raises(OSError, match="the cable") as caught:
        create(tmp_path, broken())
    assert not isinstance(caught.value, CollectionError)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_fit_leaves_the_old_collection(tmp_path):
    path = fresh(tmp_path)
    before = files(path)

    class Failing(SignHash):
        def _fit(self, X, y, **options):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Collection.create(path, Failing(), documents(5), CreateSettings(force=True))
    assert files(path) == before


def test_force_replaces_in_one_step(tmp_path):
    path = fresh(tmp_path)
    with pytest.raises(CollectionError, match="exists already"):
        Collection.create(path, SignHash(8), documents(5))
    Collection.create(path, SignHash(8), documents(5), CreateSettings(force=True)).close()
    assert len(contents(path)[0]) == 5
    assert not list(path.glob("*-000001*"))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_validation_shares_out_of_range(tmp_path, share):
    with pytest.raises(InputError, match="validation is"):
        create(tmp_path, documents(5), validation=share)


def matrix(weights, vocabulary=None):
    X = scipy.sparse.csr_matrix(np.array(weights, dtype=np.float32))
    n = X.shape[0]
    return Matrix(X, [f"r{i}" for i in range(n)], [("x",)] * n, [""] * n, vocabulary)


def test_a_matrix_of_counts_goes_the_way_of_text(tmp_path):
    counts = matrix([[2, 0, 1], [0, 3, 0], [1, 1, 0]], ["Gold", "new york", "ore"])
    with create(tmp_path, counts) as collection:
        assert [d.text for d in collection.documents] == [
            "gold gold ore",
            "new_york new_york new_york",
            "gold new_york",
        ]
        assert collection.search(["new_york"], k=1)[0][0].id == "r1"
        assert not collection.manifest.corpus["weights_given"]
        assert collection.vectorizer.settings.pattern == "whitespace"


def test_a_matrix_of_weights_is_learned_as_it_is(tmp_path):
    hasher = Watching()
    given = matrix([[0.5, 0, 0.25], [0, 1.5, 0], [0, 0, 0.125]])
    given.splits[2] = "test"
    with create(tmp_path, given, hasher) as collection:
        assert [d.text for d in collection.documents] == ["w0 w2", "w1"]
        assert collection.vectorizer.vocabulary_ == ["w0", "w1", "w2"]
        np.testing.assert_array_equal(hasher.seen[0].toarray(), [[0.5, 0, 0.25], [0, 1.5, 0]])
        assert collection.manifest.corpus["weights_given"]


def test_stop_words_of_text_are_words_of_a_matrix(tmp_path):
    settings = VectorizerSettings(stop_words="english")
    with create(tmp_path, matrix([[1, 1], [1, 0]], ["the", "and"]), vectorizer=settings) as collection:
        assert collection.vectorizer.vocabulary_ == ["and", "the"]


def test_the_record_of_a_fit(tmp_path):
    with create(tmp_path, documents(20), source="corpus.jsonl") as collection:
        manifest = collection.manifest
        assert manifest.corpus["source"] == "corpus.jsonl" and manifest.corpus["n_labelled"] == 20
        assert manifest.method == "sign" and manifest.parameters == {"n_bits": 16, "random_state": 0}
        assert manifest.fit["seconds"] >= 0 and manifest.changed.endswith("+00:00")
        json.dumps(manifest.parameters)


# ---------------------------------------------------------------------- out of core


def test_weights_on_the_disk_give_the_same_collection(tmp_path):
    made = {}
    for out_of_core in (False, True):
        hasher = nphash.Doc2Hash(16, hidden=(8,), training=Training(epochs=2), random_state=0)
        folder = tmp_path / str(out_of_core)
        settings = CreateSettings(out_of_core=out_of_core)
        docs = [*documents(150), Document("empty", "")]
        with Collection.create(folder, hasher, iter(docs), settings) as collection:
            about = collection.manifest.corpus
            assert about["out_of_core"] is out_of_core
            assert about["n_validation"] > 0 and about["n_without_words"] == 1
        made[out_of_core] = files(folder)
    assert made[True].keys() == made[False].keys()  # no shards stay
    different = {str(path) for path in made[True] if made[True][path] != made[False][path]}
    assert different <= {"manifest.json"}


@pytest.mark.parametrize(("limit", "on_disk"), [(0, True), (10**9, False)])
def test_what_is_large_for_the_memory_goes_to_the_disk_by_itself(tmp_path, monkeypatch, limit, on_disk):
    monkeypatch.setattr("nphash.collection.creating.counts_limit", lambda: limit)
    with create(tmp_path, documents(20), LeanSignHash(16)) as collection:
        assert collection.manifest.corpus["out_of_core"] is on_disk


def test_what_is_too_large_for_a_hasher_that_needs_it_in_memory_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.collection.creating.counts_limit", lambda: 100)
    with pytest.raises(InputError, match=r"SignHash needs .* too large .*doc2hash.*out_of_core=False"):
        create(tmp_path, documents(20), SignHash(16))
    assert not (tmp_path / "c").exists()
    with create(tmp_path, documents(20), SignHash(16), out_of_core=False) as collection:
        assert collection.manifest.corpus["out_of_core"] is False


def test_what_cannot_be_on_the_disk_is_told_before_anything_is_read(tmp_path):
    def never():
        raise AssertionError("read")
        yield

    with pytest.raises(InputError, match=r"SignHash needs the word weights in memory"):
        create(tmp_path, never(), SignHash(16), out_of_core=True)
    X = scipy.sparse.csr_matrix(np.ones((3, 2), np.float32))
    matrix = Matrix(X, list("abc"), [()] * 3, [""] * 3, None)
    with pytest.raises(InputError, match="a matrix is read into memory as a whole"):
        create(tmp_path, matrix, LeanSignHash(16), out_of_core=True)
    assert not (tmp_path / "c").exists()


def test_an_error_of_the_fit_takes_the_shards_away_too(tmp_path):
    class Failing(LeanSignHash):
        def _fit(self, X, y, **options):
            assert (X.folder / "shards.json").exists() and X.folder.parent == tmp_path / "c"
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        create(tmp_path, documents(20), Failing(16), out_of_core=True)
    assert not (tmp_path / "c").exists()


def test_the_name_of_a_method_is_no_hasher(tmp_path):
    with pytest.raises(InputError, match=r"hasher is 'doc2hash'.*create\(\"doc2hash\"\)"):
        Collection.create(tmp_path / "c", "doc2hash", [])


def small_matrix(rows, vocabulary=None):
    X = scipy.sparse.csr_matrix(np.array(rows, dtype=np.float32))
    n = X.shape[0]
    return Matrix(X, [f"r{i}" for i in range(n)], [("a",)] * n, ["train"] * n, vocabulary)


def test_names_of_columns():
    assert column_names(small_matrix([[1, 2]])) == ["w0", "w1"]
    assert column_names(small_matrix([[1, 2, 3]], ["New  York", "\u00c9T\u00c9", " "])) == [
        "new_york",
        "\u00e9t\u00e9",
        "w2",
    ]


def test_counts_are_whole_numbers():
    assert holds_counts(small_matrix([[0, 1, 7]]))
    assert not holds_counts(small_matrix([[0, 1.5]]))
    assert holds_counts(small_matrix([[0, 0]]))


def test_rows_become_documents():
    assert list(matrix_documents(small_matrix([[2, 0, 1], [0, 0, 0]], ["a", "b", "c"]))) == [
        Document("r0", "a a c", ("a",), "train"),
        Document("r1", "", ("a",), "train"),
    ]
    [weights] = matrix_documents(small_matrix([[2.5, 0, 0.5]], ["a", "b", "c"]))
    assert weights.text == "a c"


def test_huge_counts_do_not_make_huge_texts():
    [document] = matrix_documents(small_matrix([[1e9]]))
    assert len(document.text.split()) == MOST_REPEATS


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(0, 4)))
def test_counting_the_stored_text_gives_the_counts_back(counts):
    given_matrix = small_matrix(counts)
    texts = [document.text for document in matrix_documents(given_matrix)]
    if not counts.any():
        return
    plain = VectorizerSettings("whitespace", "none", min_documents=1, max_share=1.0, max_words=None)
    vectorizer = Vectorizer(plain)
    found = vectorizer.fit_counts(texts).toarray()
    columns = [int(word[1:]) for word in vectorizer.vocabulary_]
    np.testing.assert_array_equal(found, counts[:, columns])
    selected = select_columns(given_matrix, vectorizer.vocabulary_)
    np.testing.assert_array_equal(selected.toarray(), found)


def test_columns_are_found_by_name():
    found = select_columns(small_matrix([[1, 2.5, 3]], ["a", "B", "c"]), ["b", "x", "a"])
    np.testing.assert_array_equal(found.toarray(), [[2.5, 0, 1]])
    assert found.dtype == np.float32
    with pytest.raises(InputError, match="none of the collection's words"):
        select_columns(small_matrix([[1]]), ["a"])


def test_weighed_blocks():
    vectorizer = Vectorizer().fit(["gold ore", "wheat"])
    docs = [Document(str(i), text) for i, text in enumerate(["gold", "wheat", "ore"])]
    blocks = list(weighed(iter(docs), vectorizer, 2))
    assert [[d.id for d in block] for block, _ in blocks] == [["0", "1"], ["2"]]
    np.testing.assert_array_equal(blocks[0][1].toarray(), [[1, 0, 0], [0, 0, 1]])
    own = list(weighed(small_matrix([[0.25], [0.75]], ["ore"]), vectorizer, 1))
    np.testing.assert_array_equal(own[1][1].toarray(), [[0, 0.75, 0]])
    assert list(weighed([], vectorizer, 2)) == []


def test_a_matrix_made_in_python_is_checked():
    vectorizer = Vectorizer(VectorizerSettings("whitespace", "none")).fit(["w0 w1 w2"])
    given = small_matrix([[1, 0, 2], [0, 0.5, 0]])
    assert checked_matrix(given).X.toarray().tolist() == [[1, 0, 2], [0, 0.5, 0]]
    for changed in (
        replace(given, ids=["a"]),
        replace(given, labels=[]),
        replace(given, splits=[""] * 3),
        replace(given, vocabulary=["a"]),
        replace(given, X=-given.X),
    ):
        with pytest.raises(InputError):
            next(weighed(changed, vectorizer, 10))
    given.X.indices[0] = 7
    with pytest.raises(InputError, match="the matrix has an entry in column 7"):
        next(weighed(given, vectorizer, 10))
