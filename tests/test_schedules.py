import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.schedules import Constant, Exponential, Linear

epochs = st.floats(0, 1000)


@given(epochs, st.floats(-5, 5))
def test_constant(epoch, value):
    assert Constant(value)(epoch) == value


@given(epochs, st.floats(0, 5), st.floats(0, 5), st.floats(0, 100))
def test_linear_stays_between_its_ends_and_reaches_the_stop(epoch, start, stop, length):
    value = Linear(start, stop, length)(epoch)
    assert min(start, stop) - 1e-9 <= value <= max(start, stop) + 1e-9
    if epoch >= length:
        assert value == stop


def test_linear_is_halfway_in_the_middle():
    assert Linear(0.0, 0.1, epochs=10)(5) == pytest.approx(0.05)
    assert Linear(1.0, 0.2, epochs=10)(0) == 1.0


def test_linear_over_no_epochs_is_the_stop_at_once():
    assert Linear(1.0, 0.2, epochs=0)(0.0) == 0.2


@given(epochs, st.floats(0.01, 5), st.floats(0.1, 1), st.floats(0, 1))
def test_exponential_falls_to_its_floor(epoch, start, rate, floor):
    schedule = Exponential(start, rate, floor)
    assert schedule(epoch) >= floor
    assert schedule(epoch + 1) <= schedule(epoch)


def test_exponential_multiplies_once_an_epoch():
    assert Exponential(2.0, 0.5)(3) == pytest.approx(0.25)
    assert Exponential(1.0, 0.96, floor=0.1)(100) == 0.1


@pytest.mark.parametrize("schedule", [Constant(0.1), Linear(1, 0, 2), Exponential(1, 0.5)])
def test_schedules_are_values(schedule):
    assert schedule == dataclasses.replace(schedule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.start = 0
