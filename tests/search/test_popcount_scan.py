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
        top = top_k.empty(np.full(4, 64 * n_words + 1), k, 64 * n_words)
        popcount_scan.nearest(codes.reshape(-1), 10, queries, k, ALL, top)
        out = np.empty((4, k), np.uint64)
        top_k.finish(top, out)
        for q, query in enumerate(queries):
            expected = naive.nearest(query.view(np.uint8), codes.view(np.uint8), k)
            assert pairs(out[q]) == [(d, i + 10) for d, i in expected]


def test_rows_that_must_not_be_found(rng):
    codes = rng.integers(0, 2**64, (200, 1), dtype=np.uint64)
    allowed = (rng.random(205) < 0.5).astype(np.uint8)
    top = top_k.empty(np.array([65]), 7, 64)
    popcount_scan.nearest(codes.reshape(-1), 5, codes[:1], 7, allowed, top)
    out = np.empty((1, 7), np.uint64)
    top_k.finish(top, out)
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


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [np.array, tuple])
def test_the_smallest_distance_to_an_array_or_a_tuple(rng, n_words, kind):
    codes = rng.integers(0, 2**64, (40, n_words), dtype=np.uint64)
    for row in (0, 5, 39):
        query = codes[row] ^ np.uint64(0b111)
        expected = naive.distances(query.view(np.uint8), codes.view(np.uint8))
        assert popcount_scan._least(codes.reshape(-1), kind(query)) == min(expected)


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 5])
def test_the_next_block_with_a_code_below_the_limit(rng, n_words):
    codes = rng.integers(0, 2**64, (100, n_words), dtype=np.uint64)
    query = codes[0]
    distances = naive.distances(query.view(np.uint8), codes.view(np.uint8))
    for start, size, limit in ((0, 8, 1), (3, 8, 26 * n_words), (1, 1, 28 * n_words), (50, 64, 1)):
        near = [block for block in range(start, 100, size) if min(distances[block : block + size]) < limit]
        found = popcount_scan._next_block(codes.reshape(-1), start, 100, query, limit, size)
        assert found == (near[0] if near else 100)
