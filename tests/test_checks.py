import numpy as np
import pytest

from nphash.checks import check_count, is_count
from nphash.errors import InputError


def test_is_count():
    assert [is_count(v) for v in (1, np.int32(4), 0, -1, 2.0, True, None, "1", np.bool_(True))] == [
        *([True] * 2),
        *([False] * 7),
    ]
    assert is_count(0, least=0) and not is_count(-1, least=0) and not is_count(2, least=3)


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
