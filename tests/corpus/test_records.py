import dataclasses

import pytest

from nphash.corpus.records import Document, ReadOptions, UniqueIds, clean_labels, show, stem
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
