"""What the variational systems share: encoder, decoder, the loss around a latent code, the fit itself.

A system is told by its latent code: how it is drawn from the encoder's output, what the decoder
sees of it, its divergence from the prior. Everything around that is here.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse

from nphash.codes import pack
from nphash.core.arguments import is_count, is_number
from nphash.core.threads import count_threads, cut, run_blocks, single_threaded_blas
from nphash.core.typing import Array, Params
from nphash.corpus.shards import Shards, rows_where
from nphash.engine.select import create_engine, sparse_product
from nphash.errors import InputError
from nphash.hashers.base import Hasher
from nphash.hashers.inputs import seed_from
from nphash.hashers.parts.heads import Labels, classify, start_head, targets
from nphash.hashers.parts.networks import encoder, glorot, layers, log_unigram
from nphash.hashers.training.partial import forget, partial_fit
from nphash.hashers.training.trainer import Batch, Data, Training, train
from nphash.hashers.training.validation import held_out_rows, precision_validator, subset
from nphash.nn.losses import NUMPY, bound_loss, supervised_loss
from nphash.nn.ops import Operations, dense, dropout_mask
from nphash.nn.schedules import Schedule, ScheduleLike, as_schedule, schedule_ends, values_at

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "TARGETS",
    "BackLatent",
    "Latent",
    "VariationalHasher",
    "drawn",
    "encoder",
    "glorot",
    "layers",
    "log_unigram",
    "slowing",
]


# Rows encoded at once. Constant, and short blocks are filled up with empty rows: BLAS may round a
# row differently in products of different height, and a document's code must not depend on the
# documents it is encoded with.
ENCODE_ROWS = 256

JUDGED_ROWS = 64  # of validation at once: their scores are as wide as the vocabulary

TARGETS = ("input", "binary")


def drawn(
    draw: Callable[..., Array], rng: np.random.Generator | None, shape: tuple[int, ...], dtype: Any
) -> Array:
    """Return noise drawn from `rng`; without one, zeros: the middle of any noise used here."""
    return np.zeros(shape, dtype) if rng is None else draw(rng, shape, dtype)


@dataclass(frozen=True)
class Latent:
    """The latent codes of a batch."""

    code: Array  # (B, L), what a classifier sees
    decoded: Array  # (B, L), what the decoder sees: the code, perhaps with noise
    kl: float  # mean divergence a document from the prior


# Takes the gradients of the loss by `code`, `decoded` and `kl`; returns those by the parameters.
BackLatent = Callable[[Array, Array, float], Params]


def slowing() -> Training:
    """Return the training of these systems where none is given: steps shrink to a tenth.

    The last epochs of even steps wander by 0.01 of precision, and which of them is kept is chance.
    """
    return Training(learning_rate=(1e-3, 1e-4))


def _first_layer(X: Any, W: Array, b: Array) -> tuple[Array, Any]:
    return sparse_product(X, W) + b, None  # codes have no gradient


class VariationalHasher(Hasher):
    """A hasher that learns an encoder by reconstructing documents from their codes.

    A system gives `latent` (forward and backward), the constructor's arguments named below and,
    where it has more parameters than ``W_a, b_a`` (code) and ``W_s, b_s`` (decoder), `_start`.
    A supervised one also takes ``labels`` and sets `supervised`.
    """

    _groups: ClassVar[dict[str, Callable[[], Any]]] = {"training": slowing}
    labels: Labels | None = None
    out_of_core = True

    hidden: tuple[int, ...]
    dropout: float
    kl_weight: ScheduleLike
    target: str
    training: Training | None
    random_state: Any
    params_: Params
    n_labels_: int

    @property
    def _labels(self) -> Labels:
        labels: Labels = self._settings("labels") if self.supervised else Labels()
        return labels

    def _schedule(self, value: ScheduleLike) -> Schedule:
        return as_schedule(value, self._training.n_epochs)

    def schedules(self) -> dict[str, Schedule]:
        """Return the numbers of a batch that change over the epochs: weights of divergence and labels."""
        return {"beta": self._schedule(self.kl_weight), "alpha": self._schedule(self._labels.weight)}

    def _lowest(self, value: ScheduleLike, name: str) -> float:
        return min(schedule_ends(value, self._training.n_epochs, name))

    def _start(self, rng: np.random.Generator, n_hidden: int, target: Any) -> Params:
        """Return the first weights of everything behind the encoder."""
        return {
            "W_a": glorot(rng, n_hidden, self.n_bits),  # (H, L)
            "b_a": np.zeros(self.n_bits),
            "W_s": glorot(rng, self.n_bits, target.shape[1]),  # (L, V)
            "b_s": log_unigram(target),
        }

    def latent(self, params: Params, batch: Batch) -> tuple[Latent, BackLatent]:
        """Encode a batch and draw its codes; where ``batch.rng`` is None, the codes as they are stored."""
        raise NotImplementedError

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the loss on a batch and a function for its gradients by every parameter.

        Noise comes from ``batch.rng``: the same batch gives the same loss. Without labels in the
        batch the loss is the bound alone.
        """
        latent, back_latent = self.latent(params, batch)
        reconstruct = batch.operations.reconstruct  # of the scores z W_s + b_s, (B, V)
        likelihood, back_likelihood = reconstruct(latent.decoded, params["W_s"], params["b_s"], batch.target)
        loss, back_loss = bound_loss(likelihood, latent.kl, batch.beta)
        terms = {"loss": loss, "reconstruction": likelihood, "KL": latent.kl}
        if batch.y is not None:
            labels, back_labels = classify(params, latent.code, batch.y)
            loss, back_both = supervised_loss(loss, labels, batch.alpha)
            terms |= {"loss": loss, "labels": labels}

        def back() -> Params:
            grads: Params = {}
            dbound, dcode = 1.0, np.zeros((), latent.code.dtype)
            if batch.y is not None:
                dbound, dlabels = back_both()
                dcode, grads = back_labels(dlabels)  # (B, L)
            dlikelihood, dkl = back_loss(dbound)
            ddecoded, dW_s, db_s = back_likelihood(dlikelihood)  # (B, L), (L, V), (V,)
            return {**grads, **back_latent(dcode, ddecoded, dkl), "W_s": dW_s, "b_s": db_s}

        return terms, back

    def bound(self, params: Params, x: Any, target: Any, operations: Operations = NUMPY) -> float:
        """Return the mean bound a document at the codes as they are stored: no noise, no dropout."""
        total, numbers = 0.0, values_at(self.schedules(), float(self._training.n_epochs))
        for start, stop in cut(x.shape[0], JUDGED_ROWS):
            batch = Batch(x[start:stop], target[start:stop], operations=operations, **numbers)
            total -= self.loss(params, batch)[0]["loss"] * (stop - start)
        return total / int(x.shape[0])

    def ready(self, params: Params, X: Any) -> Params:
        """Return weights with what encoding needs besides, learned from the training documents."""
        return params

    def _mask(self, batch: Batch, dtype: Any) -> Array | None:
        if batch.rng is None or self.dropout == 0:
            return None
        return dropout_mask(batch.rng, (batch.x.shape[0], self.hidden[-1]), self.dropout, dtype)

    def start_params(self, x: Any, target: Any, seed: int, context: Any = None) -> Params:
        """Return the weights a fit begins with, drawn from `seed`, in the training dtype."""
        rng = np.random.default_rng([seed])
        params = layers(rng, (x.shape[1], *self.hidden)) | self._start(rng, self.hidden[-1], target)
        if self.supervised:
            hidden = () if self._labels.hidden is None else (self._labels.hidden,)
            widths = (self.n_bits, *hidden, self.n_labels_)
            params |= start_head(widths, lambda rows, columns: glorot(rng, rows, columns))
        return {name: array.astype(self._training.dtype) for name, array in params.items()}

    def _check_params(self) -> None:
        if not isinstance(self._training, Training):
            raise InputError(f"training is {self.training!r}", "give a nphash.hashers.Training or None")
        hidden = self.hidden
        if not isinstance(hidden, (tuple, list)) or not hidden or not all(map(is_count, hidden)):
            raise InputError(
                f"hidden is {hidden!r}", "give the widths of one or more layers, such as (500, 500)"
            )
        if not is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise InputError(
                f"dropout is {self.dropout!r}", "give the share of units left out, from 0 to below 1"
            )
        if self.target not in TARGETS:
            raise InputError(f"target is {self.target!r}", f"give one of {', '.join(TARGETS)}")
        self._training.check()
        if self._lowest(self.kl_weight, "kl_weight") < 0:
            raise InputError(f"kl_weight is {self.kl_weight!r}", "it must be 0 or more from first to last")
        if not isinstance(self._labels, Labels):
            raise InputError(f"labels is {self._labels!r}", "give a nphash.hashers.Labels or None")
        self._labels.check()
        if self._lowest(self._labels.weight, "labels.weight") < 0:
            raise InputError(
                f"labels.weight is {self._labels.weight!r}", "it must be 0 or more from first to last"
            )

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go over some documents once, from where the last call stood; the first call begins.

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
        if self.__sklearn_is_fitted__():
            self._check_fitted()
        partial_fit(self, X, y)
        return self

    def _fit(self, X: Any, y: Any, **options: Any) -> None:
        forget(self)
        self._check_params()
        if options["checkpoint"] is not None and self.random_state is None:
            raise InputError(
                "random_state is None, but a checkpoint is asked for",
                "give a number, so that the same fit can go on",
            )
        seed = seed_from(self.random_state)
        X_valid, y_valid = options["X_valid"], options["y_valid"]
        if X_valid is None:
            held_out = held_out_rows(X.shape[0], self._training.validation_share if self.holds_out else 0)
            if held_out.all():
                raise InputError(
                    f"validation_share {self._training.validation_share} leaves nothing to learn from",
                    "0.1 is usual",
                )
            X_valid, y_valid = rows_where(X, held_out), None if y is None else y[held_out]
            X, y = rows_where(X, ~held_out), None if y is None else y[~held_out]
        X = X.astype(self._training.dtype, copy=False)  # may be mapped, and larger than the memory
        learned_y = None
        if self.supervised:
            learned_y, self.n_labels_ = targets(y)
        target = self._target(X)
        context = self._context(X, seed)
        params = self.start_params(X, target, seed, context)
        state = train(
            self,
            params,
            Data(X, target, learned_y, context),
            self._validator(X, y, X_valid, y_valid),
            self._training,
            seed,
            threads=self.threads,
            callback=options["callback"],
            checkpoint=options["checkpoint"],
        )
        self.params_ = self.ready(state.best, X)
        self.best_epoch_ = state.best_epoch
        self.history_ = state.history
        self.n_iter_ = len(state.history)

    def _context(self, X: Any, seed: int) -> Any:
        """Return what the loss needs to know of the training documents besides (`Batch.context`)."""
        return None

    def _hidden(
        self, params: Params, x: Any, mask: Array | None, operations: Operations
    ) -> tuple[Array, Callable[[Array], Params]]:
        """Return the encoder's last hidden layer, (B, H), and the way back to its weights."""
        return encoder(params, x, mask, operations)

    def _target(self, X: Any) -> Any:
        if self.target == "input":
            return X
        if isinstance(X, Shards):
            return X.binary()
        ones = np.ones_like(X.data)
        return scipy.sparse.csr_matrix((ones, X.indices, X.indptr), shape=X.shape)

    def _validator(self, X: Any, y: Any, X_valid: Any, y_valid: Any) -> Any:
        if X_valid is None or X_valid.shape[0] == 0:
            return None
        X_valid = X_valid.astype(self._training.dtype, copy=False)
        if y is not None and y_valid is not None:
            by_precision = precision_validator(self.encode, X, y, X_valid, y_valid, self.n_bits)
            return lambda params: by_precision(self.ready(params, X))
        X_valid, _ = subset(X_valid, X_valid, 2_000)
        target, training = self._target(X_valid), self._training
        engine = create_engine(training.engine, training.dtype, count_threads(self.threads))
        return lambda params: ("bound", self.bound(params, X_valid, target, engine.operations))

    def encode(self, params: Params, X: Any) -> Any:
        """Return the packed codes of documents under given weights."""
        return pack(self._logits(params, X) > 0)

    def read_out(self, params: Params, x: Any, operations: Operations = NUMPY) -> Array:
        """Return the real values (B, L) whose signs are the codes of documents."""
        h, _ = self._hidden(params, x, None, operations)
        a, _ = dense(h, params["W_a"], params["b_a"])
        return a

    def _logits(self, params: Params, X: Any) -> Array:
        n = X.shape[0]
        operations = NUMPY if self._training.engine == "numpy" else NUMPY._replace(sparse_dense=_first_layer)
        logits = np.empty((n, self.n_bits), dtype=params["W_1"].dtype)

        def block(start: int, stop: int) -> None:
            x = X[start:stop].astype(logits.dtype)
            x.resize((ENCODE_ROWS, x.shape[1]))
            logits[start:stop] = self.read_out(params, x, operations)[: stop - start]

        with single_threaded_blas():
            run_blocks(block, cut(n, ENCODE_ROWS), count_threads(self.threads))
        return logits

    def _decision(self, X: Any) -> Array:
        return self._logits(self.params_, X)
