"""Model solution of exercise 3."""

import numpy as np

EXERCISE = 3


def gumbel_noise(uniform):
    return -np.log(-np.log(uniform))


def gumbel_softmax(logits, noise, temperature):
    x = (logits + noise) / temperature
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)

    def back(dy):
        return y * (dy - (y * dy).sum(axis=-1, keepdims=True)) / temperature

    return y, back


def jacobian(y, temperature):
    return (np.diag(y) - np.outer(y, y)) / temperature
