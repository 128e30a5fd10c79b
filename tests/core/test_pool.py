"""Calls and the workers that answer them."""

import sys
import threading

import pytest

from nphash.core.pool import Call, Pool, end_calls, pool_of


def test_a_call_is_answered_or_taken_back_but_not_both():
    done = []
    call = Call(lambda: done.append(1))
    call.end()
    call.answer()
    call.end()
    assert not done
    call = Call(lambda: done.append(2))
    call.answer()
    call.end()
    call.end()  # however often
    assert done == [2]


def test_an_end_waits_for_what_has_begun():
    pool, begun, may_end, done = Pool(1), threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait(30)
        done.append(1)

    call = Call(work)
    pool.ask(call)
    assert begun.wait(30)
    threading.Timer(0.02, may_end.set).start()
    call.end()
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
    for method in (Call.end, Call._claimed_by):
        calls = []

        def end(calls=calls):
            calls.append(Call(lambda: None))
            if answered:
                answering = threading.Thread(target=calls[-1].answer)  # is not traced
                answering.start()
                answering.join()
            calls[-1].end()

        for at in interrupted_at_each_line(end, method.__code__):
            ended = threading.Thread(target=calls[-1].end, daemon=True)
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

        def end(self):
            if not self.interrupted:
                self.interrupted = True
                threading.Timer(0.02, may_end.set).start()
                raise KeyboardInterrupt
            super().end()

    calls = [Impatient(work), Call(lambda: done.append(2))]
    pool.ask(calls[0])
    assert begun.wait(30)
    with pytest.raises(KeyboardInterrupt):
        end_calls(calls)
    assert done == [1]
    calls[1].answer()  # taken back
    assert done == [1]


def test_an_error_stays_with_its_call():
    begun = threading.Event()

    def fail():
        begun.set()
        raise KeyError("in the worker")

    call = Call(fail)
    Pool(1).ask(call)
    assert begun.wait(30)
    call.end()
    assert isinstance(call.error, KeyError)


def test_calls_for_later_come_after_all_others():
    pool, done = Pool(1), []
    begun, may_end, finished = threading.Event(), threading.Event(), threading.Event()

    def hold():
        begun.set()
        may_end.wait(30)

    pool.ask(Call(hold))
    assert begun.wait(30)  # the only worker is busy
    pool.ask(Call(lambda: done.append("later")), later=True)
    assert not pool.busy()
    pool.ask(Call(lambda: done.append("now")))
    assert pool.busy()
    pool.ask(Call(finished.set), later=True)
    may_end.set()
    assert finished.wait(30)
    assert done == ["now", "later"]
    assert not pool.busy()


def test_there_is_one_pool_for_each_number_of_threads():
    assert pool_of(2) is pool_of(2)
    assert pool_of(2) is not pool_of(3)
