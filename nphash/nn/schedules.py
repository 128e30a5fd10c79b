"""Schedules: annealing of a temperature, a weight or a learning rate over a fit.

A schedule is called with the epochs done so far, a float: 2.5 is the middle of the third epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nphash.core.arguments import is_number
from nphash.errors import InputError

__all__ = [
    "Constant", "Exponential", "Linear", "Schedule", "ScheduleLike", "as_schedule", "schedule_ends",
    "values_at",
]  # fmt: skip

Schedule = Callable[[float], float]
ScheduleLike = float | tuple[float, float] | Schedule


@dataclass(frozen=True)
class Constant:
    """The same value throughout.

    Examples
    --------
    >>> Constant(0.1)(3.0)
    0.1
    """

    value: float

    def __call__(self, epoch: float) -> float:
        """Return the value after ``epoch`` epochs."""
        return float(self.value)  # a NumPy number would turn float32 arrays into float64


@dataclass(frozen=True)
class Linear:
    """Linear annealing from ``start`` to ``stop`` over the first ``epochs`` epochs, then ``stop``.

    Examples
    --------
    >>> temperature = Linear(1.0, 0.2, epochs=4)
    >>> temperature(0), temperature(2), temperature(9)
    (1.0, 0.6, 0.2)
    """

    start: float
    stop: float
    epochs: float

    def __call__(self, epoch: float) -> float:
        """Return the value after ``epoch`` epochs."""
        if epoch >= self.epochs:  # also for epochs = 0
            return float(self.stop)
        return float(self.start + (self.stop - self.start) * epoch / self.epochs)


@dataclass(frozen=True)
class Exponential:
    """Exponential decay, ``start * rate**epoch``, but never below ``floor``.

    Examples
    --------
    >>> rate = Exponential(1.0, 0.5, floor=0.1)
    >>> rate(0), rate(2), rate(9)
    (1.0, 0.25, 0.1)
    """

    start: float
    rate: float
    floor: float = 0.0

    def __call__(self, epoch: float) -> float:
        """Return the value after ``epoch`` epochs."""
        return float(max(self.floor, self.start * self.rate**epoch))


def as_schedule(value: ScheduleLike, epochs: float, name: str = "the schedule") -> Schedule:
    """Return a schedule: a number stays the same, a pair (start, stop) is annealed linearly.

    Raises
    ------
    InputError
        If ``value``, called ``name`` in the message, is neither finite number, pair nor schedule.

    Examples
    --------
    >>> as_schedule((1.0, 0.5), epochs=10)(5)
    0.75
    """
    if is_number(value):
        return Constant(float(value))
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_number, value)):
        return Linear(float(value[0]), float(value[1]), epochs)
    if callable(value):
        return value
    raise InputError(
        f"{name} is {value!r}", "give a finite number, a pair (start, stop) or a schedule", parameter=name
    )


def values_at(schedules: dict[str, Schedule], epoch: float) -> dict[str, Any]:
    """Return the values of named schedules after ``epoch`` epochs.

    Examples
    --------
    >>> values_at({"tau": Linear(1.0, 0.5, epochs=10), "beta": Constant(0.1)}, 5)
    {'tau': 0.75, 'beta': 0.1}
    """
    return {name: schedule(epoch) for name, schedule in schedules.items()}


def schedule_ends(value: ScheduleLike, epochs: float, name: str) -> tuple[float, float]:
    """Return the first and last value of a schedule over ``epochs`` epochs: what can be checked of it.

    Raises
    ------
    InputError
        If ``value``, called ``name`` in the message, is no schedule, or gives what is no finite number.

    Examples
    --------
    >>> schedule_ends((1.0, 0.3), epochs=20, name="temperature")
    (1.0, 0.3)
    """
    schedule = as_schedule(value, epochs, name)
    first, last = schedule(0.0), schedule(float(epochs))
    if not (is_number(first) and is_number(last)):
        raise InputError(
            f"{name} goes from {first!r} to {last!r} in {epochs} epochs",
            "its values must be finite numbers",
            parameter=name,
        )
    return float(first), float(last)
