"""Work that goes on while the caller does something else."""

import threading
import time

import pytest

from nphash.core.threads import run_tasks
from nphash.engine.background import Background


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
