"""Types that many modules name: arrays, sparse documents, gradients, seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "CSR", "Array", "Back", "Backs", "Ints", "LabelsLike", "MatrixLike", "OnDisk", "Params",
    "Progress", "RandomState", "Rng", "Task", "Words",
]  # fmt: skip

Array: TypeAlias = npt.NDArray[Any]
Ints: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]  # of codes, 64 bits each
Rng: TypeAlias = np.random.Generator
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
Params: TypeAlias = dict[str, Array]  # parameters, or gradients, by name

Back: TypeAlias = Callable[[Array], Array]  # gradient of the output -> gradient of the one argument
Backs: TypeAlias = Callable[[Array], tuple[Array, ...]]  # ... -> gradients in the order of the arguments

Task: TypeAlias = Callable[[], None]  # a piece of work for a thread
Progress: TypeAlias = Callable[[int, int], None]  # called with (done, of how many) now and then


class CSR(Protocol):
    """Documents as rows of word weights: SciPy's CSR matrix or array, or what is read like one."""

    data: Array
    indices: Array
    indptr: Array
    shape: tuple[int, ...]
    dtype: Any

    @property
    def nnz(self) -> int:
        """Return the number of stored entries."""

    def __getitem__(self, rows: Any) -> Any:
        """Return some rows."""

    def astype(self, dtype: Any, copy: bool = ...) -> Any:
        """Return the same with weights of another type."""


class OnDisk(Protocol):
    """Documents in files, read some rows at a time, such as `nphash.corpus.Shards`."""

    shape: tuple[int, int]

    def binary(self) -> Any:
        """Return the same with weight 1 for every word."""


MatrixLike: TypeAlias = npt.ArrayLike | CSR | OnDisk  # what a user may give as documents
LabelsLike: TypeAlias = npt.ArrayLike | CSR | None  # a class of each document, or an indicator matrix
