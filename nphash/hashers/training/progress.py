"""What a fit tells its callback after every step."""

from __future__ import annotations

from dataclasses import dataclass, field

from nphash.core.typing import Params

__all__ = ["Progress", "Scale"]


@dataclass(frozen=True)
class Scale:
    """What the steps of a fit are like.

    Attributes
    ----------
    engine, threads
        What computes them.
    documents, weights, words
        Of the first batch: its rows, its non-zero word weights, how many distinct words these have.
    looks_up
        Whether the decoder looks sums up in place of products: for codes of +-1 only.
    """

    engine: str
    threads: int
    documents: int
    weights: int
    words: int
    looks_up: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a fit stands, as its callback is told after every step.

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
        The current weights, not to be changed; at the end of an epoch those it is judged by. Within an
        epoch the rows of words that were not in the last batches may lag behind (`nphash.engine.lazy_rows`), and
        the decoder's weights may just be changing (`nphash.core.pool`).
    profile
        Seconds spent so far, by part of the program.
    scale
        What the steps are like.
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
    scale: Scale | None = field(default=None, repr=False)
