"""References of exercises 1, 2 agree with the library under every seed, and their mistakes are mistakes."""

from scipy.sparse import csr_array

from helpers.references import *  # noqa: F403
from helpers.references import agrees
from helpers.references import cases as pytest_generate_tests  # noqa: F401
from nphash.nn import losses, ops
from nphash.teaching.questions.words import QUESTIONS


def test_numbers():
    assert list(QUESTIONS) == [1, 2]


def test_solutions_are_the_functions_of_the_library():
    def tanh_layer(x, W, b):
        a, back_dense = ops.dense(x, W, b)
        y, back_tanh = ops.tanh(a)
        return y, lambda dy: back_dense(back_tanh(dy))

    agrees(QUESTIONS[1], "softmax", lambda scores: ops.softmax(scores)[0])
    agrees(QUESTIONS[1], "word_loss", lambda scores, x: losses.reconstruction(scores, csr_array(x)))
    agrees(QUESTIONS[2], "tanh_layer", tanh_layer)
