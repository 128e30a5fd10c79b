"""The epoch loop: batches, Adam, early stopping, checkpoints, progress.

The loop knows nothing of any particular model. A model is anything with ``loss(params, batch)``
that returns the terms of its loss and a function for their gradients; see `Model`. What computes the large
operations and the updates is an engine (`nphash.engine.select`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import Params
from nphash.corpus.shards import Shards
from nphash.engine.profiling import Profile, StepSize, timed
from nphash.engine.select import create_engine
from nphash.errors import InputError, Interrupted
from nphash.hashers.training.checkpoint import Checkpoint, State, fingerprint
from nphash.hashers.training.settings import FORMER_NAMES, Training
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations
from nphash.nn.optim import Adam
from nphash.nn.schedules import Schedule, as_schedule, values_at

Validator = Callable[[Params], tuple[str, float]]

# The average of weights is moved once in so many steps, by as much as it would have moved in all of them:
# reading and writing a vocabulary's weights costs as much as Adam.
STEPS_BETWEEN_AVERAGES = 8

# For so many steps rows without gradient may wait: what they catch up with is summed over all of these steps,
# nearly every step anew, and the steps of an epoch may be a hundred thousand.
STEPS_DEFERRED = 1_000

# Parameters by which a checkpoint is not recognised: results do not depend on the number of
# threads, and the seed drawn from the random state is compared itself.
UNIMPORTANT = ("threads", "random_state")


@dataclass(frozen=True)
class Data:
    """What is learned from: inputs, reconstruction targets and labels, row by row."""

    x: Any  # CSR (n, V), or shards of one
    target: Any  # the same
    y: Any = None  # (n,) classes or CSR (n, C), for supervised systems
    context: Any = None  # whatever else a system has worked out about the documents, such as neighbours


@dataclass(frozen=True)
class Batch:
    """The documents of one step, its own source of noise, and the numbers that change over the epochs."""

    x: Any  # CSR (B, V)
    target: Any  # CSR (B, V)
    y: Any = None
    rng: np.random.Generator | None = None  # None for no noise at all
    epoch: float = 0.0  # epochs done, with the fraction of this one
    rows: Any = None  # (B,) which of the data's rows these are; None for other documents
    context: Any = None  # the data's
    operations: Operations = NUMPY
    learning_rate: float = 0.0
    tau: float = 1.0  # temperature of a relaxed sample
    beta: float = 1.0  # weight of the KL divergence
    alpha: float = 0.0  # weight of the labels
    gamma: float = 0.0  # weight of the distillation
    sigma: float = 0.0  # standard deviation of noise on a code


class Model(Protocol):
    """What the loop needs of a system."""

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the loss (``"loss"`` is the whole) and a function for its gradients."""
        ...

    def schedules(self) -> dict[str, Schedule]:
        """Return the numbers of a `Batch` that change over the epochs, by name."""
        ...


