"""Columns that grow without moving what is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.search import columns
from nphash.search.columns import Column


@pytest.mark.parametrize("chunk", [1 << 26, 64, 1])
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5), st.lists(st.integers(0, 7), max_size=12))
def test_appended_rows_come_in_order(chunk, n_base, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_CHUNK", chunk)
        check_appending(n_base, sizes)


def check_appending(n_base, sizes):
    base = np.arange(n_base * 2).reshape(n_base, 2)
    column, expected = Column(base), base
    for size in sizes:
        rows = np.arange(size * 2).reshape(size, 2) + len(expected) * 100
        column.append(rows)
        expected = np.concatenate([expected, rows])
    assert len(column) == len(expected)
    parts = column.parts()
    assert [first for first, _ in parts] == np.cumsum([0, *(len(rows) for _, rows in parts)]).tolist()[:-1]
    assert np.array_equal(np.concatenate([base[:0], *(rows for _, rows in parts)]), expected)
    order = np.random.default_rng(0).permutation(len(expected)).reshape(1, -1)
    assert np.array_equal(column.take(order), expected[order])


def test_a_view_taken_before_an_append_stays_as_it_was():
    column = Column(np.arange(3))
    column.append(np.array([3, 4]))
    before = column.parts()
    for i in range(100):
        column.append(np.array([i]))
    assert [rows.tolist() for _, rows in before] == [[0, 1, 2], [3, 4]]


def test_the_base_is_not_copied():
    base = np.arange(4)
    base.setflags(write=False)
    column = Column(base)
    column.append(np.array([9]))
    assert np.shares_memory(column.parts()[0][1], base)


def test_growing_by_one_doubles_the_tail():
    column, moved, last = Column(np.empty(0, np.int64)), 0, None
    for i in range(1000):
        column.append(np.array([i]))
        memory = column.parts()[0][1].__array_interface__["data"][0]
        moved, last = moved + (memory != last), memory
    assert moved <= 15


def test_a_full_chunk_is_left_where_it_is(monkeypatch):
    monkeypatch.setattr(columns, "_CHUNK", 800)
    column = Column(np.empty(0, np.int64))
    column.append(np.arange(250))
    before = [rows for _, rows in column.parts()]
    column.append(np.arange(100))
    after = [rows for _, rows in column.parts()]
    assert [len(rows) for rows in after] == [100, 100, 100, 50]
    assert all(np.shares_memory(old, new) for old, new in zip(before[:2], after, strict=False))


def test_a_failed_append_leaves_nothing(monkeypatch):
    monkeypatch.setattr(columns, "_CHUNK", 80)
    column = Column(np.arange(3))
    column.append(np.arange(8))
    appended = column._append_to_tail
    left = [2]

    def no_memory(rows):
        left[0] -= 1
        if not left[0]:
            raise MemoryError
        appended(rows)

    monkeypatch.setattr(column, "_append_to_tail", no_memory)
    with pytest.raises(MemoryError):
        column.append(np.arange(100))
    monkeypatch.undo()
    assert len(column) == 11
    column.append(np.array([9]))
    assert column.take(np.arange(12)).tolist() == [0, 1, 2, *range(8), 9]
