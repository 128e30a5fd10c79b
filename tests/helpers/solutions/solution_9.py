"""Model solution of exercise 9."""

import numpy as np

EXERCISE = 9


def expected_precision(distances, relevant, k):
    k = min(k, len(distances))
    left, found = k, 0.0
    for distance in np.unique(distances):
        group = distances == distance
        taken = min(left, group.sum())
        found += taken * relevant[group].mean()
        left -= taken
    return found / k


def reported(validation, test):
    return test[np.argmax(validation)]
