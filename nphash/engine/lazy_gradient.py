"""Gradients that are computed piece by piece, while Adam uses them.

The gradient of a weight matrix is as large as the matrix and is used once, by the optimiser. A
`LazyGradient` keeps the two factors of the product instead, which are small (batch x width), and
finishes a block of rows or columns when Adam comes to it: the block goes from the cache into the weights.

To everything else it is an array: ``np.asarray(g)`` and arithmetic give the whole gradient.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nphash.core.pool import Background
from nphash.core.threads import cut
from nphash.core.typing import Array, Task

__all__ = ["LazyGradient", "ProductGradient", "RowGradient"]


BLOCK = 1 << 16  # entries of a `ProductGradient` in a block: four arrays of 256 KB in float32


class LazyGradient(NDArrayOperatorsMixin):
    """A gradient of given shape and dtype in blocks; see the module.

    The blocks are fixed by the shape, so no sum depends on the number of threads.

    Attributes
    ----------
    background : Background or None
        Where the update may go on while the next step begins; given by whoever waits for it before the
        parameter is read again.
    """

    shape: tuple[int, ...]
    dtype: Any
    background: Background | None = None

    def blocks(self) -> list[tuple[int, int]]:
        """Return the blocks, as (start, stop)."""
        raise NotImplementedError

    def fill(self, out: Array, start: int, stop: int) -> None:
        """Write one block of the gradient into the whole array ``out``."""
        raise NotImplementedError

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        """Do Adam's step on one block; ``settings`` as for `nphash.engine.kernels.adam.update`."""
        raise NotImplementedError

    def tasks(self, w: Array, m: Array, v: Array, settings: Array) -> list[Task]:
        """Return the update of all blocks, for `nphash.core.threads.run_tasks`."""
        return [partial(self.update, w, m, v, settings, start, stop) for start, stop in self.blocks()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        out = np.empty(self.shape, self.dtype)
        for start, stop in self.blocks():
            self.fill(out, start, stop)
        return out if dtype is None else out.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(value) if isinstance(value, LazyGradient) else value for value in inputs]
        return getattr(ufunc, method)(*arrays, **options)


class RowGradient(LazyGradient):
    """A gradient that is zero but for some rows.

    Attributes
    ----------
    rows
        The numbers of these rows, ascending.
    """

    rows: Array

    def blocks(self) -> list[tuple[int, int]]:
        """Return one block: a row gradient is filled and updated by its rows."""
        return [(0, self.shape[0])]

    def update_rows(
        self, w: Array, m: Array, v: Array, settings: Array, rows: Array, gaps: Array, table: Array
    ) -> None:
        """Do Adam's step on some of `rows` and those until their next use, as `first_layer.update_rows`."""
        raise NotImplementedError


class ProductGradient(LazyGradient):
    """The gradient x' dy of a fully connected layer's weights, in blocks of rows.

    Parameters
    ----------
    x, dy
        Arrays of shapes (B, I) and (B, O); the gradient has shape (I, O).

    Examples
    --------
    >>> g = ProductGradient(np.array([[1.0, 2.0]]), np.array([[3.0]]))
    >>> np.asarray(g)
    array([[3.],
           [6.]])
    >>> g + 1
    array([[4.],
           [7.]])
    """

    def __init__(self, x: Array, dy: Array) -> None:
        self.x, self.dy = x, dy
        self.shape, self.dtype = (x.shape[1], dy.shape[1]), dy.dtype

    def blocks(self) -> list[tuple[int, int]]:
        """Return blocks of rows."""
        n, width = self.shape
        return cut(n, max(1, BLOCK // width))

    def fill(self, out: Array, start: int, stop: int) -> None:
        """Write rows ``start`` to ``stop - 1``."""
        np.matmul(self.x[:, start:stop].T, self.dy, out=out[start:stop])

    def update(self, w: Array, m: Array, v: Array, settings: Array, start: int, stop: int) -> None:
        """Do Adam's step on rows ``start`` to ``stop - 1``."""
        from nphash.engine.kernels.adam import update

        gradient = self.x[:, start:stop].T @ self.dy  # (rows, O)
        w1, m1, v1 = (array[start:stop].reshape(-1) for array in (w, m, v))
        update(w1, gradient.reshape(-1), m1, v1, settings)
