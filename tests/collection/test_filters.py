"""Filters: what they say, what they are compared with, and that they come before the best are taken."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.collecting import documents, opened
from nphash.collection import SearchSettings
from nphash.collection.filters import Facets, Filter, parse_filter, values_of
from nphash.corpus import Document
from nphash.errors import InputError

DOCUMENTS = [
    Document("a", "", ("sport", "news"), "train", fields={"date": "2020-05-01", "size": "9"}),
    Document("b", "", ("sport",), "", fields={"date": "2019-12-31", "size": "10.5"}),
    Document("c", "", (), "train", fields={"author": "O'Neil = x"}),
]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("label=sport", Filter("label", "=", "sport")),
        ("date >= 2020-01-01", Filter("date", ">=", "2020-01-01")),
        ("author=O'Neil = x", Filter("author", "=", "O'Neil = x")),
        ("split!=", Filter("split", "!=", "")),
        ("first name<a", Filter("first name", "<", "a")),
    ],
)
def test_filters_are_read(text, expected):
    assert parse_filter(text) == expected


@pytest.mark.parametrize("text", ["sport", "=x", "", ">", "a!b", 7, None])
def test_what_is_no_filter(text):
    with pytest.raises(InputError, match="is no filter") as failed:
        parse_filter(text)
    assert "label=sport" in failed.value.hint


@pytest.mark.parametrize(
    "where, expected",
    [
        ("label=sport", "ab"),
        ("label!=news", "bc"),
        ("id>=b", "bc"),
        ("split=train", "ac"),
        ("date>=2020-01-01", "a"),
        ("date<2020-01-01", "b"),
        ("date!=2019-12-31", "ac"),
        ("size>9.5", "b"),  # as numbers, not letter by letter
        ("size=9.0", "a"),
        ("size>a", ""),
        ("author=O'Neil = x", "c"),
        (["label=sport", "size<10"], "a"),
        (["label=sport", "label=news"], "a"),
        ([], "abc"),
        (np.array([True, False, True]), "ac"),
    ],
)
def test_masks(where, expected):
    found = Facets(DOCUMENTS, [1, 2, 4]).mask(where, 6)
    assert found.dtype == bool and len(found) == 6
    assert [at for at, meets in zip((1, 2, 4), found[[1, 2, 4]], strict=True) if meets] == [
        {"a": 1, "b": 2, "c": 4}[id_] for id_ in expected
    ]
    assert not found[[0, 3, 5]].any()


@pytest.mark.parametrize(
    "where, value, expected",
    [
        ("year>1000", "n/a", False),
        ("year<1000", "", False),
        ("year>=1000", "ca. 1850", False),
        ("year<=9", "1.0.2", False),
        ("year<a", "1850", False),
        ("year!=1000", "n/a", True),
        ("year=1000", "n/a", False),
        ("date>=2020", "2020-03-02T10:00:00+00:00", True),
        ("date>2020", "2019-12-31", False),
        ("date<2020-01-01", "2019", True),
        ("date<2020-01-01", "20191231", False),
        ("date>=2020-01-01", "n/a", True),  # both are text
    ],
)
def test_a_number_is_neither_less_nor_more_than_text(where, value, expected):
    assert parse_filter(where).meets([value]) is expected


@given(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.text(max_size=3), st.text(max_size=3))
def test_a_filter_is_its_operator(sign, one, other):
    meets = Filter("x", sign, other).meets([one])
    assert isinstance(meets, bool)
    opposite = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}[sign]
    both_false = sign not in {"=", "!="} and one_is_a_number(one, other)
    assert meets is (not both_false and not Filter("x", opposite, other).meets([one]))


def one_is_a_number(one, other):
    return is_number(one) != is_number(other)


def is_number(text):
    try:
        return re.fullmatch(r"[-+.\deE]+", text) is not None and float(text) is not None
    except ValueError:
        return False


@pytest.mark.parametrize(
    "where, says",
    [
        ("dates=1", "no document has the field 'dates'"),
        (np.array([True]), r"where is bool of shape \(1,\), but there are 3 documents"),
        (np.array([1, 0, 1]), "where is int64"),
    ],
)
def test_filters_that_nothing_can_meet(where, says):
    with pytest.raises(InputError, match=says):
        Facets(DOCUMENTS, [0, 1, 2]).mask(where, 3)


def test_counts():
    facets = Facets(DOCUMENTS, [0, 1, 2])
    assert list(facets.count("label").items()) == [("sport", 2), ("news", 1)]
    assert facets.count("split") == {"train": 2} and facets.count("author") == {"O'Neil = x": 1}
    assert facets.names == ["id", "label", "split", "date", "size", "author"]
    assert values_of(DOCUMENTS[0], "date") == ("2020-05-01",) and values_of(DOCUMENTS[2], "date") == ()
    with pytest.raises(InputError, match="no document has the field 'dates'"):
        facets.count("dates")


def test_the_best_of_what_is_met_are_taken(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document("x", "gold ore", ("metal",), fields={"date": "2021-03-04", "title": "T"})])
        collection.remove(["d1"])
        assert collection.documents["x"].fields == {"date": "2021-03-04", "title": "T"}
        for settings in (SearchSettings(4), SearchSettings(4, by="codes"), SearchSettings(4, radius=16)):
            [hits] = collection.search(["gold wheat"], settings=settings, where="label=money")
            assert len(hits) == 4 and {hit.document.labels for hit in hits} == {("money",)}
            everything = collection.search(["gold wheat"], k=None, settings=settings)[0]
            same = [hit.id for hit in everything if hit.document.labels == ("money",)]
            assert [hit.id for hit in hits] == same[:4]
        assert [hit.id for hit in collection.search(["gold"], where=["date>2021", "label=metal"])[0]] == ["x"]
        like = collection.search_like("d4", k=None, where="label=metal")
        assert {hit.document.labels for hit in like} == {("metal",)} and "d4" not in {hit.id for hit in like}
        mask = np.arange(len(collection)) < 3
        assert {hit.id for hit in collection.search(["gold wheat"], where=mask)[0]} == {"d0", "d2", "d3"}
        assert collection.facets("label") == {"grain": 10, "metal": 10, "money": 10}
        collection.compact()
        assert [hit.id for hit in collection.search(["gold"], where="title=T")[0]] == ["x"]
        assert list(collection.documents)[:2] == [documents(30)[0], documents(30)[2]]
