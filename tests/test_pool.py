"""Calls and the workers that answer them."""

import threading

from nphash.pool import Call, Pool, pool_of


def test_a_call_is_answered_or_withdrawn_but_not_both():
    done = []
    call = Call(lambda: done.append(1))
    assert call.withdraw()
    call.answer()
    assert not call.withdraw()
    assert not done
    call = Call(lambda: done.append(2))
    call.answer()
    assert not call.withdraw()
    call.wait()
    call.wait()  # whoever waits, and however often
    assert done == [2]


def test_an_error_stays_with_its_call():
    begun = threading.Event()

    def fail():
        begun.set()
        raise KeyError("in the worker")

    call = Call(fail)
    Pool(1).ask(call)
    assert begun.wait(30)
    call.wait()
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
