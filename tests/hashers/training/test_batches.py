"""Batches drawn ahead come in order, and what they announce stops before a pause."""

import pytest

from nphash.engine.look_ahead import STEPS
from nphash.hashers.training.batches import drawn_ahead


@pytest.mark.parametrize("every", [None, 1, 8, 100])
@pytest.mark.parametrize("n", [0, 1, 7, STEPS, STEPS + 1, 50])
def test_batches_keep_their_order_and_are_announced_in_time(n, every):
    announced, used = [], []
    for batch in drawn_ahead(
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
    batches = drawn_ahead(range(50), announced.append, lambda done: False)
    assert [next(batches), announced[-1], next(batches), announced[-1]] == [0, STEPS, 1, STEPS + 1]
