"""Problems and expected answers for the tests of search."""

import numpy as np

from nphash.codes import pack

STRATEGIES = ("numpy", "popcount", "bit-sliced", "multi-index")
KINDS = ("random", "clustered", "duplicates", "equal", "sparse")


def problem(rng, kind, n, n_queries, n_bits):
    """Codes of a kind, and queries: some of the codes, their complements, and strangers."""
    share = 0.05 if kind == "sparse" else 0.5
    bits = rng.random((n, n_bits)) < share
    if kind == "clustered":
        bits = bits[rng.integers(0, max(1, n // 20), n)] ^ (rng.random((n, n_bits)) < 0.06)
    if kind == "duplicates":
        bits = bits[rng.integers(0, min(n, 4), n)]
    if kind == "equal":
        bits[:] = bits[0]
    queries = rng.random((n_queries, n_bits)) < share
    queries[::3] = bits[rng.integers(0, n, len(queries[::3]))]
    queries[1::3] = ~bits[rng.integers(0, n, len(queries[1::3]))]
    return pack(bits), pack(queries)


def distances(queries, codes):
    """All distances by NumPy, row after row of queries."""
    return np.stack([np.bitwise_count(query ^ codes).sum(axis=1, dtype=np.int64) for query in queries])


def nearest(queries, codes, k, allowed=None):
    """The k first of (distance, position) among the allowed, as two arrays."""
    every = distances(queries, codes)
    positions = np.arange(len(codes)) if allowed is None else np.flatnonzero(allowed)
    every = every[:, positions]
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(every, order, axis=1), positions[order]


def within(queries, codes, radius, allowed=None):
    """A list for each query of (distance, position) up to a radius."""
    found = nearest(queries, codes, len(codes), allowed)
    return [
        [(d, i) for d, i in zip(one.tolist(), ids.tolist(), strict=True) if d <= radius]
        for one, ids in zip(*found, strict=True)
    ]


def check_search(index, queries, codes, k, allowed=None, where=None):
    """Compare a search with the expected answer."""
    found, ids = index.search(queries, k, where=where)
    expected, positions = nearest(queries, codes, k, allowed)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ids, positions)


def check_within(index, queries, codes, radius, allowed=None, where=None):
    """Compare a radius search with the expected answer."""
    offsets, found, ids = index.within(queries, radius, where=where)
    for q, expected in enumerate(within(queries, codes, radius, allowed)):
        part = slice(offsets[q], offsets[q + 1])
        assert list(zip(found[part].tolist(), ids[part].tolist(), strict=True)) == expected
    assert offsets[-1] == len(found) == len(ids)
