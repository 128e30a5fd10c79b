"""What the systems with linear bits share: a bit is one where x w_j is above a threshold t_j.

Shapes: n documents, V words, L bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import Array
from nphash.hashers.base import Hasher
from nphash.hashers.neighbours.lsi import project

__all__ = ["LinearHasher", "product_in_blocks"]


# Rows multiplied at once, always so many: BLAS may round a row differently in products of different
# height, and a document's code must not depend on the documents it is encoded with.
BLOCK = 256


def product_in_blocks(rows: Array, W: Array) -> Array:
    """Return ``rows @ W`` such that each row's result depends on that row alone.

    Examples
    --------
    >>> product_in_blocks(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    n = len(rows)
    out = np.empty((n, W.shape[1]), W.dtype)
    padded = np.zeros((BLOCK, W.shape[0]), W.dtype)
    with single_threaded_blas():
        for start in range(0, n, BLOCK):
            block = rows[start : start + BLOCK]
            padded[: len(block)] = block
            out[start : start + len(block)] = (padded @ W)[: len(block)]
    return out


class LinearHasher(Hasher):
    """A hasher whose `_fit` sets ``components_ (V, L)`` and ``thresholds_ (L,)``, both float32."""

    components_: Array
    thresholds_: Array

    def _decision(self, X: Any) -> Array:
        difference: Array = project(X, self.components_, count_threads(self.threads)) - self.thresholds_
        return difference
