"""The engine: which code computes the operations whose cost grows with the vocabulary, and the updates.

`Engine` runs the equations of `nphash.nn` as they are written; it is the definition, and loads no kernel.
`nphash.engine.compiled.CompiledEngine` gives the same results up to rounding, by Numba kernels. The latent
layer, its noise and divergence are of size batch x bits and are the same NumPy code with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import getitem
from typing import Any, TypeVar

from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations
from nphash.nn.optim import Adam, moving_average

__all__ = ["Engine", "Optimiser"]

B = TypeVar("B")


class Optimiser(Adam):
    """Adam with the three hooks that a training loop calls besides `step`; here they have nothing to do."""

    def prepare(self, batches: Iterable[B], flush_every: int) -> Iterator[B]:
        """Yield an epoch's batches in their order; `flush` is wanted after every ``flush_every`` steps."""
        return iter(batches)

    def flush(self) -> None:
        """Do what is still to be done of the steps so far: parameters and moments may now be read."""

    def abandon(self) -> None:
        """Let nothing change parameters any more: after an error, when some may be half updated."""


class Engine:
    """The operations as the equations say, in float32 or float64.

    Parameters
    ----------
    threads
        How many threads. Results are the same for any number.

    Attributes
    ----------
    operations
        What a model computes with.

    Examples
    --------
    >>> import numpy as np
    >>> y, back = Engine().operations.dense(np.ones((1, 2)), np.eye(2), np.zeros(2))
    >>> y
    array([[1., 1.]])
    """

    name = "numpy"
    looks_up = False  # whether the last codes decoded were +-1, and their products sums that were looked up
    operations: Operations = NUMPY

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    take: Any = staticmethod(getitem)  # (X, rows) -> the documents with these numbers
    moving_average: Any = staticmethod(moving_average)  # (average, w, kept), in place

    def optimiser(self, max_norm: float | None = None) -> Any:
        """Return an optimiser with the methods of `Optimiser` that takes this engine's gradients."""
        return Optimiser(max_norm=max_norm)
