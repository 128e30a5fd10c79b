"""Operations on words, emitted, against their plain forms."""

import numpy as np
import pytest

from nphash.core.jit import jit
from nphash.core.jit.words import LANES, exchange, fill_triple, lowest_one, popcount, prefetch


@jit()
def compiled_exchange(planes, i, j, by, low):
    exchange(planes, i, j, by, low)


@jit()
def compiled_fill(planes, p, tables, row):
    fill_triple(planes, p, tables, row)


@pytest.mark.parametrize(("by", "low"), [(32, 2**32 - 1), (4, 0x0F0F0F0F0F0F0F0F), (1, 0x5555555555555555)])
def test_exchange(rng, by, low):
    planes = rng.integers(0, 2**64, (5, LANES), dtype=np.uint64)
    plain = planes.copy()
    exchange(plain, 1, 3, by, np.uint64(low))
    for lane in range(LANES):  # bits chosen by `low << by` of row 1 and by `low` of row 3 have changed places
        upper, lower = int(planes[1, lane]), int(planes[3, lane])
        assert int(plain[1, lane]) == upper & low | (lower & low) << by
        assert int(plain[3, lane]) == lower & ~low | upper >> by & low
    compiled_exchange(planes, 1, 3, by, np.uint64(low))
    assert np.array_equal(planes, plain)


def test_fill_triple(rng):
    planes = rng.integers(0, 2**64, (7, LANES), dtype=np.uint64)
    plain, compiled = np.zeros((12, LANES), np.uint64), np.zeros((12, LANES), np.uint64)
    fill_triple(planes, 4, plain, 1)
    compiled_fill(planes, 4, compiled, 1)
    assert np.array_equal(plain, compiled)
    assert not plain[0].any() and not plain[11].any()
    bits = [[int(planes[4 + i, 2]) >> bit & 1 for i in range(3)] for bit in range(64)]
    for pattern in range(8):
        for bit in range(64):
            different = sum(bits[bit][i] ^ (pattern >> i & 1) for i in range(3))
            assert int(plain[1 + pattern, 2]) >> bit & 1 == different // 2
            assert int(plain[9 + bin(pattern).count("1") % 2, 2]) >> bit & 1 == different % 2


@jit()
def both(words, counts, places):
    for i in range(words.size):
        counts[i] = popcount(words[i])
        places[i] = lowest_one(words[i])


def test_compiled_and_plain_agree(rng):
    words = rng.integers(1, 2**64, 200, dtype=np.uint64) << rng.integers(0, 64, 200).astype(np.uint64)
    words = np.concatenate([words[words != 0], np.array([1, 2**63, 2**64 - 1], np.uint64)])
    counts, places = np.empty(words.size, np.int64), np.empty(words.size, np.int64)
    both(words, counts, places)
    assert counts.tolist() == [bin(int(word)).count("1") for word in words]
    assert places.tolist() == [len(bin(int(word))) - len(bin(int(word)).rstrip("0")) for word in words]
    assert counts.tolist() == [popcount(word) for word in words]
    assert places.tolist() == [lowest_one(word) for word in words]


@pytest.mark.parametrize("value", [0, 1, 2**63, 2**64 - 1])
def test_popcount_of_extremes(value):
    assert popcount(np.uint64(value)) == value.bit_count()


@jit()
def fetched(words, i):
    prefetch(words, i)
    return words[i]


def test_asking_for_memory_changes_nothing(rng):
    words = rng.integers(0, 2**64, 9, dtype=np.uint64)
    assert prefetch(words, 3) is None
    assert fetched(words, 3) == words[3]
