"""Names of rows, against a plain dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.search.ids import Ids


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


def test_shapes_are_kept():
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


@pytest.mark.parametrize("kind", [list, lambda names: np.array(names, object)])
def test_what_no_file_can_keep_is_no_name(kind):
    with pytest.raises(InputError, match="half of a surrogate pair"):
        Ids().check(kind(["b", "caf\udce9.txt"]), 2)


def test_numbers_are_checked_one_by_one():
    with pytest.raises(InputError, match="id 9223372036854775813 does not fit into 64 signed bits"):
        Ids().check([2**63 + 5, 3], 2)
    assert Ids().check([np.uint64(7), -(2**63), np.int8(1)], 3).tolist() == [7, -(2**63), 1]
