"""Learning bit by bit: one pass over some documents, from the weights and moments of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from nphash.codes import check_n_bits
from nphash.core.typing import LabelsLike, MatrixLike, Params
from nphash.errors import InputError
from nphash.hashers.base import unchanged_on_error
from nphash.hashers.inputs import check_labels, seed_from
from nphash.hashers.parts.networks import targets
from nphash.hashers.training.checkpoint import State
from nphash.hashers.training.trainer import Data, Training, one_pass

if TYPE_CHECKING:
    from nphash.hashers.autoencoder import VariationalHasher

__all__ = ["forget", "partial_fit"]

# Attributes that a hasher has between two calls beside those of a fit: Adam's moments, the number
# that stands for the random state, the classes of the first call.
ATTRIBUTES = ("optimiser_", "seed_", "classes_")


def forget(hasher: VariationalHasher) -> None:
    """Take from a hasher what only the next partial fit would have needed."""
    for name in ATTRIBUTES:
        vars(hasher).pop(name, None)


def partial_fit(hasher: VariationalHasher, X: MatrixLike, y: LabelsLike) -> None:
    """Do the work of `VariationalHasher.partial_fit`."""
    hasher._check_params()
    settings = hasher._training
    if settings.average is not None:
        raise InputError("training.average is set, but partial_fit keeps no average", "set it to None")
    check_n_bits(hasher.n_bits)
    with unchanged_on_error(hasher):
        _one_pass(hasher, X, y, settings)


def _one_pass(hasher: VariationalHasher, X: MatrixLike, y: LabelsLike, settings: Training) -> None:
    begun = hasher.__sklearn_is_fitted__()
    x = hasher._check_fitting(X, n_features=hasher.n_features_in_ if begun else None)
    x = x.astype(settings.dtype, copy=False)
    labels, learned = _labels(hasher, check_labels(y, x.shape[0], hasher, required=hasher.supervised))
    seed = getattr(hasher, "seed_", None)
    seed = seed_from(hasher.random_state) if seed is None else seed
    target = hasher._target(x)
    if begun:
        state = State(
            epoch=hasher.n_iter_,
            params=_copies(hasher.params_),
            optimiser=_copies(getattr(hasher, "optimiser_", {})),
            history=list(hasher.history_),
        )
    else:
        vars(hasher).update(learned)  # a head has as many outputs as there are labels
        state = State(params=hasher.initial_params(x, target, seed))
    state = one_pass(hasher, state, Data(x, target, labels), settings, seed, threads=hasher.threads)
    hasher.params_ = hasher.finalise_params(state.params, x)
    done = {
        "n_features_in_": x.shape[1],
        "n_bits_": hasher.n_bits,
        "optimiser_": state.optimiser,
        "seed_": seed,
        "history_": state.history,
        "n_iter_": state.epoch,
        "best_epoch_": state.epoch,
    }
    vars(hasher).update(learned | done)


def _copies(arrays: Params) -> Params:
    """Return arrays that can be changed: those of a loaded hasher are mapped from its files."""
    return {name: np.array(array) for name, array in arrays.items()}


def _labels(hasher: VariationalHasher, y: Any) -> tuple[Any, dict[str, Any]]:
    """Return labels as the loss needs them, numbered as in the first call, and what is learned of them."""
    if not hasher.supervised:
        return None, {}
    known = getattr(hasher, "n_labels_", None) if hasher.__sklearn_is_fitted__() else None
    if scipy.sparse.issparse(y):
        if known not in (None, y.shape[1]):
            raise InputError(f"y has {y.shape[1]} labels, but {known} before", "keep the columns of y")
        return y, {"n_labels_": known or targets(y)[1]}
    classes = getattr(hasher, "classes_", None)
    if classes is None:
        numbers, n_labels = targets(y)
        if known not in (None, n_labels):
            raise InputError(f"y has {n_labels} classes, but {known} before", "give some of every class")
        return numbers, {"n_labels_": n_labels, "classes_": np.array(np.unique(y).tolist())}
    numbers = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    new = np.asarray(y)[classes[numbers] != y]
    if new.size:
        raise InputError(
            f"the class {new.tolist()[0]!r} was not in the first call",
            "give some of every class there, or a matrix",
        )
    return numbers, {}
