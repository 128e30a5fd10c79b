"""Model solution of exercise 6."""

import numpy as np

EXERCISE = 6

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_step(w, g, m, v, t, learning_rate):
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g * g
    mhat = m / (1 - BETA1**t)
    vhat = v / (1 - BETA2**t)
    return w - learning_rate * mhat / (np.sqrt(vhat) + EPSILON), m, v


def clip(gradients, max_norm):
    norm = np.sqrt(sum((g * g).sum() for g in gradients))
    return [g * min(1, max_norm / norm) for g in gradients]
