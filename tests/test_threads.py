"""Blocks and tasks over threads: order, errors, use from within."""

import os
import threading
import warnings

import pytest

from nphash.errors import InputError
from nphash.threads import count_threads, run_blocks, run_tasks, single_threaded_blas


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


@pytest.mark.parametrize("threads", [1, 3])
def test_the_error_of_a_task_is_raised_and_no_further_task_begins(threads):
    done = []

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_tasks([fail] * threads + [lambda: done.append(1)] * 5, threads)
    assert len(done) <= 5 * (threads - 1)


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_workers_of_its_own():
    run_tasks([lambda: 1] * 4, threads=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if run_tasks([lambda: 1] * 4, threads=2) == [1] * 4 else 1)
    assert os.waitpid(child, 0)[1] == 0


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
    with pytest.raises(InputError, match="at least 1"):
        count_threads(0)


def test_blas_guards_nest_and_restore():
    from nphash.threads import blas_libraries

    before = [library.get() for library in blas_libraries()]
    with single_threaded_blas():
        with single_threaded_blas():
            assert all(library.get() == 1 for library in blas_libraries())
        assert all(library.get() == 1 for library in blas_libraries())
    assert [library.get() for library in blas_libraries()] == before
