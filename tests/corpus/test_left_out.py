import pytest

from nphash.corpus import ReadOptions
from nphash.corpus.left_out import LeftOut
from nphash.errors import CorpusError


def told(one_by_one, **options):
    said = []
    left_out = LeftOut(ReadOptions(tell=said.append, **options))
    one_by_one(left_out)
    left_out.tell()
    return said


def bad(left_out, *problems):
    for problem in problems:
        with left_out.unusable():
            raise CorpusError(problem, "a hint")


def test_nothing_is_told_of_nothing():
    assert told(lambda left_out: None) == []


def test_a_document_that_cannot_be_used_is_an_error_unless_it_is_left_out():
    with pytest.raises(CorpusError, match="line 3"):
        told(lambda left_out: bad(left_out, "line 3"))
    said = told(lambda left_out: bad(left_out, "line 3"), on_bad_record="skip")
    assert said == ["left out 1 document that cannot be used: line 3"]
    said = told(lambda left_out: bad(left_out, *"abcd"), on_bad_record="skip")
    assert said == ["left out 4 documents that cannot be used: a; b; c; ..."]


def test_other_errors_go_through():
    with pytest.raises(ZeroDivisionError), LeftOut(ReadOptions(on_bad_record="skip")).unusable():
        raise ZeroDivisionError
