"""Counting ones and finding the lowest one, compiled and not."""

import numpy as np
import pytest

from nphash.core.jit._jit import jit
from nphash.core.jit.bits import lowest_one, popcount, prefetch


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
