"""Blocks of a transpose, plain and compiled."""

import numpy as np
import pytest

from nphash.core.jit._jit import jit
from nphash.core.jit.butterfly import turn_blocks
from nphash.core.jit.floats import LANES


@jit()
def compiled_turn(source, target):
    turn_blocks(source, target)


@pytest.mark.parametrize("turn", [turn_blocks, compiled_turn])
@pytest.mark.parametrize(("down", "across"), [(1, 1), (1, 3), (4, 2)])
def test_turned_blocks_are_the_transpose(rng, turn, down, across):
    whole = rng.normal(size=(down * LANES + 2, across * LANES + 5)).astype(np.float32)
    source = whole[2:, 3:-2]  # rows need not follow one another
    target = np.full((across * LANES + 2, down * LANES + 1), 7, np.float32)
    turn(source, target[1:-1, 1:])
    assert np.array_equal(target[1:-1, 1:], source.T)
    assert (target[0] == 7).all() and (target[-1] == 7).all() and (target[:, 0] == 7).all()