@dataclass(frozen=True)
class Progress:
    """State of a fit, reported to its callback after every step.

    Attributes
    ----------
    epoch, epochs, step, steps
        Counted from 1. At the end of an epoch ``step == steps``.
    terms
        Means over this epoch of the loss and its parts.
    validation_name, validation
        The figure by which epochs are chosen, of the last finished epoch; NaN before the first.
    best_epoch
        The best epoch so far; 0 before the first.
    seconds, seconds_left
        Since the start, and an estimate to the end.
    params
        The current weights, not to be changed; at the end of an epoch those that are validated. Within an
        epoch the rows of words that were not in the last batches may lag behind, and the decoder's weights
        may just be changing.
    profile
        Seconds spent so far, by part of a step; empty unless the callback has a ``profile`` to add them to.
    step_size
        What a step consists of.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    terms: dict[str, float]
    validation_name: str
    validation: float
    best_epoch: int
    seconds: float
    seconds_left: float
    params: Params = field(repr=False)
    profile: dict[str, float] = field(default_factory=dict, repr=False)
    step_size: StepSize | None = field(default=None, repr=False)


def train(
    model: Model,
    params: Params,
    data: Data,
    validator: Validator | None,
    settings: Training,
    seed: int,
    *,
    threads: int | None = None,
    callback: Callable[[Progress], None] | None = None,
    checkpoint: Path | str | None = None,
) -> State:
    """Minimise a model's loss and return the state whose ``best`` are the chosen weights.

    Same seed, same bytes: batch order and noise are keyed by (seed, epoch, step).
    """
    settings.check()
    kept = None
    state = State(params=params, best=params)
    if checkpoint is not None:
        learned_from = [part for part in (data.x, data.target, data.y) if part is not None]
        kept = Checkpoint(checkpoint, fingerprint(_identity(model, seed), learned_from))
        state = kept.load() or state
    loop = _Loop(model, data, validator, settings, seed, state, count_threads(threads), callback)
    try:
        with single_threaded_blas():
            loop.run(kept)
    except KeyboardInterrupt:
        if kept is None:
            raise
        raise Interrupted(
            f"interrupted in epoch {min(loop.state.epoch + 1, settings.n_epochs)} of {settings.n_epochs}",
            f"the state after epoch {kept.epoch} is kept in {kept.folder}"
            if kept.epoch
            else "no epoch had been kept yet; begin again",
        ) from None
    if kept is not None:
        kept.delete()
    return loop.state


def one_pass(
    model: Model, state: State, data: Data, settings: Training, seed: int, *, threads: int | None = None
) -> State:
    """Do one epoch more, whatever their number in the settings, not validated; arrays change in place."""
    settings.check()
    loop = _Loop(model, data, None, settings, seed, state, count_threads(threads), None)
    _restore(loop.optimiser, state.optimiser)
    with single_threaded_blas():
        state.history.append(loop.epoch(state.params))
    state.epoch += 1
    state.optimiser = _moments(loop.optimiser)
    return state


def _identity(model: object, seed: int) -> str:
    """Return as text what a fit depends on beside its documents; the number of threads is not of it."""
    if not hasattr(model, "get_params"):
        return repr((model, seed))
    params = {name: value for name, value in model.get_params(deep=False).items() if name not in UNIMPORTANT}
    identity = repr((type(model).__name__, seed, sorted(params.items())))
    for former, name in FORMER_NAMES.items():  # in which checkpoints of before are recognised
        identity = identity.replace(f"{name}(", f"{former}(")
    return identity


class _Loop:
    """One fit under way; the next epoch changes the params and moments of ``state`` in place."""

    def __init__(
        self,
        model: Model,
        data: Data,
        validator: Validator | None,
        settings: Training,
        seed: int,
        state: State,
        threads: int,
        callback: Callable[[Progress], None] | None,
    ) -> None:
        self.model, self.data, self.validator, self.settings = model, data, validator, settings
        self.seed, self.state, self.callback = seed, state, callback
        self.engine = create_engine(settings.engine, settings.dtype, threads)
        self.operations, self.optimiser = self.engine.operations, self.engine.optimiser(settings.clip_norm)
        rate = as_schedule(settings.learning_rate, settings.n_epochs)
        self.schedules = {"learning_rate": rate, **model.schedules()}
        self.epochs, self.steps = settings.n_epochs, -(-data.x.shape[0] // settings.batch_size)
        self.start = time.monotonic()
        self.epochs_before = state.epoch
        self.average: Params | None = None  # set by `run` where weights are averaged
        self.step_size: StepSize | None = None  # set by the first step
        profile = getattr(callback, "profile", None)
        self.profile = profile if isinstance(profile, Profile) else None
        self.loss_and_step, self.update, self.validate = self._step, self.optimiser.step, self._validate
        self.move_average = self.engine.moving_average
        if self.profile is not None:
            self._measure(self.profile)

    def _measure(self, profile: Profile) -> None:
        """Have the seconds of a step's parts added up; those of inner parts count for these alone."""
        self.operations = timed(self.operations, profile)
        self.loss_and_step = profile.around("latent layers and noise", self._step)
        self.update = profile.around("optimiser", self.optimiser.step)
        self.move_average = profile.around("optimiser", self.engine.moving_average)
        self.validate = profile.around("validation", self._validate)

    def run(self, kept: Checkpoint | None) -> None:
        state = self.state
        params = {name: array.copy() for name, array in state.params.items()}
        _restore(self.optimiser, state.optimiser)
        if self.settings.average is not None:
            self.average = {name: array.copy() for name, array in (state.average or params).items()}
        patience = self.epochs if self.settings.patience is None else self.settings.patience
        while state.epoch < self.epochs and not 0 < state.best_epoch <= state.epoch - patience:
            terms = self.epoch(params)
            chosen = params if self.average is None else self.average
            self.validate(chosen, terms)
            state.epoch += 1
            state.params, state.optimiser = params, _moments(self.optimiser)
            state.average = self.average or {}
            if kept is not None:
                kept.save_if_due(state)
            self._report(chosen, self.steps, terms)

    def epoch(self, params: Params) -> dict[str, float]:
        """Go over all documents once and return the means of the loss's terms."""
        try:
            terms = self._all_steps(params)
            self.optimiser.flush()
            return terms
        except BaseException:
            self.optimiser.abandon()
            raise

    def _all_steps(self, params: Params) -> dict[str, float]:
        flush_every = STEPS_DEFERRED if self.average is None else STEPS_BETWEEN_AVERAGES
        around_each = (lambda _, values: values) if self.profile is None else self.profile.around_each
        batches = self.optimiser.prepare(around_each("batch", self._batches()), flush_every)
        batches = around_each("optimiser", batches)
        sums: dict[str, float] = {}
        means: dict[str, float] = {}
        done = 0
        for step, batch in enumerate(batches, start=1):
            done += batch.x.shape[0]
            for name, value in self.loss_and_step(params, batch).items():
                sums[name] = sums.get(name, 0.0) + value * batch.x.shape[0]
                means[name] = sums[name] / done
            if not np.isfinite(means["loss"]):
                raise InputError(
                    f"the loss is {means['loss']} in epoch {self.state.epoch + 1}",
                    "lower the learning rate or set clip_norm",
                )
            if self.callback is not None and step < self.steps:
                self._report(params, step, dict(means))
        return means

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches of an epoch: each document once, in an order of the epoch's own."""
        data, take, epoch, size = self.data, self.engine.take, self.state.epoch, self.settings.batch_size
        rng, x = np.random.default_rng([self.seed, epoch]), data.x
        order = x.shuffled(rng) if isinstance(x, Shards) else rng.permutation(x.shape[0])
        epochs = [epoch + step / self.steps for step in range(self.steps)]
        numbers = [values_at(self.schedules, done) for done in epochs]
        for step, done in enumerate(epochs):
            rows = np.sort(order[step * size : (step + 1) * size])
            rng = np.random.default_rng([self.seed, epoch, step])
            x = take(data.x, rows)
            target = x if data.target is data.x else take(data.target, rows)
            y = None if data.y is None else data.y[rows]
            yield Batch(x, target, y, rng, done, rows, data.context, self.operations, **numbers[step])

    def _step(self, params: Params, batch: Batch) -> dict[str, float]:
        """Do one step, forward, backward and update, and return the terms of its loss."""
        terms, back = self.model.loss(params, batch)
        grads = back()
        if self.step_size is None:
            n, words, engine = batch.x.shape[0], np.unique(batch.x.indices).size, self.engine
            self.step_size = StepSize(engine.name, engine.threads, n, batch.x.nnz, words, engine.looks_up)
        self.update(params, grads, batch.learning_rate)
        t, share = self.optimiser.t, self.settings.average
        if self.average is not None and share is not None and t % STEPS_BETWEEN_AVERAGES == 0:
            # early on the average forgets faster, so that it soon loses the initial weights
            kept = min(share, (1 + t) / (10 + t)) ** STEPS_BETWEEN_AVERAGES
            for name in grads:  # other entries are constants
                self.move_average(self.average[name], params[name], kept)
        return terms

    def _validate(self, params: Params, terms: dict[str, float]) -> None:
        """Validate the epoch just done, and keep its weights if they are the best so far."""
        name, value = "epoch", float(self.state.epoch)
        if self.validator is not None:
            name, value = self.validator(params)
        history = self.state.history
        best = max((record[name] for record in history if not np.isnan(record[name])), default=-np.inf)
        if not history or value > best:
            self.state.best = {key: array.copy() for key, array in params.items()}
            self.state.best_epoch = self.state.epoch + 1
        history.append({**terms, name: value})

    def _report(self, params: Params, step: int, terms: dict[str, float]) -> None:
        if self.callback is None:
            return
        state, epochs = self.state, self.epochs
        epochs_done = state.epoch + (step / self.steps if step < self.steps else 0)
        seconds = time.monotonic() - self.start
        share = (epochs_done - self.epochs_before) / (epochs - self.epochs_before)
        latest = state.history[-1] if state.history else {"validation": float("nan")}
        name, validation = list(latest.items())[-1]
        epoch = state.epoch + (step < self.steps)
        left = seconds * (1 / share - 1) if share > 0 else float("nan")
        profile = {} if self.profile is None else dict(self.profile.seconds)
        figures = terms, name, validation, state.best_epoch, seconds, left
        self.callback(Progress(epoch, epochs, step, self.steps, *figures, params, profile, self.step_size))


def _moments(optimiser: Adam) -> Params:
    """Return the optimiser's state as arrays for a checkpoint; not copies."""
    moments = {"m": optimiser.m, "v": optimiser.v}
    state = {f"{key}.{name}": array for key, arrays in moments.items() for name, array in arrays.items()}
    return state | {"t": np.array(optimiser.t)}


def _restore(optimiser: Adam, state: Params) -> None:
    for name, array in state.items():
        moment, _, key = name.partition(".")
        if key:
            getattr(optimiser, moment)[key] = array
    optimiser.t = int(state.get("t", 0))
