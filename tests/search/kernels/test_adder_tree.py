"""The adder tree against ordinary addition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.search.kernels.adder_tree import AdderTree, NumpyGates, n_levels


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 140), st.data())
def test_overflow_says_where_the_sum_reaches_the_limit(n_bits, data):
    limit = data.draw(st.integers(1, n_bits + 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    bits = rng.integers(0, 2, (n_bits, 64)).astype(bool)  # 64 sums of n_bits bits
    bits[:, 0], bits[:, 1] = False, True
    words = [np.uint64(sum(int(bit) << lane for lane, bit in enumerate(row))) for row in bits]
    levels = n_levels(n_bits)
    tree = AdderTree(levels, NumpyGates())
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
    tree = AdderTree(3, NumpyGates())
    for level, word in ((0, 0b11), (0, 0b01), (1, 0b10)):  # sums: 2 and 3
        tree.add(level, word)
    assert tree.overflow() == 0b00
    tree.add(1, 0b01)  # now 4 and 3
    assert tree.overflow() == 0b01


@pytest.mark.parametrize(("n_bits", "levels"), [(1, 1), (2, 2), (8, 4), (63, 6), (64, 7), (512, 10)])
def test_levels(n_bits, levels):
    assert n_levels(n_bits) == levels


def test_gates_are_what_they_are_called():
    gates, table = NumpyGates(), [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    for a, b, c in table:
        assert gates.xor3(a, b, c) == (a + b + c) % 2
        assert gates.majority(a, b, c) == (a + b + c >= 2)
        assert (gates.and_(a, b), gates.or_(a, b), gates.xor(a, b)) == (a & b, a | b, a ^ b)
