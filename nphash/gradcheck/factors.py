"""Known numbers and arrays that a wrong gradient may have too often or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nphash.core.typing import Array
from nphash.gradcheck.problem import Problem
from nphash.gradcheck.trial import Trial

__all__ = ["factors", "floats", "sizes"]


def sizes(problem: Problem, trial: Trial) -> Iterator[tuple[int, str]]:
    """Yield the sizes over which a mean may be taken: the batch first."""
    seen = {1}
    arrays = {**problem.params, "out": trial.out, **problem.constants}
    for axis, word in enumerate(("rows", "columns", "categories")):
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
        if isinstance(value, float) and value not in (0, 1, -1):
            yield value, name
    if trial.out.ndim == 0:
        yield float(trial.dout), "the upstream gradient"


def factors(problem: Problem, trial: Trial, name: str) -> Iterator[tuple[str, Array, bool]]:
    """Yield (name, array, whether it is the whole derivative of an activation), of the parameter's shape."""
    x, y = np.asarray(problem.params[name], dtype=np.float64), trial.out
    for other, value in {**problem.constants, **problem.params}.items():
        if other != name and isinstance(value, np.ndarray) and value.shape == x.shape:
            yield other, value.astype(np.float64), False
    e = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    yield f"[{name} > 0]", (x > 0).astype(float), True
    yield f"sigmoid'({name})", e / (1 + e) ** 2, True
    yield f"tanh'({name})", 1 - np.tanh(x) ** 2, True
    if x.ndim:
        shifted = np.exp(x - x.max(axis=-1, keepdims=True))
        yield f"softmax({name})", shifted / shifted.sum(axis=-1, keepdims=True), True
    if y.shape == x.shape:
        yield from (("y (1 - y)", y * (1 - y), True), ("1 - y^2", 1 - y * y, True))
        yield from (("y", y, False), ("(1 - y)", 1 - y, False), ("(1 + y)", 1 + y, False))
    yield from ((f"sigmoid({name})", sigmoid, False), (f"(1 - sigmoid({name}))", 1 - sigmoid, False))
    yield from (
        (f"exp({name})", np.exp(x), False),
        (f"exp({name} / 2)", np.exp(x / 2), False),
        (name, x, False),
    )
