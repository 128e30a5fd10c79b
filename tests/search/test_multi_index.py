"""Buckets in segments: built, extended, kept, searched."""

import numpy as np
import pytest

from helpers.searching import nearest, problem, within
from nphash.codes import as_words
from nphash.search import keys, multi_index
from nphash.search.rows import ALL, Rows

MUCH = 10**9


def rows_of(codes, n, allowed=None):
    words = as_words(codes)[:n]
    rows = Rows(64, ((0, words[: n // 3]), (n // 3, words[n // 3 :])), n, ALL, n)
    return rows if allowed is None else rows.restricted(allowed)


def check(index, codes, queries, n, allowed=None):
    rows = rows_of(codes, n, allowed)
    found, work = multi_index.nearest(index, rows, as_words(queries), 5, MUCH, 2)
    assert (work >= 0).all()
    expected, positions = nearest(queries, codes[: index.n], 5, allowed)
    np.testing.assert_array_equal(keys.distances(found), expected)
    np.testing.assert_array_equal(keys.positions(found), positions)
    each = multi_index.within(index, rows, as_words(queries), 9, MUCH, 2)
    for part, one in zip(each, within(queries, codes[: index.n], 9, allowed), strict=True):
        assert list(zip(keys.distances(part).tolist(), keys.positions(part).tolist(), strict=True)) == one


def test_segments_are_merged_as_they_grow(rng):
    codes, queries = problem(rng, "clustered", 2000, 70, 64)
    queries = queries[::3]  # codes of the index: strangers cost too much
    index = multi_index.build(rows_of(codes, 900), 2)
    sizes = [900]
    for n in (920, 1100, 1300, 1390, 2000):
        index = multi_index.extended(index, rows_of(codes, n), 2)
        starts = [first for first, _ in index.segments]
        assert starts[0] == 0 and starts == sorted(set(starts))
        assert index.n == sum(buckets.rows.shape[1] for _, buckets in index.segments)
        check(index, codes, queries, index.n)
        sizes.append(index.n)
    assert sizes == [900, 900, 1100, 1300, 1390, 2000]  # 20 new rows are left to the scan
    assert len(index.segments) < 4


def test_removed_rows_stay_in_their_buckets_but_are_not_found(rng):
    codes, queries = problem(rng, "clustered", 800, 9, 64)
    index = multi_index.build(rows_of(codes, 800), 1)
    allowed = rng.random(800) < 0.5
    check(index, codes, queries[::3], 800, allowed)


def test_arrays_and_back(rng):
    codes, queries = problem(rng, "clustered", 900, 6, 64)
    index = multi_index.extended(multi_index.build(rows_of(codes, 600), 1), rows_of(codes, 900), 1)
    kept = multi_index.arrays(index)
    again = multi_index.from_arrays(kept)
    assert again.n == 900 and again.nbytes == index.nbytes == sum(array.nbytes for array in kept.values())
    check(again, codes, queries[::3], 900)
    assert multi_index.from_arrays({"codes": codes}) is None


def test_a_result_larger_than_the_first_buffer(rng):
    codes = np.zeros((20_000, 8), np.uint8)
    rows = Rows(64, ((0, as_words(codes)),), 20_000, ALL, 20_000)
    index = multi_index.build(rows, 1)
    each = multi_index.within(index, rows, as_words(codes[:2]), 0, MUCH, 1)
    assert [len(one) for one in each] == [20_000, 20_000]


def test_over_budget_in_any_segment_is_over_budget(rng):
    codes, queries = problem(rng, "clustered", 900, 6, 64)
    index = multi_index.extended(multi_index.build(rows_of(codes, 600), 1), rows_of(codes, 900), 1)
    assert len(index.segments) == 2 or index.n == 900
    _, work = multi_index.nearest(index, rows_of(codes, 900), as_words(queries), 5, 1, 1)
    assert (work < 0).all()
    assert multi_index.within(index, rows_of(codes, 900), as_words(queries), 5, 1, 1) == [None] * 6


@pytest.mark.parametrize("n_bits", [1, 8, 13, 100, 300])
def test_other_widths(rng, n_bits):
    codes, queries = problem(rng, "clustered", 300, 9, n_bits)
    rows = Rows(n_bits, ((0, as_words(codes)),), 300, ALL, 300)
    index = multi_index.build(rows, 1)
    found, _ = multi_index.nearest(index, rows, as_words(queries[::3]), 4, MUCH, 1)
    np.testing.assert_array_equal(keys.positions(found), nearest(queries[::3], codes, 4)[1])
