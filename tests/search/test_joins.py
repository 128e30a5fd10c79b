"""An index searched with its own codes."""

import numpy as np
import pytest

from helpers.searching import KINDS, STRATEGIES, distances, nearest, problem
from nphash.errors import InputError
from nphash.search import HammingIndex, joins, planner


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_pairs(rng, monkeypatch, strategy, kind):
    monkeypatch.setattr(joins, "_CHUNK", 50)
    codes, _ = problem(rng, kind, 220, 1, 32)
    index = HammingIndex(32, strategy=strategy)
    index.add(codes)
    index.remove([0, 100, 219])
    there = [i for i in range(220) if i not in (0, 100, 219)]
    every = distances(codes, codes)
    for radius in (0, 3, 9):
        expected = sorted(
            (i, every[i, j], j) for i in there for j in there if i < j and every[i, j] <= radius
        )
        found = zip(*(part.tolist() for part in index.self_join(radius)), strict=True)
        assert [(i, d, j) for i, j, d in found] == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours(rng, monkeypatch, strategy, kind):
    monkeypatch.setattr(joins, "_CHUNK", 50)
    codes, _ = problem(rng, kind, 130, 1, 32)
    index = HammingIndex(32, strategy=strategy)
    index.add(codes)
    index.remove([5])
    for k in (1, 4, 128, 200):
        found, ids = index.search_self(k)
        for row, i in enumerate(index.ids):
            others = np.ones(130, bool)
            others[[5, i]] = False
            expected = nearest(codes[i : i + 1], codes, k, others)
            assert (
                found[row].tolist() == expected[0][0].tolist()
                and ids[row].tolist() == expected[1][0].tolist()
            )


def test_names_and_progress(rng, monkeypatch):
    monkeypatch.setattr(joins, "_CHUNK", 2)
    index = HammingIndex(8)
    index.add(np.zeros((5, 8), np.uint8), list("abcde"))
    told = []
    first, second, found = index.self_join(0, progress=lambda done, total: told.append((done, total)))
    assert "".join(first) + "".join(second) == "aaaabbbccd" + "bcdecdedee" and not found.any()
    assert told == [(2, 5), (4, 5), (5, 5)]
    told.clear()
    index.search_self(2, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        index.self_join(0, progress=stop)


def test_buckets_are_built_for_a_join_that_pays(rng, monkeypatch):
    monkeypatch.setattr(planner, "FEWEST_BUCKETED", 100)
    monkeypatch.setattr(planner, "_BUCKET_BUILD", 0.0)
    monkeypatch.setattr(planner, "_SLICED_WORD", 1.0)
    monkeypatch.setattr(planner, "_POPCOUNT_WORD", 1.0)
    codes, _ = problem(rng, "clustered", 3000, 1, 64)
    index = HammingIndex(64)
    index.add(codes)
    pairs = index.self_join(2)
    assert index._engine.buckets is not None
    plain = HammingIndex(64, strategy="numpy")
    plain.add(codes)
    for found, expected in zip(pairs, plain.self_join(2), strict=True):
        assert np.array_equal(found, expected)


def test_one_code_has_no_pairs_and_no_neighbours():
    index = HammingIndex(8)
    with pytest.raises(InputError, match="nothing to search"):
        index.self_join(1)
    index.add(np.zeros((1, 8), np.uint8))
    assert [len(part) for part in index.self_join(8)] == [0, 0, 0]
    assert index.search_self(3)[0].shape == (1, 0)
    with pytest.raises(InputError, match="radius is"):
        index.self_join(-1)
