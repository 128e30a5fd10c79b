import numpy as np
import pytest

from nphash.teaching.comparing import (
    copy_of,
    equal,
    first_difference,
    flat,
    form,
    kind_of,
    ratio_of,
    same,
)


@pytest.mark.parametrize(
    ("result", "wanted", "cause"),
    [
        (None, 1.0, "wrong form"),
        ("x", 1.0, "wrong form"),
        (1.0, (1.0, 2.0), "wrong form"),
        ((1.0,), (1.0, 2.0), "wrong form"),
        ((1.0, None), (1.0, 2.0), "wrong form"),
        ([[1], [1, 2]], np.ones((2, 2)), "wrong form"),
        ({"a": 1.0}, {"b": 1.0}, "wrong form"),
        (1.0, {"b": 1.0}, "wrong form"),
        (np.ones(3), np.ones(2), "wrong shape"),
        (np.ones((2, 3)), np.ones((3, 2)), "transposed"),
        ({"a": np.ones(3)}, {"a": 1.0}, "wrong shape"),
    ],
)
def test_form(result, wanted, cause):
    found = form(result, wanted)
    assert found is not None and found[0] == cause and found[1]


@pytest.mark.parametrize("value", [1.0, np.ones((2, 3)), (1, np.ones(2)), [1.0, 2.0], {"a": 1.0}])
def test_a_value_has_its_own_form(value):
    assert form(value, value) is None
    assert same(value, value) and equal(value, copy_of(value))
    assert first_difference(value, value) == ""


def test_lists_and_arrays_have_one_form():
    assert form([1.0, 2.0], np.ones(2)) is None
    assert form((np.ones(2), 1), [np.ones(2), 1.0]) is None


def test_copies_are_deep():
    given = ([np.zeros(2)], {"a": np.zeros(2)}, 3)
    copied = copy_of(given)
    copied[0][0] += 1
    copied[1]["a"] += 1
    assert not any(array.any() for array in flat(given[:2]))
    assert copied[2] == 3


def test_equal_is_exact_and_same_is_not():
    a = np.array([1.0, np.nan])
    assert equal(a, a.copy()) and not equal(a, a + 1e-12)
    assert not equal((1, 2), (1,))
    assert same(np.array([1.0, 1e-12]), np.array([1.0, 0.0]))
    assert not same(np.array([1.0, 1e-8]), np.array([1.0, 0.0]))
    assert same(np.array([True]), np.array([1.0])) and not same(np.array([2]), np.array([1]))
    assert not same(np.array([np.nan]), np.array([1.0]))
    assert same(np.array([np.nan]), np.array([np.nan]))


def test_the_worst_place_is_told():
    wanted = np.zeros((2, 3))
    result = wanted.copy()
    result[1, 2], result[0, 0] = 5.0, 1.0
    assert first_difference(result, wanted) == "the value at (1, 2) is 5, 0 is right"
    result[0, 1] = np.nan
    assert "at (0, 1) is nan" in first_difference(result, wanted)
    assert first_difference((1.0, 2.0), (1.0, 3.0)) == "value 2 is 2, 3 is right"
    assert "is 1, 0 is right" in first_difference(np.array([True]), np.array([False]))


def test_ratio():
    x = np.array([1.0, -2.0, 0.0])
    assert ratio_of(-3 * x, x) == pytest.approx(-3)
    assert np.isnan(ratio_of(x + 1, x))
    assert np.isnan(ratio_of(x, 0 * x)) and np.isnan(ratio_of(0 * x, x))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        ((1, 2), "2 values"),
        ({}, "a dictionary of nothing"),
        ({"a": 1}, "a dictionary of a"),
        (..., "a ellipsis"),
        (1.5, "a float"),
    ],
)
def test_kinds(value, words):
    assert kind_of(value) == words
