"""Exercise 9: a precision that does not depend on luck, and a figure that may be reported.

Lesson 9 has the ideas.
"""

import numpy as np

EXERCISE = 9


def expected_precision(distances, relevant, k):
    """Return the precision at k for one query, expected over all orders of documents at one distance.

    distances (n,) are whole numbers, relevant (n,) booleans. A group of t documents at one distance, r of
    them relevant, that gets s of the k places contributes s * r / t. Where there are fewer than k
    documents, all of them are counted.
    """
    k = min(k, len(distances))
    left, found = k, 0.0
    for distance in np.unique(distances):  # from the nearest on
        group = distances == distance
        #: raise NotImplementedError
        taken = min(left, group.sum())  #:
        found += taken * relevant[group].mean()  #:
        left -= taken  #:
    return found / k


def reported(validation, test):
    """Return the figure that may be published.

    validation and test (epochs,) are the precisions after each epoch of one training run, on two
    sets of queries that have no document in common.
    """
    #: return ...
    return test[np.argmax(validation)]  #:
