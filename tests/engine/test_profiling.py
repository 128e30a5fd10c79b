"""Seconds by name, the lower bounds of its work, and the limits of the machine."""

import time

import numpy as np
import pytest

from nphash.engine import profiling as machine
from nphash.engine.profiling import (
    Limits,
    Profile,
    StepSize,
    Work,
    lower_bounds,
    measure_limits,
    model_bytes,
    timed,
)
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


V, H1, H2, L, B, E, U = 1000, 20, 10, 8, 100, 700, 300
PARAMS = {
    name: np.zeros(shape, np.float32)
    for name, shape in {
        "W_1": (V, H1), "b_1": (H1,), "W_2": (H1, H2), "b_2": (H2,),
        "W_a": (H2, L), "b_a": (L,), "W_s": (L, V), "b_s": (V,),
    }.items()
}  # fmt: skip
SIZE = sum(array.size for array in PARAMS.values())


def scale(engine):
    return StepSize(engine, 2, B, E, U)


def test_the_compiled_engine_leaves_weight_gradients_to_the_optimiser():
    work = lower_bounds(PARAMS, scale("numba"))
    assert work["first layer"].flops == 2 * E * H1
    assert work["first layer"].bytes == 4 * (U + B) * H1
    assert work["hidden layers"].flops == 2 * B * H1 * H2
    assert work["decoder"].flops == 4 * B * L * V and work["decoder"].exponentials == B * V
    assert work["optimiser"].flops == 2 * E * H1 + 2 * B * H1 * H2 + 2 * B * L * V
    assert work["optimiser"].bytes == 6 * 4 * (SIZE - (V - U) * H1)


def test_looking_up_takes_an_addition_for_four_bits():
    work = lower_bounds(PARAMS, StepSize("numba", 2, B, E, U, looks_up=True))
    assert work["decoder"].flops == (2 + 0.5) * B * L * V  # E W' remains a product
    assert work["optimiser"].flops == 2 * E * H1 + 2 * B * H1 * H2 + 0.5 * B * L * V


def test_both_engines_multiply_as_much():
    compiled, written = (
        sum(part.flops for part in lower_bounds(PARAMS, scale(name)).values()) for name in ("numba", "numpy")
    )
    assert compiled == written


def test_as_written_the_optimiser_reads_whole_gradients():
    work = lower_bounds(PARAMS, scale("numpy"))
    assert work["optimiser"].bytes == 7 * 4 * SIZE and work["optimiser"].flops == 0
    assert work["first layer, backward"].bytes == 4 * V * H1


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_first_layer_that_is_not_trained_has_no_gradient(engine):
    frozen = {
        "V_u": np.zeros((V, 5), np.float32),
        "W_1": np.zeros((5, H1), np.float32),
        "W_a": np.zeros((H1, L), np.float32),
        "W_s": np.zeros((L, V), np.float32),
    }
    work = lower_bounds(frozen, scale(engine))
    assert work["first layer"].flops == 2 * E * 5
    assert work["hidden layers"].flops == 2 * B * 5 * H1
    trained = 5 * H1 + H1 * L + L * V
    assert work["optimiser"].bytes == (6 if engine == "numba" else 7) * 4 * trained
    assert sum(part.flops for part in work.values()) == 2 * E * 5 + 3 * 2 * B * (5 * H1 + L * V)


def test_other_systems_have_no_lower_bounds():
    assert lower_bounds({"W": np.zeros(3)}, scale("numpy")) == {}


def test_the_model_is_weights_and_two_moments():
    assert model_bytes(PARAMS) == 12 * SIZE


@pytest.mark.compiled
def test_parts_are_those_a_fit_names():
    from helpers import small

    class Callback(list):
        profile = Profile()
        __call__ = list.append

    seen = Callback()
    X, _ = small.documents()
    for engine in ("numba", "numpy"):
        small.quick("doc2hash", training__engine=engine).fit(X, callback=seen)
        assert lower_bounds(seen[-1].params, seen[-1].step_size).keys() <= seen[-1].profile.keys()


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
