"""Exercise 3: Gumbel noise, the relaxed sample and its Jacobian.

Lesson 3 has the derivations. Shapes: B documents, L bits, K categories.
"""

import numpy as np

EXERCISE = 3


def gumbel_noise(uniform):
    """Turn draws u from (0, 1) into Gumbel noise g, by solving exp(-exp(-g)) = u for g."""
    #: return ...
    return -np.log(-np.log(uniform))  #:


def gumbel_softmax(logits, noise, temperature):
    """Return the relaxed sample y, Eq. (8), and the backward pass; all arrays are (B, L, K).

    Noise and temperature are constants: `back(dy)` returns the gradient of the logits alone.
    """
    #: x = ...
    x = (logits + noise) / temperature  #:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    #: y = ...
    y = e / e.sum(axis=-1, keepdims=True)  #:

    def back(dy):
        #: raise NotImplementedError
        return y * (dy - (y * dy).sum(axis=-1, keepdims=True)) / temperature  #:

    return y, back


def jacobian(y, temperature):
    """Return dy_k / dlogits_j as a (K, K) array, for the relaxed sample y (K,) of one bit."""
    #: return ...
    return (np.diag(y) - np.outer(y, y)) / temperature  #:
