import itertools
import json
import sqlite3

import numpy as np
import pytest

from helpers.collecting import SignHash, contents, damage, documents, fresh, opened
from nphash.codes import hamming_distances
from nphash.collection import Collection, SearchSettings
from nphash.collection.manifest import MANIFEST, read_manifest, write_manifest
from nphash.core.checksums import record
from nphash.errors import CollectionError, InputError


def test_what_goes_in_comes_out(tmp_path):
    with opened(tmp_path) as collection:
        assert len(collection) == len(collection.documents) == 30
        assert list(collection.documents) == documents(30)
        assert collection.documents["d7"] == documents(1, start=7)[0]
        assert (
            "d7" in collection.documents and "x" not in collection.documents and 7 not in collection.documents
        )
        assert collection.n_bits == 16 and collection.codes.shape == (30, 8)
        np.testing.assert_array_equal(collection.codes, collection.encode([d.text for d in documents(30)]))
        assert collection.verify() == []
        assert 1 < collection.distinct_codes() <= 30


def test_says_what_it_is(tmp_path):
    with Collection.open(fresh(tmp_path)) as collection:
        assert repr(collection) == f"<Collection {str(collection.path)!r}: 30 documents, 16 bits>"


def test_an_unknown_id_is_named(tmp_path):
    with opened(tmp_path) as collection, pytest.raises(InputError, match="no document 'zz'"):
        _ = collection.documents["zz"]


def test_a_moved_collection_works(tmp_path):
    path = fresh(tmp_path)
    path.rename(tmp_path / "elsewhere")
    assert Collection.open(tmp_path / "elsewhere").search(["gold mine"], k=1)[0][0].document.labels == (
        "metal",
    )


def test_a_read_only_collection_can_be_searched(tmp_path):
    path = fresh(tmp_path)
    for file in path.rglob("*"):
        file.chmod(0o555 if file.is_dir() else 0o444)
    assert Collection.open(path).search(["gold mine"], k=3)


def test_a_reader_keeps_its_state_while_others_write(tmp_path):
    path = fresh(tmp_path)
    reader = Collection.open(path)
    before = [hit.id for hit in reader.search(["gold mine silver"], k=5)[0]]
    writer = Collection.open(path)
    writer.remove(before[:2])
    writer.add(documents(5, start=50))
    writer.compact()
    assert [hit.id for hit in reader.search(["gold mine silver"], k=5)[0]] == before
    assert len(reader) == 30 and len(Collection.open(path)) == 33


def test_opening_between_two_states_tries_again(tmp_path, monkeypatch):
    path = fresh(tmp_path)
    old = read_manifest(path)
    Collection.open(path).compact()  # the files that `old` names are gone
    answers = [old]
    monkeypatch.setattr(
        "nphash.collection.collection.read_manifest",
        lambda folder: answers.pop() if answers else read_manifest(folder),
    )
    assert len(Collection.open(path)) == 30


def test_a_collection_that_never_rests(tmp_path, monkeypatch):
    path = fresh(tmp_path)
    count = iter(range(1000))

    def restless(folder):
        manifest = read_manifest(folder)
        manifest.generation += next(count)
        manifest.vectorizer = manifest.segments[0].codes + "x"
        manifest.files[manifest.vectorizer] = manifest.files[manifest.segments[0].codes]
        return manifest

    monkeypatch.setattr("nphash.collection.collection.read_manifest", restless)
    with pytest.raises(CollectionError, match="keeps changing"):
        Collection.open(path)


@pytest.mark.parametrize("kind", ["codes", "documents", "vectorizer", "model.json", "planes_"])
@pytest.mark.parametrize("how", ["altered", "truncated", "missing"])
def test_every_kind_of_damage_is_one_clear_error(tmp_path, kind, how):
    path = fresh(tmp_path)
    [file] = [p for p in path.rglob("*") if p.is_file() and p.name.startswith(kind)]
    if how == "altered":
        damage(file)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-3])
    else:
        file.unlink()
    with pytest.raises(CollectionError, match=f"is damaged: .*{file.name}"):
        Collection.open(path)
    with pytest.raises(CollectionError, match="damaged"):
        Collection.open(path).remove(["d1"])


def test_verify_reads_what_opening_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    path = fresh(tmp_path)
    text = path / read_manifest(path).segments[0].documents
    data = text.read_bytes()
    at = data.rindex(documents(1, start=29)[0].text.split()[0].encode())
    damage(text, at)
    collection = Collection.open(path)
    problems = collection.verify()
    assert any("SHA-256" in problem for problem in problems)
    assert any("was altered" in problem for problem in problems)


def test_a_damaged_vectorizer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    path = fresh(tmp_path)
    file = path / read_manifest(path).vectorizer
    file.write_text("x" * file.stat().st_size, encoding="utf-8")
    with pytest.raises(CollectionError, match=f"{file.name} is damaged"):
        Collection.open(path).search(["gold"])


