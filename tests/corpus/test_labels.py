import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import words
from nphash.corpus import label_matrix

rows = st.lists(st.lists(words, max_size=4).map(tuple), max_size=8)


@settings(deadline=None, max_examples=100)
@given(rows)
def test_every_label_is_marked_and_no_other(labels):
    y, names = label_matrix(labels)
    assert y.dtype == bool
    assert y.shape == (len(labels), len(names))
    assert names == sorted({label for row in labels for label in row})
    found = [{names[column] for column in y[at].indices} for at in range(len(labels))]
    assert found == [set(row) for row in labels]


@settings(deadline=None, max_examples=50)
@given(rows, st.lists(words, max_size=4, unique=True))
def test_given_names_fix_the_columns(labels, names):
    y, kept = label_matrix(labels, names)
    assert kept == names
    expected = [[name in row for name in names] for row in labels]
    assert np.array_equal(y.toarray(), np.array(expected, bool).reshape(len(labels), len(names)))


def test_no_documents():
    y, names = label_matrix([])
    assert (y.shape, names) == ((0, 0), [])
