"""Keeping the k best by counting, against sorting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.search import top_k

streams = st.lists(st.integers(0, 9), min_size=1, max_size=300)


def through(distances, k):
    """Give a stream of distances to query 1 of 2 and return what remains."""
    top = top_k.empty(np.array([10, 10]), k, 9)
    stream = np.array(distances, np.uint64) << np.uint64(48) | np.arange(len(distances), dtype=np.uint64)
    for part in np.array_split(stream, 3):
        top_k.take(top, k, np.ones(len(part), np.int64), part, len(part))
    out = np.empty((2, k), np.uint64)
    top_k.finish(top, out)
    return top, out


@settings(deadline=None, max_examples=80)
@given(streams, st.integers(1, 12))
def test_the_k_best_of_a_stream(distances, k):
    top, out = through(distances, k)
    expected = sorted((d, i) for i, d in enumerate(distances))[:k]
    found = [(int(key) >> 48, int(key) & (2**48 - 1)) for key in out[1]]
    assert found[: len(expected)] == expected
    assert (out[1, len(expected) :] == np.uint64(2**64 - 1)).all() and (out[0] == np.uint64(2**64 - 1)).all()
    if len(distances) >= k:
        assert top.limit[1] == expected[-1][0] and top.taken[1] < k  # the limit is the k-th distance


def test_the_buffer_is_compacted_and_keeps_the_earliest_ties():
    k = 3
    distances = [5] * 400 + [4] * 400 + [3, 3]
    top, out = through(distances, k)
    assert top.keys.shape[1] < len(distances)
    assert [(int(key) >> 48, int(key) & 0xFFFF) for key in out[1]] == [(3, 800), (3, 801), (4, 400)]


def test_what_is_not_below_the_first_limit_is_left():
    top = top_k.empty(np.array([3]), 2, 9)
    stream = np.array([3, 2, 9], np.uint64) << np.uint64(48)
    top_k.take(top, 2, np.zeros(3, np.int64), stream, 3)
    assert top.used.tolist() == [1] and top.limit.tolist() == [3]


@pytest.mark.parametrize(
    ("distances", "rank", "limit"),
    [([3, 1, 2], 1, 2), ([3, 1, 2], 2, 3), ([3, 1, 2], 4, 10), ([], 1, 10), ([0] * 9, 9, 1)],
)
def test_limit_that_so_many_are_below(distances, rank, limit):
    counts = np.full(10, 7)  # what an earlier query left
    assert top_k.limit_of(np.array(distances, np.uint64), rank, 9, counts) == limit


@settings(deadline=None, max_examples=40)
@given(streams, st.integers(1, 9), st.integers(1, 5))
def test_a_stream_may_be_divided_anywhere_and_limits_only_go_down(distances, k, n_parts):
    whole = through(distances, k)[1]
    top = top_k.empty(np.array([10, 10]), k, 9)
    stream = np.array(distances, np.uint64) << np.uint64(48) | np.arange(len(distances), dtype=np.uint64)
    limits = [10]
    for part in np.array_split(stream, n_parts):
        top_k.take(top, k, np.ones(len(part), np.int64), part, len(part))
        limits.append(int(top.limit[1]))
    assert limits == sorted(limits, reverse=True) and top.limit[0] == 10
    out = np.empty((2, k), np.uint64)
    top_k.finish(top, out)
    assert np.array_equal(out, whole)
