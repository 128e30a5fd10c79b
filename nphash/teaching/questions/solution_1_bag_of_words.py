"""Exercise 1: the softmax likelihood of a bag of words, and its gradient.

Lesson 1 has the derivation. Shapes: B documents, V words.
"""

import numpy as np

EXERCISE = 1


def softmax(scores):
    """Return probabilities over the words of each document: scores (B, V) -> (B, V).

    Large scores must do no harm: exp(1000) is infinite, but softmax does not change when the
    same number is subtracted from a whole row.
    """
    #: shifted = ...
    shifted = scores - scores.max(axis=1, keepdims=True)  #:
    e = np.exp(shifted)
    #: return ...
    return e / e.sum(axis=1, keepdims=True)  #:


def word_loss(scores, counts):
    """Return the mean of -log p(document) over the B documents, and the backward pass.

    counts (B, V) says how often each word occurs in each document: it is data and has no gradient.
    `back(dloss)` takes the number dloss and returns the gradient of the scores, (B, V).
    """
    #: log_p = ...  # (B, V), logarithms of softmax(scores); take care where softmax is nearly 0
    shifted = scores - scores.max(axis=1, keepdims=True)  #:
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  #:
    #: loss = ...  # a number
    loss = -(counts * log_p).sum() / len(scores)  #:

    def back(dloss):
        #: raise NotImplementedError
        mass = counts.sum(axis=1, keepdims=True)  #:
        return dloss * (mass * np.exp(log_p) - counts) / len(scores)  #:

    return loss, back
