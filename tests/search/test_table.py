"""The rows of an index: changes are complete or not at all, and snapshots stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.codes import pack
from nphash.errors import InputError
from nphash.search.table import ALL, Rows, Table


@pytest.fixture
def table():
    table = Table(4)
    table.add(pack([[0, 0, 0, i % 2] for i in range(6)]), list("abcdef"))
    return table


def test_snapshots_do_not_change(table):
    before = table.rows
    table.remove(["a", "f"])
    middle = table.rows
    table.add(pack([[1, 1, 1, 1]]), ["g"])
    assert (before.n, before.n_allowed, len(before.allowed)) == (6, 6, 0)
    assert (middle.n, middle.n_allowed) == (6, 4) and len(middle.allowed) == 6
    assert (table.rows.n, table.rows.n_allowed) == (7, 5)
    assert table.ids_of(before).tolist() == list("abcdef")
    assert table.ids_of(middle).tolist() == list("bcde")
    assert table.ids_of(table.rows).tolist() == list("bcdeg")


@pytest.mark.parametrize("ids", [["b", "x"], ["b", "b"], [1], [float("nan")]])
def test_a_failed_removal_removes_nothing(table, ids):
    with pytest.raises(InputError):
        table.remove(ids)
    assert table.ids_of(table.rows).tolist() == list("abcdef")


def test_a_failed_addition_adds_nothing(table):
    for codes, ids in ((pack([[1] * 4]), ["a"]), (pack([[1] * 4]), None), (pack([[1] * 65]), ["g"])):
        with pytest.raises(InputError):
            table.add(codes, ids)
    assert table.rows.n == 6 and table.ids.n == 6


def test_removing_nothing_changes_nothing(table):
    before = table.rows
    table.remove([])
    assert table.rows is before


def test_filters(table):
    table.remove(["c"])
    assert table.ids_of(table.filtered(["f", "a"])).tolist() == ["a", "f"]
    assert table.ids_of(table.filtered([True, False, True, False, False])).tolist() == ["a", "d"]
    with pytest.raises(InputError, match="'c' is not"):
        table.filtered(["c"])
    with pytest.raises(InputError, match="holds 5 codes"):
        table.filtered(np.ones(6, bool))


def test_arrays_and_back(table):
    table.remove(["b"])
    arrays = {name: np.concatenate(parts) for name, parts in table.arrays().items()}
    again = Table.from_arrays(4, arrays, table.ids.next_number)
    assert again.ids_of(again.rows).tolist() == list("acdef")
    assert np.array_equal(again.rows.at(np.arange(6)), table.rows.at(np.arange(6)))
    with pytest.raises(InputError, match="not 70 bits wide"):
        Table.from_arrays(70, arrays, 0)


def test_running_out_of_memory_while_naming_takes_the_codes_back(table, monkeypatch):
    def no_memory(ids, n):
        raise MemoryError

    monkeypatch.setattr(table.ids, "append", no_memory)
    with pytest.raises(MemoryError):
        table.add(pack([[1, 1, 1, 1]] * 3), ["x", "y", "z"])
    monkeypatch.undo()
    table.add(pack([[1, 0, 1, 0]]), ["g"])
    assert table.ids_of(table.rows).tolist() == list("abcdefg")
    assert np.array_equal(table.rows.at(np.array([6])).view(np.uint8), pack([[1, 0, 1, 0]]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 1), min_size=3, max_size=9), st.booleans())
def test_a_mask_of_integers_is_never_read_as_ids(values, as_list):
    table = Table(4)
    table.add(pack(np.zeros((len(values), 4), int)), None)
    mask = np.array(values)
    with pytest.raises(InputError, match=r"more than once .*where=mask.astype\(bool\)"):
        table.filtered(values if as_list else mask)
    assert table.ids_of(table.filtered(mask.astype(bool))).tolist() == np.flatnonzero(mask).tolist()


def test_a_filter_names_each_id_once(table):
    with pytest.raises(InputError, match="the filter names the id a more than once"):
        table.filtered(["a", "b", "a"])
    two = Table(4)
    two.add(pack([[0] * 4, [1] * 4]), None)
    assert two.ids_of(two.filtered(np.array([1, 0]))).tolist() == [0, 1]  # integers are ids


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


changes = st.lists(st.one_of(st.integers(1, 4), st.sets(st.integers(0, 20), max_size=3)), max_size=10)


@settings(deadline=None, max_examples=60)
@given(changes, st.randoms())
def test_adding_and_removing_codes_is_a_list_of_them(steps, random):
    table, there = Table(4), {}
    for step in steps:
        if isinstance(step, int):
            bits = [[random.random() < 0.5 for _ in range(4)] for _ in range(step)]
            there |= {table.rows.n + i: pack([one]).tobytes() for i, one in enumerate(bits)}
            table.add(pack(bits), None)
        else:
            gone = [name for name in sorted(step) if name in there]
            table.remove(gone)
            for name in gone:
                del there[name]
    rows = table.rows
    assert table.ids_of(rows).tolist() == rows.positions().tolist() == list(there)
    assert rows.n_allowed == len(there)
    assert [row.tobytes() for row in rows.at(rows.positions())] == list(there.values())
    some = [name for name in there if random.random() < 0.5]
    assert table.ids_of(table.filtered(np.array(some, int))).tolist() == some
    copy, positions = rows.compact()
    assert positions.tolist() == list(there) and copy.n == len(there)
    arrays = {name: np.concatenate(parts) for name, parts in table.arrays().items()}
    again = Table.from_arrays(4, arrays, table.ids.next_number)
    assert again.ids_of(again.rows).tolist() == list(there)
