"""All that is known of one wrong gradient, and the comparisons that suspicions are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.numeric import derivative
from nphash.gradcheck.problem import Evaluate, Problem
from nphash.gradcheck.trial import Trial

__all__ = ["EXACT", "Findings", "Suspicion", "multiple", "same"]

Suspicion = tuple[str, str] | None

EXACT = 1e-5  # largest relative residual of a relation that counts as exact


@dataclass(frozen=True)
class Findings:
    """One parameter's wrong gradient.

    ``analytic`` is the whole gradient; ``numeric``, ``kept`` and ``wrong`` belong to the entries
    ``chosen`` (flat numbers), ``terms`` are numeric derivatives of a model's terms at the same entries.
    """

    problem: Problem
    trial: Trial
    name: str
    analytic: Array
    chosen: Array
    numeric: Array
    kept: Array
    wrong: Array
    terms: dict[str, Array]

    @property
    def a(self) -> Array:
        """Analytic derivatives at the kept entries."""
        return self.at(self.analytic)

    @property
    def n(self) -> Array:
        """Numeric derivatives at the kept entries."""
        found: Array = self.numeric[self.kept]
        return found

    @property
    def value(self) -> Array:
        """The parameter, in float64."""
        return np.asarray(self.problem.params[self.name], dtype=np.float64)

    @property
    def full(self) -> Array | None:
        """The numeric gradient in the parameter's shape, where every entry is known."""
        return self.numeric.reshape(self.analytic.shape) if len(self.n) == self.analytic.size else None

    def at(self, whole: Array) -> Array:
        """Return the kept entries of an array of the parameter's shape."""
        found: Array = np.asarray(whole, dtype=np.float64).reshape(-1)[self.chosen[self.kept]]
        return found

    def numeric_of(self, path: Evaluate, name: str = "") -> Array:
        """Return numeric derivatives of another function, or by another parameter, at the kept entries."""
        name = name or self.name
        params = {key: np.asarray(value, dtype=np.float64) for key, value in self.problem.params.items()}

        def along(entry: int, t: float) -> Array:
            moved = params[name].copy()
            moved.flat[entry] += t
            return np.array(path({**params, name: moved})[0], dtype=np.float64)

        entries = self.chosen[self.kept]
        found = [derivative(partial(along, int(entry)), self.trial.dout, 0.0).value for entry in entries]
        return np.array(found)


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays agree but for numeric error, and are not both zero.

    Examples
    --------
    >>> same(np.ones(3), np.ones(3) + 1e-9), same(np.ones(3), np.array([1.0, 1.0, 1.1]))
    (True, False)
    """
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return bool(np.linalg.norm(a - b) <= EXACT * size)


def multiple(a: Array, b: Array) -> float:
    """Return c with a = c b, or NaN if there is none.

    Examples
    --------
    >>> b = np.array([1.0, 2.0])
    >>> multiple(np.array([2.0, 4.0]), b), multiple(np.array([2.0, 5.0]), b)
    (2.0, nan)
    """
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if np.isfinite(c) and c and same(a, c * b) else float("nan")
