"""Tests of the reference solutions: test_lessons_parts_*.py take them in, each for its own ``PARTS``."""

from pathlib import Path

import numpy as np
import pytest

from nphash.teaching.grading import ADVICE, grade_part

__all__ = [
    "test_a_mistake_is_wrong_whatever_the_seed",
    "test_a_reference_is_right",
    "test_advice_belongs_to_causes",
    "test_draws_are_repeatable_and_finite",
]


def cases(metafunc):
    """Give tests the parts of their module, and each of their mistakes (a hook of pytest)."""
    parts = [part for parts in metafunc.module.PARTS.values() for part in parts]
    if "mistake" in metafunc.fixturenames:
        pairs = [(part, mistake) for part in parts for mistake in part.mistakes]
        names = [f"{part.name}-{mistake.cause}" for part, mistake in pairs]
        metafunc.parametrize(("part", "mistake"), pairs, ids=names)
    elif "part" in metafunc.fixturenames:
        metafunc.parametrize("part", parts, ids=[part.name for part in parts])


@pytest.mark.parametrize("seed", range(3))
def test_a_reference_is_right(part, seed):
    grade = grade_part(part, part.reference, Path("none.py"), seed)
    assert grade.passed, grade


def test_draws_are_repeatable_and_finite(part):
    for draw in part.draws:
        first, second = draw(np.random.default_rng(5)), draw(np.random.default_rng(5))
        assert repr(first) == repr(second)


@pytest.mark.parametrize("seed", range(2))
def test_a_mistake_is_wrong_whatever_the_seed(part, mistake, seed):
    """Were it right on some draw, a right solution would be called wrong there."""
    grade = grade_part(part, mistake.function, Path("none.py"), seed)
    assert grade.verdict == "wrong"


def test_advice_belongs_to_causes(part):
    general = {"not finite", "wrong form", "wrong shape", "sign", "the function raises", *ADVICE}
    assert set(part.advice) <= general | {mistake.cause for mistake in part.mistakes}
