"""Ridge regression from words: what a document's words alone say of where it lies.

Shapes: n documents, V words, d coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.hashers.neighbours.lsi import project

__all__ = ["ridge"]

# Conjugate gradients end when every residual is this small beside the first one. Codes do not notice
# ten times less or more.
TOLERANCE = 1e-3
MOST_STEPS = 60


def ridge(X: Any, Y: Array, penalty: float, threads: int | None = 1) -> Array:
    """Return the W that minimises |X W - Y|^2 + penalty |W|^2, by conjugate gradients for each column of Y.

    That is (X^T X + penalty I) W = X^T Y; no V x V matrix is made. Hestenes & Stiefel (1952), Methods of
    Conjugate Gradients for Solving Linear Systems.

    Parameters
    ----------
    X
        Documents, SciPy CSR (n, V), float32 or float64.
    Y
        What is to be predicted, array of shape (n, d); about centred, since there is no constant term.
    penalty
        Above 0. For rows of length one, about the number of documents that have to agree before a
        word's weight is believed.
    threads
        How many threads; the result is the same for any number.

    Returns
    -------
    numpy.ndarray
        Shape (V, d), in the dtype of X.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> ridge(csr_matrix([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0], [3.0]]), penalty=1.0)
    array([[0.5],
           [1.2]])
    """
    Y = Y.astype(X.dtype, copy=False)
    X_T = X.T.tocsr()  # (V, n)
    R = project(X_T, Y, threads)  # (V, d), residuals of W = 0
    W, P = np.zeros_like(R), R.copy()  # P: directions of search
    squares = _squares(R)  # (d,)
    enough = TOLERANCE**2 * squares
    for _ in range(MOST_STEPS):
        if (squares <= enough).all():
            break
        Q = project(X_T, project(X, P, threads), threads) + R.dtype.type(penalty) * P  # (V, d)
        step = _ratio(squares, (P * Q).sum(axis=0, dtype=np.float64))  # (d,)
        W += P * step.astype(R.dtype)
        R -= Q * step.astype(R.dtype)
        before, squares = squares, _squares(R)
        P = R + P * _ratio(squares, before).astype(R.dtype)
    return W


def _squares(R: Array) -> Array:
    squares: Array = np.square(R).sum(axis=0, dtype=np.float64)
    return squares


def _ratio(a: Array, b: Array) -> Array:
    # a column that is solved, or was zero from the start, moves no more
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
