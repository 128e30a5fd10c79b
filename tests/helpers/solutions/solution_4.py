"""Model solution of exercise 4."""

import numpy as np

EXERCISE = 4


def categorical_kl(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    q = np.exp(log_q)
    ratio = log_q + np.log(logits.shape[-1])
    D = (q * ratio).sum(axis=-1, keepdims=True)
    kl = D.sum() / len(logits)

    def back(dloss):
        return dloss * q * (ratio - D) / len(logits)

    return kl, back


def bernoulli_kl(logits):
    p = 0.5 * (1 + np.tanh(logits / 2))
    kl = (p * logits - np.logaddexp(0, logits) + np.log(2)).sum() / len(logits)

    def back(dloss):
        return dloss * p * (1 - p) * logits / len(logits)

    return kl, back
