"""Initial weights, the encoder of the variational systems, and the classifier of the supervised ones.

Letters: B batch, V vocabulary, H hidden units, H_y those of the classifier, L bits, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.arguments import check_that, is_count
from nphash.core.typing import CSR, Array, Params, Rng
from nphash.corpus.shards import AT_ONCE
from nphash.errors import InputError
from nphash.metrics.relevance import number_classes
from nphash.nn.losses import cross_entropy, logistic_loss
from nphash.nn.ops import Operations, dense, relu, scale_rows

# Euclidean length of the rows that an encoder sees. Adam moves every weight by about the learning rate a
# step, whatever the gradient, so the rows' length decides how fast the first layer learns. At length one, as
# TF-IDF rows are given, it lags behind the layers above it: Doc2hash of 32 bits loses 0.02 of precision on
# Reuters.
INPUT_LENGTH = 10.0


def check_widths(hidden: object) -> None:
    """Raise `InputError` unless these are the widths of one or more layers."""
    good = isinstance(hidden, (tuple, list)) and bool(hidden) and all(map(is_count, hidden))
    check_that(good, "hidden", hidden, "give the widths of one or more layers, such as (500, 500)")


def glorot(rng: Rng, rows: int, columns: int) -> Array:
    """Return uniform float64 weights of variance 2 / (rows + columns) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (rows + columns))
    return rng.uniform(-bound, bound, (rows, columns))


def initial_layers(rng: Rng, widths: tuple[int, ...], name: str = "") -> Params:
    """Return initial weights of dense layers with these widths, words first, codes or labels last."""
    params: Params = {}
    for i, (rows, columns) in enumerate(pairwise(widths), start=1):
        params |= {f"W_{name}{i}": glorot(rng, rows, columns), f"b_{name}{i}": np.zeros(columns)}
    return params


def log_unigram(target: CSR) -> Array:
    """Return the logarithm of each word's share of the target mass, float64, shape (V,).

    The decoder's bias starts here: from zero, the encoder first spends its bits on the mean, saturates, and
    gives every document the same code. Words without any mass count for half of the smallest one.
    """
    mass = np.zeros(target.shape[1])
    for start in range(0, target.shape[0], AT_ONCE):  # the same rounding for a matrix and for shards
        some = target[start : start + AT_ONCE]
        mass += np.bincount(some.indices, some.data, minlength=mass.size)
    mass += 0.5 * (mass[mass > 0].min() if mass.any() else 1.0) * (mass == 0)
    log_share: Array = np.log(mass / mass.sum())
    return log_share


def encoder(
    w: Params, x: CSR, mask: Array | None, ops: Operations, name: str = ""
) -> tuple[Array, Callable[[Array], Params]]:
    """Hidden layers h = ReLU(... ReLU(x W_1 + b_1) ... W_d + b_d), with the dropout mask (B, H) on the last.

    Documents x (B, V) are scaled to `INPUT_LENGTH`; ``name`` stands in the names of a second one's weights.
    """
    W, b = f"W_{name}", f"b_{name}"
    h, back_first = ops.sparse_dense(scale_rows(x, INPUT_LENGTH), w[W + "1"], w[b + "1"])  # (B, H)
    h, back_relu = ops.relu(h)
    layers, i = [], 2
    while f"{W}{i}" in w:
        h, back_dense = ops.dense(h, w[f"{W}{i}"], w[f"{b}{i}"])  # (B, H)
        layers.append((i, back_relu, back_dense))
        h, back_relu = ops.relu(h)
        i += 1
    h = h if mask is None else h * mask

    def back(dh: Array) -> Params:
        g: Params = {}
        dh = back_relu(dh if mask is None else dh * mask)
        for i, back_relu_below, back_dense in reversed(layers):
            dh, g[f"{W}{i}"], g[f"{b}{i}"] = back_dense(dh)
            dh = back_relu_below(dh)
        g[W + "1"], g[b + "1"] = back_first(dh)  # documents have no gradient
        return g

    return h, back


def targets(y: csr_matrix | Array) -> tuple[Any, int]:
    """Return labels as a classifier's loss needs them, and their number C; `InputError` for a single class.

    Classes become whole numbers from 0 in their sorted order; an indicator matrix stays.
    """
    if not isinstance(y, np.ndarray):
        if y.nnz == 0:
            raise InputError("no document has a label", "a supervised system learns from labels")
        return y, y.shape[1]
    classes, numbers = number_classes(y)
    if len(classes) < 2:
        raise InputError(f"y has one class only ({classes[0]!r})", "a supervised system needs two or more")
    return numbers, len(classes)


def classify(
    w: Params, code: Array, y: csr_matrix | Array
) -> tuple[float, Callable[[float], tuple[Array, Params]]]:
    """Classify codes: scores = ReLU(z W_y1 + b_y1) W_y2 + b_y2, or z W_y1 + b_y1 for a linear head.

    Several labels a document, CSR y (B, C), take the logistic loss of Eq. (10), a class each, y (B,), the
    softmax loss; ``back(dloss)`` returns dcode (B, L) and the gradients by name.
    """
    scores, back_first = dense(code, w["W_y1"], w["b_y1"])  # (B, H_y), or (B, C)
    if "W_y2" in w:
        hidden, back_relu = relu(scores)
        scores, back_second = dense(hidden, w["W_y2"], w["b_y2"])  # (B, C)
    loss, back_loss = (
        cross_entropy(scores, y) if isinstance(y, np.ndarray) else logistic_loss(scores, y.toarray())
    )

    def back(dloss: float) -> tuple[Array, Params]:
        g: Params = {}
        dscores = back_loss(dloss)  # (B, C)
        if "W_y2" in w:
            dhidden, g["W_y2"], g["b_y2"] = back_second(dscores)
            dscores = back_relu(dhidden)  # (B, H_y)
        dcode, g["W_y1"], g["b_y1"] = back_first(dscores)
        return dcode, g

    return loss, back
