"""Exercise 5: hard bits forward, a borrowed gradient backward.

Lesson 5 has the derivations. Shapes: B documents, L bits.
"""

import numpy as np

EXERCISE = 5


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), given."""
    return 0.5 * (1 + np.tanh(x / 2))


def straight_through_bits(logits, noise, temperature):
    """Return hard bits z (zeros and ones, floats) and the backward pass, Doc2hash's estimator.

    Forward: z is 1 where logits + noise > 0. Backward: the derivative of the relaxed bit
    sigmoid((logits + noise) / temperature). `back(dz)` returns the gradient of the logits.
    """
    #: z = ...
    z = (logits + noise > 0).astype(float)  #:
    #: soft = ...
    soft = sigmoid((logits + noise) / temperature)  #:

    def back(dz):
        #: raise NotImplementedError
        return dz * soft * (1 - soft) / temperature  #:

    return z, back


def straight_through_bernoulli(logits, uniform):
    """Return hard bits and the backward pass, Eq. (5), NASH's estimator.

    Forward: p = sigmoid(logits), z is 1 where p > uniform. Backward: dz/dp is taken to be 1.
    """
    #: raise NotImplementedError
    p = sigmoid(logits)  #:
    return (p > uniform).astype(float), lambda dz: dz * p * (1 - p)  #:
