"""The epoch loop: batches, Adam, choice of the best epoch, checkpoints, progress.

The loop knows nothing of any particular model. A model is anything with ``loss(params, batch)``
that returns the terms of its loss and a function for their gradients; see `Model`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nphash.core.devices import uses
from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import Params
from nphash.corpus.shards import Shards
from nphash.engine.look_ahead import LookAhead
from nphash.engine.select import create_engine
from nphash.errors import InputError, Interrupted
from nphash.hashers.training.batches import Batch, Data, drawn_ahead
from nphash.hashers.training.checkpoint import Checkpoint, State, fingerprint
from nphash.hashers.training.progress import Progress, Scale
from nphash.hashers.training.settings import Training
from nphash.nn.optim import Adam, moving_average
from nphash.nn.schedules import as_schedule

__all__ = ["Batch", "Data", "Model", "Progress", "Scale", "Training", "one_pass", "train"]

Validator = Callable[[Params], tuple[str, float]]

# The average of weights is moved once in so many steps, by as much as it would have moved in all of them:
# reading and writing a vocabulary's weights costs as much as Adam.
STEPS_BETWEEN_AVERAGES = 8

# For so many steps rows without gradient may wait: what they catch up with is summed over all of these steps,
# nearly every step anew, and the steps of an epoch may be a hundred thousand.
STEPS_PUT_OFF = 1_000

# Parameters by which a checkpoint is not recognised: results do not depend on the number of
# threads, and the seed drawn from the random state is compared itself.
UNIMPORTANT = ("threads", "random_state")


class Model(Protocol):
    """What the loop needs of a system."""

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the loss (``"loss"`` is the whole) and a function for its gradients."""
        ...


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
    keep: bool = False,
) -> State:
    """Minimise a model's loss and return the state whose ``best`` are the chosen weights.

    Same seed, same bytes: batch order and noise are keyed by (seed, epoch, step) and no sum
    depends on the number of threads. With `keep` the checkpoint stays, as of the end.

    Raises
    ------
    InputError
        If the loss is no longer a finite number; says in which epoch.
    Interrupted
        On Ctrl-C when a checkpoint was kept; without one ``KeyboardInterrupt`` goes through.
    """
    settings.check()
    kept = None
    state = State(params=params, best=params)
    if checkpoint is not None:
        kept = Checkpoint(
            checkpoint, fingerprint(_identity(model, seed), [data.x, data.target, *_labels(data.y)])
        )
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
    if kept is not None and keep:
        kept.save(loop.state)
    elif kept is not None:
        kept.delete()
    return loop.state


def one_pass(
    model: Model, state: State, data: Data, settings: Training, seed: int, *, threads: int | None = None
) -> State:
    """Do one epoch more, whatever their number in the settings, and return the state; nothing is judged.

    The state given is used up: its arrays are changed in place.

    Raises
    ------
    InputError
        As `train`.
    """
    settings.check()
    loop = _Loop(model, data, None, settings, seed, state, count_threads(threads), None)
    _restore(loop.adam, state.optimiser)
    with single_threaded_blas():
        state.history.append(loop._epoch(state.params))
    state.epoch += 1
    state.optimiser = _moments(loop.adam)
    return state


def _identity(model: Any, seed: int) -> str:
    """Return as text what a fit depends on beside its documents; the number of threads is not of it."""
    if not hasattr(model, "get_params"):
        return repr((model, seed))
    params = {name: value for name, value in model.get_params(deep=False).items() if name not in UNIMPORTANT}
    return repr((type(model).__name__, seed, sorted(params.items())))


def _labels(y: Any) -> list[Any]:
    return [] if y is None else [y]


