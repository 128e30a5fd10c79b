"""The popcount scan against bit-by-bit distances: blocks, hit masks, first limits."""

import numpy as np
import pytest

from helpers import naive
from nphash.core.jit import jit
from nphash.core.jit.words import LANES
from nphash.search import popcount_scan
from nphash.search.popcount_scan import GROUP, scan_block


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 8, 9, 12, 16, 17, 64])
def test_a_block_holds_word_after_word_of_its_groups(rng, n_words):
    (rows, lanes), n_groups = popcount_scan.block_shape(n_words)
    assert lanes == GROUP and rows == n_groups * n_words + 7 and 8 * rows * lanes <= 36_500 + 8 * 7 * 64
    n = GROUP * n_groups
    for first, count in ((0, n), (5, n + 3), (3, n), (0, n - 1), (n - 20, 20), (0, 7), (2, 1)):
        codes = rng.integers(0, 2**64, (first + count, n_words), dtype=np.uint64)
        block = np.zeros((rows, lanes), np.uint64)
        popcount_scan.load(codes.reshape(-1), n_words, first, n_groups, block)
        for i in range(min(n, count)):
            row = n_words * (i // GROUP)
            assert np.array_equal(block[row : row + n_words, i % GROUP], codes[first + i])


@jit()
def compiled(block, n_groups, query, look, limit, hits, h):
    return scan_block(block, n_groups, query, look, limit, hits, h)


@pytest.mark.parametrize("n_words", [1, 2, 3, 8, 16, 64])
def test_hits_are_the_codes_below_the_limit_wherever_it_looks_first(rng, n_words):
    n_groups = popcount_scan.block_shape(n_words)[1]
    codes = rng.integers(0, 2**64, (n_groups, GROUP, n_words), dtype=np.uint64)
    block = np.ascontiguousarray(codes.transpose(0, 2, 1)).reshape(-1, GROUP)
    queries = np.concatenate([codes[0, :1], ~codes[-1, -1:], codes[-1, 7:8] ^ np.uint64(6)])
    codes = codes.reshape(-1, n_words)
    for limit in (0, 1, 3, 30 * n_words, 32 * n_words, 64 * n_words + 1):
        for look in {1, (n_words + 1) // 2, n_words}:
            for query in queries:
                hits = np.ones((2, LANES), np.uint64)
                args = block, n_groups, query, look, limit, hits
                some = scan_block(*args, 1)
                bits = np.unpackbits(hits[1].view(np.uint8), bitorder="little").reshape(LANES, 64).T
                distances = np.bitwise_count(codes ^ query).sum(axis=1)
                assert np.array_equal(bits.reshape(-1)[: len(codes)], distances < limit)
                assert not bits.reshape(-1)[len(codes) :].any()
                assert some == sum(1 << lane for lane in range(LANES) if hits[1, lane])
                assert compiled(*args, 0) == some and np.array_equal(hits[0], hits[1])


def test_a_limit_from_a_sample_never_excludes_a_neighbour(rng):
    codes = rng.integers(0, 2**64, (500, 2), dtype=np.uint64)
    queries = codes[:2] ^ np.uint64(5)
    for members, groups in ((1, 56), (4, 14)):
        sample = np.ascontiguousarray(codes[:: 9 if members == 1 else 8][:56].T).reshape(2, members, groups)
        for k in (1, 10, 60):
            means = np.zeros(2)
            limits = popcount_scan.sample_limits(sample, queries, k, 128, means)
            every = [
                naive.distances(q.view(np.uint8), sample.reshape(2, 56).T.copy().view(np.uint8))
                for q in queries
            ]
            assert means.tolist() == [sum(one) / 112 for one in every]
            for query, limit in zip(queries, limits, strict=True):
                nearest = naive.nearest(query.view(np.uint8), codes.view(np.uint8), k)
                assert nearest[-1][0] < limit
                least = naive.distances(query.view(np.uint8), sample.reshape(2, 56).T.copy().view(np.uint8))
                least = sorted(min(least[group::groups]) for group in range(groups))
                assert limit == (least[k - 1] + 1 if k <= groups else 129)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_scan_looks_first_where_nearly_all_codes_are_too_far(rng, share):
    n_words = 16
    bits = rng.random((400, 64 * n_words)) < share
    near = np.zeros((40, 64 * n_words), bool)  # ten of them would be found
    codes = np.packbits(np.concatenate([bits, near]), axis=1).view(np.uint64)
    sample = np.ascontiguousarray(codes[::2].T).reshape(n_words, 1, 220)
    queries, means = np.zeros((1, n_words), np.uint64), np.zeros(1)
    (limit,) = popcount_scan.sample_limits(sample, queries, 10, 1024, means)
    look = popcount_scan.first_look(limit, means[0], n_words)
    far = np.cumsum(np.bitwise_count(codes[:400]), axis=1)[:, look - 1]
    assert limit == 1 and (far >= limit).mean() > 0.9 and look < n_words
    assert popcount_scan.first_look(1025, means[0], n_words) == n_words  # where it would never succeed
    assert popcount_scan.first_look(1, 0.0, n_words) == n_words


@jit()
def next_of(flat, n_words, start, stop, query, limit):
    if n_words == 1:
        return popcount_scan.next_near((0,), flat, start, stop, query, limit)
    if n_words == 2:
        return popcount_scan.next_near((0, 0), flat, start, stop, query, limit)
    return popcount_scan.next_near((0, 0, 0, 0), flat, start, stop, query, limit)


@pytest.mark.parametrize("n_words", [1, 2, 4])
def test_the_next_few_codes_with_one_below_the_limit(rng, n_words):
    codes, step = rng.integers(0, 2**64, (700, n_words), dtype=np.uint64), popcount_scan.AT_ONCE // n_words
    query = rng.integers(0, 2**64, n_words, dtype=np.uint64)
    near = codes.copy()
    near[333] = query ^ np.uint64(1)
    for start in (0, 5, 333):
        found = start + (333 - start) // step * step
        last = start + (690 - start) // step * step
        for scan in (next_of, getattr(next_of, "py_func", next_of)):
            assert scan(near.reshape(-1), n_words, start, 690, query, n_words + 1) == found
            assert scan(near.reshape(-1), n_words, start, 690, query, n_words) == last
            assert scan(codes.reshape(-1), n_words, start, 690, query, n_words + 1) == last
