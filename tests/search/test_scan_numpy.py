"""The NumPy scan against bit-by-bit distances."""

import numpy as np
import pytest

from helpers import naive
from nphash.search import keys, scan_numpy
from nphash.search.table import ALL, Rows


def pairs(found):
    found = found[found != keys.NONE]
    return list(zip(keys.distances(found).tolist(), keys.positions(found).tolist(), strict=True))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_words", [1, 3, 17])
def test_nearest_and_within_over_many_chunks(rng, n_words, threads, monkeypatch):
    monkeypatch.setattr(scan_numpy, "_ROWS", 16)
    monkeypatch.setattr(scan_numpy, "_QUERIES", 1)
    words = rng.integers(0, 2**64, (100, n_words), dtype=np.uint64)
    words[50:60] = words[3]
    codes = words.view(np.uint8)
    allowed = (rng.random(105) < 0.6).astype(np.uint8)
    every = Rows(64 * n_words, ((5, words[:37]), (42, words[37:])), 105, ALL, 100)
    some = every._replace(allowed=allowed)
    queries = np.stack([words[3], ~words[3]])
    expected = [[(d, i + 5) for d, i in naive.nearest(q.view(np.uint8), codes, 100)] for q in queries]
    for rows in (every, some):
        there = [[(d, i) for d, i in one if rows is every or allowed[i]] for one in expected]
        for k in (1, 4, 20, 100, 200):
            found = scan_numpy.nearest(rows, queries, k, threads)
            assert found.shape == (2, k)
            assert [pairs(one) for one in found] == [one[:k] for one in there]
        for radius in (0, 25 * n_words, 64 * n_words):
            offsets, found = scan_numpy.within(rows, queries, radius, threads)
            for q, one in enumerate(there):
                assert pairs(found[offsets[q] : offsets[q + 1]]) == [(d, i) for d, i in one if d <= radius]


def test_no_queries():
    rows = Rows(64, ((0, np.zeros((3, 1), np.uint64)),), 3, ALL, 3)
    none = np.empty((0, 1), np.uint64)
    assert scan_numpy.nearest(rows, none, 2, 1).shape == (0, 2)
    offsets, found = scan_numpy.within(rows, none, 2, 1)
    assert offsets.tolist() == [0] and not len(found)
