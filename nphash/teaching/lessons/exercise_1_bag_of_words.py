"""Exercise 1: the softmax likelihood of a bag of words, and its gradient.

Fill in the blanks (`...` and `raise NotImplementedError`), keep the names, then

    nphash gradcheck --exercise exercise_1_bag_of_words.py

which runs this file. Lesson 1 has the derivation. Shapes: B documents, V words.
"""

import numpy as np

EXERCISE = 1


def softmax(scores):
    """Return probabilities over the words of each document: scores (B, V) -> (B, V).

    Large scores must do no harm: exp(1000) is infinite, but softmax does not change when the
    same number is subtracted from a whole row.
    """
    shifted = ...
    e = np.exp(shifted)
    return ...


def word_loss(scores, counts):
    """Return the mean of -log p(document) over the B documents, and the backward pass.

    counts (B, V) says how often each word occurs in each document: it is data and has no gradient.
    `back(dloss)` takes the number dloss and returns the gradient of the scores, (B, V).
    """
    log_p = ...  # (B, V), logarithms of softmax(scores); take care where softmax is nearly 0
    loss = ...  # a number

    def back(dloss):
        raise NotImplementedError

    return loss, back
