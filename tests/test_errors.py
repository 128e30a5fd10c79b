"""Errors are one line, name what was given, and are the built-in exceptions a caller expects."""

import inspect
import pickle
import subprocess
import sys

import pytest

from nphash import errors
from nphash.errors import NphashError, not_fitted

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


def unpickled(data):
    return pickle.loads(data)  # noqa: S301 - made here


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_can_be_pickled(cls):
    error = unpickled(pickle.dumps(cls("k is 0", "ask for 1 or more")))
    assert type(error) is cls and (error.problem, error.hint) == ("k is 0", "ask for 1 or more")


def test_not_fitted_is_scikit_learns_too_and_can_be_pickled():
    from sklearn.exceptions import NotFittedError

    error = not_fitted("not fitted", "do it")
    assert isinstance(error, NotFittedError) and isinstance(error, errors.NotFittedError)
    assert type(not_fitted("again")) is type(error)
    data = pickle.dumps(error)
    again = unpickled(data)
    assert type(again) is type(error) and str(again) == "not fitted: do it"
    program = (
        "import pickle, sys; error = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "print(type(error).__module__, error, 'sklearn' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, data.hex()], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "nphash.errors not fitted: do it False"


@pytest.mark.parametrize("cls", CLASSES)
def test_messages_are_never_longer_than_a_screen(cls):
    error = cls(f"documents is {'x' * 3_400_000!r}, but a list is needed", "y" * 9_999)
    assert len(str(error)) < 24 * 80
    assert error.problem.startswith("documents is 'xxx") and error.problem.endswith("but a list is needed")
    again = unpickled(pickle.dumps(error))
    assert str(again) == str(error)
