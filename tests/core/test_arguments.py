"""Which arguments are numbers, zeros and ones, CSR matrices."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from nphash.core.arguments import check_count, check_csr, check_positive, is_count, is_number, ones_of
from nphash.errors import InputError


def test_numbers_of_python_and_numpy_are_numbers():
    for value in (0, -1.5, Fraction(1, 3), np.int64(0), np.float32(0.1), np.float16(1), np.uint8(3)):
        assert is_number(value), value


@pytest.mark.parametrize(
    "value", [True, np.True_, "1", None, np.nan, -np.inf, np.float32("inf"), 1j, np.ones(1), (1.0,)]
)
def test_everything_else_is_none(value):
    assert not is_number(value)
    assert not is_count(value)


def test_a_count_is_a_whole_number_from_one_on():
    assert [is_count(v) for v in (1, np.int32(4), 0, -1, 2.0, True, None, "1")] == [True, True] + [False] * 6
    assert [is_count(v, 0) for v in (0, 1, -1, 0.0, False)] == [True, True, False, False, False]


def test_a_positive_number_becomes_a_python_float():
    assert type(check_positive(np.float32(0.5), "temperature")) is float
    for value in (0, -1.0, np.nan, np.inf, "1", True, None):
        with pytest.raises(InputError, match="temperature is"):
            check_positive(value, "temperature")


def test_arrays_of_zeros_and_ones():
    truth = np.array([True, False])
    assert ones_of(truth, "y", "") is truth
    for same in (
        np.array([1, 0]),
        np.array([1.0, -0.0]),
        np.array([True, 0], object),
        np.array([1, 0], np.uint8),
    ):
        assert ones_of(same, "y", "").tolist() == [True, False]
    for wrong in (-1, 0.5, np.nan, None, "1"):
        with pytest.raises(InputError, match=f"y holds {wrong!r}, which is neither 0 nor 1: give other"):
            ones_of(np.array([1, wrong], object), "y", "give other")


def test_check_count_returns_an_int():
    assert type(check_count(np.uint8(3), "k")) is int
    assert check_count(0, "radius", least=0) == 0


@pytest.mark.parametrize(
    "value, says",
    [
        (0, "k is 0, but at least 1 is needed: 10 is usual"),
        (1.5, "k is 1.5, but a whole number of at least 1 is needed: 10 is usual"),
        (None, "k is None, but a whole number"),
        ("3", "k is '3', but a whole number"),
        (True, "k is True, but a whole number"),
    ],
)
def test_check_count_says_what_is_needed(value, says):
    with pytest.raises(InputError) as caught:
        check_count(value, "k", hint="10 is usual")
    assert str(caught.value).startswith(says)


def test_csr_is_told_by_its_format():
    check_csr(scipy.sparse.csr_matrix((2, 3)), "X")
    check_csr(scipy.sparse.csr_array((2, 3)), "X")
    for wrong in (scipy.sparse.csc_array((3, 3)), np.eye(3), [[1.0]], None):
        with pytest.raises(InputError, match=f"X is a {type(wrong).__name__}"):
            check_csr(wrong, "X")
