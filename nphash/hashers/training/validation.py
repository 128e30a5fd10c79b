"""Validation: the documents held out, the figure that chooses the best epoch, and the fit they frame."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from nphash.codes import Codes
from nphash.core.typing import CSR, Array, Params
from nphash.corpus.shards import Shards, rows_where
from nphash.errors import InputError
from nphash.hashers.training.trainer import Data, Validator, train
from nphash.metrics import precision_at_k

if TYPE_CHECKING:
    from nphash.hashers.base import Hasher

# Validation is there to rank epochs: beyond these numbers of documents it costs time and ranks no better.
MOST_QUERIES = 2_000
MOST_DATABASE = 20_000

FEWEST_DOCUMENTS = 100

CheckedLabels: TypeAlias = (
    csr_matrix | Array | None
)  # checked: indicators (n, C), or a class of each document (n,)


def held_out_rows(n: int, share: float) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows held out of ``n``, by a hash of their number: the seed has no say in it."""
    if n < FEWEST_DOCUMENTS or share == 0:
        return np.zeros(n, dtype=bool)
    hashes = (int.from_bytes(hashlib.sha256(str(row).encode()).digest()[:4], "big") for row in range(n))
    return np.fromiter(hashes, np.uint32, n) < share * 2**32


def hold_out(X: CSR, y: CheckedLabels, share: float, options: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Return (X, y, X_valid, y_valid): those of a fit's options, or a share of the documents held out."""
    if options["X_valid"] is not None:
        return X, y, options["X_valid"], options["y_valid"]
    held_out = held_out_rows(X.shape[0], share)
    if held_out.all():
        raise InputError(f"validation_share {share} leaves nothing to learn from", "0.1 is usual")
    y_valid, y = (None, None) if y is None else (y[held_out], y[~held_out])
    return rows_where(X, ~held_out), y, rows_where(X, held_out), y_valid


def learn(
    hasher: Hasher,
    params: Params,
    data: Data,
    validator: Validator | None,
    seed: int,
    options: dict[str, Any],
) -> Params:
    """Train a hasher from initial weights, set what it reports of its epochs, and return the best weights."""
    state = train(
        hasher,  # type: ignore[arg-type]
        params,
        data,
        validator,
        hasher._training,
        seed,
        threads=hasher.threads,
        callback=options["callback"],
        checkpoint=options["checkpoint"],
    )
    hasher.best_epoch_, hasher.history_, hasher.n_iter_ = state.best_epoch, state.history, len(state.history)
    return state.best


def subset(X: CSR, y: CSR | Array, most: int) -> tuple[Any, Any]:
    """Return at most ``most`` evenly spaced rows of documents and labels; of shards, read into memory."""
    if X.shape[0] <= most:
        return X[:] if isinstance(X, Shards) else X, y
    rows = np.linspace(0, X.shape[0] - 1, most).astype(np.int64)
    return X[rows], y[rows]


def choose_validator(
    hasher: Any,
    documents: tuple[Any, Any, Any, Any],
    elbo: Callable[[Params, Any], float],
    finalise: Callable[[Params], Params] = lambda params: params,
) -> Validator | None:
    """Return a validator by precision with labels, else by the ELBO; None if `hold_out` gave no documents.

    ``elbo`` takes weights and some of ``X_valid``, ``finalise`` makes weights those that `encode` takes.
    """
    X, y, X_valid, y_valid = documents
    if X_valid is None or X_valid.shape[0] == 0:
        return None
    if y is not None and y_valid is not None:
        by_precision = precision_validator(hasher.encode, X, y, X_valid, y_valid, hasher.n_bits)
        return lambda params: by_precision(finalise(params))
    few, _ = subset(X_valid, X_valid, MOST_QUERIES)
    return lambda params: ("bound", elbo(params, few))


def precision_validator(
    encode: Callable[[Params, Any], Codes],
    X: CSR,
    y: csr_matrix | Array,
    X_valid: CSR,
    y_valid: csr_matrix | Array,
    n_bits: int,
) -> Validator:
    """Return a validator by tie-aware precision at 100: held-out queries against the training documents."""
    X, y = subset(X, y, MOST_DATABASE)
    X_valid, y_valid = subset(X_valid, y_valid, MOST_QUERIES)

    def validate(params: Params) -> tuple[str, float]:
        k = min(100, X.shape[0])
        value = precision_at_k(encode(params, X_valid), y_valid, encode(params, X), y, n_bits, k=k)
        return f"P@{k}", value

    return validate
