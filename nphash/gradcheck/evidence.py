"""Evidence of one wrong gradient, comparisons of it, and known numbers and arrays that may explain it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nphash.core.typing import Array, Params
from nphash.gradcheck.numeric import derivative
from nphash.gradcheck.problem import Evaluate, Problem

__all__ = ["EXACT", "Evidence", "factors", "multiple", "numbers", "same", "sizes"]

EXACT = 1e-5  # largest relative residual of a relation that counts as exact


@dataclass(frozen=True)
class Evidence:
    """One parameter's wrong gradient.

    ``out`` and ``dout`` are the function's output and the upstream gradient; ``analytic`` is the whole
    gradient; ``numeric``, ``kept`` and ``wrong`` belong to the entries ``chosen`` (flat numbers), ``terms``
    are numeric derivatives of a model's terms at the same entries.
    """

    problem: Problem
    out: Array
    dout: Array
    name: str
    analytic: Array
    chosen: Array
    numeric: Array
    kept: Array
    wrong: Array
    terms: Params

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

        found = []
        for entry in map(int, self.chosen[self.kept]):
            size = abs(float(params[name].flat[entry]))
            found.append(derivative(partial(along, entry), self.dout, 0.0, size=size).value)
        return np.array(found)


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays agree but for numeric error, and are not both zero."""
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return bool(np.linalg.norm(a - b) <= EXACT * size)


def multiple(a: Array, b: Array) -> float:
    """Return c with a = c b, or NaN if there is none."""
    square = float(b @ b)
    c = float(a @ b) / square if square else float("nan")
    return c if np.isfinite(c) and c and same(a, c * b) else float("nan")


def sizes(problem: Problem, out: Array) -> Iterator[tuple[int, str]]:
    """Yield the sizes over which a mean may be taken: the batch first."""
    seen = {1}
    arrays = {**problem.params, "out": out, **problem.constants}
    for axis, word in enumerate(("rows", "columns", "categories")):
        for name, value in arrays.items():
            shape = getattr(value, "shape", ())
            if axis < len(shape) and shape[axis] not in seen:
                seen.add(shape[axis])
                yield shape[axis], f"the number of {word} of {name}"
    for name, value in problem.params.items():
        if value.size not in seen:
            yield value.size, f"the number of entries of {name}"


def numbers(problem: Problem, dout: Array) -> Iterator[tuple[float, str]]:
    """Yield the constants by name, and the upstream gradient where it is a number."""
    for name, value in problem.constants.items():
        if isinstance(value, float) and value not in (0, 1, -1):
            yield value, name
    if dout.ndim == 0:
        yield float(dout), "the upstream gradient"


def factors(problem: Problem, out: Array, name: str) -> Iterator[tuple[str, Array, bool]]:
    """Yield (name, array, whether it is the whole derivative of an activation), of the parameter's shape."""
    x, y = np.asarray(problem.params[name], dtype=np.float64), out
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
