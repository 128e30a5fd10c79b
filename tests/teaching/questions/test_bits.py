"""References of exercises 3 to 5 agree with the library under every seed, their mistakes are mistakes."""

import pytest

from helpers.references import *  # noqa: F403
from helpers.references import agrees
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.nn import gumbel, losses
from nphash.teaching.questions.bits import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [3, 4, 5]


@pytest.mark.parametrize(
    ("number", "name", "library"),
    [
        (3, "gumbel_softmax", gumbel.gumbel_softmax),
        (3, "jacobian", gumbel.gumbel_softmax_jacobian),
        (4, "categorical_kl", losses.categorical_kl),
        (4, "bernoulli_kl", losses.bernoulli_kl),
        (5, "straight_through_bits", gumbel.straight_through_bits),
        (5, "straight_through_bernoulli", gumbel.straight_through_bernoulli),
    ],
)
def test_solutions_are_the_functions_of_the_library(number, name, library):
    agrees(QUESTIONS[number], name, library)
