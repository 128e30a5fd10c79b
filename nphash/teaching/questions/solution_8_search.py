"""Exercise 8: distances between packed codes, and sorting by counting.

Lesson 8 has the ideas.
"""

import numpy as np

EXERCISE = 8


def hamming(query, codes):
    """Return in how many bits each code differs from the query: integers of shape (n,).

    query is (bytes,) and codes (n, bytes), both uint8, eight bits a byte. `np.bitwise_count` counts the
    ones of each byte.
    """
    #: return ...
    return np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)  #:


def counting_sort(distances, n_bits):
    """Return the positions of the codes from the nearest to the farthest, ties in their own order.

    distances (n,) are whole numbers from 0 to n_bits. No comparison is needed: count how many codes
    stand at each distance; then it is known where each group begins.
    """
    counts = np.bincount(distances, minlength=n_bits + 1)
    #: begin = ...  # (n_bits + 1,) place of the first code at each distance
    begin = np.cumsum(counts) - counts  #:
    order = np.full(len(distances), -1)
    for position, distance in enumerate(distances):
        #: raise NotImplementedError
        order[begin[distance]] = position  #:
        begin[distance] += 1  #:
    return order
