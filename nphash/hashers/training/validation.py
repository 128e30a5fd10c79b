"""Which documents choose the best epoch, and by what figure: precision with labels, else the bound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nphash.codes import Codes
from nphash.corpus.shards import Shards
from nphash.metrics import precision_at_k

__all__ = ["held_out_rows", "precision_validator", "subset"]

# Validation is there to rank epochs: beyond these numbers of documents it costs time and ranks no better.
MOST_QUERIES = 2_000
MOST_DATABASE = 20_000

FEWEST_DOCUMENTS = 100


def held_out_rows(n: int, share: float) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows held out of ``n``, about ``share`` of them, none below 100 rows.

    A row is held out by a hash of its number, so that the choice does not depend on the seed.

    Examples
    --------
    >>> int(held_out_rows(1000, 0.1).sum())
    106
    """
    if n < FEWEST_DOCUMENTS or share == 0:
        return np.zeros(n, dtype=bool)
    hashes = (int.from_bytes(hashlib.sha256(str(row).encode()).digest()[:4], "big") for row in range(n))
    return np.fromiter(hashes, np.uint32, n) < share * 2**32


def subset(X: Any, y: Any, most: int) -> tuple[Any, Any]:
    """Return at most ``most`` evenly spaced rows of documents and labels; of shards, read into memory."""
    if X.shape[0] <= most:
        return X[:] if isinstance(X, Shards) else X, y
    rows = np.linspace(0, X.shape[0] - 1, most).astype(np.int64)
    return X[rows], y[rows]


def precision_validator(
    encode: Callable[[Any, Any], Codes], X: Any, y: Any, X_valid: Any, y_valid: Any, n_bits: int
) -> Callable[[Any], tuple[str, float]]:
    """Return a validator by tie-aware precision at 100: held-out queries against the training documents.

    Parameters
    ----------
    encode
        ``encode(params, X) -> codes``.
    """
    X, y = subset(X, y, MOST_DATABASE)
    X_valid, y_valid = subset(X_valid, y_valid, MOST_QUERIES)

    def validate(params: Any) -> tuple[str, float]:
        k = min(100, X.shape[0])
        value = precision_at_k(encode(params, X_valid), y_valid, encode(params, X), y, n_bits, k=k)
        return f"P@{k}", value

    return validate
