"""Tests of the reference solutions: tests/teaching/questions take them in, each for its own ``QUESTIONS``."""

from pathlib import Path

import numpy as np
import pytest

from nphash.teaching.grading import ADVICE, grade_question, same

__all__ = [
    "test_a_mistake_is_wrong_whatever_the_seed",
    "test_a_reference_is_right",
    "test_advice_belongs_to_causes",
    "test_draws_are_repeatable_and_finite",
]


def cases(metafunc):
    """Give tests the questions of their module, and each of their mistakes (a hook of pytest)."""
    questions = [each for several in metafunc.module.QUESTIONS.values() for each in several]
    if "mistake" in metafunc.fixturenames:
        pairs = [(question, mistake) for question in questions for mistake in question.mistakes]
        names = [f"{question.name}-{mistake[0]}" for question, mistake in pairs]
        metafunc.parametrize(("question", "mistake"), pairs, ids=names)
    elif "question" in metafunc.fixturenames:
        metafunc.parametrize("question", questions, ids=[question.name for question in questions])


def agrees(questions, name, library):
    """Compare a reference with the function of the library: its value, and its gradients if it has any."""
    (question,) = (each for each in questions if each.name == name)
    for seed, draw in enumerate(question.draws):
        args = draw(np.random.default_rng(seed))
        found, wanted = question.reference(*args), library(*args)
        if question.gradient and seed == 0:  # rounding has the last word where all is certain
            upstream = np.ones(np.shape(wanted[0])) if np.ndim(wanted[0]) else 0.7
            assert same(found[1](upstream), wanted[1](upstream))
        if question.gradient:
            found, wanted = found[0], wanted[0]
        assert same(found, wanted)


@pytest.mark.parametrize("seed", range(3))
def test_a_reference_is_right(question, seed):
    grade = grade_question(question, question.reference, Path("none.py"), seed)
    assert grade.passed, grade


def test_draws_are_repeatable_and_finite(question):
    for draw in question.draws:
        first, second = draw(np.random.default_rng(5)), draw(np.random.default_rng(5))
        assert repr(first) == repr(second)


@pytest.mark.parametrize("seed", range(2))
def test_a_mistake_is_wrong_whatever_the_seed(question, mistake, seed):
    """Were it right on some draw, a right solution would be called wrong there."""
    grade = grade_question(question, mistake[1], Path("none.py"), seed)
    assert grade.verdict == "wrong" and grade.cause == mistake[0]


def test_advice_belongs_to_causes(question):
    general = {"not finite", "wrong form", "wrong shape", "sign", "the function raises", *ADVICE}
    assert set(question.advice) <= general | {cause for cause, *_ in question.mistakes}