def test_search_orders_by_score_and_by_codes_alone_by_distance(tmp_path):
    with opened(tmp_path) as collection:
        [hits] = collection.search(["gold silver mine"], k=30)
        assert [hit.rank for hit in hits] == list(range(1, 31))
        assert all(a.score >= b.score for a, b in itertools.pairwise(hits))
        assert {hit.document.labels for hit in hits[:3]} == {("metal",)}
        [plain] = collection.search(["gold silver mine"], settings=SearchSettings(30, by="codes"))
        code = collection.encode(["gold silver mine"])
        assert collection.encode([]).shape == (0, 8) and collection.encode([]).dtype == np.uint8
        distances = hamming_distances(code, collection.codes)[0]
        expected = np.lexsort((np.arange(30), distances))
        assert [hit.id for hit in plain] == [f"d{position}" for position in expected]
        assert [hit.distance for hit in plain] == distances[expected].tolist()


def test_more_results_than_documents(tmp_path):
    with opened(tmp_path) as collection:
        assert len(collection.search(["gold"], k=1000)[0]) == 30
        assert len(collection.search(["gold"], k=None)[0]) == 30
        assert collection.search([]) == []


def test_many_queries_are_answered_like_one(tmp_path):
    texts = [d.text for d in documents(150)]
    with opened(tmp_path) as collection:
        together = collection.search(texts, k=3)
        assert len(together) == 150
        for text, hits in list(zip(texts, together, strict=True))[::29]:
            assert collection.search([text], k=3)[0] == hits


@pytest.mark.parametrize("by", ["both", "words", "codes"])
def test_a_query_without_known_words_finds_nothing(tmp_path, by):
    with opened(tmp_path) as collection:
        assert collection.search(["zzz", ""], settings=SearchSettings(3, by=by)) == [[], []]


def test_like_leaves_the_document_itself_out(tmp_path):
    with opened(tmp_path) as collection:
        hits = collection.search_like("d4", k=29)
        assert len(hits) == 29 and "d4" not in [hit.id for hit in hits]
        assert len(collection.search_like("d4", settings=SearchSettings(5, by="codes"))) == 5
        with pytest.raises(InputError, match="no document 'no'"):
            collection.search_like("no")


def test_explanations(tmp_path):
    with opened(tmp_path) as collection:
        query = "gold silver mine"
        hit = collection.search([query], k=1)[0][0]
        why = collection.explain(query, hit.id)
        assert {word for word, _ in why.shared_words} <= set(query.split()) & set(hit.document.text.split())
        assert sum(part for _, part in why.shared_words) == pytest.approx(hit.bm25, rel=1e-6)
        assert why.from_words + why.from_codes == pytest.approx(hit.score, rel=1e-6)
        assert len(why.differing_bits) == hit.distance
        like = collection.explain_like(hit.id, "d4")
        other = next(hit for hit in collection.search_like(hit.id, k=None) if hit.id == "d4")
        assert like.from_words + like.from_codes == pytest.approx(other.score, rel=1e-6)
        assert collection.explain_like("d4", "d4").differing_bits == []


@pytest.mark.parametrize("texts", ["gold", b"gold", None, 5])
def test_one_string_is_no_list_of_queries(tmp_path, texts):
    with opened(tmp_path) as collection, pytest.raises(InputError, match=r"texts is .* write search"):
        collection.search(texts)


def test_queries_may_come_one_by_one(tmp_path):
    with opened(tmp_path) as collection:
        assert collection.search(iter(["gold", "wheat"]), k=2) == collection.search(["gold", "wheat"], k=2)
        with pytest.raises(InputError, match=r"query 1 is of type int"):
            collection.search(["gold", 5])


def test_a_k_that_is_given_takes_the_place_of_that_of_the_settings(tmp_path):
    plain = SearchSettings(by="codes")
    with opened(tmp_path) as collection:
        for search in (
            lambda *k, **options: collection.search(["gold"], *k, **options)[0],
            lambda *k, **options: collection.search_like("d4", *k, **options),
        ):
            assert len(search()) == len(search(settings=plain)) == 10
            assert len(search(k=3, settings=plain)) == len(search(3, settings=plain)) == 3
            assert len(search(k=10, settings=SearchSettings(5))) == 10
            assert len(search(settings=SearchSettings(5))) == 5
            assert len(search(k=None, settings=plain)) >= 29
            assert search(k=3, settings=plain) == search(settings=SearchSettings(3, by="codes"))


@pytest.mark.parametrize(
    "settings, says",
    [
        (SearchSettings(0), "k is 0"),
        (SearchSettings(1.5), "k is 1.5, but a whole number"),
        (SearchSettings("5"), "k is '5'"),
        (SearchSettings(5, radius=0.5), "radius is 0.5"),
        ({"by": "codes"}, "SearchSettings"),
        (SearchSettings(5, radius=-1), "radius is -1"),
        (SearchSettings(5, by="code"), "by is 'code': choose one of both, words, codes"),
    ],
)
def test_senseless_settings(tmp_path, settings, says):
    with opened(tmp_path) as collection:
        with pytest.raises(InputError, match=says):
            collection.search(["gold"], settings=settings)
        with pytest.raises(InputError, match=says):
            collection.search_like("d1", settings=settings)


