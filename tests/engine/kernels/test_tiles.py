"""How words and documents are cut, and codes are told apart."""

import numpy as np
import pytest

from nphash.engine.kernels.tiles import block_size, matrix, tile, tile_width


@pytest.mark.parametrize("bits", [1, 16, 64, 128, 1000])
def test_tiles_are_small_matrices_but_not_slivers(bits):
    width = tile_width(bits)
    assert width % 64 == 0
    assert 64 <= width <= 512
    assert width == 64 or width * 100 * bits <= 1_000_000
    assert block_size(width, bits) >= 16
    assert block_size(width, bits) == 16 or block_size(width, bits) * width * bits <= 1_000_000


def test_views_of_a_buffer():
    buffer = np.arange(30)
    assert np.array_equal(matrix(buffer, 2, 3), [[0, 1, 2], [3, 4, 5]])
    assert np.array_equal(tile(buffer, 3, 2, 4), [[6, 7], [8, 9], [10, 11]])
