"""The engine: which code computes the operations whose cost grows with the vocabulary, and the updates.

`Engine` runs the equations of `nphash.nn` as they are written; it is the definition, and loads no kernel.
`nphash.engine.compiled.CompiledEngine` gives the same results up to rounding, by Numba kernels. The latent
layer, its noise and divergence are of size batch x bits and are the same NumPy code with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import getitem
from typing import Any, TypeVar

import numpy as np

from nphash.core.arguments import check_choice
from nphash.core.threads import count_threads
from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations
from nphash.nn.optim import Adam, moving_average

ENGINES = ("auto", "numpy", "numba")

FEW_WEIGHTS = 1_000  # up to so many non-zero weights a sparse product takes less time than to load Numba

B = TypeVar("B")


class Optimiser(Adam):
    """What the training loop steps with: `nphash.nn.optim.Adam` and three hooks, here with nothing to do."""

    def prepare(self, batches: Iterable[B], flush_every: int) -> Iterator[B]:
        """Yield an epoch's batches in their order; `flush` is wanted after every ``flush_every`` steps."""
        return iter(batches)

    def flush(self) -> None:
        """Do what is still to be done of the steps so far: parameters and moments may now be read."""

    def abandon(self) -> None:
        """Let nothing change parameters any more: after an error, when some may be half updated."""


class Engine:
    """The operations as the equations say, in float32 or float64."""

    name = "numpy"
    looks_up = False  # whether the last codes decoded were +-1, and their products sums that were looked up
    operations: Operations = NUMPY

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    take: Any = staticmethod(getitem)  # (X, rows) -> the documents with these numbers
    moving_average: Any = staticmethod(moving_average)  # (average, w, kept), in place

    def optimiser(self, max_norm: float | None = None) -> Any:
        """Return an optimiser with the methods of `Optimiser`; ``max_norm`` is `Training.clip_norm`."""
        return Optimiser(max_norm=max_norm)


def create_engine(name: str = "auto", dtype: str = "float32", threads: int | None = 1) -> Any:
    """Return an engine by name; ``"auto"`` is the compiled one for float32 where Numba is to be had."""
    check_choice(name, "engine", ENGINES)
    if name == "numba" and dtype != "float32":
        raise InputError(f"the numba engine computes in float32, not {dtype}", 'give engine="numpy"')
    threads = count_threads(threads)
    if name == "numpy" or dtype != "float32":
        return Engine(threads)
    from nphash.core.jit import COMPILED, WHY_NOT  # here, so that the equations run without Numba

    if not COMPILED and name == "numba":
        raise InputError(f"there is no numba engine here: {WHY_NOT}", 'give engine="numpy" or "auto"')
    if not COMPILED:
        return Engine(threads)
    from nphash.engine.compiled import CompiledEngine

    return CompiledEngine(threads)


def sparse_product(X: Any, W: Array, threads: int | None = 1) -> Array:
    """Return X W of a CSR matrix (n, V) and an array (V, d), by a kernel where that is faster than SciPy.

    Both add rounded products in the same order: the bytes are the same.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> sparse_product(csr_array([[0.0, 2.0]]), np.eye(2))
    array([[0., 2.]])
    """
    if X.nnz > FEW_WEIGHTS:
        from nphash.core.jit import COMPILED  # here, so that short queries are encoded without Numba

        if COMPILED:
            from nphash.engine.kernels.rows import csr_times_dense

            return csr_times_dense(X.indptr, X.indices, X.data, W, count_threads(threads))
    return np.asarray(X @ W, dtype=W.dtype)
