"""References of exercises 1 to 5 agree with the library under every seed, their mistakes are mistakes."""

import pytest
from scipy.sparse import csr_array

from helpers.references import *  # noqa: F403
from helpers.references import agrees
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.nn import gumbel, losses, ops
from nphash.teaching.questions.model import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [1, 2, 3, 4, 5]


def test_layers_are_the_functions_of_the_library():
    def tanh_layer(x, W, b):
        a, back_dense = ops.dense(x, W, b)
        y, back_tanh = ops.tanh(a)
        return y, lambda dy: back_dense(back_tanh(dy))

    agrees(QUESTIONS[1], "softmax", lambda scores: ops.softmax(scores)[0])
    agrees(QUESTIONS[1], "word_loss", lambda scores, x: losses.reconstruction(scores, csr_array(x)))
    agrees(QUESTIONS[2], "tanh_layer", tanh_layer)


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
