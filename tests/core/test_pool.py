"""Calls, the workers that run them, and work that goes on while the caller does something else."""

import sys
import threading
import time

import pytest

from nphash.core.pool import Background, Call, Pool, cancel_calls, pool_of
from nphash.core.threads import run_tasks


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
