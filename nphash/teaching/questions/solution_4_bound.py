"""Exercise 4: the divergence of a code from fair coins, and its gradient.

Lesson 4 has the derivations. Shapes: B documents, L bits, K categories.
Both functions return the mean over the documents of the sum over the bits, and `back(dloss)`.
"""

import numpy as np

EXERCISE = 4


def categorical_kl(logits):
    """Return KL(q || uniform), Eq. (4): logits (B, L, K), q = softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (B, L, K)
    q = np.exp(log_q)
    #: kl = ...  # a number
    ratio = log_q + np.log(logits.shape[-1])  #:
    D = (q * ratio).sum(axis=-1, keepdims=True)  #:
    kl = D.sum() / len(logits)  #:

    def back(dloss):
        #: raise NotImplementedError
        return dloss * q * (ratio - D) / len(logits)  #:

    return kl, back


def bernoulli_kl(logits):
    """Return the same for K = 2 from one logit a bit: logits a (B, L), p = sigmoid(a).

    Certain bits must do no harm: log(p) is -infinity where p rounds to 0. `np.logaddexp(0, a)` is
    log(1 + e^a) for every a.
    """
    p = 0.5 * (1 + np.tanh(logits / 2))  # sigmoid, (B, L)
    #: kl = ...  # a number
    kl = (p * logits - np.logaddexp(0, logits) + np.log(2)).sum() / len(logits)  #:

    def back(dloss):
        #: raise NotImplementedError
        return dloss * p * (1 - p) * logits / len(logits)  #:

    return kl, back
