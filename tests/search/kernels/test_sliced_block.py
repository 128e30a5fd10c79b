"""One block against one query: the hit mask is exactly the codes below the limit."""

import numpy as np
import pytest

from nphash.core.jit import jit
from nphash.search.kernels import bit_sliced
from nphash.search.kernels.adder_tree import n_levels
from nphash.search.kernels.bit_planes import BLOCK, LANES
from nphash.search.kernels.sliced_block import scan_block


@jit()
def compiled(space, queries, odd, q, h):
    return scan_block(space.width, space.tables, queries, odd, space.bias, space.hits, q, h)


def prepared(rng, n_bits, limit):
    n_words = -(-n_bits // 64)
    codes = rng.integers(0, 2**64, (BLOCK, n_words), dtype=np.uint64)
    query = rng.integers(0, 2**64, (1, n_words), dtype=np.uint64)
    codes[0], codes[1] = query[0], ~query[0]
    if n_bits % 64:
        codes[:, -1] &= np.uint64(2 ** (n_bits % 64) - 1)
        query[:, -1] &= np.uint64(2 ** (n_bits % 64) - 1)
    space = bit_sliced.workspace(n_bits, 1)
    bit_sliced._load(codes.reshape(-1), n_words, 0, space)
    space.limits[:] = -1
    bit_sliced._set_limits(np.array([limit]), np.array([0]), space)
    return space, query, codes, np.bitwise_count(codes ^ query).sum(axis=1)


@pytest.mark.parametrize("n_bits", [8, 32, 40, 64, 128, 200])
def test_hits_are_the_codes_below_the_limit(rng, n_bits):
    half = 2 ** (n_levels(n_bits) - 1)
    for limit in {1, 2, n_bits // 3, n_bits // 2, half, half + 1, n_bits, n_bits + 1} - {0}:
        space, query, _, distances = prepared(rng, n_bits, limit)
        odd = bit_sliced.parities(query)
        some = scan_block(space.width, space.tables, query, odd, space.bias, space.hits, 0, 1)
        bits = np.unpackbits(space.hits[1].view(np.uint8), bitorder="little").reshape(LANES, 64)
        hits = bits.T.reshape(BLOCK)  # code 8 * i + w is bit i of word w
        # Above half of what the digits can say, everything is a hit, to be measured exactly.
        assert hits.astype(bool).tolist() == ((distances < limit) | (limit > half)).tolist(), limit
        assert some == sum(1 << lane for lane in range(LANES) if space.hits[1, lane])
        assert compiled(space, query, odd, 0, 0) == some
        assert np.array_equal(space.hits[0], space.hits[1])


def test_nothing_near_gives_no_hit(rng):
    space, query, codes, _ = prepared(rng, 64, 1)
    codes[:] = ~query[0]
    bit_sliced._load(codes.reshape(-1), 1, 0, space)
    odd = bit_sliced.parities(query)
    assert scan_block(space.width, space.tables, query, odd, space.bias, space.hits, 0, 0) == 0
    assert compiled(space, query, odd, 0, 0) == 0
