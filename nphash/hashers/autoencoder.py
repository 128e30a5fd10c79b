"""Base of the variational systems: settings, fit, validation and encoding around their models.

A system is its ``model`` - one function in its own file, forward pass and backward pass - and the
constructor's arguments; the rest is here.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from nphash.codes import Codes, check_n_bits, pack
from nphash.core.arguments import check_choice, check_that, is_number
from nphash.core.threads import count_threads, run_blocks, single_threaded_blas, split_range
from nphash.core.typing import CSR, Array, LabelsLike, MatrixLike, Params, Rng
from nphash.corpus.shards import Shards
from nphash.engine.select import create_engine, sparse_product
from nphash.errors import InputError
from nphash.hashers.base import Hasher, unchanged_on_error
from nphash.hashers.inputs import check_labels, seed_from
from nphash.hashers.networks import check_widths, encoder, glorot, initial_layers, log_unigram, targets
from nphash.hashers.training.checkpoint import State
from nphash.hashers.training.settings import ClassifierSettings, Training
from nphash.hashers.training.trainer import Batch, Data, Validator, one_pass
from nphash.hashers.training.validation import CheckedLabels, choose_validator, hold_out, learn
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations, dense
from nphash.nn.schedules import Schedule, ScheduleLike, as_schedule, schedule_ends, values_at

if TYPE_CHECKING:
    from typing_extensions import Self

    from nphash.hashers.neighbours.rounds import NeighbourTeacher

# Rows encoded at once. Constant, and short blocks are filled up with empty rows: BLAS may round a
# row differently in products of different height, and a document's code must not depend on the
# documents it is encoded with.
ENCODE_ROWS = 256

VALIDATION_ROWS = 64  # whose ELBO is computed at once: their scores are as wide as the vocabulary

TARGETS = ("input", "binary")

# Attributes between two calls of `partial_fit` beside those of a fit: Adam's moments, the number that stands
# for the random state, the classes of the first call.
BETWEEN_CALLS = ("optimiser_", "seed_", "classes_")


def decaying_training() -> Training:
    """Return a training whose rate decays: at an even one the last epochs wander by 0.01 of precision."""
    return Training(learning_rate=(1e-3, 1e-4))


SUPERVISED: dict[str, Callable[[], Any]] = {"training": decaying_training, "labels": ClassifierSettings}


@dataclass(eq=False, repr=False, kw_only=True)
class VariationalHasher(Hasher):
    """A hasher that learns an encoder by reconstructing documents from codes; settings as in `Doc2Hash`.

    A system gives `loss` (its model, with the noise drawn), constructor's arguments of its own and, where it
    has more parameters than ``W_a, b_a`` (code) and ``W_s, b_s`` (decoder), `_initial_code`. A supervised one
    also takes ``labels`` and sets `supervised`.
    """

    _groups: ClassVar[dict[str, Callable[[], Any]]] = {"training": decaying_training}
    out_of_core = True

    hidden: tuple[int, ...] = (500, 500)
    dropout: float = 0.2
    kl_weight: ScheduleLike = 0.1
    target: str = "input"
    training: Training | None = None

    @property
    def _labels(self) -> ClassifierSettings:
        labels: ClassifierSettings = self._settings("labels") if self.supervised else ClassifierSettings()
        return labels

    # ------------------------------------------------------------------ the model

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the model's loss on a batch and a function for its gradients by name.

        Noise comes from ``batch.rng``; without one there is none, and codes are as they are stored.
        """
        raise NotImplementedError

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of a batch's numbers: the weights of the KL divergence and of the labels."""
        return {"beta": self._schedule(self.kl_weight), "alpha": self._schedule(self._labels.weight)}

    def _schedule(self, value: ScheduleLike) -> Schedule:
        return as_schedule(value, self._training.n_epochs)

    def _lowest(self, value: ScheduleLike, name: str) -> float:
        return min(schedule_ends(value, self._training.n_epochs, name))

    def initial_params(
        self, x: CSR, target: CSR, seed: int, context: NeighbourTeacher | None = None
    ) -> Params:
        """Return the weights a fit begins with, drawn from `seed`, in the training dtype."""
        rng = np.random.default_rng([seed])
        params = initial_layers(rng, (x.shape[1], *self.hidden))
        params |= self._initial_code(rng, self.hidden[-1], target)
        if self.supervised:
            hidden = () if self._labels.hidden is None else (self._labels.hidden,)
            params |= initial_layers(rng, (self.n_bits, *hidden, self.n_labels_), "y")
        return {name: array.astype(self._training.dtype) for name, array in params.items()}

    def _initial_code(self, rng: Rng, n_hidden: int, target: CSR) -> Params:
        """Return the initial weights of everything behind the encoder."""
        return {
            "W_a": glorot(rng, n_hidden, self.n_bits),  # (H, L)
            "b_a": np.zeros(self.n_bits),
            "W_s": glorot(rng, self.n_bits, target.shape[1]),  # (L, V)
            "b_s": log_unigram(target),
        }

    # ------------------------------------------------------------------ settings

    def _check_params(self) -> None:
        self._check_training()
        check_widths(self.hidden)
        share = is_number(self.dropout) and 0 <= self.dropout < 1
        check_that(share, "dropout", self.dropout, "give the share of units left out, from 0 to below 1")
        check_choice(self.target, "target", TARGETS)
        self._check_weight(self.kl_weight, "kl_weight")
        settings = isinstance(self._labels, ClassifierSettings)
        check_that(settings, "labels", self._labels, "give a nphash.hashers.ClassifierSettings or None")
        self._labels.check()
        self._check_weight(self._labels.weight, "labels.weight")

    def _check_weight(self, value: ScheduleLike, name: str) -> None:
        check_that(self._lowest(value, name) >= 0, name, value, "it must be 0 or more from first to last")

    # ------------------------------------------------------------------ fit

    def partial_fit(self, X: MatrixLike, y: LabelsLike = None) -> Self:
        """Go over some documents once, from where the last call stood; the first call initialises.

        Each call is an epoch of ``training`` over its own documents: temperature, weights and learning
        rate are those of as many epochs as there were calls, and stay at their last value after
        ``training.epochs`` of them. No documents are held out, no epoch is chosen. After `fit`, it goes
        on from the weights chosen there with a new optimiser. Weights, moments and counts survive saving.

        Parameters
        ----------
        X
            As in `fit`; the same number of words in every call. The decoder's bias starts from the word
            frequencies of the first call's documents, so these should not be too few.
        y
            As in `fit`, for supervised systems; every class has to be in the first call.

        Returns
        -------
        VariationalHasher
            This hasher.

        Raises
        ------
        InputError
            As `fit`; also for new classes, other `n_bits`, and where ``training.average`` is set.
        """
        begun = self.__sklearn_is_fitted__()
        if begun:
            self._check_fitted()
        self._check_params()
        if self._training.average is not None:
            raise InputError("training.average is set, but partial_fit keeps no average", "set it to None")
        check_n_bits(self.n_bits)
        with unchanged_on_error(self):
            self._one_pass(X, y, begun)
        return self

    def _one_pass(self, X: MatrixLike, y: LabelsLike, begun: bool) -> None:
        x = self._check_fitting(X, n_features=self.n_features_in_ if begun else None)
        x = x.astype(self._training.dtype, copy=False)
        y = check_labels(y, x.shape[0], self, required=self.supervised)
        labels, learned = self._number_labels(y, begun) if self.supervised else (None, {})
        seed = getattr(self, "seed_", None)
        seed = seed_from(self.random_state) if seed is None else seed
        target = self._target(x)
        if begun:
            moments = getattr(self, "optimiser_", {})
            state = State(self.n_iter_, _copies(self.params_), _copies(moments), history=list(self.history_))
        else:
            vars(self).update(learned)  # a head has as many outputs as there are labels
            state = State(params=self.initial_params(x, target, seed))
        state = one_pass(self, state, Data(x, target, labels), self._training, seed, threads=self.threads)
        self.params_ = self.finalise_params(state.params, x)
        done = {"optimiser_": state.optimiser, "seed_": seed, "history_": state.history}
        sizes = {"n_features_in_": x.shape[1], "n_bits_": self.n_bits}
        vars(self).update(learned | done | sizes | {"n_iter_": state.epoch, "best_epoch_": state.epoch})

    def _number_labels(self, y: csr_matrix | Array, begun: bool) -> tuple[Any, dict[str, Any]]:
        """Return labels numbered as in the first call, and the attributes learned of them."""
        known = getattr(self, "n_labels_", None) if begun else None
        if not isinstance(y, np.ndarray):
            if known not in (None, y.shape[1]):
                raise InputError(f"y has {y.shape[1]} labels, but {known} before", "keep the columns of y")
            return y, {"n_labels_": known or targets(y)[1]}
        classes = getattr(self, "classes_", None)
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

    def _fit(self, X: CSR, y: CheckedLabels, **options: object) -> None:
        for name in BETWEEN_CALLS:
            vars(self).pop(name, None)
        self._check_params()
        if options["checkpoint"] is not None and self.random_state is None:
            raise InputError(
                "random_state is None, but a checkpoint is asked for",
                "give a number, so that the same fit can go on",
                parameter="random_state",
            )
        seed = seed_from(self.random_state)
        share = self._training.validation_share if self.uses_validation else 0
        X, y, X_valid, y_valid = hold_out(X, y, share, options)
        X = X.astype(self._training.dtype, copy=False)  # may be mapped, and larger than the memory
        learned_y = None
        if self.supervised:
            learned_y, self.n_labels_ = targets(y)
        target, context = self._target(X), self._context(X, seed)
        params = self.initial_params(X, target, seed, context)
        validator = self._validator(X, y, X_valid, y_valid)
        best = learn(self, params, Data(X, target, learned_y, context), validator, seed, options)
        self.params_ = self.finalise_params(best, X)

    def _context(self, X: CSR, seed: int) -> NeighbourTeacher | None:
        """Return what the loss needs to know of the training documents besides (`Batch.context`)."""
        return None

    def _target(self, X: CSR) -> Any:
        if self.target == "input":
            return X
        if isinstance(X, Shards):
            return X.binary()
        ones = np.ones_like(X.data)
        return csr_matrix((ones, X.indices, X.indptr), shape=X.shape)

    def finalise_params(self, params: Params, X: CSR) -> Params:
        """Return weights with what encoding needs besides, learned from the training documents."""
        return params

    # ------------------------------------------------------------------ validation

    def _validator(self, X: CSR, y: CheckedLabels, X_valid: CSR, y_valid: CheckedLabels) -> Validator | None:
        training = self._training
        X_valid = X_valid.astype(training.dtype, copy=False)
        operations = create_engine(training.engine, training.dtype, count_threads(self.threads)).operations
        return choose_validator(
            self,
            (X, y, X_valid, y_valid),
            lambda params, few: self.elbo(params, few, self._target(few), operations),
            lambda params: self.finalise_params(params, X),
        )

    def elbo(self, params: Params, x: CSR, target: CSR, operations: Operations = NUMPY) -> float:
        """Return the mean ELBO (lower bound) a document, at codes as they are stored: without noise."""
        total, numbers = 0.0, values_at(self.schedules(), float(self._training.n_epochs))
        for start, stop in split_range(x.shape[0], VALIDATION_ROWS):
            batch = Batch(x[start:stop], target[start:stop], operations=operations, **numbers)
            total -= self.loss(params, batch)[0]["loss"] * (stop - start)
        return total / int(x.shape[0])

    # ------------------------------------------------------------------ encoding

    def encode(self, params: Params, X: CSR) -> Codes:
        """Return the packed codes of documents under given weights."""
        return pack(self._logits(params, X) > 0)

    def encoder_logits(self, params: Params, x: CSR, operations: Operations = NUMPY) -> Array:
        """Return the real values (B, L) whose signs are the codes of documents."""
        h, _ = encoder(params, x, None, operations)
        return dense(h, params["W_a"], params["b_a"])[0]

    def _logits(self, params: Params, X: CSR) -> Array:
        n = X.shape[0]
        operations = NUMPY
        if self._training.engine != "numpy":  # codes have no gradient
            operations = NUMPY._replace(
                sparse_dense=lambda X, W, b: (sparse_product(X, W) + b, lambda dh: ())
            )
        logits = np.empty((n, self.n_bits), dtype=params["W_1"].dtype)

        def block(start: int, stop: int) -> None:
            x = X[start:stop].astype(logits.dtype)
            x.resize((ENCODE_ROWS, x.shape[1]))
            logits[start:stop] = self.encoder_logits(params, x, operations)[: stop - start]

        with single_threaded_blas():
            run_blocks(block, split_range(n, ENCODE_ROWS), count_threads(self.threads))
        return logits

    def _decision(self, X: CSR) -> Array:
        return self._logits(self.params_, X)


def _copies(arrays: Params) -> Params:
    """Return arrays that can be changed: those of a loaded hasher are mapped from its files."""
    return {name: np.array(array) for name, array in arrays.items()}
