"""References of exercises 8, 9 agree with the library under every seed, and their mistakes are mistakes."""

import numpy as np

from helpers.references import *  # noqa: F403
from helpers.references import agrees
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.metrics.ranking import ranking_figures, tie_groups
from nphash.teaching.questions.retrieval import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [8, 9]


def test_solutions_are_the_functions_of_the_library():
    def precision(distances, relevant, k):
        ranking = tie_groups(distances[None, :], relevant[None, :], int(distances.max()) + 1)
        return float(ranking_figures(ranking, k)["precision"][0])

    agrees(QUESTIONS[8], "counting_sort", lambda distances, n_bits: np.argsort(distances, kind="stable"))
    agrees(QUESTIONS[9], "expected_precision", precision)
