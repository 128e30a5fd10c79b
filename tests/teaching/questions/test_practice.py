"""References of exercises 6 to 9 agree with the library under every seed, their mistakes are mistakes."""

import numpy as np
from scipy.sparse import csr_array

from helpers.references import *  # noqa: F403
from helpers.references import agrees
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.hashers.doc2hash import model
from nphash.hashers.training.trainer import Batch
from nphash.metrics.ranking import ranking_figures, tie_groups
from nphash.nn import gumbel
from nphash.nn.losses import NUMPY
from nphash.nn.optim import adam_step
from nphash.teaching.questions.practice import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [6, 7, 8, 9]


def test_solutions_are_the_functions_of_the_library():
    def loss(params, x, noise, temperature, kl_weight):
        X = csr_array(x)
        batch = Batch(X, X, operations=NUMPY, tau=temperature, beta=kl_weight)
        terms, back = model(params, batch, None, noise, gumbel.relaxed_bits)
        return terms["loss"], lambda dloss: {name: dloss * grad for name, grad in back().items()}

    agrees(QUESTIONS[6], "adam_step", adam_step)
    agrees(QUESTIONS[7], "loss", loss)


def test_search_is_that_of_the_library():
    def precision(distances, relevant, k):
        ranking = tie_groups(distances[None, :], relevant[None, :], int(distances.max()) + 1)
        return float(ranking_figures(ranking, k)["precision"][0])

    agrees(QUESTIONS[8], "counting_sort", lambda distances, n_bits: np.argsort(distances, kind="stable"))
    agrees(QUESTIONS[9], "expected_precision", precision)
