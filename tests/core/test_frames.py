"""Frames, dicts and arrays: their only column, or an error; never the names of columns."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash import HammingIndex, Vectorizer
from nphash.collection.searching import as_queries
from nphash.core.frames import one_column
from nphash.errors import InputError


class Frame:
    """What pandas and polars have in common: columns, a shape, columns by name; iterating gives the names."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)
        self.shape = (len(next(iter(columns.values()), [])), len(columns))
        self.ndim = 2

    def __getitem__(self, name):
        return self._columns[name]

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return self.shape[0]


class ArrowTable:
    """As pyarrow.Table: `columns` are the columns themselves, whose items are no Python strings."""

    def __init__(self, columns):
        self.column_names = list(columns)
        self._columns = {
            name: SimpleNamespace(to_pylist=lambda c=column: c) for name, column in columns.items()
        }
        self.columns = list(self._columns.values())

    def __getitem__(self, name):
        return self._columns[name]


KINDS = {
    "frame": lambda texts: Frame({"text": texts}),
    "frame of arrays": lambda texts: Frame({"text": np.array(texts, object)}),
    "Arrow": lambda texts: ArrowTable({"text": texts}),
    "dict": lambda texts: {"text": texts},
    "array": lambda texts: np.array(texts, object)[:, None],
    "array of strings": lambda texts: np.array(texts)[:, None],
    "vector": np.array,
    "list": list,
    "generator": iter,
}
TEXTS = ["the whale sleeps in the sea", "a whale sings", "the market fell"] * 4


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=5),
    st.sampled_from(sorted(set(KINDS) - {"array of strings"})),
)
def test_the_only_column_is_taken(texts, kind):
    texts = [text.replace("\0", "") for text in texts]  # which NumPy cuts off
    assert list(one_column(KINDS[kind](texts), "texts")) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_wherever_texts_come_in(kind):
    X = Vectorizer().fit_transform(TEXTS)
    vectorizer = Vectorizer().fit(KINDS[kind](TEXTS))
    assert vectorizer.vocabulary_ == ["fell", "market", "sea", "sings", "sleeps", "whale"]
    assert (vectorizer.transform(KINDS[kind](TEXTS)) != X).nnz == 0
    assert as_queries(KINDS[kind](TEXTS)) == TEXTS
    index = HammingIndex(8)
    index.add(np.zeros((3, 8), np.uint8), ids=KINDS[kind](["a", "b", "text"]))
    assert index.ids.tolist() == ["a", "b", "text"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            Frame({"id": ["1"], "text": ["a"]}),
            "a Frame of 2 columns, but one .* .it has id, text.: give",
        ),
        (Frame({}), "a Frame of 0 columns, but one is needed .it has none.: give a column"),
        (ArrowTable({"id": ["1"], "text": ["a"]}), "a ArrowTable of 2 columns"),
        ({"one": "whale", "two": "ship"}, "a dict with the keys one, two: give a list"),
        ({"one": "whale"}, "a dict with the keys one"),
        ({}, "a dict with"),
        (np.array([["a", "b"]]), r"an array of shape \(1, 2\)"),
        (np.array("a"), r"an array of shape \(\)"),
        (np.array([[["a"]]]), r"an array of shape \(1, 1, 1\)"),
        (None, "of type NoneType, which gives none"),
        (7, "of type int"),
    ],
)
def test_what_has_no_one_column_is_refused(table, problem):
    with pytest.raises(InputError, match=problem):
        Vectorizer().fit(table)
    vectorizer = Vectorizer().fit(TEXTS)
    with pytest.raises(InputError, match=problem):
        vectorizer.transform(table)
    with pytest.raises(InputError):
        as_queries(table)
    if not isinstance(table, (int, type(None))):  # no names, and one
        with pytest.raises(InputError, match=problem):
            HammingIndex(8).add(np.zeros((1, 8), np.uint8), ids=table)
