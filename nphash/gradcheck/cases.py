"""The built-in operations with arguments to check them on, in forward order.

The sizes differ from each other and the constants are odd numbers, so that a wrong factor can be
recognised by its value.

Shapes: B documents of a batch, V words, L bits, K categories, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from nphash.core.typing import Array, Rng
from nphash.gradcheck.problem import Hard, Operation, Problem, from_function
from nphash.nn import gumbel, losses, ops

B, V, L, K, C = 5, 11, 4, 3, 7
TAU = 0.7


@dataclass(frozen=True)
class Case:
    """An operation with a way to draw its arguments.

    Parameters
    ----------
    function
        Returns ``(out, back)``.
    draw
        Makes the arguments from a random generator.
    constants
        Names of floating-point arrays that have no gradient.
    relaxed
        For a straight-through operation, the differentiable one whose gradient it borrows.
    hard
        For a straight-through operation, what it returns, made of what the differentiable one returns.
    name
        How reports call it; the function's own name with its module if empty.
    """

    function: Operation
    draw: Callable[[Rng], tuple[Any, ...]]
    constants: tuple[str, ...] = ()
    relaxed: Operation | None = None
    hard: Hard | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """The name in reports, such as ``losses.reconstruction``."""
        module = self.function.__module__.rpartition(".")[2]
        return self.name or f"{module}.{self.function.__name__}"

    def problem(
        self, seed: int, dtype: type[np.floating] = np.float64, function: Operation | None = None
    ) -> Problem:
        """Return the problem for one seed; ``function`` may stand in for the real one."""
        args = [
            value.astype(dtype) if getattr(value, "dtype", None) in (np.float32, np.float64) else value
            for value in self.draw(np.random.default_rng(seed))
        ]
        found = from_function(function or self.function, args, self.constants, self.title, self.relaxed)
        return replace(found, hard=self.hard)


def _documents(rng: Rng) -> Any:
    counts = rng.integers(1, 4, size=(B, V)) * (rng.random((B, V)) < 0.4)
    counts[:, 0] = 1  # no empty document
    return sparse.csr_array(counts * 0.37)


def _normals(*shapes: tuple[int, ...]) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def _codes_and_teacher(rng: Rng) -> tuple[Any, ...]:
    P = rng.random((B, B)) * (1 - np.eye(B))
    return rng.normal(size=(B, L)), P / P.sum(axis=1, keepdims=True), TAU


def _scalars(*weight: float) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: (np.asarray(rng.normal()), np.asarray(rng.normal()), *weight)


def operations() -> list[Case]:
    """Return a case for every differentiable operation of the package, in forward order.

    Examples
    --------
    >>> [case.title for case in operations()][:2]
    ['ops.sparse_dense', 'ops.dense']
    """
    return [*_layers(), *_samples(), *_losses()]


def _layers() -> list[Case]:
    return [
        Case(ops.sparse_dense, lambda rng: (_documents(rng), rng.normal(size=(V, L)), rng.normal(size=L))),
        Case(ops.dense, _normals((B, L), (L, K), (K,))),
        Case(ops.dense, _normals((B, L), (L, L), (L,)), name="ops.dense (square)"),
        *(Case(f, _normals((B, L))) for f in (ops.relu, ops.sigmoid, ops.tanh, ops.softplus)),
        *(Case(f, _normals((B, K))) for f in (ops.softmax, ops.log_softmax)),
        Case(
            ops.dropout,
            lambda rng: (rng.normal(size=(B, L)), ops.dropout_mask(rng, (B, L), 0.4)),
            constants=("mask",),
        ),
        Case(ops.gaussian_sample, _normals((B, L), (B, L), (B, L)), constants=("noise",)),
    ]


def _samples() -> list[Case]:
    def many(rng: Rng) -> tuple[Any, ...]:
        return rng.normal(size=(B, L, K)), gumbel.gumbel_noise(rng, (B, L, K)), TAU

    def one(rng: Rng) -> tuple[Any, ...]:
        return rng.normal(size=(B, L)), gumbel.logistic_noise(rng, (B, L)), TAU

    def largest(y: Array, constants: dict[str, Any]) -> Array:
        return np.asarray(y.argmax(axis=-1)[..., None] == np.arange(K))

    noise = ("noise",)
    return [
        Case(gumbel.gumbel_softmax, many, noise),
        Case(gumbel.straight_through_gumbel, many, noise, gumbel.gumbel_softmax, hard=largest),
        Case(gumbel.logit_difference, _normals((B, L, 2))),
        Case(gumbel.relaxed_bits, one, noise),
        Case(gumbel.straight_through_bits, one, noise, gumbel.relaxed_bits, lambda y, constants: y > 0.5),
        Case(
            gumbel.straight_through_bernoulli,
            lambda rng: (rng.normal(size=(B, L)), rng.random((B, L))),
            ("uniform",),
            relaxed=lambda logits, uniform: ops.sigmoid(logits),
            hard=lambda p, constants: p > constants["uniform"],
        ),
    ]


def _losses() -> list[Case]:
    def prior(rng: Rng) -> tuple[Any, ...]:
        return rng.normal(size=(B, L, K)), rng.dirichlet(np.ones(K))

    return [
        Case(losses.l2_penalty, lambda rng: (rng.normal(size=(V, L)), 0.13)),
        Case(losses.categorical_kl, _normals((B, L, K))),
        Case(losses.categorical_kl, prior, ("prior",), name="losses.categorical_kl (prior)"),
        Case(losses.pooled_categorical_kl, _normals((B, L, K))),
        Case(losses.bernoulli_kl, lambda rng: (rng.normal(size=(B, L)), 0.3)),
        Case(losses.gaussian_kl, _normals((B, L), (B, L))),
        Case(losses.reconstruction, lambda rng: (rng.normal(size=(B, V)), _documents(rng))),
        Case(losses.reconstruct, lambda rng: (*_normals((B, L), (L, V), (V,))(rng), _documents(rng))),
        Case(losses.lower_bound, _scalars()),
        Case(losses.bound_loss, _scalars(0.23)),
        Case(losses.cross_entropy, lambda rng: (rng.normal(size=(B, C)), rng.integers(0, C, B))),
        Case(losses.logistic_loss, lambda rng: (rng.normal(size=(B, C)), rng.integers(0, 2, (B, C)))),
        Case(losses.supervised_loss, _scalars(0.61)),
        Case(losses.similarity_distillation, _codes_and_teacher, ("P",)),
    ]
