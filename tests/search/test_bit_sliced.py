"""The bit-sliced scan against bit-by-bit distances: blocks, tables, adder tree, hit masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive
from nphash.core.jit import jit
from nphash.search import bit_sliced
from nphash.search.bit_sliced import (
    BLOCK,
    LANES,
    NUMPY_GATES,
    AdderTree,
    fill,
    layout,
    n_levels,
    scan_block,
    table_shape,
    transpose,
)


def test_parities_of_three_bits():
    word = np.array([[0b1011]], np.uint64)
    # bits 0-2: two ones; 1-3: two; 2-4 and 3-5: one each
    assert int(bit_sliced.planes_for(64, word).parities[0, 0]) & 0b1111 == 0b1100


def test_transposition_puts_bit_p_of_code_8i_plus_w_into_bit_i_of_word_w_of_plane_p(rng):
    words = rng.integers(0, 2**64, BLOCK, dtype=np.uint64)
    planes = np.zeros((64, LANES), np.uint64)
    transpose(words, planes)
    for p, i, lane in rng.integers(0, [64, 64, LANES], (400, 3)):
        assert naive.bit_of(planes[p, lane : lane + 1], i) == naive.bit_of(
            words[LANES * i + lane : LANES * i + lane + 1], p
        )


def test_read_only_blocks_can_be_turned(rng):
    words = rng.integers(0, 2**64, BLOCK, dtype=np.uint64)
    expected, planes = np.zeros((64, LANES), np.uint64), np.zeros((64, LANES), np.uint64)
    transpose(words, expected)
    words.setflags(write=False)
    transpose(words, planes)
    assert np.array_equal(planes, expected)


@pytest.mark.parametrize("n_bits", [8, 16, 32, 40, 64, 72, 128, 136, 256, 512])
def test_every_bit_is_in_one_triple_or_left_over(n_bits):
    plan = layout(n_bits)
    bits = [64 * word + low + i for word, low in plan.triples for i in range(3)]
    bits += [64 * word + low for word, low in plan.singles]
    assert sorted(bits) == list(range(n_bits))
    assert len(plan.singles) <= 2 * plan.n_words
    assert table_shape(n_bits) == (10 * len(plan.triples) + 2 * len(plan.singles), LANES)


def test_tables_hold_the_digits_of_differences(rng):
    planes = rng.integers(0, 2**64, (64, LANES), dtype=np.uint64)
    tables = np.zeros((24, LANES), np.uint64)
    fill(planes, np.array([0, 9]), np.array([5, 63]), tables)
    assert np.array_equal(tables[20:], np.stack([planes[5], ~planes[5], planes[63], ~planes[63]]))
    for start, row in ((0, 0), (9, 10)):
        a, b, c = planes[start : start + 3]
        assert np.array_equal(tables[row], (a & b) | (b & c) | (a & c))
        assert np.array_equal(tables[row + 5], (~a & b) | (b & ~c) | (~a & ~c))
        assert np.array_equal(tables[row + 8], a ^ b ^ c)
        assert np.array_equal(tables[row + 9], ~(a ^ b ^ c))


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 140), st.data())
def test_overflow_says_where_the_sum_reaches_the_limit(n_bits, data):
    limit = data.draw(st.integers(1, n_bits + 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    bits = rng.integers(0, 2, (n_bits, 64)).astype(bool)  # 64 sums of n_bits bits
    bits[:, 0], bits[:, 1] = False, True
    words = [np.uint64(sum(int(bit) << lane for lane, bit in enumerate(row))) for row in bits]
    levels = n_levels(n_bits)
    tree = AdderTree(levels, NUMPY_GATES)
    bias = (1 << levels) - limit
    for level in range(levels - 1):
        tree.add(level, np.uint64(2**64 - 1 if bias >> level & 1 else 0))
    for word in words:
        tree.add(0, word)
    top = 2**64 - 1 if bias >> (levels - 1) & 1 else 0
    reached = int(tree.overflow()) & top
    for lane, total in enumerate(bits.sum(axis=0)):
        if top:
            assert bool(reached >> lane & 1) == (total >= limit)
        else:  # a limit above half of what n_bits can reach: nothing is said, every code is looked at
            assert not reached >> lane & 1 and limit > 2 ** (levels - 1)


def test_words_of_different_weights():
    tree = AdderTree(3, NUMPY_GATES)
    for level, word in ((0, 0b11), (0, 0b01), (1, 0b10)):  # sums: 2 and 3
        tree.add(level, word)
    assert tree.overflow() == 0b00
    tree.add(1, 0b01)  # now 4 and 3
    assert tree.overflow() == 0b01


@pytest.mark.parametrize(("n_bits", "levels"), [(1, 1), (2, 2), (8, 4), (63, 6), (64, 7), (512, 10)])
def test_levels(n_bits, levels):
    assert n_levels(n_bits) == levels


def test_gates_are_what_they_are_called():
    gates, table = NUMPY_GATES, [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    for a, b, c in table:
        assert gates.xor3(a, b, c) == (a + b + c) % 2
        assert gates.majority(a, b, c) == (a + b + c >= 2)
        assert (gates.and_(a, b), gates.or_(a, b)) == (a & b, a | b)


@jit()
def compiled(width, tables, queries, parities, bias, hits, q, h):
    return scan_block(width, tables, queries, parities, bias, hits, q, h)


def prepared(rng, n_bits, limit):
    n_words = -(-n_bits // 64)
    codes = rng.integers(0, 2**64, (BLOCK, n_words), dtype=np.uint64)
    query = rng.integers(0, 2**64, (1, n_words), dtype=np.uint64)
    codes[0], codes[1] = query[0], ~query[0]
    if n_bits % 64:
        codes[:, -1] &= np.uint64(2 ** (n_bits % 64) - 1)
        query[:, -1] &= np.uint64(2 ** (n_bits % 64) - 1)
    planes = bit_sliced.planes_for(n_bits, query)
    bit_sliced.load(codes.reshape(-1), n_words, 0, planes)
    bit_sliced.set_limits(np.array([limit]), np.array([0]), planes)
    hits = np.zeros((2, LANES), np.uint64)
    return (planes, query, hits), codes, np.bitwise_count(codes ^ query).sum(axis=1)


def scanned(scan, prepared, row):
    """Run ``scan`` for query 0, with ``row`` of the hits to write to."""
    planes, query, hits = prepared
    return scan(planes.width, planes.tables, query, planes.parities, planes.bias, hits, 0, row)


@pytest.mark.parametrize("n_bits", [8, 32, 40, 64, 128, 200])
def test_hits_are_the_codes_below_the_limit(rng, n_bits):
    half = 2 ** (n_levels(n_bits) - 1)
    for limit in {1, 2, n_bits // 3, n_bits // 2, half, half + 1, n_bits, n_bits + 1} - {0}:
        given, _, distances = prepared(rng, n_bits, limit)
        mask = given[2]
        some = scanned(scan_block, given, 1)
        bits = np.unpackbits(mask[1].view(np.uint8), bitorder="little").reshape(LANES, 64)
        hits = bits.T.reshape(BLOCK)  # code 8 * i + w is bit i of word w
        # Above half of what the digits can say, everything is a hit, to be measured exactly.
        assert hits.astype(bool).tolist() == ((distances < limit) | (limit > half)).tolist(), limit
        assert some == sum(1 << lane for lane in range(LANES) if mask[1, lane])
        assert scanned(compiled, given, 0) == some
        assert np.array_equal(mask[0], mask[1])


def test_nothing_near_gives_no_hit(rng):
    given, codes, _ = prepared(rng, 64, 1)
    codes[:] = ~given[1][0]
    bit_sliced.load(codes.reshape(-1), 1, 0, given[0])
    assert scanned(scan_block, given, 0) == scanned(compiled, given, 0) == 0
