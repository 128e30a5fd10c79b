import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.nn.schedules import Constant, Exponential, Linear, as_schedule, schedule_ends

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


@pytest.mark.parametrize("number", [np.int64(0), np.float32(0.5), np.float64(2), 3, 0.5])
def test_numbers_of_numpy_are_schedules_that_give_python_floats(number):
    # GridSearchCV hands them over; float64 from a schedule would turn arrays of float32 into float64.
    for schedule in (as_schedule(number, 5), as_schedule((number, number), 5), Exponential(number, 1.0)):
        assert schedule(2.0) == number
        assert type(schedule(2.0)) is float


@pytest.mark.parametrize(
    "value", [True, np.True_, "0.1", None, np.nan, np.inf, (1, 2, 3), (True, 1), ("a", "b")]
)
def test_anything_else_is_no_schedule(value):
    with pytest.raises(InputError, match=r"kl_weight is .*give a finite number"):
        as_schedule(value, 5, "kl_weight")


def test_ends_of_a_schedule_are_checked():
    assert schedule_ends((1, 0.5), 5, "noise") == (1.0, 0.5)
    assert schedule_ends(lambda epoch: np.float32(2 * epoch), 5, "noise") == (0.0, 10.0)
    for wrong in (lambda epoch: np.nan, lambda epoch: "1", Linear(1.0, np.inf, 5)):
        with pytest.raises(InputError, match="noise goes from"):
            schedule_ends(wrong, 5, "noise")
