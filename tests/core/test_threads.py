"""Blocks and tasks over threads, the calls and workers that run them, and work in the background."""

import os
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from nphash.core.threads import (
    Background,
    Call,
    Pool,
    blas_libraries,
    cancel_calls,
    count_threads,
    pool_of,
    run_blocks,
    run_tasks,
    single_threaded_blas,
)
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


def test_a_call_is_answered_or_taken_back_but_not_both():
    done = []
    call = Call(lambda: done.append(1))
    call.cancel()
    call.run()
    call.cancel()
    assert not done
    call = Call(lambda: done.append(2))
    call.run()
    call.cancel()
    call.cancel()  # however often
    assert done == [2]


def test_an_end_waits_for_what_has_begun():
    pool, begun, may_end, done = Pool(1), threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait(30)
        done.append(1)

    call = Call(work)
    pool.submit(call)
    assert begun.wait(30)
    threading.Timer(0.02, may_end.set).start()
    call.cancel()
    assert done == [1]


def interrupted_at_each_line(function, code):
    """Call ``function`` again and again, interrupted at one line further of ``code`` each time."""
    for at in range(100):
        lines = iter(range(at + 1))

        def on_line(frame, event, _, lines=lines, at=at):
            if event == "line" and frame.f_code is code and next(lines, None) == at:
                raise KeyboardInterrupt
            return on_line

        sys.settrace(on_line)
        try:
            function()
        except KeyboardInterrupt:
            sys.settrace(None)
            yield at
        else:
            return
        finally:
            sys.settrace(None)
    raise AssertionError("always interrupted")


@pytest.mark.parametrize("answered", [True, False])
def test_an_interrupted_end_can_be_repeated(answered):
    places = []
    for method in (Call.cancel, Call._claimed_by):
        calls = []

        def end(calls=calls):
            calls.append(Call(lambda: None))
            if answered:
                answering = threading.Thread(target=calls[-1].run)  # is not traced
                answering.start()
                answering.join()
            calls[-1].cancel()

        for at in interrupted_at_each_line(end, method.__code__):
            ended = threading.Thread(target=calls[-1].cancel, daemon=True)
            ended.start()
            ended.join(30)
            assert not ended.is_alive()
            places.append(at)
    assert len(places) >= 4


def test_no_call_is_left_running_when_ctrl_c_comes_while_it_is_waited_for():
    pool, begun, may_end, done = Pool(1), threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait(30)
        done.append(1)

    class Impatient(Call):
        interrupted = False

        def cancel(self):
            if not self.interrupted:
                self.interrupted = True
                threading.Timer(0.02, may_end.set).start()
                raise KeyboardInterrupt
            super().cancel()

    calls = [Impatient(work), Call(lambda: done.append(2))]
    pool.submit(calls[0])
    assert begun.wait(30)
    with pytest.raises(KeyboardInterrupt):
        cancel_calls(calls)
    assert done == [1]
    calls[1].run()  # taken back
    assert done == [1]


def test_an_error_stays_with_its_call():
    begun = threading.Event()

    def fail():
        begun.set()
        raise KeyError("in the worker")

    call = Call(fail)
    Pool(1).submit(call)
    assert begun.wait(30)
    call.cancel()
    assert isinstance(call.error, KeyError)


def test_calls_for_later_come_after_all_others():
    pool, done = Pool(1), []
    begun, may_end, finished = threading.Event(), threading.Event(), threading.Event()

    def hold():
        begun.set()
        may_end.wait(30)

    pool.submit(Call(hold))
    assert begun.wait(30)  # the only worker is busy
    pool.submit(Call(lambda: done.append("later")), later=True)
    assert not pool.busy()
    pool.submit(Call(lambda: done.append("now")))
    assert pool.busy()
    pool.submit(Call(finished.set), later=True)
    may_end.set()
    assert finished.wait(30)
    assert done == ["now", "later"]
    assert not pool.busy()


def test_there_is_one_pool_for_each_number_of_threads():
    assert pool_of(2) is pool_of(2)
    assert pool_of(2) is not pool_of(3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(threads):
    background, done = Background(threads), []
    for i in range(40):
        background.begin([lambda i=i, k=k: done.append((i, k)) for k in range(3)])
        if i % 7 == 0:
            background.finish()
            assert len(done) == 3 * (i + 1)
    background.finish()
    background.finish()  # nothing left
    assert sorted(done) == [(i, k) for i in range(40) for k in range(3)]


def test_one_thread_does_tasks_at_once():
    done = []
    Background(1).begin([lambda: done.append(threading.current_thread())])
    assert done == [threading.current_thread()]


def test_a_worker_begins_without_being_waited_for():
    background, begun = Background(2), threading.Event()
    background.begin([begun.set])
    assert begun.wait(30)
    background.finish()


def test_tasks_that_somebody_waits_for_come_first():
    background, done = Background(2), []
    first_begun, may_end = threading.Event(), threading.Event()

    def hold():
        first_begun.set()
        may_end.wait(30)
        done.append("held")

    background.begin([hold, *[lambda: done.append("background")] * 3])
    assert first_begun.wait(30)  # the only worker is busy
    both = threading.Barrier(2, timeout=30)

    def meet():  # ends only when the worker has come to the other one
        may_end.set()
        both.wait()
        done.append("asked for")

    run_tasks([meet, meet], threads=2)
    background.finish()
    assert done[:2] == ["held", "asked for"]
    assert sorted(done) == ["asked for"] * 2 + ["background"] * 3 + ["held"]


def test_an_error_is_raised_when_the_work_is_waited_for():
    background, begun = Background(2), threading.Event()

    def fail():
        begun.set()
        raise KeyError("no")

    background.begin([fail])
    assert begun.wait(30)
    with pytest.raises(KeyError, match="no"):
        background.finish()
    background.finish()  # raised once


def test_several_workers_and_callers_at_once():
    background, done = Background(3), []

    def work():
        time.sleep(0.0005)
        done.append(1)

    for _ in range(30):
        background.begin([work] * 4)
        run_tasks([work] * 4, threads=3)
    background.finish()
    assert len(done) == 30 * 8


def test_what_is_abandoned_is_not_begun():
    background, begun, may_end, done = Background(2), threading.Event(), threading.Event(), []

    def hold():
        begun.set()
        may_end.wait(30)
        done.append("held")

    background.begin([hold, lambda: done.append("next")])
    assert begun.wait(30)
    threading.Timer(0.02, may_end.set).start()
    background.abandon()
    assert done == ["held"]  # waited for, as it was under way
    background.finish()
    assert done == ["held"]


def test_an_error_of_the_caller_ends_all():
    background, begun, may_end, done = Background(2), threading.Event(), threading.Event(), []

    def hold():
        begun.set()
        may_end.wait(30)

    def fail():
        may_end.set()
        raise KeyboardInterrupt

    background.begin([hold])
    assert begun.wait(30)  # the worker is busy: the rest is the caller's
    background.begin([fail, lambda: done.append(1)])
    with pytest.raises(KeyboardInterrupt):
        background.finish()
    background.finish()
    assert not done
