"""Limits of the machine: the arithmetic of the least time, and that the measurement measures."""

import pytest

from nphash.engine import roofline as machine
from nphash.engine.roofline import Limits, Work, measure_limits

LIMITS = Limits(bandwidth=10.0, flops=100.0, exponentials=5.0, threads=1)


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(), 0.0),
        (Work(bytes=30, flops=100), 3.0),  # memory is slower
        (Work(bytes=30, flops=1000), 10.0),  # arithmetic is
        (Work(flops=100, exponentials=10), 3.0),  # products and exponentials one after the other
    ],
)
def test_memory_and_arithmetic_run_side_by_side(work, seconds):
    assert LIMITS.seconds(work) == seconds


@pytest.mark.parametrize("threads", [1, 2])
def test_the_machine_is_measured(threads):
    limits = measure_limits(1 << 20, threads)
    assert limits.threads == threads
    # Any machine on which this runs lies between: an error of units would not.
    assert 1e8 < limits.bandwidth < 1e14
    assert 1e8 < limits.flops < 1e15
    assert 1e6 < limits.exponentials < 1e13


def test_rates_follow_from_the_best_time(monkeypatch):
    clock = iter(
        [0.0, 9.0, 10.0, 14.0, 20.0, 22.0]
    )  # the first counts for nothing, the best of the others is 2
    monkeypatch.setattr(machine, "REPETITIONS", 2)
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    calls = []
    assert machine._best(calls.append, times=3, threads=2) == 2.0
    assert sorted(calls) == [0] * 9 + [1] * 9


@pytest.mark.parametrize(("asked", "measured"), [(1, 1 << 20), (1 << 40, 1 << 28), (1 << 24, 1 << 24)])
def test_the_memory_measured_has_bounds(asked, measured, monkeypatch):
    sizes = []
    monkeypatch.setattr(machine, "_moving", lambda size, threads: sizes.append(size) or 1.0)
    monkeypatch.setattr(machine, "_multiplying", lambda threads: 1.0)
    monkeypatch.setattr(machine, "_exponentials", lambda threads: 1.0)
    assert measure_limits(asked, 2).flops == 2.0  # of both threads
    assert sizes == [measured // 2]
