"""The popcount scan against bit-by-bit distances."""

import numpy as np
import pytest

from helpers import naive
from nphash.search import popcount_scan, top_k

ALL = np.empty(0, np.uint8)


def pairs(keys):
    return [(int(key) >> 48, int(key) & (2**48 - 1)) for key in keys if key != np.uint64(2**64 - 1)]


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [1, 127, 128, 300])
def test_nearest(rng, n_words, n):
    codes = rng.integers(0, 2**64, (n, n_words), dtype=np.uint64)
    codes[n // 2] = codes[0]
    queries = np.concatenate([codes[:1], ~codes[:1], rng.integers(0, 2**64, (2, n_words), dtype=np.uint64)])
    for k in (1, 5, n):
        top = top_k.empty(np.full(6, 64 * n_words + 1), k, 64 * n_words)
        popcount_scan.nearest(codes.reshape(-1), 10, queries, k, ALL, top, 2)  # queries are searches 2 to 5
        out = np.empty((6, k), np.uint64)
        top_k.finish(top, 0, 6, k, out)
        for q, query in enumerate(queries):
            expected = naive.nearest(query.view(np.uint8), codes.view(np.uint8), k)
            assert pairs(out[q + 2]) == [(d, i + 10) for d, i in expected]
        assert not pairs(out[0])


def test_rows_that_must_not_be_found(rng):
    codes = rng.integers(0, 2**64, (200, 1), dtype=np.uint64)
    allowed = (rng.random(205) < 0.5).astype(np.uint8)
    top = top_k.empty(np.array([65]), 7, 64)
    popcount_scan.nearest(codes.reshape(-1), 5, codes[:1], 7, allowed, top, 0)
    out = np.empty((1, 7), np.uint64)
    top_k.finish(top, 0, 1, 7, out)
    everything = naive.nearest(codes[0].view(np.uint8), codes.view(np.uint8), 200)
    assert pairs(out[0]) == [(d, i + 5) for d, i in everything if allowed[i + 5]][:7]


@pytest.mark.parametrize("n_words", [1, 2, 3, 4])
def test_within_stops_when_the_buffer_is_full_and_goes_on(rng, n_words):
    codes = rng.integers(0, 2**64, (700, n_words), dtype=np.uint64)
    codes[::3] = codes[0]
    expected = naive.within(codes[0].view(np.uint8), codes.view(np.uint8), 30 * n_words)
    found, start, calls = [], 0, 0
    while start < 700:
        keys = np.empty(150, np.uint64)
        used, start = popcount_scan.within(codes.reshape(-1), 0, start, codes[0], 30 * n_words, ALL, keys)
        found += pairs(keys[:used])
        calls += 1
    assert sorted(found) == expected and calls > 1


def test_a_limit_from_a_sample_never_excludes_a_neighbour(rng):
    codes = rng.integers(0, 2**64, (500, 2), dtype=np.uint64)
    queries = codes[:2] ^ np.uint64(5)
    for members, groups in ((1, 56), (4, 14)):
        sample = np.ascontiguousarray(codes[:: 9 if members == 1 else 8][:56].T).reshape(2, members, groups)
        for k in (1, 10, 60):
            limits = popcount_scan.sample_limits(sample, queries, k, 128)
            for query, limit in zip(queries, limits, strict=True):
                nearest = naive.nearest(query.view(np.uint8), codes.view(np.uint8), k)
                assert nearest[-1][0] < limit
                least = naive.distances(query.view(np.uint8), sample.reshape(2, 56).T.copy().view(np.uint8))
                least = sorted(min(least[group::groups]) for group in range(groups))
                assert limit == (least[k - 1] + 1 if k <= groups else 129)


def test_distance_of_one_code(rng):
    codes = rng.integers(0, 2**64, (4, 3), dtype=np.uint64)
    expected = naive.distances(codes[3].view(np.uint8), codes.view(np.uint8))
    assert [popcount_scan.distance(codes.reshape(-1), i, codes[3]) for i in range(4)] == expected
