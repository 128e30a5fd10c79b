"""Linear support vector machines by coordinate descent on the dual (Hsieh et al. 2008)."""

from __future__ import annotations

import numpy as np

from nphash.core.jit import jit
from nphash.core.typing import Array

__all__ = ["squared_hinge"]


@jit()
def squared_hinge(
    indptr: Array,
    indices: Array,
    data: Array,
    signs: Array,
    C: float,
    order: Array,
    passes: int,
    tolerance: float,
    w: Array,
) -> int:
    """Minimise |w|^2 / 2 + C sum_i max(0, 1 - y_i w x_i)^2 and return how many passes that took.

    The dual is min over alpha >= 0 of sum_ij alpha_i alpha_j y_i y_j x_i x_j / 2 + sum_i alpha_i^2 / (4 C)
    - sum_i alpha_i, with w = sum_i alpha_i y_i x_i. One alpha is made optimal at a time.

    ``signs`` holds y, one or minus one. ``w`` has V + 1 entries, zeros at the start: the last is the
    weight of a one that each document has besides its words. ``order`` is a permutation of the
    documents and is shuffled in place. It is over when the projected gradients of a pass differ by less
    than ``tolerance``.
    """
    n = indptr.size - 1
    last = w.size - 1
    soft = 1 / (2 * C)
    alpha = np.zeros(n)
    curvature = np.empty(n)
    for i in range(n):
        curvature[i] = 1 + soft
        for position in range(indptr[i], indptr[i + 1]):
            curvature[i] += data[position] * data[position]
    state = 1
    for done in range(passes):
        highest, lowest = -np.inf, np.inf
        for step in range(n):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF  # picks the next of those left
            other = step + (state >> 8) % (n - step)
            order[step], order[other] = order[other], order[step]
            i = order[step]
            score = w[last]
            for position in range(indptr[i], indptr[i + 1]):
                score += w[indices[position]] * data[position]
            gradient = signs[i] * score - 1 + soft * alpha[i]
            projected = min(gradient, 0) if alpha[i] == 0 else gradient
            highest, lowest = max(highest, projected), min(lowest, projected)
            new = max(alpha[i] - gradient / curvature[i], 0)
            change = (new - alpha[i]) * signs[i]
            if change != 0:
                alpha[i] = new
                w[last] += change
                for position in range(indptr[i], indptr[i + 1]):
                    w[indices[position]] += change * data[position]
        if highest - lowest < tolerance:
            return done + 1
    return passes
