"""Documents, labels, options, and what is skipped."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import words
from nphash.corpus import label_matrix
from nphash.corpus.records import Document, ReadOptions, Skipped, UniqueIds, clean_labels, show, stem
from nphash.errors import CorpusError


def test_documents_and_options_cannot_change():
    for thing, field in ((Document("a", "b"), "id"), (ReadOptions(), "encoding")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field, "x")


def test_repeated_ids_name_both_lines():
    ids = UniqueIds("-")
    ids.add("a", 1)
    ids.add("b", 2)
    with pytest.raises(CorpusError, match="standard input, line 7: the id 'a' was already used on line 1"):
        ids.add("a", 7)


@pytest.mark.parametrize(
    ("labels", "cleaned"),
    [(["b", "a", "b"], ("b", "a")), ([" x ", "x", "", "  "], ("x",)), ([], ())],
)
def test_labels_are_cleaned(labels, cleaned):
    assert clean_labels(labels) == cleaned


def test_names_of_sources():
    assert [show(source) for source in ("-", "d/e.txt")] == ["standard input", "d/e.txt"]
    assert [stem(source) for source in ("-", "d/e.txt", "d/e.txt.gz")] == ["stdin", "e.txt", "e.txt"]


# ---------------------------------------------------------------------- labels


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


# ---------------------------------------------------------------------- skipped


def reported(one_by_one, **options):
    said = []
    skipped = Skipped(ReadOptions(report=said.append, **options))
    one_by_one(skipped)
    skipped.report()
    return said


def bad(skipped, *problems):
    for problem in problems:
        with skipped.unusable():
            raise CorpusError(problem, "a hint")


def test_nothing_is_reported_of_nothing():
    assert reported(lambda skipped: None) == []


def test_a_document_that_cannot_be_used_is_an_error_unless_it_is_skipped():
    with pytest.raises(CorpusError, match="line 3"):
        reported(lambda skipped: bad(skipped, "line 3"))
    said = reported(lambda skipped: bad(skipped, "line 3"), on_bad_record="skip")
    assert said == ["skipped 1 document that cannot be used: line 3"]
    said = reported(lambda skipped: bad(skipped, *"abcd"), on_bad_record="skip")
    assert said == ["skipped 4 documents that cannot be used: a; b; c; ..."]


def test_other_errors_go_through():
    with pytest.raises(ZeroDivisionError), Skipped(ReadOptions(on_bad_record="skip")).unusable():
        raise ZeroDivisionError
