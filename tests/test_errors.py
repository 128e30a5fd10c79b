"""Errors are one line, name what was given, and are the built-in exceptions a caller expects."""

import inspect

import pytest

from nphash import errors
from nphash.errors import NphashError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, NphashError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_problem_and_hint_make_one_line(cls):
    error = cls("k is 0", "ask for 1 or more")
    assert str(error) == "k is 0: ask for 1 or more"
    assert (error.problem, error.hint) == ("k is 0", "ask for 1 or more")
    assert str(cls("k is 0")) == "k is 0"


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.InputTypeError, TypeError),
        (errors.InputTypeError, ValueError),
        (errors.CorpusError, ValueError),
        (errors.CollectionError, OSError),
        (errors.NotFittedError, ValueError),
        (errors.NotFittedError, AttributeError),
    ],
)
def test_it_is_also_the_builtin_exception(cls, builtin):
    with pytest.raises(builtin, match="what was given"):
        raise cls("what was given", "what to do")


def test_exit_codes():
    codes = {cls.__name__: cls.exit_code for cls in CLASSES}
    assert codes.pop("UsageError") == 2
    assert codes.pop("Interrupted") == 130
    assert set(codes.values()) == {1}


def test_every_class_is_public():
    assert sorted(errors.__all__) == sorted(cls.__name__ for cls in CLASSES)
