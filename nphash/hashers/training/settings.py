"""Grouped settings: of training, of classifiers on codes, of the neighbours of documents."""

from __future__ import annotations

from dataclasses import dataclass

from nphash.core.arguments import check_positive, check_that, is_count, is_number
from nphash.engine.select import ENGINES
from nphash.errors import InputError
from nphash.nn.schedules import Linear, ScheduleLike, schedule_ends

FORMER_NAMES = {"Labels": "ClassifierSettings", "Similarity": "NeighbourSettings"}  # in models saved before


@dataclass(frozen=True)
class Training:
    """Epochs, batches, learning rate and validation of a fit.

    Parameters
    ----------
    epochs
        Passes over the documents. None is for `NpHash` alone: as many as suit their number.
    batch_size
        Documents a step.
    learning_rate
        Adam's: a number, a pair (first, last) for linear annealing over the epochs, or a schedule. Positive
        at first; it may end at 0.
    clip_norm
        Gradients are scaled down to this global norm; None leaves them.
    average
        Decay of an exponential moving average of the weights, from which codes come (0.998: about the last
        500 steps); None for the weights themselves.
    patience
        Early stopping: end after so many epochs without a better validation figure; None runs all epochs.
    validation_share
        Share of the documents held out to choose the best epoch when none are given. Below 100
        documents none are held out and the last epoch is kept.
    dtype
        ``"float32"``, or ``"float64"`` for studies of precision.
    engine
        ``"numba"``, kernels for float32; ``"numpy"``, the equations as they are written; ``"auto"``, the
        first where it can be had. Both give the same weights up to rounding.

    Examples
    --------
    >>> Training(epochs=5).batch_size
    100
    """

    epochs: int | None = 20
    batch_size: int = 100
    learning_rate: ScheduleLike = 1e-3
    clip_norm: float | None = None
    average: float | None = None
    patience: int | None = None
    validation_share: float = 0.1
    dtype: str = "float32"
    engine: str = "auto"

    @property
    def n_epochs(self) -> int:
        """Number of `epochs`, once it is known."""
        if self.epochs is None:
            raise InputError("epochs is None", "give a whole number, 1 or more")
        return self.epochs

    def check(self) -> None:
        """Raise `InputError` for settings with which nothing can be learned."""
        clip, average, patience, share = self.clip_norm, self.average, self.patience, self.validation_share
        rules = {
            "epochs": (is_count(self.epochs), "give a whole number, 1 or more"),
            "batch_size": (is_count(self.batch_size), "give a whole number, 1 or more; 100 is usual"),
            "clip_norm": (clip is None or (is_number(clip) and clip > 0), "give a positive number, or None"),
            "average": (
                average is None or (is_number(average) and 0 < average < 1),
                "give a share between 0 and 1, or None",
            ),
            "patience": (patience is None or is_count(patience), "give 1 or more epochs, or None"),
            "validation_share": (is_number(share) and 0 <= share < 1, "give a share from 0 to below 1"),
            "dtype": (self.dtype in ("float32", "float64"), 'give "float32" or "float64"'),
            "engine": (self.engine in ENGINES, f"give one of {', '.join(ENGINES)}"),
        }
        for name, (good, hint) in rules.items():
            check_that(good, name, getattr(self, name), hint)
        first, last = schedule_ends(self.learning_rate, self.n_epochs, "learning_rate")
        good = first > 0 and last >= 0  # a last rate of 0 is reached when the last step is done
        hint = "it must be positive at first and not negative at last; 0.001 is usual"
        check_that(good, "learning_rate", self.learning_rate, hint)
        if self.engine == "numba" and self.dtype != "float32":
            raise InputError(f"engine is 'numba' with {self.dtype}", 'give engine="numpy" for float64')


@dataclass(frozen=True)
class ClassifierSettings:
    """Weight and width of the classifier of a supervised system.

    Parameters
    ----------
    weight
        The alpha of Eq. (9), the weight of the classifier's loss beside the ELBO: a number, a pair
        (first, last) for linear annealing over the epochs, or a schedule.
    hidden
        Width of the classifier's ReLU layer; None for a linear classifier.

    Examples
    --------
    >>> ClassifierSettings(weight=5.0).hidden
    100
    """

    weight: ScheduleLike = Linear(0.0, 30.0, 5)  # noqa: RUF009  (frozen, so it can be shared)
    hidden: int | None = 100

    def check(self) -> None:
        """Raise `InputError` for settings that make no sense."""
        good = self.hidden is None or is_count(self.hidden)
        check_that(good, "labels.hidden", self.hidden, "give a width of 1 or more, or None for a linear one")


@dataclass(frozen=True)
class NeighbourSettings:
    """Search for similar documents, and the weight of their similarities.

    Parameters
    ----------
    neighbours
        From how many near documents one is drawn to be reconstructed.
    edges
        Edges of each document in the graph that the eigenmap is made from.
    eigenmap
        Coordinates of the eigenmap.
    penalty
        Of the ridge regression that predicts them from words: how many documents have to agree before a
        word is believed.
    rounds
        How often graph, eigenmap and regression are computed, at most.
    lsi
        LSI dimensions that the encoder reads beside the predicted coordinates.
    graph_lsi
        How many of them are in the first graph.
    weight
        Weight of the distillation for codes of 32 bits; it grows with their length from 16 bits on.
    teacher_temperature, code_temperature
        Of the two distributions over a batch.

    Examples
    --------
    >>> NeighbourSettings(weight=0).neighbours
    25
    """

    neighbours: int = 25
    edges: int = 6
    eigenmap: int = 48
    penalty: float = 10.0
    rounds: int = 8
    lsi: int = 256
    graph_lsi: int = 64
    weight: float = 2.0
    teacher_temperature: float = 0.05
    code_temperature: float = 0.3

    def check(self) -> None:
        """Raise `InputError` for settings that cannot be."""
        for name in ("neighbours", "edges", "eigenmap", "rounds", "lsi", "graph_lsi"):
            number = getattr(self, name)
            check_that(is_count(number), f"similarity.{name}", number, "give 1 or more")
        good = is_number(self.weight) and self.weight >= 0
        check_that(good, "similarity.weight", self.weight, "give 0 or more")
        for name in ("penalty", "teacher_temperature", "code_temperature"):
            check_positive(getattr(self, name), f"similarity.{name}")
