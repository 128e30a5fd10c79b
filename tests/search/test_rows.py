"""Snapshots of rows: pieces, filters, samples, copies."""

import numpy as np
import pytest

from nphash.search.rows import ALL, Rows


@pytest.fixture
def rows():
    words = np.arange(20, dtype=np.uint64).reshape(10, 2)
    return Rows(128, ((0, words[:4]), (4, words[4:])), 10, ALL, 10)


def test_pieces_cover_a_range_in_order(rows):
    for start, stop, size in ((0, 10, 3), (2, 9, 100), (4, 4, 1), (3, 5, 1), (0, 10, 1)):
        pieces = rows.pieces(start, stop, size)
        positions = [first + i for first, words in pieces for i in range(len(words))]
        assert positions == list(range(start, stop))
        assert [int(word) for _, words in pieces for word in words[:, 0]] == [2 * i for i in positions]
        assert all(len(words) <= size for _, words in pieces)


def test_restriction_is_cumulative_and_leaves_the_original(rows):
    even = rows.restricted(np.arange(10) % 2 == 0)
    both = even.restricted(np.arange(10) > 3)
    assert (rows.n_allowed, even.n_allowed, both.n_allowed) == (10, 5, 3)
    assert np.flatnonzero(both.allowed).tolist() == [4, 6, 8] and not len(rows.allowed)


def test_since(rows):
    later = rows.restricted(np.arange(10) != 7).since(6)
    assert (later.start, later.n, later.n_allowed) == (6, 10, 3)
    assert rows.since(10).start == 10 and rows.since(10).n_allowed == 0
    copy, positions = later.compact()
    assert positions.tolist() == [6, 8, 9] and copy.segments[0][1][:, 0].tolist() == [12, 16, 18]


def test_compact_renumbers(rows):
    copy, positions = rows.restricted(np.arange(10) % 3 == 1).compact()
    assert positions.tolist() == [1, 4, 7] and copy.n == copy.n_allowed == 3
    assert copy.segments[0][1].tolist() == [[2, 3], [8, 9], [14, 15]]
    assert rows.compact()[1].tolist() == list(range(10))


def test_samples_are_spread_and_may_be_found(rows):
    one_of_each_pair = rows.sample(5)[:, 0] // 4
    assert one_of_each_pair.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(rows.sample(5), rows.sample(5))
    assert len(rows.sample(100)) == 10
    assert rows.restricted(np.arange(10) > 7).sample(100)[:, 0].tolist() == [16, 18]


def test_at_gives_copies_in_order(rows):
    taken = rows.at(np.array([0, 3, 4, 9]))
    assert taken[:, 0].tolist() == [0, 6, 8, 18]
    assert not np.shares_memory(taken, rows.segments[0][1])
    assert rows.at(np.array([], np.int64)).shape == (0, 2)
