"""The compiled scans: how they are divided into pieces does not show in the answer."""

import numpy as np
import pytest

from helpers.searching import nearest, problem, within
from nphash.codes import as_words
from nphash.search import bit_sliced, keys, popcount_scan, scans
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
@pytest.mark.parametrize(("tile", "pairs"), [(1, 1), (3, 1 << 12), (1000, 1 << 31)])
def test_tiles_and_pieces(small, monkeypatch, sliced, threads, tile, pairs):
    codes, queries, rows = small
    monkeypatch.setattr(scans, "_TILE", tile)
    monkeypatch.setattr(scans, "_PAIRS", pairs)
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
    monkeypatch.setattr(scans, "_PAIRS", 1)
    module, calls = bit_sliced if sliced else popcount_scan, []
    scan = module.nearest

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 5:
            raise InterruptedError("enough")
        return scan(*args)

    monkeypatch.setattr(module, "nearest", interrupted)
    with pytest.raises((InterruptedError, KeyboardInterrupt)):
        scans.nearest(Scan(rows, as_words(queries), sliced, 2), 2, None, sample(rows))
    assert len(calls) < 40


def test_no_queries(small):
    none = as_words(small[1][:0])
    assert scans.nearest(Scan(small[2], none, True, 1), 3, None, sample(small[2])).shape == (0, 3)
    offsets, found = scans.within(Scan(small[2], none, True, 1), 3)
    assert offsets.tolist() == [0] and not len(found)
