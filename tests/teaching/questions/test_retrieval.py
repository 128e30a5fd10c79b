"""References of exercises 8, 9 agree with themselves under every seed, and their mistakes are mistakes."""

from helpers.references import *  # noqa: F403
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.teaching.questions.retrieval import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [8, 9]
