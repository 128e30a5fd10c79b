"""Settings, filters by radius and condition, and that results do not depend on segments."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import documents, fresh, opened
from nphash.codes import hamming_distances
from nphash.collection import Collection
from nphash.collection.ranking import WEIGHT
from nphash.collection.searching import BY, SearchSettings, chosen
from nphash.corpus import Document
from nphash.errors import InputError


def test_a_number_of_results_takes_the_place_of_that_in_settings():
    assert chosen(SearchSettings(5, by="words"), 3) == SearchSettings(3, by="words")
    assert chosen(SearchSettings(5), ...) == SearchSettings(5) and chosen(None, None).k is None


def test_radius_bounds_the_distance(tmp_path):
    with opened(tmp_path) as collection:
        everything = collection.search(["gold"], settings=SearchSettings(None, by="codes"))[0]
        near = collection.search(["gold"], settings=SearchSettings(None, radius=6))[0]
        assert {hit.id for hit in near} == {hit.id for hit in everything if hit.distance <= 6}
        assert len(collection.search(["gold"], settings=SearchSettings(2, radius=16))[0]) == 2
        assert collection.search(["gold"], settings=SearchSettings(None, radius=0))[0] == []


@pytest.mark.parametrize("by", BY)
def test_like_a_document_among_many_equal_ones(tmp_path, by):
    with opened(tmp_path, n=6) as collection:
        collection.add([Document(f"same{i}", "gold ore") for i in range(40)])
        hits = collection.search_like("same39", settings=SearchSettings(5, by=by))
        assert [hit.id for hit in hits] == [f"same{i}" for i in range(5)]  # ties in their order


def test_both_is_the_sum_of_words_and_codes(tmp_path):
    with opened(tmp_path) as collection:
        query = "gold silver ore"  # all of them words that the codes know
        hits = {by: collection.search([query], settings=SearchSettings(None, by=by))[0] for by in BY}
        words = {hit.id: hit.score for hit in hits["words"]}
        near = {hit.id: hit.score for hit in hits["codes"]}
        assert 0 < len(words) < 30 and all(score > 0 for score in words.values())
        assert len(near) == len(hits["both"]) == 30
        for hit in hits["both"]:
            expected = words.get(hit.id, 0.0) + WEIGHT * near[hit.id]
            assert hit.score == pytest.approx(expected, abs=1e-6)


def test_codes_count_as_much_as_they_know_of_the_query(tmp_path):
    with opened(tmp_path) as collection:
        texts = {"n": "number4711 gold ore ore", "m": "number4711 wheat"}
        collection.add([Document(id_, text) for id_, text in texts.items()])
        [hits] = collection.search(["number4711"], k=10)
        assert [hit.id for hit in hits] == ["m", "n"]  # the shorter first; the codes know nothing of it
        parts = [
            collection.explain(query, "n").from_codes for query in ("number4711", "number4711 gold", "gold")
        ]
        assert parts[0] == 0 < parts[1] < parts[2] < WEIGHT


@pytest.mark.parametrize("by", BY)
def test_words_that_no_document_holds_count_nowhere(tmp_path, by):
    with opened(tmp_path) as collection:
        settings = SearchSettings(None, by=by)
        plain, misspelt = collection.search(["gold wheat", "gold wheet wheat"], settings=settings)
        assert [(hit.id, hit.score) for hit in plain] == [(hit.id, hit.score) for hit in misspelt]


@pytest.mark.parametrize(
    "query, expected",
    [
        ('"gold ore"', {"a", "b"}),
        ("go*", {"a", "b", "c"}),
        ("gold -silver", {"a", "c"}),
        ('ore -"gold ore"', {"c"}),
        ("gold AND (silver OR tin)", {"b"}),
        ("NEAR(ore gold, 0) AND gold", {"a", "b"}),
        ("NEAR(gold tin, 1) OR silver", {"b"}),
    ],
)
def test_conditions(tmp_path, query, expected):
    texts = {"a": "gold ore", "b": "silver gold ore", "c": "ore, then gold", "d": "tin"}
    with opened(tmp_path, n=3) as collection:
        collection.remove(["d0", "d1", "d2"])
        collection.add([Document(id_, text) for id_, text in texts.items()])
        hits = collection.search([query], settings=SearchSettings(by="words"))[0]
        assert {hit.id for hit in hits} == expected
        assert {hit.id for hit in collection.search([query], k=1)[0]} <= expected


def test_a_query_that_cannot_be_read(tmp_path):
    with opened(tmp_path) as collection:
        for search in (
            lambda query: collection.search([query]),
            lambda query: collection.explain(query, "d1"),
        ):
            with pytest.raises(InputError, match="nothing stands after AND"):
                search("gold AND")


def test_a_document_with_signs_is_plain_words(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document("s", '"gold ore" AND -wheat (mine'), Document("t", "gold ore wheat mine")])
        assert collection.search_like("s", k=1)[0].id == "t"
        assert dict(collection.explain_like("s", "t").shared_words).keys() == {"gold", "ore", "wheat", "mine"}


# ---------------------------------------------------------------------- spread over segments

WORDS = ["gold", "ore", "mine", "wheat", "corn", "zz"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=12)
QUERIES = ["gold", "ore wheat zz", '"gold ore"', "m* -wheat", "gold OR corn", "gold ore mine\nwheat corn"]


def answers(collection):
    found = []
    for by, query in itertools.product(BY, QUERIES):
        [hits] = collection.search([query], settings=SearchSettings(4, by=by))
        found.append([(hit.id, hit.score, hit.bm25, hit.distance) for hit in hits])
    return found


@settings(max_examples=12, deadline=None)
@given(TEXTS, st.data())
def test_results_do_not_depend_on_segments(tmp_path_factory, texts, data):
    made = [Document(f"n{i}", text) for i, text in enumerate(texts)]
    gone = [f"d{i}" for i in range(30)] + data.draw(
        st.lists(st.sampled_from([d.id for d in made]), unique=True)
    )
    alone, spread = (fresh(tmp_path_factory.mktemp("spread")) for _ in range(2))
    with Collection.open(alone) as one, Collection.open(spread) as many:
        one.add(made)
        one.remove(gone)
        one.compact()
        rest = made
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            many.add(rest[:size])
            rest = rest[size:]
            if data.draw(st.booleans()):
                many.compact()
        many.remove(gone)
        assert answers(one) == answers(many)


def test_distances_are_those_of_all_codes(tmp_path):
    with opened(tmp_path) as collection:
        collection.add(documents(7, start=40))
        [hits] = collection.search(["gold wheat"], k=None)
        distances = hamming_distances(collection.encode(["gold wheat"]), collection.codes)[0]
        assert {hit.id: hit.distance for hit in hits} == dict(
            zip([d.id for d in collection.documents], distances.tolist(), strict=True)
        )
        assert np.array_equal(
            collection.codes, collection.segments.codes_at(collection.segments.live_positions())
        )