def test_an_emptied_collection_still_works(tmp_path):
    collection = opened(tmp_path, n=10)
    collection.remove([f"d{i}" for i in range(10)])
    for _ in range(2):
        assert len(collection) == 0 and list(collection.documents) == [] and collection.distinct_codes() == 0
        assert collection.search(["gold"]) == [[]]
        assert collection.verify() == []
        collection.compact()
    collection.add(documents(3))
    assert len(collection.search(["gold"])[0]) == 3


def test_replaced_meanwhile(tmp_path):
    from nphash.collection.creating import CreateSettings

    path = fresh(tmp_path)
    collection = Collection.open(path)
    Collection.create(path, SignHash(24), documents(5), CreateSettings(force=True)).close()
    with pytest.raises(CollectionError, match="was replaced by another one"):
        collection.add(documents(1, start=99))
    assert len(contents(path)[0]) == 5


def test_nothing_in_it_is_a_pickle_or_an_absolute_path(tmp_path):
    path = fresh(tmp_path)
    for file in path.rglob("*.npy"):
        np.load(file, allow_pickle=False)
    body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    assert not any(name.startswith("/") for name in body["files"])
    assert str(tmp_path) not in json.dumps(body["files"])


def test_damage_that_only_segments_notice(tmp_path, monkeypatch):
    """Removed positions that make no sense, with a manifest that vouches for them."""
    path = fresh(tmp_path)
    Collection.open(path).remove(["d1", "d2"])
    manifest = read_manifest(path)
    np.save(path / manifest.removed, np.array([5, 5]))
    manifest.files[manifest.removed] = record(path / manifest.removed)
    write_manifest(path, manifest)
    with pytest.raises(CollectionError, match="not ascending"):
        Collection.open(path)


@pytest.mark.parametrize(
    "row, verified, compacted",
    [
        (7, "row 7 is missing", "row 7 is missing"),
        (29, "there are 29 documents instead of 30", "29 documents for 30 codes"),
    ],
)
def test_documents_that_are_missing_from_their_file(tmp_path, row, verified, compacted):
    """A manifest that counts more documents than the file holds."""
    path = fresh(tmp_path)
    manifest = read_manifest(path)
    [segment] = manifest.segments
    db = sqlite3.connect(path / segment.documents)
    db.execute("DELETE FROM documents WHERE row = ?", (row,))
    db.commit()
    db.close()
    manifest.files[segment.documents] = record(path / segment.documents)
    write_manifest(path, manifest)
    with Collection.open(path) as collection:
        [problem] = collection.verify()
        assert problem.endswith(verified)
        with pytest.raises(CollectionError, match=f"row {row} is missing"):
            collection.search(["gold"], k=30)
        with pytest.raises(CollectionError, match=compacted):
            collection.compact()


def test_a_closed_collection_gives_its_files_back(tmp_path):
    collection = opened(tmp_path)
    collection.close()
    collection.close()
    with pytest.raises(CollectionError, match="closed"):
        list(collection.documents)


@pytest.mark.parametrize("used", [False, True])
def test_a_closed_collection_says_so_whatever_is_asked(tmp_path, used):
    collection = opened(tmp_path)
    view, running = collection.documents, iter(collection.documents)
    next(running)
    if used:
        collection.search(["gold"])
    collection.close()
    for ask in (
        lambda: collection.search(["gold"]),
        lambda: collection.search([]),
        lambda: collection.search_like("d1"),
        lambda: collection.explain("gold", "d1"),
        lambda: collection.encode(["gold"]),
        lambda: collection.add(documents(1, start=99)),
        lambda: collection.remove(["d1"]),
        lambda: collection.compact(),
        lambda: collection.verify(),
        lambda: collection.distinct_codes(),
        lambda: collection.codes,
        lambda: collection.index,
        lambda: collection.hasher,
        lambda: collection.vectorizer,
        lambda: collection.documents["d1"],
    ):
        with pytest.raises(CollectionError, match=r"the collection .* is closed: open it again"):
            ask()
    for ask in (lambda: view["d1"], lambda: "d1" in view, lambda: list(view), lambda: list(running)):
        with pytest.raises(CollectionError, match=r"is closed: open the collection again"):
            ask()
    assert len(collection) == 30 and "30 documents, 16 bits" in repr(collection)
    assert len(contents(collection.path)[0]) == 30


def test_loading_is_lazy(tmp_path, monkeypatch):
    """No model is made of what was read before it is asked for: info needs none."""
    path = fresh(tmp_path)

    def never(*arguments, **options):
        raise AssertionError("loaded the model")

    monkeypatch.setattr("nphash.hashers.persistence.build", never)
    with Collection.open(path) as collection:
        assert len(collection.codes) == 30 and len(collection.index) == 30
        assert len(list(collection.documents)) == 30
        with pytest.raises(AssertionError, match="loaded"):
            collection.encode(["gold"])
