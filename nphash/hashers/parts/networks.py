"""First weights and the encoder network of the variational systems.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from nphash.core.typing import Array, Params
from nphash.corpus.shards import AT_ONCE
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations, dropout, scale_rows

__all__ = ["INPUT_LENGTH", "encoder", "glorot", "layers", "log_unigram", "stretched"]

INPUT_LENGTH = 10.0


def glorot(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Return uniform float64 weights of variance 2 / (rows + columns) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (rows + columns))
    return rng.uniform(-bound, bound, (rows, columns))


def layers(rng: np.random.Generator, widths: tuple[int, ...], name: str = "") -> Params:
    """Return first weights of an `encoder` with these widths, words first."""
    params: Params = {}
    for i, (rows, columns) in enumerate(pairwise(widths), start=1):
        params |= {f"W_{name}{i}": glorot(rng, rows, columns), f"b_{name}{i}": np.zeros(columns)}
    return params


def log_unigram(target: Any) -> Array:
    """Return the logarithm of each word's share of the target mass, float64, shape (V,).

    The decoder's bias starts here. From zero, the encoder first spends its bits on the corpus
    mean, saturates, and gives every document the same code. Half of the smallest mass is added
    to words without any, so that the logarithm is finite.
    """
    mass = np.zeros(target.shape[1])
    for start in range(0, target.shape[0], AT_ONCE):  # the same rounding for a matrix and for shards
        some = target[start : start + AT_ONCE]
        mass += np.bincount(some.indices, some.data, minlength=mass.size)
    mass += 0.5 * (mass[mass > 0].min() if mass.any() else 1.0) * (mass == 0)
    log_share: Array = np.log(mass / mass.sum())
    return log_share


def stretched(x: Any) -> Any:
    """Return documents scaled to Euclidean length 10; empty ones stay empty.

    Adam moves every weight by about the learning rate a step, whatever the gradient, so the rows'
    length decides how fast the first layer learns. At length one, as TF-IDF rows are given, it
    lags behind the layers above it: 32-bit Doc2hash on Reuters loses 0.02 of precision.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> stretched(csr_matrix([[3.0, 4.0], [0.0, 0.0]])).toarray()
    array([[6., 8.],
           [0., 0.]])
    """
    return scale_rows(x, INPUT_LENGTH)


def encoder(
    params: Params, x: Any, mask: Array | None, operations: Operations = NUMPY, name: str = ""
) -> tuple[Array, Callable[[Array], Params]]:
    """Hidden layers h = ReLU(... ReLU(x W_1 + b_1) ... W_d + b_d), with dropout on the last.

    The documents are `stretched` to one length first.

    Parameters
    ----------
    params
        ``W_1, b_1, ..., W_d, b_d``; others are left alone.
    x
        Documents, CSR (B, V).
    mask
        Dropout mask (B, H), already divided by the share kept; None leaves dropout off.
    operations
        What computes the layers; the equations as written if not given.
    name
        Stands before the numbers in the names of the weights, for a second encoder.

    Returns
    -------
    tuple
        h of shape (B, H), and ``back(dh)``, which returns the gradients by name.
    """
    x = stretched(x)
    weights, biases = f"W_{name}", f"b_{name}"
    depth = sum(key.startswith(weights) and key[len(weights) :].isdigit() for key in params)
    h, back_first = operations.sparse_dense(x, params[weights + "1"], params[biases + "1"])  # (B, H)
    h, back_relu = operations.relu(h)
    backs = [(back_first, back_relu)]
    for i in range(2, depth + 1):
        h, back_dense = operations.dense(h, params[f"{weights}{i}"], params[f"{biases}{i}"])  # (B, H)
        h, back_relu = operations.relu(h)
        backs.append((back_dense, back_relu))
    back_dropout = None
    if mask is not None:
        h, back_dropout = dropout(h, mask)

    def back(dh: Array) -> Params:
        grads = {}
        if back_dropout is not None:
            dh = back_dropout(dh)
        for i in range(depth, 1, -1):
            back_layer, back_relu = backs[i - 1]
            dh, grads[f"{weights}{i}"], grads[f"{biases}{i}"] = back_layer(back_relu(dh))
        back_layer, back_relu = backs[0]
        grads[weights + "1"], grads[biases + "1"] = back_layer(back_relu(dh))  # no gradient of documents
        return grads

    return h, back


def normalise_rows(rows: Array) -> Array:
    """Return rows of length one; rows of zeros stay zero.

    Examples
    --------
    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]  # (n, 1)
    normalised: Array = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return normalised
