"""The bit-sliced scan against bit-by-bit distances."""

import numpy as np
import pytest

from helpers import naive
from nphash.codes import as_words, pack
from nphash.search import bit_sliced, top_k

ALL = np.empty(0, np.uint8)


def pairs(keys):
    return [(int(key) >> 48, int(key) & (2**48 - 1)) for key in keys if key != np.uint64(2**64 - 1)]


def problem(rng, n_bits, n):
    codes = pack(rng.random((n, n_bits)) < 0.5)
    codes[n // 2] = codes[0]
    queries = pack(
        np.concatenate([rng.random((2, n_bits)) < 0.5, np.zeros((1, n_bits)), np.ones((1, n_bits))])
    )
    return codes, np.concatenate([codes[:1], queries])


@pytest.mark.parametrize("n_bits", [5, 32, 64, 100])
@pytest.mark.parametrize("n", [1, 511, 512, 600])
def test_nearest(rng, n_bits, n):
    codes, queries = problem(rng, n_bits, n)
    words = as_words(queries)
    for k in (1, 6):
        top = top_k.empty(np.full(len(queries), n_bits + 1), k, n_bits)
        space = bit_sliced.workspace(n_bits, len(queries))
        parities = bit_sliced.parities_of(words)
        bit_sliced.nearest(as_words(codes).reshape(-1), 7, words, parities, k, ALL, top, space)
        out = np.empty((len(queries), k), np.uint64)
        top_k.finish(top, 0, len(queries), k, out)
        for q, query in enumerate(queries):
            assert pairs(out[q]) == [(d, i + 7) for d, i in naive.nearest(query, codes, k)]


def test_filter_and_limits_given_beforehand(rng):
    codes, queries = problem(rng, 40, 600)
    allowed = (rng.random(600) < 0.3).astype(np.uint8)
    words = as_words(queries)
    top = top_k.empty(np.array([12, 0, 41, 12, 12]), 4, 40)
    bit_sliced.nearest(
        as_words(codes).reshape(-1),
        0,
        words,
        bit_sliced.parities_of(words),
        4,
        allowed,
        top,
        bit_sliced.workspace(40, len(queries)),
    )
    out = np.empty((len(queries), 4), np.uint64)
    top_k.finish(top, 0, len(queries), 4, out)
    for q, limit in enumerate([12, 0, 41, 12, 12]):
        everything = naive.nearest(queries[q], codes, 600)
        assert pairs(out[q]) == [(d, i) for d, i in everything if allowed[i] and d < limit][:4]


@pytest.mark.parametrize("radius", [0, 12, 20, 40])
def test_within(rng, radius):
    codes, queries = problem(rng, 40, 1100)
    words, parities = as_words(queries), bit_sliced.parities_of(as_words(queries))
    space = bit_sliced.workspace(40, len(queries))
    found, start, calls = [], 0, 0
    store = np.empty(512 * len(queries), np.int64), np.empty(512 * len(queries), np.uint64)
    while start < 1100:
        used, start = bit_sliced.within(
            as_words(codes).reshape(-1), 3, start, words, parities, radius, ALL, space, store
        )
        found += zip(store[0][:used].tolist(), pairs(store[1][:used]), strict=True)
        calls += 1
    for q, query in enumerate(queries):
        expected = [(d, i + 3) for d, i in naive.within(query, codes, radius)]
        assert sorted(pair for one, pair in found if one == q) == expected
    assert calls == (3 if radius >= 20 else 1)  # room for the hits of one block at least


def test_parities_of_three_bits():
    word = np.array([[0b1011]], np.uint64)
    assert (
        int(bit_sliced.parities_of(word)[0, 0]) & 0b1111 == 0b1100
    )  # bits 0-2: two ones; 1-3: two; 2-4 and 3-5: one each
