"""Which documents are relevant to which query."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from nphash.errors import InputError
from nphash.metrics.relevance import number_classes, read_labels, relevance, relevance_blocks

label_sets = st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=6)


def indicator(sets):
    y = np.zeros((len(sets), 5), np.int8)
    for i, labels in enumerate(sets):
        y[i, list(labels)] = 1
    return y


@settings(deadline=None, max_examples=60)
@given(label_sets, label_sets)
def test_two_documents_are_relevant_when_their_label_sets_meet(query, database):
    expected = [[bool(a & b) for b in database] for a in query]
    y_query, y_database = indicator(query), indicator(database)
    assert relevance(y_query, y_database).tolist() == expected
    assert relevance(csr_array(y_query), csr_array(y_database)).tolist() == expected
    block = relevance_blocks(y_query, y_database)
    assert [row for i in range(len(query)) for row in block(i, i + 1).tolist()] == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=2), min_size=1), st.lists(st.text(max_size=2), min_size=1))
def test_classes_of_any_kind_are_relevant_when_equal(query, database):
    expected = [[a == b for b in database] for a in query]
    assert relevance(np.array(query, object), np.array(database, object)).tolist() == expected


def test_a_stored_zero_is_no_label():
    stored_zero = csr_array((np.array([0.0]), np.array([0]), np.array([0, 1])), shape=(1, 2))
    assert not relevance(stored_zero, csr_array(np.ones((1, 2)))).any()


def test_the_argument_is_left_as_it_was():
    y = csr_array((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    relevance(y, y)
    assert y.nnz == 2 and y.data.tolist() == [0, 1] and y.indices.tolist() == [0, 1]


def test_different_kinds_or_numbers_of_labels_are_refused():
    for y_query, y_database in (([1], [[1, 0]]), ([[1, 0]], [[1]]), ([[1, 0]], [[1, 0, 0]])):
        with pytest.raises(InputError, match="same labels"):
            relevance(y_query, y_database)


@pytest.mark.parametrize("classes", [np.array([0, 1, 0]), np.array(["b", "a", "b"])])
def test_a_column_of_classes_is_a_vector(classes):
    # Read as an indicator of one label, all documents but those of class 0 would share it.
    expected = relevance(classes, classes)
    assert np.array_equal(relevance(classes[:, None], classes[:, None]), expected)
    assert np.array_equal(relevance(classes[:, None].tolist(), classes), expected)


def test_a_sparse_column_is_an_indicator_of_one_label():
    column = csr_array([[1], [0], [1]])
    assert relevance(column, column).tolist() == [[True, False, True], [False] * 3, [True, False, True]]


@pytest.mark.parametrize(
    "y",
    [[[0, 1], [1, 0]], [[0.0, 1.0], [1.0, 0.0]], [[False, True], [True, False]], csr_array([[0, 1], [1, 0]])],
)
def test_an_indicator_is_read_as_bool(y):
    indicator = read_labels(y)
    assert indicator.format == "csr" and indicator.dtype == bool and indicator.nnz == 2
    assert indicator.toarray().tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan], "contains NaN or infinity"),
        ([1.0, -np.inf], "contains NaN or infinity"),
        ([None, None], "no class for document 0: None"),
        (np.array(["a", np.nan], object), "no class for document 1: nan"),
        (-np.ones((3, 2)), "holds -1.0, which is neither"),
        (csr_array(-np.ones((3, 2))), "holds -1.0, which is neither"),
        ([[1, 2], [0, 1]], "holds 2, which is neither"),
        ([["a", "b"], ["a", "c"]], "holds 'a', which is neither"),
        ([[1, None]], "holds None, which is neither"),
        ([[1.0, np.nan]], "holds nan, which is neither"),
        ([["a"], ["a", "b"]], "lists of different lengths"),
        (3, r"shape \(\)"),
        (np.ones((1, 1, 1)), r"shape \(1, 1, 1\)"),
    ],
)
def test_labels_that_say_nothing_are_refused_by_name(y, message):
    with pytest.raises(InputError, match="y_valid.*" + message):
        read_labels(y, "y_valid")
    with pytest.raises(InputError, match="y_database.*" + message):
        relevance([1], y)


def test_classes_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="y_query or y_database mixes"):
        relevance(np.array([1, "a"], object), np.array([2], object))
    assert [part.tolist() for part in number_classes(np.array(["b", "a", "b"]))] == [["a", "b"], [1, 0, 1]]


def test_relevance_of_known_labels():
    assert relevance([0, 1], [1, 1, 0]).tolist() == [[False, False, True], [True, True, False]]
    assert relevance([[1, 0, 1]], [[0, 1, 0], [0, 0, 1]]).tolist() == [[False, True]]  # three labels
    block = relevance_blocks([0, 1, 2], [2, 1])
    assert block(1, 3).tolist() == [[False, True], [True, False]]
    assert block(1, None).tolist() == block(1, 3).tolist()


def test_labels_as_they_are_read():
    assert read_labels([["a"], ["b"]]).tolist() == ["a", "b"]
    assert read_labels([[1, 0], [1, 1]]).toarray().tolist() == [[True, False], [True, True]]


@settings(deadline=None, max_examples=40)
@given(label_sets, label_sets)
def test_relevance_is_symmetric_and_every_labelled_document_is_relevant_to_itself(query, database):
    a, b = indicator(query), indicator(database)
    assert np.array_equal(relevance(a, b), relevance(b, a).T)
    assert relevance(a, a).diagonal().tolist() == [bool(labels) for labels in query]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12))
def test_numbers_of_classes_name_them(y):
    classes, numbers = number_classes(np.array(y))
    assert classes.tolist() == sorted(set(y)) and classes[numbers].tolist() == y
