"""Known numbers and arrays that a wrong gradient may have too often or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nphash.gradcheck.numeric import Array
from nphash.gradcheck.problem import Problem
from nphash.gradcheck.trial import Trial

__all__ = ["factors", "floats", "sizes"]


def sizes(problem: Problem, trial: Trial) -> Iterator[tuple[int, str]]:
    """Yield the sizes over which a mean may be taken: the batch first."""
    seen = {1}
    arrays = {**problem.params, "out": trial.out, **problem.constants}
    for axis, word in ((0, "rows"), (1, "columns"), (2, "categories")):
        for name, value in arrays.items():
            shape = getattr(value, "shape", ())
            if axis < len(shape) and shape[axis] not in seen:
                seen.add(shape[axis])
                yield shape[axis], f"the number of {word} of {name}"
    for name, value in problem.params.items():
        if value.size not in seen:
            yield value.size, f"the number of entries of {name}"


def floats(problem: Problem, trial: Trial) -> Iterator[tuple[float, str]]:
    """Yield the constants by name, and the upstream gradient where it is a number."""
    for name, value in problem.constants.items():
        if isinstance(value, (float, int)) and not isinstance(value, bool) and value not in (0, 1):
            yield float(value), name
    if trial.out.ndim == 0:
        yield float(trial.dout), "the upstream gradient"


def factors(problem: Problem, trial: Trial, name: str) -> Iterator[tuple[str, Array]]:
    """Yield arrays of the parameter's shape that may be a missing or a surplus factor."""
    x = np.asarray(problem.params[name], dtype=np.float64)
    with np.errstate(all="ignore"):
        e = np.exp(-np.abs(x))
        sigmoid = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
        known = {
            f"[{name} > 0]": (x > 0).astype(float),
            f"sigmoid'({name})": e / (1 + e) ** 2,
            f"sigmoid({name})": sigmoid,
            f"(1 - sigmoid({name}))": 1 - sigmoid,
            f"tanh'({name})": 1 - np.tanh(x) ** 2,
            f"exp({name})": np.exp(x),
            f"exp({name} / 2)": np.exp(x / 2),
            name: x,
        }
        y = trial.out
        if y.shape == x.shape:
            known |= {"y (1 - y)": y * (1 - y), "y": y, "(1 - y)": 1 - y, "(1 - y^2)": 1 - y * y}
    yield from known.items()
    for other, value in {**problem.params, **problem.constants}.items():
        if other != name and isinstance(value, np.ndarray) and value.shape == x.shape:
            yield other, value.astype(np.float64)
