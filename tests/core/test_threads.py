"""Blocks and tasks over threads: order, errors, use from within."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

from nphash.core.pool import Background
from nphash.core.threads import blas_libraries, count_threads, run_blocks, run_tasks, single_threaded_blas
from nphash.errors import InputError

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_in_the_order_of_the_tasks(threads):
    assert run_tasks([lambda i=i: i * i for i in range(50)], threads) == [i * i for i in range(50)]
    assert run_blocks(lambda start, stop: (start, stop), [(0, 3), (3, 4)], threads) == [(0, 3), (3, 4)]
    assert run_tasks([], threads) == []


def test_the_calling_thread_works_too():
    both_busy = threading.Barrier(2, timeout=30)

    def meet():
        both_busy.wait()
        return threading.current_thread().name

    names = run_tasks([meet, meet], threads=2)
    assert threading.current_thread().name in names
    assert len(set(names)) == 2


@pytest.mark.parametrize("who", ["caller", "worker"])
def test_the_error_of_a_task_is_raised_and_no_further_task_begins(who):
    both_busy, done, failed = threading.Barrier(2, timeout=30), [], threading.Event()
    caller = threading.current_thread()

    def meet():
        both_busy.wait()
        if (threading.current_thread() is caller) == (who == "caller"):
            failed.set()
            raise ValueError("no")
        assert failed.wait(30)
        time.sleep(0.05)  # the error is on its way

    with pytest.raises(ValueError, match="no"):
        run_tasks([meet, meet] + [lambda: done.append(1)] * 5, threads=2)
    assert not done


def test_the_error_of_one_thread_ends_all():
    done = []

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_tasks([lambda: done.append(1), fail, lambda: done.append(2)], threads=1)
    assert done == [1]


def test_a_worker_raises_in_the_caller_and_works_again():
    both_busy = threading.Barrier(2, timeout=30)
    caller = threading.current_thread()

    def meet():
        both_busy.wait()
        if threading.current_thread() is not caller:
            raise KeyError("in the worker")

    for _ in range(3):
        with pytest.raises(KeyError, match="in the worker"):
            run_tasks([meet, meet], threads=2)
    assert run_tasks([lambda: 1] * 3, threads=2) == [1, 1, 1]


def in_a_child(check):
    """Whether ``check()`` is true in a forked child, in which an alarm ends what hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if check() else 1)
    return os.waitpid(child, 0)[1] == 0


@needs_fork
def test_a_forked_child_has_workers_of_its_own():
    run_tasks([lambda: 1] * 4, threads=2)
    assert in_a_child(lambda: run_tasks([lambda: 1] * 4, threads=2) == [1] * 4)


@needs_fork
def test_a_forked_child_does_not_wait_for_workers_it_has_not():
    background, begun, may_end = Background(2), threading.Event(), threading.Event()

    def hold():
        begun.set()
        may_end.wait(30)

    background.begin([hold])
    assert begun.wait(30)

    def leave():
        background.abandon()
        return True

    assert in_a_child(leave)
    may_end.set()
    background.finish()


@needs_fork
@pytest.mark.skipif(not blas_libraries(), reason="no BLAS of which the threads are known")
def test_a_forked_child_keeps_the_guards_of_its_own_thread_only():
    def threads_of_blas():
        return [library.get() for library in blas_libraries()]

    before, entered, may_leave = threads_of_blas(), threading.Event(), threading.Event()

    def guard():
        with single_threaded_blas():
            entered.set()
            may_leave.wait(30)

    other = threading.Thread(target=guard)
    other.start()
    assert entered.wait(30)
    assert in_a_child(lambda: threads_of_blas() == before)
    with single_threaded_blas():
        assert in_a_child(lambda: set(threads_of_blas()) == {1})
    may_leave.set()
    other.join(30)
    assert threads_of_blas() == before


def test_tasks_may_run_tasks():
    def outer():
        return sum(run_tasks([lambda: 1] * 4, threads=2))

    assert run_tasks([outer] * 6, threads=2) == [4] * 6


def test_count_threads(monkeypatch):
    monkeypatch.setenv("NPHASH_THREADS", "3")
    assert count_threads() == 3
    assert count_threads(2) == 2
    monkeypatch.setenv("NPHASH_THREADS", "many")
    with pytest.raises(InputError, match="many"):
        count_threads()
    monkeypatch.setenv("NPHASH_THREADS", "²")  # a digit, but no number
    with pytest.raises(InputError, match="²"):
        count_threads()
    for threads in (0, -1, 1.5, "2", True):
        with pytest.raises(InputError, match=f"threads is {threads!r}.*at least 1"):
            count_threads(threads)


def test_threads_may_be_a_number_of_numpy():
    assert type(count_threads(np.int64(2))) is int


def test_blas_guards_nest_and_restore():
    before = [library.get() for library in blas_libraries()]
    with single_threaded_blas():
        with single_threaded_blas():
            assert all(library.get() == 1 for library in blas_libraries())
        assert all(library.get() == 1 for library in blas_libraries())
    assert [library.get() for library in blas_libraries()] == before
