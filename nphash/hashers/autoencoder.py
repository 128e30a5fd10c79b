"""What the variational systems share: encoder, decoder weights, choice of targets, the fit itself.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse

from nphash.codes import pack
from nphash.errors import InputError
from nphash.hashers.base import Hasher
from nphash.hashers.inputs import is_count, seed_from
from nphash.hashers.training import Batch, Data, Params, Training, train
from nphash.hashers.validation import held_out_rows, precision_validator, subset
from nphash.ops import dense, dropout, relu, sparse_dense
from nphash.schedules import Schedule, ScheduleLike, as_schedule
from nphash.threads import single_threaded_blas

__all__ = ["TARGETS", "VariationalHasher", "encoder", "glorot", "log_unigram"]

Array = npt.NDArray[Any]

# Rows encoded at once. Constant, and short blocks are filled up with empty rows: BLAS may round a
# row differently in products of different height, and a document's code must not depend on the
# documents it is encoded with.
ENCODE_ROWS = 256

TARGETS = ("input", "binary")


def glorot(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Return uniform float64 weights of variance 2 / (rows + columns) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (rows + columns))
    return rng.uniform(-bound, bound, (rows, columns))


def log_unigram(target: Any) -> Array:
    """Return the logarithm of each word's share of the target mass, float64, shape (V,).

    The decoder's bias starts here. From zero, the encoder first spends its bits on the corpus
    mean, saturates, and gives every document the same code. Half of the smallest mass is added
    to words without any, so that the logarithm is finite.
    """
    mass = np.asarray(target.sum(axis=0), dtype=np.float64).ravel()
    mass += 0.5 * (mass[mass > 0].min() if mass.any() else 1.0) * (mass == 0)
    log_share: Array = np.log(mass / mass.sum())
    return log_share


def encoder(params: Params, x: Any, mask: Array | None) -> tuple[Array, Callable[[Array], Params]]:
    """Hidden layers h = ReLU(... ReLU(x W_1 + b_1) ... W_d + b_d), with dropout on the last.

    Parameters
    ----------
    params
        ``W_1, b_1, ..., W_d, b_d``; others are left alone.
    x
        Documents, CSR (B, V).
    mask
        Dropout mask (B, H), already divided by the share kept; None leaves dropout off.

    Returns
    -------
    tuple
        h of shape (B, H), and ``back(dh)``, which returns the gradients by name.
    """
    depth = sum(name.startswith("W_") and name[2:].isdigit() for name in params)
    h, back_first = sparse_dense(x, params["W_1"], params["b_1"])  # (B, H)
    h, back_relu = relu(h)
    backs = [(back_first, back_relu)]
    for i in range(2, depth + 1):
        h, back_dense = dense(h, params[f"W_{i}"], params[f"b_{i}"])  # (B, H)
        h, back_relu = relu(h)
        backs.append((back_dense, back_relu))
    back_dropout = None
    if mask is not None:
        h, back_dropout = dropout(h, mask)

    def back(dh: Array) -> Params:
        grads = {}
        if back_dropout is not None:
            dh = back_dropout(dh)
        for i in range(depth, 1, -1):
            back_layer, back_relu = backs[i - 1]
            dh, grads[f"W_{i}"], grads[f"b_{i}"] = back_layer(back_relu(dh))
        back_layer, back_relu = backs[0]
        grads["W_1"], grads["b_1"] = back_layer(back_relu(dh))  # documents have no gradient
        return grads

    return h, back


class VariationalHasher(Hasher):
    """A hasher that learns an encoder by reconstructing documents from their codes.

    A system gives `_start` (its own parameters), `loss` (forward and backward) and the
    constructor's arguments named below.
    """

    _groups: ClassVar[dict[str, type]] = {"training": Training}

    hidden: tuple[int, ...]
    dropout: float
    kl_weight: ScheduleLike
    target: str
    training: Training | None
    random_state: Any
    params_: Params

    @property
    def _training(self) -> Training:
        return Training() if self.training is None else self.training

    def _schedule(self, value: ScheduleLike) -> Schedule:
        return as_schedule(value, self._training.epochs)

    def _ends(self, value: ScheduleLike) -> tuple[float, float]:
        schedule = self._schedule(value)
        return schedule(0.0), schedule(float(self._training.epochs))

    def _start(self, rng: np.random.Generator, n_hidden: int, target: Any) -> Params:
        """Return the first weights of everything behind the encoder."""
        raise NotImplementedError

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the loss on a batch and a function for their gradients."""
        raise NotImplementedError

    def bound(self, params: Params, x: Any, target: Any) -> float:
        """Return the mean bound a document at the codes as they are stored: no noise, no dropout."""
        raise NotImplementedError

    def start_params(self, x: Any, target: Any, seed: int) -> Params:
        """Return the weights a fit begins with, drawn from `seed`, in the training dtype."""
        rng = np.random.default_rng([seed])
        widths = (x.shape[1], *self.hidden)
        params: Params = {}
        for i, (rows, columns) in enumerate(pairwise(widths), start=1):
            params |= {f"W_{i}": glorot(rng, rows, columns), f"b_{i}": np.zeros(columns)}
        params |= self._start(rng, widths[-1], target)
        return {name: array.astype(self._training.dtype) for name, array in params.items()}

    def _check_params(self) -> None:
        if not isinstance(self._training, Training):
            raise InputError(f"training is {self.training!r}", "give a nphash.hashers.Training or None")
        hidden = self.hidden
        if not isinstance(hidden, (tuple, list)) or not hidden or not all(map(is_count, hidden)):
            raise InputError(
                f"hidden is {hidden!r}", "give the widths of one or more layers, such as (500, 500)"
            )
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise InputError(
                f"dropout is {self.dropout!r}", "give the share of units left out, from 0 to below 1"
            )
        if self.target not in TARGETS:
            raise InputError(f"target is {self.target!r}", f"give one of {', '.join(TARGETS)}")
        self._training.check()
        if not all(0 <= weight < np.inf for weight in self._ends(self.kl_weight)):
            raise InputError(f"kl_weight is {self.kl_weight}", "it must be 0 or more from first to last")

    def _fit(self, X: Any, y: Any, **options: Any) -> None:
        self._check_params()
        if options["checkpoint"] is not None and self.random_state is None:
            raise InputError(
                "random_state is None, but a checkpoint is asked for",
                "give a number, so that the same fit can go on",
            )
        seed = seed_from(self.random_state)
        X_valid, y_valid = options["X_valid"], options["y_valid"]
        if X_valid is None:
            held_out = held_out_rows(X.shape[0], self._training.validation_share)
            if held_out.all():
                raise InputError(
                    f"validation_share {self._training.validation_share} leaves nothing to learn from",
                    "0.1 is usual",
                )
            X_valid, y_valid = X[held_out], None if y is None else y[held_out]
            X, y = X[~held_out], None if y is None else y[~held_out]
        X = X.astype(self._training.dtype)
        data = Data(X, self._target(X), y if self.supervised else None)
        state = train(
            self,
            self.start_params(data.x, data.target, seed),
            data,
            self._validator(X, y, X_valid, y_valid),
            self._training,
            seed,
            threads=self.threads,
            callback=options["callback"],
            checkpoint=options["checkpoint"],
        )
        self.params_ = state.best
        self.best_epoch_ = state.best_epoch
        self.history_ = state.history
        self.n_iter_ = len(state.history)

    def _target(self, X: Any) -> Any:
        if self.target == "input":
            return X
        ones = np.ones_like(X.data)
        return scipy.sparse.csr_matrix((ones, X.indices, X.indptr), shape=X.shape)

    def _validator(self, X: Any, y: Any, X_valid: Any, y_valid: Any) -> Any:
        if X_valid is None or X_valid.shape[0] == 0:
            return None
        X_valid = X_valid.astype(self._training.dtype)
        if y is not None and y_valid is not None:
            return precision_validator(self.encode, X, y, X_valid, y_valid, self.n_bits)
        X_valid, _ = subset(X_valid, X_valid, 2_000)
        target = self._target(X_valid)
        return lambda params: ("bound", self.bound(params, X_valid, target))

    def encode(self, params: Params, X: Any) -> Any:
        """Return the packed codes of documents under given weights."""
        return pack(self._logits(params, X) > 0)

    def _logits(self, params: Params, X: Any) -> Array:
        n = X.shape[0]
        logits = np.empty((n, self.n_bits), dtype=params["W_1"].dtype)
        with single_threaded_blas():
            for start in range(0, n, ENCODE_ROWS):
                x = X[start : start + ENCODE_ROWS].astype(logits.dtype)
                rows = x.shape[0]
                x.resize((ENCODE_ROWS, x.shape[1]))
                h, _ = encoder(params, x, None)
                a, _ = dense(h, params["W_a"], params["b_a"])
                logits[start : start + rows] = a[:rows]
        return logits

    def _decision(self, X: Any) -> Array:
        return self._logits(self.params_, X)
