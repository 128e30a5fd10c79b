"""Looking codes up in buckets against measuring them all; buckets in segments: built, extended, kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from helpers.searching import nearest, problem, within
from nphash.codes import as_words
from nphash.search import keys, multi_index
from nphash.search.multi_index import OVER_BUDGET, Buckets, MultiIndex
from nphash.search.table import ALL, Rows

MUCH = 10**9


def rows_of(codes, n, allowed=None):
    words = as_words(codes)[:n]
    rows = Rows(64, ((0, words[: n // 3]), (n // 3, words[n // 3 :])), n, ALL, n)
    return rows if allowed is None else rows.restricted(allowed)


def check(index, codes, queries, n, allowed=None):
    rows = rows_of(codes, n, allowed)
    found, work = index.nearest(rows, as_words(queries), 5, MUCH, 2)
    assert (work >= 0).all()
    expected, positions = nearest(queries, codes[: index.n], 5, allowed)
    np.testing.assert_array_equal(keys.distances(found), expected)
    np.testing.assert_array_equal(keys.positions(found), positions)
    each = index.within(rows, as_words(queries), 9, MUCH, 2)
    for part, one in zip(each, within(queries, codes[: index.n], 9, allowed), strict=True):
        assert list(zip(keys.distances(part).tolist(), keys.positions(part).tolist(), strict=True)) == one


def test_segments_are_merged_as_they_grow(rng):
    codes, queries = problem(rng, "clustered", 2000, 70, 64)
    queries = queries[::3]  # codes of the index: strangers cost too much
    index = MultiIndex().extended(rows_of(codes, 900), 2)
    sizes = [900]
    for n in (920, 1100, 1300, 1390, 2000):
        index = index.extended(rows_of(codes, n), 2)
        starts = [buckets.first for buckets in index.segments]
        assert starts[0] == 0 and starts == sorted(set(starts))
        assert index.n == sum(buckets.rows.shape[1] for buckets in index.segments)
        check(index, codes, queries, index.n)
        sizes.append(index.n)
    assert sizes == [900, 900, 1100, 1300, 1390, 2000]  # 20 new rows are left to the scan
    assert len(index.segments) < 4


def test_removed_rows_stay_in_their_buckets_but_are_not_found(rng):
    codes, queries = problem(rng, "clustered", 800, 9, 64)
    index = MultiIndex().extended(rows_of(codes, 800), 1)
    allowed = rng.random(800) < 0.5
    check(index, codes, queries[::3], 800, allowed)


def test_arrays_and_back(rng):
    codes, queries = problem(rng, "clustered", 900, 6, 64)
    index = MultiIndex().extended(rows_of(codes, 600), 1).extended(rows_of(codes, 900), 1)
    kept = index.arrays()
    again = multi_index.from_arrays(kept)
    assert again.n == 900 and again.nbytes == index.nbytes == sum(array.nbytes for array in kept.values())
    check(again, codes, queries[::3], 900)
    assert multi_index.from_arrays({"codes": codes}) is None


def test_a_result_larger_than_the_first_buffer(rng):
    codes = np.zeros((20_000, 8), np.uint8)
    rows = Rows(64, ((0, as_words(codes)),), 20_000, ALL, 20_000)
    index = MultiIndex().extended(rows, 1)
    each = index.within(rows, as_words(codes[:2]), 0, MUCH, 1)
    assert [len(one) for one in each] == [20_000, 20_000]


def test_over_budget_in_any_segment_is_over_budget(rng):
    codes, queries = problem(rng, "clustered", 900, 6, 64)
    index = MultiIndex().extended(rows_of(codes, 600), 1).extended(rows_of(codes, 900), 1)
    assert len(index.segments) == 2 or index.n == 900
    _, work = index.nearest(rows_of(codes, 900), as_words(queries), 5, 1, 1)
    assert (work < 0).all()
    assert index.within(rows_of(codes, 900), as_words(queries), 5, 1, 1) == [None] * 6


@pytest.mark.parametrize("n_bits", [1, 8, 13, 100, 300])
def test_other_widths(rng, n_bits):
    codes, queries = problem(rng, "clustered", 300, 9, n_bits)
    rows = Rows(n_bits, ((0, as_words(codes)),), 300, ALL, 300)
    index = MultiIndex().extended(rows, 1)
    found, _ = index.nearest(rows, as_words(queries[::3]), 4, MUCH, 1)
    np.testing.assert_array_equal(keys.positions(found), nearest(queries[::3], codes, 4)[1])


def pairs(keys):
    return [(int(key) >> 48, int(key) & (2**48 - 1)) for key in keys if key != np.uint64(2**64 - 1)]


def filled(codes, cuts, first=0):
    """Buckets for substrings that end at ``cuts``, of codes from position ``first`` on."""
    n, n_words = codes.shape
    starts, m = np.array([0, *cuts[:-1]]), len(cuts)
    lengths = np.diff([0, *cuts])
    buckets = Buckets(
        first,
        starts,
        lengths,
        np.zeros((m, (1 << lengths.max()) + 1), np.uint32),
        np.empty((m, n), np.uint32),
        np.empty((m, n * n_words), np.uint64),
    )
    for j in range(m):
        multi_index.fill_buckets(codes.reshape(-1), buckets, j)
    return buckets


def words_problem(rng, kind, n, n_bits):
    words = -(-n_bits // 64)
    codes = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    if kind == "clustered":
        noise = np.bitwise_and.reduce(rng.integers(0, 2**64, (4, n, words), dtype=np.uint64))
        codes = codes[rng.integers(0, 5, n)] ^ noise
    if kind == "equal":
        codes[:] = codes[0]
    if n_bits % 64:
        codes[:, -1] &= np.uint64(2 ** (n_bits % 64) - 1)
    return codes, np.concatenate(
        [codes[:1], codes[-1:] ^ np.uint64(6), ~codes[:1] & codes[:1] ^ np.uint64(1)]
    )


CUTS = {20: (7, 14, 20), 64: (16, 32, 48, 64), 128: (12, 24, 36, 48, 60, 72, 84, 96, 108, 118, 128), 8: (8,)}


def looked_up(buckets, queries, k, limits=None, budget=MUCH, allowed=ALL):
    out, work = np.empty((len(queries), k), np.uint64), np.empty(len(queries), np.int64)
    limits = np.full(len(queries), 10**6) if limits is None else np.array(limits)
    multi_index.find_nearest(buckets, queries, k, limits, budget, allowed, out, work)
    return out, work


def test_buckets_hold_every_code_once_by_its_substring(rng):
    codes, _ = words_problem(rng, "random", 200, 128)
    buckets = filled(codes, CUTS[128])
    for j, (start, length) in enumerate(zip(buckets.starts, buckets.lengths, strict=True)):
        assert sorted(buckets.rows[j]) == list(range(200))
        assert np.array_equal(buckets.words[j].reshape(200, 2), codes[buckets.rows[j]])
        values = [sum(naive.bit_of(code, start + i) << i for i in range(length)) for code in codes]
        assert [values[row] for row in buckets.rows[j]] == sorted(values)
        for value in values[:5]:
            inside = buckets.rows[j, buckets.offsets[j, value] : buckets.offsets[j, value + 1]]
            assert list(inside) == [i for i, other in enumerate(values) if other == value]


@pytest.mark.parametrize("kind", ["random", "clustered", "equal"])
@pytest.mark.parametrize("n_bits", [8, 20])
def test_nearest_to_the_last_neighbour(rng, kind, n_bits):
    codes, queries = words_problem(rng, kind, 150, n_bits)
    buckets = filled(codes, CUTS[n_bits], first=4)
    for k in (1, 9, 150):
        out, work = looked_up(buckets, queries, k)
        assert (work > 0).all()
        for q, query in enumerate(queries):
            expected = naive.nearest(query.view(np.uint8), codes.view(np.uint8), k)
            assert pairs(out[q]) == [(d, i + 4) for d, i in expected]


@pytest.mark.parametrize("n_bits", [64, 128])
def test_nearest_of_wide_clustered_codes(rng, n_bits):
    codes, queries = words_problem(rng, "clustered", 300, n_bits)
    out, _ = looked_up(filled(codes, CUTS[n_bits]), queries[:2], 8)
    for q in (0, 1):
        assert pairs(out[q]) == naive.nearest(queries[q].view(np.uint8), codes.view(np.uint8), 8)


def test_limits_and_filters(rng):
    codes, queries = words_problem(rng, "random", 150, 20)
    allowed = (rng.random(150) < 0.4).astype(np.uint8)
    out, _ = looked_up(filled(codes, CUTS[20]), queries, 6, limits=[5, 0, 21], allowed=allowed)
    for q, limit in enumerate([5, 0, 21]):
        everything = naive.nearest(queries[q].view(np.uint8), codes.view(np.uint8), 150)
        assert pairs(out[q]) == [(d, i) for d, i in everything if allowed[i] and d < limit][:6]


def test_a_query_that_costs_too_much_is_given_up(rng):
    codes, queries = words_problem(rng, "random", 150, 20)
    buckets = filled(codes, CUTS[20])
    _, work = looked_up(buckets, queries, 150)
    out, again = looked_up(buckets, queries, 150, budget=int(work.min()))
    assert (again == OVER_BUDGET).sum() == (work > work.min()).sum()
    assert all(len(pairs(out[q])) == (0 if again[q] == OVER_BUDGET else 150) for q in range(3))


def test_more_ties_than_fit_are_left_to_the_scan():
    codes = np.zeros((6000, 1), np.uint64)
    _, work = looked_up(filled(codes, CUTS[20]), codes[:1], 2)
    assert work[0] == OVER_BUDGET


@pytest.mark.parametrize("radius", [0, 3, 8, 20])
def test_within_a_radius(rng, radius):
    codes, queries = words_problem(rng, "clustered", 150, 20)
    buckets = filled(codes, CUTS[20], first=2)
    keys, ends = np.empty(1000, np.uint64), np.empty(3, np.int64)
    assert multi_index.find_within(buckets, queries, radius, MUCH, ALL, keys, ends) == 3
    start = 0
    for q, end in enumerate(ends):
        expected = naive.within(queries[q].view(np.uint8), codes.view(np.uint8), radius)
        assert pairs(keys[start:end]) == [(d, i + 2) for d, i in expected]
        start = end


def test_within_stops_where_the_buffer_is_full_and_marks_what_is_over_budget(rng):
    codes, queries = words_problem(rng, "equal", 40, 20)
    buckets = filled(codes, CUTS[20])
    queries = np.concatenate([queries[:1]] * 3)
    keys, ends = np.empty(100, np.uint64), np.empty(3, np.int64)
    assert multi_index.find_within(buckets, queries, 1, MUCH, ALL, keys, ends) == 2
    assert ends[:2].tolist() == [40, 80]
    assert multi_index.find_within(buckets, queries, 1, 3, ALL, keys, ends) == 3
    assert ends.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("ones", [1, 2, 5])
def test_masks_of_equal_weight_come_in_order_and_none_is_left_out(ones):
    mask, masks = np.uint64(2**ones - 1), []
    while mask < 2**10:
        masks.append(int(mask))
        mask = np.uint64(multi_index._next_of_equal_weight(mask))
    assert masks == [number for number in range(2**10) if number.bit_count() == ones]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3), st.integers(1, 26), st.data())
def test_a_substring_is_read_across_words(words, length, data):
    start = data.draw(st.integers(0, 64 * len(words) - length))
    whole = sum(word << 64 * i for i, word in enumerate(words))
    found = multi_index._substring(np.array(words, np.uint64), start, length)
    assert found == whole >> start & (2**length - 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**20 - 1))
def test_every_code_is_met_first_in_exactly_one_bucket(difference):
    starts, lengths = np.array([0, 7, 14]), np.array([7, 7, 6])
    words = np.array([difference], np.uint64)
    bits = [(difference >> start & (2**n - 1)).bit_count() for start, n in zip(starts, lengths, strict=True)]
    first = [j for j in range(3) if not multi_index._met_before(starts, lengths, words, bits[j], j)]
    assert first == [bits.index(min(bits))]
