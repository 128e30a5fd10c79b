"""A hint changes nothing, but it is there."""

import platform

import numba
import numpy as np
import pytest

from nphash.core.jit._jit import jit
from nphash.core.jit.prefetch import fetch_row
from nphash.engine.kernels.sparse import COMPILED


@jit()
def hint(matrix, row):
    fetch_row(matrix, row)


@pytest.mark.parametrize("width", [1, 16, 500])
def test_a_hint_changes_nothing(width):
    matrix = np.arange(3.0 * width).reshape(3, width)
    for row in range(3):
        hint(matrix, row)
        fetch_row(matrix, row)
    assert np.array_equal(matrix, np.arange(3.0 * width).reshape(3, width))


@pytest.mark.skipif(not COMPILED, reason="needs compiled code")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for an x86 instruction")
def test_a_hint_is_an_instruction():
    fresh = numba.njit(lambda matrix, row: fetch_row(matrix, row))  # what comes from the cache cannot be read
    fresh(np.zeros((2, 100), np.float32), 1)
    assert any("prefetch" in code for code in fresh.inspect_asm().values())
