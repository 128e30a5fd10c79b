"""The engines by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from nphash.core.threads import count_threads
from nphash.core.typing import Array
from nphash.engine.base import Engine
from nphash.errors import InputError

__all__ = ["ENGINES", "create_engine", "sparse_product"]

FEW_WEIGHTS = 1_000  # up to so many non-zero weights a sparse product takes less time than to load Numba

ENGINES = ("auto", "numpy", "numba")


def create_engine(name: str = "auto", dtype: str = "float32", threads: int | None = 1) -> Engine:
    """Return an engine by name; ``"auto"`` is Numba for float32 where it is not switched off.

    Raises
    ------
    InputError
        For an unknown name, or Numba with float64, for which there are no kernels.

    Examples
    --------
    >>> create_engine("numpy").name, create_engine(dtype="float64").name
    ('numpy', 'numpy')
    """
    if name not in ENGINES:
        raise InputError(f"engine is {name!r}", f"give one of {', '.join(ENGINES)}")
    if name == "numba" and dtype != "float32":
        raise InputError(f"the numba engine computes in float32, not {dtype}", 'give engine="numpy"')
    threads = count_threads(threads)
    if name == "numpy" or dtype != "float32":
        return Engine(threads)
    from nphash.engine import compiled  # here, so that the equations run without Numba

    if name == "auto" and not compiled.COMPILED:
        return Engine(threads)
    return compiled.CompiledEngine(threads)


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
        from nphash.engine.kernels import sparse  # here, so that short queries are encoded without Numba

        if sparse.COMPILED:
            return sparse.csr_times_dense(X.indptr, X.indices, X.data, W, threads)
    return np.asarray(X @ W, dtype=W.dtype)
