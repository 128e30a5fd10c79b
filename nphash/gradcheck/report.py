"""What a gradient check found, one report for every parameter of every operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Report", "Verdict", "passed"]

Verdict = Literal["ok", "straight-through", "kinks only", "wrong", "invalid"]


@dataclass(frozen=True)
class Report:
    """One parameter of one operation or model, checked against numeric derivatives.

    Attributes
    ----------
    operation, equation, formula, parameter, shape
        What was checked; ``equation`` is the tag of the docstring, such as ``"(4)"``, or empty, and
        ``formula`` what stands beside it.
    verdict
        ``ok``; ``straight-through`` (no numeric gradient exists, and the relaxed path is right);
        ``kinks only`` (no entry could be judged); ``wrong``; ``invalid`` (could not be run).
    entries, skipped
        Entries compared, and entries left out because a step crosses a kink.
    worst, analytic, numeric, relative_error, ratio
        The entry with the largest relative error, its two derivatives, and analytic / numeric.
    direction_error
        Relative error of the derivative along one random direction, which involves all entries.
    tolerance
        Largest relative error allowed, beyond the rounding of the numeric derivative itself.
    cause, evidence
        The likely cause of a wrong gradient and the observation behind it.
    first
        True for the first wrong operation in backward order: mend this one before the others.
    sweep
        (step, relative error) of plain central differences along the random direction.
    seed
        The seed that draws the same arrays, directions and entries again.
    note
        What a reader has to know beside the figures.
    """

    operation: str
    parameter: str
    verdict: Verdict
    equation: str = ""
    formula: str = ""
    shape: tuple[int, ...] = ()
    entries: int = 0
    skipped: int = 0
    worst: tuple[int, ...] = ()
    analytic: float = float("nan")
    numeric: float = float("nan")
    relative_error: float = float("nan")
    ratio: float = float("nan")
    direction_error: float = float("nan")
    tolerance: float = float("nan")
    cause: str = ""
    evidence: str = ""
    first: bool = False
    sweep: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    seed: int = 0
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether entries were compared and agree."""
        return not self.wrong and self.judged

    @property
    def wrong(self) -> bool:
        """Whether something speaks against this gradient."""
        return self.verdict in ("wrong", "invalid")

    @property
    def judged(self) -> bool:
        """Whether any entry could be compared: at a kink there is no derivative that could agree."""
        return self.verdict != "kinks only"


def passed(reports: list[Report]) -> bool:
    """Return whether every gradient was compared and found right.

    Examples
    --------
    >>> passed([Report("relu", "x", "ok"), Report("dense", "W", "wrong")])
    False
    """
    return all(report.passed for report in reports)
