"""Blocks on their side, and the tables made from them."""

import numpy as np
import pytest

from helpers import naive
from nphash.search.kernels.bit_planes import BLOCK, LANES, fill, layout, table_shape, transpose


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
