"""The losses of `nphash.gradcheck.models` once more, as training computes them: by kernels, in float32.

A gradient by the kernels is compared with differences of the equations in float64, at the same numbers. Terms
alone give their gradients as arrays; of the whole loss the gradient is what Adam's first moment has grown by,
since the update of a weight matrix computes its gradient itself, block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nphash.core.jit import COMPILED, WHY_NOT
from nphash.core.typing import Params
from nphash.engine.compiled import CompiledEngine
from nphash.engine.optim import CompiledAdam
from nphash.gradcheck import Model
from nphash.gradcheck.models import (
    alike,
    batches,
    documents,
    initial_weights,
    parts_of,
    small,
    stand_in,
)
from nphash.gradcheck.problem import Loss
from nphash.hashers.autoencoder import VariationalHasher
from nphash.hashers.neighbours.rounds import NeighbourTeacher
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations

__all__ = ["KERNELS", "NOT_COMPILED", "models"]

# Codes of signs, whose sums are looked up, behind one dense layer and behind a sparse one; codes of numbers.
KERNELS = {f"{name} (kernels)": name for name in ("nphash", "doc2hash", "vdsh")}
NOT_COMPILED = f"the kernels are not checked, as none is compiled here: {WHY_NOT}"

N_BITS = 8  # the fewest for which sums are looked up
N_WORDS = 517  # a tile of words that fills whole vectors, and five words that do not


def models(seed: int = 0, names: Sequence[str] | None = None) -> list[Model]:
    """Return the models of `KERNELS`, with parameters in float32; none where nothing is compiled.

    Parameters
    ----------
    seed
        Draws documents, weights and noise.
    names
        Which methods; others are passed over. All if None.

    Examples
    --------
    >>> [model.name for model in models(names=["vdsh", "itq"])] if COMPILED else ["vdsh (kernels)"]
    ['vdsh (kernels)']
    """
    if not COMPILED:
        return []
    return [_model(title, seed) for title, name in KERNELS.items() if names is None or name in names]


def _model(title: str, seed: int) -> Model:
    name = KERNELS[title]
    X = documents(seed, N_WORDS)
    context = alike(X, seed) if name == "nphash" else None
    weights, constants = initial_weights(small(name, n_bits=N_BITS), X, seed, context)
    params = {key: array.astype(np.float32) for key, array in weights.items()}

    def parts(
        hasher: VariationalHasher, dtype: type[np.floating], operations: Operations = NUMPY
    ) -> dict[str, Loss]:
        own = None if context is None else _as_type(context, dtype)
        same = batches(hasher, X.astype(dtype), seed, own, operations)
        return parts_of(hasher, same, {key: array.astype(dtype) for key, array in constants.items()})

    def model(hasher: VariationalHasher) -> Model:
        kernels = parts(hasher, np.float32, CompiledEngine().operations)
        kernels["loss"] = _through_adam(kernels["loss"])
        equations = parts(hasher, np.float64)
        terms = {key: _by_dtype(kernels[key], equations[key]) for key in kernels}
        return Model(title, params, terms.pop("loss"), terms, formula="float32, against float64 equations")

    other = stand_in(small(name, n_bits=N_BITS))
    real = model(small(name, n_bits=N_BITS))
    return real if other is None else Model(**{**vars(real), "smooth": model(other)})


def _as_type(context: NeighbourTeacher, dtype: type[np.floating]) -> NeighbourTeacher:
    return NeighbourTeacher(
        context.target.astype(dtype),
        context.neighbours,
        context.teacher.astype(dtype),
        context.V_u.astype(dtype),
    )


def _by_dtype(kernels: Loss, equations: Loss) -> Loss:
    """Return a loss that is computed by the kernels where the parameters are float32."""

    def loss(params: Params) -> tuple[float, Callable[[], Params]]:
        single = next(iter(params.values())).dtype == np.float32
        return (kernels if single else equations)(params)

    return loss


def _through_adam(loss: Loss) -> Loss:
    """Return a loss whose gradients are taken from the moments after a step of Adam."""

    def through(params: Params) -> tuple[float, Callable[[], Params]]:
        value, back = loss(params)

        def moments() -> Params:
            adam = CompiledAdam(beta1=0.0)  # the first moment is the gradient itself
            adam.step({key: array.copy() for key, array in params.items()}, back())
            adam.flush()
            return adam.m

        return value, moments

    return through
