"""Seconds by name: nested parts are counted once."""

import time

import numpy as np
import pytest

from nphash.engine.timing import Profile, timed
from nphash.nn.losses import NUMPY


def test_inner_parts_are_taken_off_the_outer(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 7.0])  # outer from 0 to 7, inner from 1 to 3
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    profile = Profile()
    with profile.measure("outer"), profile.measure("inner"):
        pass
    assert profile.seconds == {"inner": 2.0, "outer": 5.0}


def test_calls_add_up(monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    profile = Profile()
    double = profile.around("double", lambda x, scale=2: x * scale)
    assert double(3) == 6
    assert double(3, scale=3) == 9
    assert profile.seconds == {"double": 3.0}


def test_an_error_passes_and_its_time_counts():
    profile = Profile()
    with pytest.raises(ZeroDivisionError), profile.measure("part"):
        _ = 1 / 0
    assert list(profile.seconds) == ["part"]


def test_values_are_timed_as_they_come():
    profile = Profile()
    assert list(profile.around_each("values", "ab")) == ["a", "b"]
    assert list(profile.seconds) == ["values"]


def test_operations_are_timed_forward_and_backward():
    profile = Profile()
    operations = timed(NUMPY, profile)
    _, back = operations.dense(np.ones((2, 3)), np.ones((3, 4)), np.zeros(4))
    back(np.ones((2, 4)))
    assert list(profile.seconds) == ["hidden layers", "hidden layers, backward"]
    assert operations.relu is NUMPY.relu
