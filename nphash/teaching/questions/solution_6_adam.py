"""Exercise 6: one step of Adam, and clipping.

Lesson 6 has the derivations.
"""

import numpy as np

EXERCISE = 6

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_step(w, g, m, v, t, learning_rate):
    """Return the new (w, m, v) after step number t, counted from 1; change no argument in place."""
    #: m = ...
    m = BETA1 * m + (1 - BETA1) * g  #:
    #: v = ...
    v = BETA2 * v + (1 - BETA2) * g * g  #:
    #: mhat = ...
    mhat = m / (1 - BETA1**t)  #:
    #: vhat = ...
    vhat = v / (1 - BETA2**t)  #:
    return w - learning_rate * mhat / (np.sqrt(vhat) + EPSILON), m, v


def clip(gradients, max_norm):
    """Return a list of gradients, scaled down so that all of them together have at most this norm.

    The norm is that of all entries of all arrays taken as one long vector.
    """
    #: raise NotImplementedError
    norm = np.sqrt(sum((g * g).sum() for g in gradients))  #:
    return [g * min(1, max_norm / norm) for g in gradients]  #:
