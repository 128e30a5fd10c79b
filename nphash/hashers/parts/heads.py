"""Classifiers on codes: what makes a supervised system of an unsupervised one.

Letters: B batch, L bits, H hidden units, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.sparse

from nphash.core.typing import Array, Params
from nphash.errors import InputError
from nphash.metrics.relevance import number_classes
from nphash.nn.losses import cross_entropy, logistic_loss
from nphash.nn.ops import dense, relu

__all__ = ["classify", "targets"]


def targets(y: Any) -> tuple[Any, int]:
    """Return labels as a classifier's loss needs them, and their number C.

    Classes become whole numbers from 0 in their sorted order; an indicator matrix stays.

    Raises
    ------
    InputError
        If there is nothing to distinguish: a single class, or no document with a label.

    Examples
    --------
    >>> targets(np.array(["b", "a", "b"]))
    (array([1, 0, 1]), 2)
    """
    if scipy.sparse.issparse(y):
        if y.nnz == 0:
            raise InputError("no document has a label", "a supervised system learns from labels")
        return y, y.shape[1]
    classes, numbers = number_classes(y)
    if len(classes) < 2:
        raise InputError(
            f"y has one class only ({classes[0]!r})", "a supervised system needs two or more to tell apart"
        )
    return numbers, len(classes)


def classify(w: Params, code: Array, y: Any) -> tuple[float, Callable[[float], tuple[Array, Params]]]:
    """Classify codes: scores = ReLU(z W_y1 + b_y1) W_y2 + b_y2, or z W_y1 + b_y1 for a linear head.

    Several labels a document (CSR y) take the logistic loss of Eq. (10), a class (vector y) the
    softmax loss.

    Parameters
    ----------
    w
        ``W_y1, b_y1`` and, for two layers, ``W_y2, b_y2``; others are left alone.
    code
        The sampled codes, (B, L).
    y
        `targets` of the batch: (B,) numbers or CSR (B, C).

    Returns
    -------
    tuple
        Mean loss a document, and ``back(dloss)``, which returns dcode and the gradients by name.
    """
    scores, back_first = dense(code, w["W_y1"], w["b_y1"])  # (B, H), or (B, C)
    if "W_y2" in w:
        hidden, back_relu = relu(scores)
        scores, back_second = dense(hidden, w["W_y2"], w["b_y2"])  # (B, C)
    several = scipy.sparse.issparse(y)
    loss, back_loss = logistic_loss(scores, y.toarray()) if several else cross_entropy(scores, y)

    def back(dloss: float) -> tuple[Array, Params]:
        g: Params = {}
        dscores = back_loss(dloss)  # (B, C)
        if "W_y2" in w:
            dhidden, g["W_y2"], g["b_y2"] = back_second(dscores)
            dscores = back_relu(dhidden)  # (B, H)
        dcode, g["W_y1"], g["b_y1"] = back_first(dscores)
        return dcode, g

    return loss, back
