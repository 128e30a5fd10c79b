"""Columns that grow without moving what is there; ids against a plain dictionary."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.search import columns
from nphash.search.columns import Column, Ids


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
    left = [2]

    def no_memory(*args):
        left[0] -= 1
        if not left[0]:
            raise MemoryError
        return np.empty(*args)

    monkeypatch.setattr(columns, "np", SimpleNamespace(empty=no_memory))
    with pytest.raises(MemoryError):
        column.append(np.arange(100))
    monkeypatch.undo()
    assert len(column) == 11 and left == [0]
    column.append(np.array([9]))
    assert column.take(np.arange(12)).tolist() == [0, 1, 2, *range(8), 9]


def add(ids, names, n=None):
    n = len(names) if n is None else n
    ids.append(ids.check(names, n), n)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=25), st.sampled_from(["integer", "text"])
)
def test_adding_and_removing_names_is_a_dictionary(steps, kind):
    ids, rows = Ids(), {}
    for adding, number in steps:
        name = number if kind == "integer" else f"\u00fc{number}"
        if adding and name in rows:
            with pytest.raises(InputError, match="already in the index"):
                ids.check([name], 1)
        elif adding:
            rows[name] = ids.n
            add(ids, [name])
        elif name in rows:
            assert ids.positions([name]).tolist() == [rows[name]]
            ids.remove(np.array([rows.pop(name)]))
        else:
            with pytest.raises(InputError, match="not in the index"):
                ids.positions([name])
    if rows:
        assert ids.at(np.array(list(rows.values()))).tolist() == list(rows)
        assert ids.positions(list(rows)).tolist() == list(rows.values())
    kept = Ids.from_arrays(
        ids.arrays(), ids.n, ids.next_number, np.array(sorted(set(range(ids.n)) - set(rows.values())), int)
    )
    assert kept.at(np.arange(ids.n)).tolist() == ids.at(np.arange(ids.n)).tolist()
    if rows:
        assert kept.positions(list(rows)).tolist() == list(rows.values())


def test_insertion_numbers_take_no_memory_until_names_are_given():
    ids = Ids()
    add(ids, None, 1_000_000)
    assert ids.kind == "insertion" and ids.arrays() == {}
    add(ids, [5_000_000])
    assert ids.kind == "integer"
    add(ids, None, 2)
    assert ids.at(np.array([3, 1_000_000, 1_000_002])).tolist() == [3, 5_000_000, 5_000_002]


def test_insertion_numbers_go_on_after_loading():
    ids = Ids()
    add(ids, None, 4)
    ids.remove(np.array([3]))
    again = Ids.from_arrays(ids.arrays(), 4, ids.next_number, np.array([3]))
    add(again, None, 1)
    assert again.positions([4]).tolist() == [4]
    with pytest.raises(InputError, match="id 3 is not in the index"):
        again.positions([3])


def test_shapes_of_positions_are_kept():
    ids = Ids()
    add(ids, ["a", "", "c\u0301"])
    assert ids.at(np.array([[0, 1], [2, 2]])).tolist() == [["a", ""], ["c\u0301", "c\u0301"]]
    assert ids.at(np.empty((0, 3), np.int64)).shape == (0, 3)


@pytest.mark.parametrize("kind", [list, np.array, lambda x: np.array(x, object), tuple, iter])
def test_names_in_any_container(kind):
    ids = Ids()
    names = ids.check(kind(["b", "a"]), 2)
    assert names == ["b", "a"]


def test_nothing_changes_by_checking():
    ids = Ids()
    add(ids, ["a"])
    ids.check(["b", "c"], 2)
    assert ids.n == 1
    with pytest.raises(InputError):
        ids.positions(["b"])


@pytest.mark.parametrize(
    "ids", [[2**63 + 5, 3], [3, -(2**63) - 1], np.array([2**63 + 5, 3], np.uint64), [2**70]]
)
def test_integers_beyond_64_signed_bits_are_refused_as_what_they_are(ids):
    with pytest.raises(InputError, match=r"id -?\d+ does not fit into 64 signed bits"):
        Ids().check(ids, len(ids))


def test_the_largest_integers_are_ids():
    largest = [2**63 - 1, -(2**63), 0]
    assert Ids().check(largest, 3).tolist() == largest
    assert Ids().check(np.array([7], np.uint64), 1).dtype == np.int64


@pytest.mark.parametrize("kind", [list, lambda names: np.array(names, object)])
def test_what_no_file_can_keep_is_no_id(kind):
    with pytest.raises(InputError, match="half of a surrogate pair"):
        Ids().check(kind(["b", "caf\udce9.txt"]), 2)


def test_numbers_are_checked_one_by_one():
    with pytest.raises(InputError, match="id 9223372036854775813 does not fit into 64 signed bits"):
        Ids().check([2**63 + 5, 3], 2)
    assert Ids().check([np.uint64(7), -(2**63), np.int8(1)], 3).tolist() == [7, -(2**63), 1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), max_size=8), st.data())
def test_a_state_put_back_undoes_what_was_appended_since(sizes, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_CHUNK", 48)
        column, states, lengths = Column(np.arange(3)), [], []
        for size in sizes:
            states.append(column.state)
            lengths.append(len(column))
            column.append(np.arange(len(column), len(column) + size))
        if sizes:
            i = data.draw(st.integers(0, len(sizes) - 1))
            column.state = states[i]
            assert len(column) == lengths[i]
        column.append(np.array([len(column)]))
        assert column.take(np.arange(len(column))).tolist() == list(range(len(column)))


def test_ids_of_known_rows():
    ids = Ids()
    add(ids, ["a", "b"])
    assert ids.positions(["b"]).tolist() == [1] and ids.at(np.array([0])).tolist() == ["a"]
    column = Column(np.array([5, 6]))
    column.append(np.array([7]))
    assert (len(column), column.take(np.array([2, 0])).tolist()) == (3, [7, 5])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.sets(st.integers(0, 11)), st.lists(st.integers(-2, 13), max_size=6))
def test_insertion_numbers_are_their_own_rows_unless_removed(n, removed, asked):
    ids, removed = Ids(), {row for row in removed if row < n}
    add(ids, None, n)
    ids.remove(np.array(sorted(removed), np.int64))
    missing = [name for name in asked if not 0 <= name < n or name in removed]
    if not missing:
        assert ids.positions(asked).tolist() == asked
        return
    message = rf"id {missing[0]} is not in the index \({len(missing)} such of {len(asked)}\)"
    with pytest.raises(InputError, match=message):
        ids.positions(asked)
