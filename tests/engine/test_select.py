"""Which engine a name gives."""

import pytest

from nphash.engine import compiled
from nphash.engine.select import create_engine
from nphash.engine.timing import Profile
from nphash.errors import InputError


def test_names():
    assert create_engine("numpy").name == "numpy"
    assert create_engine("numba").name == "numba"
    assert create_engine("auto", "float64").name == "numpy"


@pytest.mark.parametrize(("there", "name"), [(True, "numba"), (False, "numpy")])
def test_auto_takes_kernels_where_they_are_compiled(monkeypatch, there, name):
    monkeypatch.setattr(compiled, "COMPILED", there)
    assert create_engine().name == name


def test_threads_and_profile_are_handed_on():
    profile = Profile()
    engine = create_engine("numba", threads=3, profile=profile)
    assert engine.threads == 3
    assert engine.profile is profile


def test_what_cannot_be_had_is_said():
    with pytest.raises(InputError, match="engine is 'torch'"):
        create_engine("torch")
    with pytest.raises(InputError, match="float32, not float64"):
        create_engine("numba", "float64")
