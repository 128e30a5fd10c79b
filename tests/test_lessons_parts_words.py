"""References of exercises 1, 2 agree with themselves under every seed, and their mistakes are mistakes."""

from pathlib import Path

import numpy as np
import pytest

from nphash.lessons.grading import grade_part
from nphash.lessons.parts.words import PARTS

CASES = [pytest.param(part, id=part.name) for parts in PARTS.values() for part in parts]
MISTAKES = [
    pytest.param(part, mistake, id=f"{part.name}-{mistake.cause}")
    for parts in PARTS.values()
    for part in parts
    for mistake in part.mistakes
]


def test_numbers():
    assert list(PARTS) == [1, 2]


@pytest.mark.parametrize("part", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_a_reference_is_right(part, seed):
    grade = grade_part(part, part.reference, Path("none.py"), seed)
    assert grade.passed, grade


@pytest.mark.parametrize("part", CASES)
def test_draws_are_repeatable_and_finite(part):
    for draw in part.draws:
        first, second = draw(np.random.default_rng(5)), draw(np.random.default_rng(5))
        assert repr(first) == repr(second)


@pytest.mark.parametrize(("part", "mistake"), MISTAKES)
@pytest.mark.parametrize("seed", range(2))
def test_a_mistake_is_wrong_whatever_the_seed(part, mistake, seed):
    """Were it right on some draw, a right solution would be called wrong there."""
    grade = grade_part(part, mistake.function, Path("none.py"), seed)
    assert grade.verdict == "wrong"


@pytest.mark.parametrize("part", CASES)
def test_advice_belongs_to_causes(part):
    from nphash.lessons.grading import ADVICE

    general = {"not finite", "wrong form", "wrong shape", "sign", "the function raises", *ADVICE}
    assert set(part.advice) <= general | {mistake.cause for mistake in part.mistakes}
