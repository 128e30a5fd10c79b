"""What a straight-through sample is forward: no derivative tells, since that of a step is zero either way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nphash.core.typing import Array

if TYPE_CHECKING:
    from nphash.gradcheck.problem import Problem

__all__ = ["Hard", "other_values", "wrong_sample"]

# Takes a relaxed sample and the constants by name; returns the hard sample that belongs to it.
Hard = Callable[[Array, dict[str, Any]], Array]


def wrong_sample(problem: Problem, z: Array) -> tuple[str, str] | None:
    """Compare a sample with the hard form of its relaxed one; (cause, evidence) if they differ.

    Examples
    --------
    >>> from nphash.gradcheck.cases import operations
    >>> bits, = (case for case in operations() if case.title == "gumbel.straight_through_bits")
    >>> problem = bits.problem(0)
    >>> z, _ = problem.evaluate(problem.params)
    >>> wrong_sample(problem, z), wrong_sample(problem, 1 - z)[0]
    (None, 'sample turned round')
    """
    if problem.hard is None or problem.relaxed is None:
        return None
    y = np.asarray(problem.relaxed(problem.params)[0])
    wanted = problem.hard(y, problem.constants)
    if z.shape != wanted.shape:
        return "wrong shape", f"the sample has shape {z.shape}, the relaxed one {y.shape}"
    if np.array_equal(z, wanted):
        return None
    index = tuple(int(i) for i in np.argwhere(z != wanted)[0])
    seen = f"at {index} it is {z[index]:g}, where the relaxed one is {y[index]:.3g}"
    if np.array_equal(z, 1 - wanted):
        return "sample turned round", f"{seen}; so everywhere"
    for name, value in problem.constants.items():
        for what, other in other_values(value):
            if problem.vary is not None and _explains(problem, z, name, other):
                return f"{name} not applied the same way", f"the sample is right for {name} = {what}; {seen}"
    return "sample and relaxed sample disagree", seen


def _explains(problem: Problem, z: Array, name: str, other: Any) -> bool:
    assert problem.vary is not None and problem.hard is not None
    try:
        y = np.asarray(problem.vary(name, other)(problem.params)[0])
    except Exception:  # a value the function cannot take cannot be the cause
        return False
    return np.array_equal(z, problem.hard(y, {**problem.constants, name: other}))


def other_values(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what might stand in place of a constant by mistake, each with what to call it.

    Examples
    --------
    >>> [what for what, _ in other_values(0.7)]
    ['0.5', '1', '0', '2', 'its reciprocal']
    """
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        yield "0", np.zeros_like(value)
        yield "-itself", -value
        yield "its mean", np.full_like(value, value.mean())
    elif hasattr(value, "tocsr"):
        binary = value.copy()
        binary.data = np.ones_like(binary.data)
        yield "its non-zero entries as ones", binary
    elif isinstance(value, float):
        yield from ((f"{other:g}", other) for other in (0.5, 1.0, 0.0, 2.0) if other != value)
        yield "its reciprocal", 1 / value if value else 1.0
