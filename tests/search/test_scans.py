"""The compiled scans: how they are divided into pieces does not show in the answer."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import naive
from helpers.searching import nearest, problem, within
from nphash.codes import as_words, pack
from nphash.search import keys, scans, top_k
from nphash.search.scans import Scan
from nphash.search.table import ALL, Rows


@pytest.fixture
def small(rng):
    codes, queries = problem(rng, "clustered", 700, 20, 64)
    words = as_words(codes)
    return codes, queries, Rows(64, ((0, words[:333]), (333, words[333:])), 700, ALL, 700)


def sample(rows):
    return rows.sample(100).T.copy()


@pytest.mark.parametrize("sliced", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize(("tile", "words"), [(1, 1), (3, 1 << 12), (1000, 1 << 31)])
def test_tiles_and_pieces(small, monkeypatch, sliced, threads, tile, words):
    codes, queries, rows = small
    monkeypatch.setattr(scans, "_TILE", tile)
    monkeypatch.setattr(scans, "_WORDS", words)
    monkeypatch.setattr(scans, "_LEAST", 50)
    scan = Scan(rows, as_words(queries), sliced, threads)
    found = scans.nearest(scan, 6, None, sample(rows))
    expected, positions = nearest(queries, codes, 6)
    np.testing.assert_array_equal(keys.distances(found), expected)
    np.testing.assert_array_equal(keys.positions(found), positions)
    offsets, found = scans.within(scan, 15)
    for q, one in enumerate(within(queries, codes, 15)):
        part = found[offsets[q] : offsets[q + 1]]
        assert list(zip(keys.distances(part).tolist(), keys.positions(part).tolist(), strict=True)) == one


@pytest.mark.parametrize("sliced", [True, False])
def test_limits_leave_places_empty(small, sliced):
    codes, queries, rows = small
    limits = np.arange(20)
    found = scans.nearest(Scan(rows, as_words(queries), sliced, 2), 700, limits, sample(rows))
    for q, limit in enumerate(limits.tolist()):
        expected = within(queries[q : q + 1], codes, limit - 1)[0]
        assert keys.distances(found[q, : len(expected)]).tolist() == [d for d, _ in expected]
        assert (found[q, len(expected) :] == keys.NONE).all()


@pytest.mark.parametrize("sliced", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_first_limit_guessed_too_low_is_made_good(small, sliced, threads):
    codes, queries, rows = small
    every = as_words(codes)
    near = np.argsort(np.bitwise_count(every ^ as_words(queries)[0])[:, 0], kind="stable")
    misleading = every[near[:30]].T.copy()  # full of neighbours: as if everything were that near
    found = scans.nearest(Scan(rows, as_words(queries), sliced, threads), 25, None, misleading)
    distances, positions = nearest(queries, codes, 25)
    np.testing.assert_array_equal(keys.distances(found), distances)
    np.testing.assert_array_equal(keys.positions(found), positions)


def test_ranks_are_safe_but_not_wasteful():
    rng = np.random.default_rng(0)
    for k, size, n in ((10, 4096, 10**6), (100, 4096, 10**6), (100, 4096, 10**5), (1000, 4096, 20_000)):
        rank = scans._rank(k, size, n)
        assert rank * n / size < 80 * k
        assert (rng.poisson(k * size / n, 200_000) >= rank).mean() < 3e-4
    assert scans._rank(5, 100, 100) == scans._rank(5, 90, 100) == 5  # never more than what is safe


@pytest.mark.parametrize("sliced", [True, False])
def test_an_error_in_one_thread_stops_the_others(small, sliced, monkeypatch):
    _, queries, rows = small
    monkeypatch.setattr(scans, "_TILE", 1)
    monkeypatch.setattr(scans, "_LEAST", 10)
    monkeypatch.setattr(scans, "_WORDS", 1)
    calls, scan = [], scans.scan_nearest

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 5:
            raise InterruptedError("enough")
        return scan(*args)

    monkeypatch.setattr(scans, "scan_nearest", interrupted)
    with pytest.raises((InterruptedError, KeyboardInterrupt)):
        scans.nearest(Scan(rows, as_words(queries), sliced, 2), 2, None, sample(rows))
    assert len(calls) < 40


def test_no_queries(small):
    none = as_words(small[1][:0])
    assert scans.nearest(Scan(small[2], none, True, 1), 3, None, sample(small[2])).shape == (0, 3)
    offsets, found = scans.within(Scan(small[2], none, True, 1), 3)
    assert offsets.tolist() == [0] and not len(found)


# -- kernels


def pairs(found):
    return [(int(key) >> 48, int(key) & (2**48 - 1)) for key in found if key != keys.NONE]


def bits_problem(rng, n_bits, n):
    codes = pack(rng.random((n, n_bits)) < 0.5)
    codes[n // 2] = codes[0]
    queries = [rng.random((2, n_bits)) < 0.5, np.zeros((1, n_bits)), np.ones((1, n_bits))]
    return codes, np.concatenate([codes[:1], pack(np.concatenate(queries))])


def scanned(codes, queries, n_bits, sliced, limits, k, first, allowed=ALL):
    top = top_k.empty(np.array(limits), k, n_bits)
    space = scans.workspace(n_bits, as_words(queries), sliced)
    scans.scan_nearest(as_words(codes).reshape(-1), first, k, allowed, top, space)
    out = np.empty((len(queries), k), np.uint64)
    top_k.finish(top, out)
    return out


CASES = [(5, True), (32, True), (64, True), (100, True), *((n, False) for n in (5, 64, 100, 256, 1000, 4096))]


@pytest.mark.parametrize(("n_bits", "sliced"), CASES)
@pytest.mark.parametrize("n", [1, 511, 512, 600])
def test_nearest(rng, n_bits, sliced, n):
    codes, queries = bits_problem(rng, n_bits, n)
    for k in (1, 6):
        for some in (queries, queries[1:2]):
            out = scanned(codes, some, n_bits, sliced, [n_bits + 1] * len(some), k, 7)
            for q, query in enumerate(some):
                assert pairs(out[q]) == [(d, i + 7) for d, i in naive.nearest(query, codes, k)]


@pytest.mark.parametrize("sliced", [True, False])
def test_filter_and_limits_given_beforehand(rng, sliced):
    codes, queries = bits_problem(rng, 40, 600)
    allowed = (rng.random(605) < 0.3).astype(np.uint8)
    limits = [12, 0, 41, 12, 12]
    out = scanned(codes, queries, 40, sliced, limits, 4, 5, allowed)
    for q, limit in enumerate(limits):
        everything = naive.nearest(queries[q], codes, 600)
        assert pairs(out[q]) == [(d, i + 5) for d, i in everything if allowed[i + 5] and d < limit][:4]


@pytest.mark.parametrize("sliced", [True, False])
@pytest.mark.parametrize("radius", [0, 12, 20, 40])
def test_within(rng, radius, sliced):
    codes, queries = bits_problem(rng, 40, 1100)
    space = scans.workspace(40, as_words(queries), sliced)
    found, start, calls = [], 0, 0
    size = 512 * (len(queries) + 1)
    store = np.empty(size, np.int64), np.empty(size, np.uint64)
    while start < 1100:
        used, start = scans.scan_within(as_words(codes).reshape(-1), 3, start, radius, ALL, space, store)
        found += zip(store[0][:used].tolist(), pairs(store[1][:used]), strict=True)
        calls += 1
    for q, query in enumerate(queries):
        expected = [(d, i + 3) for d, i in naive.within(query, codes, radius)]
        assert sorted(pair for one, pair in found if one == q) == expected
    assert calls == (3 if radius >= 20 else 1)  # room for the hits of one block at least


def check_width(n_bits, n, seed):
    rng = np.random.default_rng(seed)
    codes, queries = problem(rng, ("clustered", "random", "duplicates")[seed % 3], n, 6, n_bits)
    rows = Rows(n_bits, ((0, as_words(codes)),), n, ALL, n)
    for some in (queries, queries[:1]):
        scan = Scan(rows, as_words(some), False, 1 + seed % 2)
        found = scans.nearest(scan, min(5, n), None, sample(rows))
        distances, positions = nearest(some, codes, min(5, n))
        np.testing.assert_array_equal(keys.distances(found), distances)
        np.testing.assert_array_equal(keys.positions(found), positions)
    offsets, found = scans.within(Scan(rows, as_words(queries), False, 1), n_bits // 4)
    for q, one in enumerate(within(queries, codes, n_bits // 4)):
        part = found[offsets[q] : offsets[q + 1]]
        assert list(zip(keys.distances(part).tolist(), keys.positions(part).tolist(), strict=True)) == one


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4096), st.integers(1, 700), st.integers(0, 99))
@example(4096, 600, 0)
@example(128, 600, 1)
@example(256, 700, 2)
def test_codes_of_any_width(n_bits, n, seed):
    check_width(n_bits, n, seed)


@pytest.mark.slow
def test_codes_of_every_width():
    for n_bits in range(1, 4097):
        check_width(n_bits, 70 + n_bits % 7, n_bits)
