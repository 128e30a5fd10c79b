"""Classifiers on codes: what makes a supervised system of an unsupervised one.

Letters: B batch, L bits, H hidden units, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from nphash.core.arguments import is_count
from nphash.core.typing import Array, Params
from nphash.errors import InputError
from nphash.metrics.relevance import number_classes
from nphash.nn.losses import cross_entropy, logistic_loss
from nphash.nn.ops import dense, relu
from nphash.nn.schedules import Linear, ScheduleLike

__all__ = ["Labels", "classify", "start_head", "targets"]


@dataclass(frozen=True)
class Labels:
    """How a supervised system learns from labels.

    Parameters
    ----------
    weight
        The alpha of Eq. (9), the weight of the classifier's loss beside the bound: a number, a pair
        (first, last) for a line over the epochs, or a schedule.
    hidden
        Width of the classifier's ReLU layer; None for a linear classifier.

    Examples
    --------
    >>> Labels(weight=5.0).hidden
    100
    """

    weight: ScheduleLike = Linear(0.0, 30.0, 5)  # noqa: RUF009  (frozen, so it can be shared)
    hidden: int | None = 100

    def check(self) -> None:
        """Raise `InputError` for settings that make no sense."""
        if self.hidden is not None and not is_count(self.hidden):
            raise InputError(
                f"labels.hidden is {self.hidden!r}", "give a width of 1 or more, or None for a linear one"
            )


def targets(y: Any) -> tuple[Any, int]:
    """Return labels as a classifier's loss needs them, and their number C.

    Classes become whole numbers from 0 in their sorted order; an indicator matrix stays.

    Raises
    ------
    InputError
        If there is nothing to tell apart: a single class, or no document with a label.

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


def start_head(widths: tuple[int, ...], layer: Callable[[int, int], Array]) -> Params:
    """Return the first weights of a classifier with layers of these widths, codes first, labels last.

    ``layer(rows, columns)`` draws the weights of one layer; biases are zero.

    Examples
    --------
    >>> sorted(start_head((8, 100, 20), lambda rows, columns: np.zeros((rows, columns))))
    ['W_y1', 'W_y2', 'b_y1', 'b_y2']
    """
    params: Params = {}
    for i in range(1, len(widths)):
        params |= {f"W_y{i}": layer(widths[i - 1], widths[i]), f"b_y{i}": np.zeros(widths[i])}
    return params


def classify(params: Params, code: Array, y: Any) -> tuple[float, Callable[[float], tuple[Array, Params]]]:
    """Classify codes: scores = ReLU(z W_y1 + b_y1) W_y2 + b_y2, or z W_y1 + b_y1 for a linear head.

    Several labels a document (CSR y) take the logistic loss of Eq. (10), a class (vector y) the
    softmax loss.

    Parameters
    ----------
    params
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
    first, back_first = dense(code, params["W_y1"], params["b_y1"])  # (B, H)
    scores, back_relu, back_second = first, None, None
    if "W_y2" in params:
        hidden, back_relu = relu(first)
        scores, back_second = dense(hidden, params["W_y2"], params["b_y2"])  # (B, C)
    several = scipy.sparse.issparse(y)
    loss, back_loss = logistic_loss(scores, y.toarray()) if several else cross_entropy(scores, y)

    def back(dloss: float) -> tuple[Array, Params]:
        grads: Params = {}
        dfirst = back_loss(dloss)  # (B, C)
        if back_relu is not None and back_second is not None:
            dhidden, grads["W_y2"], grads["b_y2"] = back_second(dfirst)
            dfirst = back_relu(dhidden)
        dcode, grads["W_y1"], grads["b_y1"] = back_first(dfirst)
        return dcode, grads

    return loss, back
