"""References of exercises 6 and 7 agree with themselves under every seed, and their mistakes are mistakes."""

from helpers.references import *  # noqa: F403
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.teaching.questions.training import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [6, 7]
