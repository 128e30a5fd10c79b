"""Systems by name."""

import inspect

import pytest

from nphash import hashers
from nphash.errors import InputError
from nphash.hashers import Training


@pytest.mark.parametrize("method", hashers.METHODS)
def test_every_method_is_found_created_and_described(method):
    hasher = hashers.create(method)
    assert isinstance(hasher, hashers.Hasher)
    assert type(hasher) is hashers.find(method)
    assert hashers.method_of(hasher) == method
    line = hashers.describe(method)
    assert line and "\n" not in line and line.endswith(".") and len(line) <= 110


@pytest.mark.parametrize("method", hashers.METHODS)
def test_every_argument_of_a_method_is_documented_and_only_stored(method):
    cls = hashers.find(method)
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name == "self":
            continue
        assert name in cls.__doc__, name
        assert getattr(cls(), name) is parameter.default, name


def test_create_sets_arguments_and_nested_ones():
    hasher = hashers.create("doc2hash", n_bits=16, training__epochs=5)
    assert (hasher.n_bits, hasher.training) == (16, Training(epochs=5))


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"no method 'doc3hash'.*doc2hash"):
        hashers.create("doc3hash")
    with pytest.raises(InputError, match=r"no parameter 'bits'.*n_bits"):
        hashers.create("doc2hash", bits=8)


def test_a_class_of_someone_else_has_no_name():
    class Mine(hashers.Hasher):
        pass

    with pytest.raises(InputError, match=r"not among"):
        hashers.method_of(Mine())
