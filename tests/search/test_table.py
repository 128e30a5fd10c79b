"""The rows of an index: changes are complete or not at all, and snapshots stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.codes import pack
from nphash.errors import InputError
from nphash.search.table import Table


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
    assert table.names(before).tolist() == list("abcdef")
    assert table.names(middle).tolist() == list("bcde")
    assert table.names(table.rows).tolist() == list("bcdeg")


@pytest.mark.parametrize("ids", [["b", "x"], ["b", "b"], [1], [float("nan")]])
def test_a_failed_removal_removes_nothing(table, ids):
    with pytest.raises(InputError):
        table.remove(ids)
    assert table.names(table.rows).tolist() == list("abcdef")


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
    assert table.names(table.chosen(["f", "a"])).tolist() == ["a", "f"]
    assert table.names(table.chosen([True, False, True, False, False])).tolist() == ["a", "d"]
    with pytest.raises(InputError, match="'c' is not"):
        table.chosen(["c"])
    with pytest.raises(InputError, match="holds 5 codes"):
        table.chosen(np.ones(6, bool))


def test_arrays_and_back(table):
    table.remove(["b"])
    arrays = {name: np.concatenate(parts) for name, parts in table.arrays().items()}
    again = Table.from_arrays(4, arrays, table.ids.next_number)
    assert again.names(again.rows).tolist() == list("acdef")
    assert np.array_equal(again.rows.at(np.arange(6)), table.rows.at(np.arange(6)))
    with pytest.raises(InputError, match="not 70 bits wide"):
        Table.from_arrays(70, arrays, 0)


def test_running_out_of_memory_while_naming_takes_the_codes_back(table, monkeypatch):
    def no_memory(names, n):
        raise MemoryError

    monkeypatch.setattr(table.ids, "append", no_memory)
    with pytest.raises(MemoryError):
        table.add(pack([[1, 1, 1, 1]] * 3), ["x", "y", "z"])
    monkeypatch.undo()
    table.add(pack([[1, 0, 1, 0]]), ["g"])
    assert table.names(table.rows).tolist() == list("abcdefg")
    assert np.array_equal(table.rows.at(np.array([6])).view(np.uint8), pack([[1, 0, 1, 0]]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 1), min_size=3, max_size=9), st.booleans())
def test_a_mask_of_integers_is_never_read_as_ids(values, as_list):
    table = Table(4)
    table.add(pack(np.zeros((len(values), 4), int)), None)
    mask = np.array(values)
    with pytest.raises(InputError, match=r"more than once .*where=mask.astype\(bool\)"):
        table.chosen(values if as_list else mask)
    assert table.names(table.chosen(mask.astype(bool))).tolist() == np.flatnonzero(mask).tolist()


def test_a_filter_names_each_id_once(table):
    with pytest.raises(InputError, match="the filter names the id a more than once"):
        table.chosen(["a", "b", "a"])
    two = Table(4)
    two.add(pack([[0] * 4, [1] * 4]), None)
    assert two.names(two.chosen(np.array([1, 0]))).tolist() == [0, 1]  # integers are ids