class _Loop:
    """One fit under way.

    ``state`` says how far it is; its params and moments are those of the last epoch's end only until the
    next one begins, which changes them in place.
    """

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
        self.adam = Adam(max_norm=settings.clip_norm, threads=threads)
        self.engine = create_engine(settings.engine, settings.dtype, threads)
        self.profile = self.engine.profile
        self.steps = -(-data.x.shape[0] // settings.batch_size)
        self.start = time.monotonic()
        self.epochs_before = state.epoch
        self.average: Params | None = None  # set by `run` where weights are averaged
        self.scale: Scale | None = None  # set by the first step

    def run(self, kept: Checkpoint | None) -> None:
        state = self.state
        params = {name: array.copy() for name, array in state.params.items()}
        _restore(self.adam, state.optimiser)
        if self.settings.average is not None:
            self.average = {name: array.copy() for name, array in (state.average or params).items()}
        while state.epoch < self.settings.n_epochs and not self._patience_is_over():
            terms = self._epoch(params)
            judged = params if self.average is None else self.average
            with self.profile.measure("validation"):
                self._judge(judged, terms)
            state.epoch += 1
            state.params, state.optimiser = params, _moments(self.adam)
            state.average = self.average or {}
            if kept is not None:
                kept.save_if_due(state)
            self._report(judged, self.steps, terms)

    def _epoch(self, params: Params) -> dict[str, float]:
        """Go over all documents once and return the means of the loss's terms."""
        try:
            return self._all_steps(params)
        except BaseException:
            self.adam.abandon()
            raise

    def _all_steps(self, params: Params) -> dict[str, float]:
        n, size = self.data.x.shape[0], self.settings.batch_size
        epoch = self.state.epoch
        rng = np.random.default_rng([self.seed, epoch])
        x = self.data.x
        order = x.shuffled(rng) if isinstance(x, Shards) else rng.permutation(n)
        rate = as_schedule(self.settings.learning_rate, self.settings.n_epochs)
        ahead = (
            LookAhead(x.shape[1])
            if self.engine.name == "numba" and uses("look-ahead") and uses("deferred")
            else None
        )
        sums: dict[str, float] = {}
        for step, (batch, batch_rate) in enumerate(self._batches(order, rate, ahead)):
            terms = self._step(params, batch, batch_rate, ahead)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value * batch.x.shape[0]
            done = min(n, (step + 1) * size)
            means = {name: value / done for name, value in sums.items()}
            if not np.isfinite(means["loss"]):
                raise InputError(
                    f"the loss is {means['loss']} in epoch {epoch + 1}",
                    "lower the learning rate or set clip_norm",
                )
            if step + 1 < self.steps:
                self._report(params, step + 1, means)
        with self.profile.measure("optimiser"):
            self.adam.settle()
        return means

    def _batches(
        self, order: npt.NDArray[Any], rate: Callable[[float], float], ahead: LookAhead | None
    ) -> Iterator[tuple[Batch, float]]:
        """Yield the batches of an epoch and their rates, drawn ahead where that helps the optimiser."""
        size, before = self.settings.batch_size, self.adam.t
        starts = range(0, self.steps * size, size)
        batches = (self._batch(np.sort(order[i : i + size]), step) for step, i in enumerate(starts))
        drawn = ((batch, rate(batch.epoch)) for batch in batches)
        if ahead is None:
            return drawn
        return drawn_ahead(
            drawn,
            lambda next_one: ahead.announce(next_one[0].x.indices, next_one[1]),
            lambda done: self._settles(before + done),
        )

    def _step(self, params: Params, batch: Batch, rate: float, ahead: LookAhead | None) -> dict[str, float]:
        """Do one step and return the terms of its loss."""
        measure = self.profile.measure
        with measure("optimiser"):
            self.adam.catch_up(batch.x.indices)
        with measure("latent layers and noise"):
            terms, back = self.model.loss(params, batch)
            grads = back()
        self.scale = self.scale or _scale(batch)
        with measure("optimiser"):
            self.adam.step(params, grads, rate, ahead)
            if self._settles(self.adam.t):
                self.adam.settle()
                self._move_average(params, grads)
        return terms

    def _settles(self, t: int) -> bool:
        """Whether nothing stays put off after step `t`."""
        return t % (STEPS_PUT_OFF if self.average is None else STEPS_BETWEEN_AVERAGES) == 0

    def _move_average(self, params: Params, grads: Params) -> None:
        t, share = self.adam.t, self.settings.average
        if self.average is None or share is None:
            return
        # early on the average forgets faster, so that it soon loses the first weights
        kept = min(share, (1 + t) / (10 + t)) ** STEPS_BETWEEN_AVERAGES
        for name in grads:  # other entries are constants
            moving_average(self.average[name], params[name], kept, self.engine.threads)

    def _batch(self, rows: npt.NDArray[Any], step: int) -> Batch:
        data, epoch = self.data, self.state.epoch
        with self.profile.measure("batch"):
            rng = np.random.default_rng([self.seed, epoch, step])
            x = self.engine.take(data.x, rows)
            target = x if data.target is data.x else self.engine.take(data.target, rows)
            y = None if data.y is None else data.y[rows]
        return Batch(x, target, y, rng, epoch + step / self.steps, rows, data.context, self.engine)

    def _judge(self, params: Params, terms: dict[str, float]) -> None:
        """Validate the epoch just done, and keep its weights if they are the best so far."""
        name, value = (
            self.validator(params) if self.validator is not None else ("epoch", float(self.state.epoch))
        )
        history = self.state.history
        best = max((record[name] for record in history if not np.isnan(record[name])), default=-np.inf)
        if not history or value > best:
            self.state.best = {key: array.copy() for key, array in params.items()}
            self.state.best_epoch = self.state.epoch + 1
        history.append({**terms, name: value})

    def _patience_is_over(self) -> bool:
        patience, state = self.settings.patience, self.state
        return patience is not None and state.best_epoch > 0 and state.epoch - state.best_epoch >= patience

    def _report(self, params: Params, step: int, terms: dict[str, float]) -> None:
        if self.callback is None:
            return
        state, epochs = self.state, self.settings.n_epochs
        epochs_done = state.epoch + (step / self.steps if step < self.steps else 0)
        seconds = time.monotonic() - self.start
        share = (epochs_done - self.epochs_before) / (epochs - self.epochs_before)
        name, validation = (
            list(state.history[-1].items())[-1] if state.history else ("validation", float("nan"))
        )
        epoch = state.epoch + (step < self.steps)
        left = seconds * (1 / share - 1) if share > 0 else float("nan")
        self.callback(
            Progress(
                epoch,
                epochs,
                step,
                self.steps,
                terms,
                name,
                validation,
                state.best_epoch,
                seconds,
                left,
                params,
                dict(self.profile.seconds),
                self.scale,
            )
        )


def _scale(batch: Batch) -> Scale:
    engine, words = batch.engine, np.unique(batch.x.indices).size
    return Scale(engine.name, engine.threads, batch.x.shape[0], batch.x.nnz, words, engine.looks_up)


def _moments(adam: Adam) -> Params:
    """Return the optimiser's state as arrays for a checkpoint; not copies."""
    state = {f"m.{name}": array for name, array in adam.m.items()} | {
        f"v.{name}": array for name, array in adam.v.items()
    }
    return {**state, "t": np.array(adam.t)}


def _restore(adam: Adam, state: Params) -> None:
    for name, array in state.items():
        moment, _, key = name.partition(".")
        if key:
            getattr(adam, moment)[key] = array
    adam.t = int(state.get("t", 0))
