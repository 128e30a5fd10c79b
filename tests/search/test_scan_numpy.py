"""The NumPy scan against bit-by-bit distances."""

import numpy as np
import pytest

from helpers import naive
from nphash.search import keys, scan_numpy

ALL = np.empty(0, np.uint8)


def pairs(found):
    return list(zip(keys.distances(found).tolist(), keys.positions(found).tolist(), strict=True))


@pytest.mark.parametrize("n_words", [1, 3])
def test_nearest_and_within_over_many_chunks(rng, n_words, monkeypatch):
    monkeypatch.setattr(scan_numpy, "_ROWS", 16)
    words = rng.integers(0, 2**64, (100, n_words), dtype=np.uint64)
    words[50:60] = words[3]
    codes = words.view(np.uint8)
    allowed = (rng.random(105) < 0.6).astype(np.uint8)
    for query in (words[3], ~words[3]):
        everything = [(d, i + 5) for d, i in naive.nearest(query.view(np.uint8), codes, 100)]
        for k in (1, 4, 20, 100, 200):
            assert pairs(scan_numpy.nearest(words, 5, query, k, ALL)) == everything[:k]
            some = [(d, i) for d, i in everything if allowed[i]]
            assert pairs(scan_numpy.nearest(words, 5, query, k, allowed)) == some[:k]
        for radius in (0, 25 * n_words, 64 * n_words):
            assert pairs(scan_numpy.within(words, 5, query, radius, ALL)) == [
                (d, i) for d, i in everything if d <= radius
            ]
            assert pairs(scan_numpy.within(words, 5, query, radius, allowed)) == [
                (d, i) for d, i in everything if d <= radius and allowed[i]
            ]
