"""How a temperature, a weight or a learning rate changes over a fit.

A schedule is called with the epochs done so far, a float: 2.5 is the middle of the third epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nphash.errors import InputError

__all__ = ["Constant", "Exponential", "Linear", "Schedule", "ScheduleLike", "as_schedule"]

Schedule = Callable[[float], float]
ScheduleLike = float | tuple[float, float] | Schedule


@dataclass(frozen=True)
class Constant:
    """Always the same value.

    Examples
    --------
    >>> Constant(0.1)(3.0)
    0.1
    """

    value: float

    def __call__(self, epoch: float) -> float:
        """Return the value after ``epoch`` epochs."""
        return self.value


@dataclass(frozen=True)
class Linear:
    """A straight line from ``start`` to ``stop`` over the first ``epochs`` epochs, then ``stop``.

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
            return self.stop
        return self.start + (self.stop - self.start) * epoch / self.epochs


@dataclass(frozen=True)
class Exponential:
    """``start * rate**epoch``, but never below ``floor``.

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
        return max(self.floor, self.start * float(self.rate**epoch))


def as_schedule(value: ScheduleLike, epochs: float) -> Schedule:
    """Return a schedule: a number stays the same, a pair (start, stop) is a line over ``epochs`` epochs.

    Raises
    ------
    InputError
        If ``value`` is neither number, pair nor schedule.

    Examples
    --------
    >>> as_schedule((1.0, 0.5), epochs=10)(5)
    0.75
    """
    if isinstance(value, (int, float)):
        return Constant(float(value))
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return Linear(float(value[0]), float(value[1]), epochs)
    if callable(value):
        return value
    raise InputError(f"{value!r} is no schedule", "give a number or a pair (start, stop)")
