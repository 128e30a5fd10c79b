"""The next use of rows, against a search through the steps announced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.engine.look_ahead import STEPS, LookAhead, looked_ahead
from nphash.errors import InputError

ROWS = 6
steps_of_rows = st.lists(st.lists(st.integers(0, ROWS - 1), max_size=8), min_size=1, max_size=60)


def next_use(steps, now, announced, row):
    for step in range(now + 1, announced):
        if row in steps[step]:
            return step - now
    return 0


@settings(deadline=None, max_examples=60)
@given(steps_of_rows, st.integers(1, STEPS + 1), st.booleans())
def test_gaps_are_the_distances_to_the_next_step_announced_with_the_row(steps, window, in_bursts):
    ahead, announced = LookAhead(ROWS), 0
    for now, rows in enumerate(steps):
        while announced < min(now + window, len(steps)) and not (in_bursts and announced > now):
            ahead.announce(np.array(steps[announced], dtype=np.int32), float(announced))
            announced += 1
            if in_bursts and announced < min(now + window, len(steps)):
                ahead.announce(np.array(steps[announced], dtype=np.int64), float(announced))
                announced += 1
        gaps, rates = ahead.begin()
        assert rates == [float(step) for step in range(now, announced)]
        for row in rows:
            assert gaps[row] == next_use(steps, now, announced, row)


def test_no_more_steps_are_announced_than_it_remembers():
    ahead = LookAhead(2)
    for _ in range(STEPS + 1):
        ahead.announce(np.array([1]), 0.1)
    with pytest.raises(InputError, match="announced and not begun"):
        ahead.announce(np.array([1]), 0.1)
    gaps, _ = ahead.begin()
    assert gaps[1] == 1
    ahead.announce(np.array([0]), 0.1)


@pytest.mark.parametrize("every", [None, 1, 8, 100])
@pytest.mark.parametrize("n", [0, 1, 7, STEPS, STEPS + 1, 50])
def test_batches_keep_their_order_and_are_announced_in_time(n, every):
    announced, used = [], []
    for batch in looked_ahead(
        range(n), announced.append, lambda done: every is not None and done % every == 0
    ):
        assert announced[-1] >= batch
        assert len(announced) - len(used) <= STEPS + 1
        if every is not None:  # nothing beyond the next pause
            assert announced[-1] < (batch // every + 1) * every
        used.append(batch)
    assert used == announced == list(range(n))


def test_it_looks_as_far_ahead_as_it_can():
    announced = []
    batches = looked_ahead(range(50), announced.append, lambda done: False)
    assert [next(batches), announced[-1], next(batches), announced[-1]] == [0, STEPS, 1, STEPS + 1]
