"""A loss between the documents of a batch: codes as alike as a teacher says.

Shapes: B documents of a batch, L bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nphash.core.arguments import check_positive
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.nn.ops import log_softmax

__all__ = ["similarity_distillation"]


def similarity_distillation(z: Array, P: Array, temperature: float) -> tuple[float, Callable[..., Array]]:
    """Make codes as alike as a teacher says: -sum_j P_ij log Q_ij, Q_ij ~ exp(z_i.z_j / (L tau)), j != i.

    The stochastic-neighbour form: for each document a distribution over the others of its batch.
    With G = (Q - P) / (B L tau) the gradient is dz = (G + G^T) z.

    Parameters
    ----------
    z
        Codes of signs (or relaxed ones), array of shape (B, L).
    P
        The teacher's distributions, array of shape (B, B): rows sum to 1, the diagonal is 0.
    temperature
        tau > 0.

    Returns
    -------
    tuple
        Mean loss in nats a document; ``back()`` returns dz.

    Raises
    ------
    InputError
        If ``P`` is not (B, B), or the temperature is no positive number.

    References
    ----------
    Hinton & Roweis (2002), Stochastic Neighbor Embedding.
    Hinton, Vinyals & Dean (2015), Distilling the Knowledge in a Neural Network.

    Examples
    --------
    >>> z = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> P = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    >>> loss, back = similarity_distillation(z, P, temperature=1.0)
    >>> round(loss, 4), back().shape
    (0.4399, (3, 2))
    """
    temperature = check_positive(temperature, "temperature")
    n, n_bits = z.shape
    if P.shape != (n, n):
        raise InputError(
            f"P has shape {P.shape}, but {n} codes need {(n, n)}", "give a row for each document"
        )
    scores = z @ z.T / z.dtype.type(n_bits * temperature)  # (B, B)
    np.fill_diagonal(scores, -np.inf)  # a document is not its own neighbour
    log_q, _ = log_softmax(scores)  # (B, B)
    np.fill_diagonal(log_q, 0)  # 0 log 0
    q = np.exp(log_q)
    np.fill_diagonal(q, 0)

    def back(dloss: float = 1.0) -> Array:
        G = (q - P) * z.dtype.type(dloss / (n * n_bits * temperature))  # (B, B)
        dz: Array = (G + G.T) @ z  # (B, L)
        return dz

    return -float((P * log_q).sum(dtype=np.float64)) / n, back
