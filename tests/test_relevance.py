"""Which documents are relevant to which query."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from nphash.errors import InputError
from nphash.relevance import n_labelled, relevance, relevance_blocks

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


def test_stored_values_do_not_cancel():
    assert relevance(np.array([[1.0, -1.0]]), np.array([[1.0, 1.0]])).all()
    stored_zero = csr_array((np.array([0.0]), np.array([0]), np.array([0, 1])), shape=(1, 2))
    assert not relevance(stored_zero, csr_array(np.ones((1, 2)))).any()


def test_the_argument_is_left_as_it_was():
    y = csr_array((np.array([0.0, 3.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    relevance(y, y)
    assert y.nnz == 2 and y.data.tolist() == [0, 3]


def test_different_kinds_or_numbers_of_labels_are_refused():
    for y_query, y_database in (([1], [[1]]), ([[1, 0]], [[1]]), (np.ones((1, 1, 1)), np.ones((1, 1, 1)))):
        with pytest.raises(InputError, match="same labels"):
            relevance(y_query, y_database)
    assert n_labelled(np.ones((4, 2))) == 4
