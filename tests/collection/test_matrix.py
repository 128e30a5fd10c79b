from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nphash.collection.matrix import (
    MOST_REPEATS,
    checked_matrix,
    column_names,
    holds_counts,
    matrix_documents,
    select_columns,
    weighed,
)
from nphash.corpus import Document, Matrix
from nphash.errors import InputError
from nphash.text.vectorizer import Vectorizer, VectorizerSettings


def matrix(rows, vocabulary=None):
    X = scipy.sparse.csr_matrix(np.array(rows, dtype=np.float32))
    n = X.shape[0]
    return Matrix(X, [f"r{i}" for i in range(n)], [("a",)] * n, ["train"] * n, vocabulary)


def test_names_of_columns():
    assert column_names(matrix([[1, 2]])) == ["w0", "w1"]
    assert column_names(matrix([[1, 2, 3]], ["New  York", "\u00c9T\u00c9", " "])) == [
        "new_york",
        "\u00e9t\u00e9",
        "w2",
    ]


def test_counts_are_whole_numbers():
    assert holds_counts(matrix([[0, 1, 7]]))
    assert not holds_counts(matrix([[0, 1.5]]))
    assert holds_counts(matrix([[0, 0]]))


def test_rows_become_documents():
    assert list(matrix_documents(matrix([[2, 0, 1], [0, 0, 0]], ["a", "b", "c"]))) == [
        Document("r0", "a a c", ("a",), "train"),
        Document("r1", "", ("a",), "train"),
    ]
    [weights] = matrix_documents(matrix([[2.5, 0, 0.5]], ["a", "b", "c"]))
    assert weights.text == "a c"


def test_huge_counts_do_not_make_huge_texts():
    [document] = matrix_documents(matrix([[1e9]]))
    assert len(document.text.split()) == MOST_REPEATS


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(0, 4)))
def test_counting_the_stored_text_gives_the_counts_back(counts):
    given_matrix = matrix(counts)
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
    found = select_columns(matrix([[1, 2.5, 3]], ["a", "B", "c"]), ["b", "x", "a"])
    np.testing.assert_array_equal(found.toarray(), [[2.5, 0, 1]])
    assert found.dtype == np.float32
    with pytest.raises(InputError, match="none of the collection's words"):
        select_columns(matrix([[1]]), ["a"])


def test_weighed_blocks():
    vectorizer = Vectorizer().fit(["gold ore", "wheat"])
    docs = [Document(str(i), text) for i, text in enumerate(["gold", "wheat", "ore"])]
    blocks = list(weighed(iter(docs), vectorizer, 2))
    assert [[d.id for d in block] for block, _ in blocks] == [["0", "1"], ["2"]]
    np.testing.assert_array_equal(blocks[0][1].toarray(), [[1, 0, 0], [0, 0, 1]])
    own = list(weighed(matrix([[0.25], [0.75]], ["ore"]), vectorizer, 1))
    np.testing.assert_array_equal(own[1][1].toarray(), [[0, 0.75, 0]])
    assert list(weighed([], vectorizer, 2)) == []


def test_a_matrix_made_in_python_is_checked():
    vectorizer = Vectorizer(VectorizerSettings("whitespace", "none")).fit(["w0 w1 w2"])
    given = matrix([[1, 0, 2], [0, 0.5, 0]])
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
