"""The two emitted operations against their plain forms."""

import numpy as np
import pytest

from nphash.core.jit._jit import jit
from nphash.core.jit.vectors import LANES, exchange, fill_triple


@jit()
def compiled_exchange(planes, i, j, by, low):
    exchange(planes, i, j, by, low)


@jit()
def compiled_fill(planes, p, tables, row):
    fill_triple(planes, p, tables, row)


@pytest.mark.parametrize(("by", "low"), [(32, 2**32 - 1), (4, 0x0F0F0F0F0F0F0F0F), (1, 0x5555555555555555)])
def test_exchange(rng, by, low):
    planes = rng.integers(0, 2**64, (5, LANES), dtype=np.uint64)
    plain = planes.copy()
    exchange(plain, 1, 3, by, np.uint64(low))
    for lane in range(LANES):  # bits chosen by `low << by` of row 1 and by `low` of row 3 have changed places
        upper, lower = int(planes[1, lane]), int(planes[3, lane])
        assert int(plain[1, lane]) == upper & low | (lower & low) << by
        assert int(plain[3, lane]) == lower & ~low | upper >> by & low
    compiled_exchange(planes, 1, 3, by, np.uint64(low))
    assert np.array_equal(planes, plain)


def test_fill_triple(rng):
    planes = rng.integers(0, 2**64, (7, LANES), dtype=np.uint64)
    plain, compiled = np.zeros((12, LANES), np.uint64), np.zeros((12, LANES), np.uint64)
    fill_triple(planes, 4, plain, 1)
    compiled_fill(planes, 4, compiled, 1)
    assert np.array_equal(plain, compiled)
    assert not plain[0].any() and not plain[11].any()
    bits = [[int(planes[4 + i, 2]) >> bit & 1 for i in range(3)] for bit in range(64)]
    for pattern in range(8):
        for bit in range(64):
            different = sum(bits[bit][i] ^ (pattern >> i & 1) for i in range(3))
            assert int(plain[1 + pattern, 2]) >> bit & 1 == different // 2
            assert int(plain[9 + bin(pattern).count("1") % 2, 2]) >> bit & 1 == different % 2
