"""Whole losses of all systems that are trained by gradients, small and with fixed noise, to be checked.

Every model is the system's own code on a few generated documents: its loss, and each term of the loss (the
data term, each divergence, the labels), so that a wrong weight is distinguished from a wrong gradient. A
straight-through sample has no numeric gradient; there the model with a differentiable stand-in is
differentiated numerically, and the system's own gradient is compared with that.

`kernel_models` are some of them once more, as training computes them: by kernels, in float32, compared with
differences of the equations in float64 at the same numbers. Terms alone give their gradients as arrays; of
the whole loss the gradient is what Adam's first moment has grown by, since the update of a weight matrix
computes its gradient itself, block by block.

Shapes: B documents, V words, L bits, C labels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

import numpy as np
import scipy.sparse

from nphash import gradcheck
from nphash.core.jit import COMPILED, WHY_NOT
from nphash.core.typing import CSR, Array, Params, Rng
from nphash.engine.compiled import CompiledEngine
from nphash.engine.optim import CompiledAdam
from nphash.gradcheck import Case, Model, straight_through_surrogate
from nphash.gradcheck.problem import Loss, Operation
from nphash.hashers.ammi import bit_entropy, markov_entropy
from nphash.hashers.autoencoder import VariationalHasher
from nphash.hashers.ksh import Residual, smooth_objective
from nphash.hashers.methods import METHODS, create
from nphash.hashers.nash import Nash
from nphash.hashers.neighbours.rounds import NeighbourTeacher
from nphash.hashers.nphash import NpHash
from nphash.hashers.training.trainer import Batch
from nphash.nn.gumbel import relaxed_bits, straight_through_bernoulli, straight_through_bits
from nphash.nn.losses import NUMPY
from nphash.nn.ops import Operations, normalise_rows, sigmoid, sparse_dense
from nphash.nn.schedules import values_at

# How the other systems find their codes: there is no gradient that could be wrong.
WITHOUT_GRADIENT = {
    "itq": "singular vectors and rotations, in closed form",
    "sth": "eigenvectors, and support vector machines by coordinate descent",
    "sph": "eigenfunctions, in closed form",
    "lsh": "random planes, nothing is learned",
    "shttm": "alternating least squares, each step in closed form",
}

B, V, C = 6, 9, 3
SMALL = {
    "n_bits": 4,
    "hidden": (6, 5),
    "labels__hidden": 5,
    "pretraining_epochs": 1,
    "similarity__lsi": 7,
    "similarity__weight": 3.0,  # by default it would be 1 at so few bits, and leaving it out be right
    "start": "random",
    "training__dtype": "float64",
}

# What settings other than the defaults compute, most of them as published: models of their own.
VARIANTS: dict[str, dict[str, Any]] = {
    "nphash (no dropout)": {"dropout": 0.0},
    "doc2hash (relaxed)": {"sampling": "relaxed"},
    "nash (deterministic)": {"sampling": "deterministic"},
    "vdsh (sigmoid, no dropout)": {"variance": "sigmoid", "dropout": 0.0},
    "vdsh-s (linear, one class)": {"labels__hidden": None},
}

# By kernels: codes of signs, whose sums are looked up, behind one dense layer and a sparse one; and numbers.
KERNELS = {f"{name} (kernels)": name for name in ("nphash", "doc2hash", "vdsh")}
NOT_COMPILED = f"the kernels are not checked, as none is compiled here: {WHY_NOT}"
N_BITS = 8  # the fewest for which sums are looked up
N_WORDS = 517  # a tile of words that fills whole vectors, and five words that do not

WEIGHTS = {"KL": "beta", "labels": "alpha", "distillation": "gamma"}  # of a batch, by the term of the loss


def operations() -> list[Case]:
    """Return the operations of the systems: those of `gradcheck`, then their own, in forward order."""

    def similarities(rng: Rng) -> tuple[Any, ...]:
        R = rng.normal(size=(7, 7))
        return rng.normal(size=3), rng.normal(size=(7, 3)), (R + R.T).__matmul__

    return [
        *gradcheck.operations(),
        Case(bit_entropy, lambda rng: (rng.normal(size=(B, 4)),)),
        Case(markov_entropy, lambda rng: (rng.uniform(0.1, 0.9, (B, 4)),)),
        Case(smooth_objective, similarities, constants=("K",)),
    ]


def models(seed: int = 0, names: Sequence[str] | None = None) -> list[Model]:
    """Return the loss of each of `METHODS` (None: all) that is trained by gradients, with its `VARIANTS`."""
    special = {"ammi": _ammi, "s-rbm": _stacked_rbm, "ksh": _ksh}
    found = []
    for name in METHODS if names is None else [name for name in METHODS if name in names]:
        if name in special:
            found.append(special[name](name, seed))
        elif isinstance(small(name), VariationalHasher):
            titles = [title for title in VARIANTS if title.partition(" (")[0] == name]
            found += [_variational(title, seed) for title in (name, *titles)]
    return found


def small(title: str, **settings: object) -> Any:
    """Return an unfitted hasher of a few units, in float64: a method, or one of its `VARIANTS`."""
    name = title.partition(" (")[0]
    hasher: Any = create(name)
    sizes = {key: value for key, value in SMALL.items() if key in hasher.get_params()}
    sizes |= {"hidden": (6,)} if name == "nphash" else {}  # its encoder has one layer
    hasher.n_labels_ = C
    return hasher.set_params(**{**sizes, **VARIANTS.get(title, {}), **settings})


def documents(seed: int, n_words: int = V) -> Any:
    """Return word counts, CSR (B, V), without an empty document."""
    counts = np.random.default_rng(seed).poisson(0.6, (B, n_words)).astype(np.float64)
    counts[:, 0] += 1
    return scipy.sparse.csr_matrix(counts)


def batches(
    hasher: VariationalHasher, X: CSR, seed: int, context: object = None, operations: Operations = NUMPY
) -> Iterator[Batch]:
    """Yield the same batch for ever, with the same noise; schedules stand at the middle of training."""
    labels, rng = None, np.random.default_rng(seed)
    # Several for each document; one where the classifier is linear, so that both losses are checked.
    if hasher.supervised and hasher._labels.hidden is None:
        labels = rng.integers(0, C, B)
    elif hasher.supervised:
        labels = scipy.sparse.csr_matrix(rng.integers(0, 2, (B, C)).astype(np.float64))
    middle = hasher._training.n_epochs / 2
    for _ in count():
        rng = np.random.default_rng([seed, 1])
        numbers = values_at(hasher.schedules(), middle)
        yield Batch(X, X, labels, rng, middle, np.arange(B), context, operations, **numbers)


# ---------------------------------------------------------------------- variational systems


def _variational(title: str, seed: int) -> Model:
    X = documents(seed)
    context = drawn_teacher(X, seed) if isinstance(small(title), NpHash) else None
    params, constants = initial_weights(small(title), X, seed, context)

    def model(hasher: VariationalHasher) -> Model:
        parts = parts_of(hasher, batches(hasher, X, seed, context), constants)
        whole = parts.pop("loss")
        first, *others = parts
        formula = " + ".join([first, *(f"{WEIGHTS[other]} {other}" for other in others)])
        return _model(title, params, whole, parts, formula)

    return _with_stand_in(model, title)


def initial_weights(
    hasher: VariationalHasher, X: CSR, seed: int, context: NeighbourTeacher | None
) -> tuple[Params, Params]:
    """Return a hasher's initial weights, and the arrays among them that are no parameters."""
    rng, params = np.random.default_rng([seed, 3]), hasher.initial_params(X, X, seed, context)
    constants = {key: params.pop(key) for key in ("V_u",) if key in params}
    for array in params.values():
        if array.ndim == 1:  # a bias: at zero a unit would stand at its kink where none before it is active
            array += 0.3 * rng.normal(size=array.shape)
    return params, constants


def _with_stand_in(model: Callable[[VariationalHasher], Model], title: str, **settings: object) -> Model:
    """Return the model of a hasher; beside a straight-through sample's, that of a differentiable stand-in."""
    hasher, other = small(title, **settings), small(title, **settings)
    if not hasattr(hasher, "sample") or getattr(hasher, "sampling", "") == "relaxed":
        return model(hasher)
    other.sample = (
        straight_through_surrogate(straight_through_bernoulli, lambda a, uniform: sigmoid(a))
        if isinstance(hasher, Nash)
        else straight_through_surrogate(straight_through_bits, relaxed_bits)
    )
    return replace(model(hasher), smooth=model(other))


def drawn_teacher(X: Any, seed: int) -> NeighbourTeacher:
    """Return generated neighbours, teacher and coordinates: few documents have no graph."""
    rng = np.random.default_rng([seed, 2])
    teacher = normalise_rows(rng.normal(size=(B, 5)))
    return NeighbourTeacher(X, rng.integers(0, B, (B, 2)), teacher, rng.normal(size=(X.shape[1], 5)))


def parts_of(hasher: VariationalHasher, same: Iterator[Batch], constants: Params) -> dict[str, Loss]:
    """Return the whole loss under ``"loss"``, and each of its terms without its weight."""

    def alone(term: str, params: Params) -> tuple[float, Callable[[], Params]]:
        # The weights of the others are zero; the words, whose weight is one, are omitted.
        batch = next(same)
        numbers: dict[str, Any] = {weight: float(weight == WEIGHTS.get(term)) for weight in WEIGHTS.values()}
        if term in WEIGHTS:
            numbers["operations"] = batch.operations._replace(reconstruct=_no_words)
        terms, back = hasher.loss({**constants, **params}, replace(batch, **numbers))
        return terms[term], back

    terms = ["reconstruction", "KL"] + ["labels"] * hasher.supervised
    terms += ["distillation"] * isinstance(hasher, NpHash)
    return {"loss": _whole(hasher, same, constants)} | {term: partial(alone, term) for term in terms}


def _whole(hasher: VariationalHasher, same: Iterator[Batch], constants: Params) -> Loss:
    def whole(params: Params) -> tuple[float, Callable[[], Params]]:
        terms, back = hasher.loss({**constants, **params}, next(same))
        return terms["loss"], back

    return whole


def _no_words(z: Array, W: Array, b: Array, target: CSR) -> tuple[float, Callable[..., tuple[Array, ...]]]:
    """Reconstruct nothing: no loss, whatever the code."""
    return 0.0, lambda dloss=1.0: (np.zeros_like(z), np.zeros_like(W), np.zeros_like(b))


# ---------------------------------------------------------------------- the others


def _ammi(name: str, seed: int) -> Model:
    hasher, X = small(name), documents(seed)
    params = {key: array.astype(np.float64) for key, array in hasher.initial_params(X, seed).items()}

    def part(activation: Operation, entropy: Operation) -> Loss:
        def loss(params: Params) -> tuple[float, Callable[[], Params]]:
            a, back_a = sparse_dense(X, params["W"], params["b"])  # (B, L)
            y, back_y = activation(a)  # (B, L)
            value, back_value = entropy(y)
            return value, lambda: dict(zip("Wb", back_a(back_y(back_value())), strict=True))

        return loss

    loss = _whole(hasher, batches(hasher, X, seed), {})
    given = part(lambda a: (a, lambda da: da), bit_entropy)
    terms = {"H(Z|Y)": given, "H(Z)": part(sigmoid, markov_entropy)}
    return _model(name, params, loss, terms, "H(Z|Y) - entropy_weight H(Z)")


def _stacked_rbm(name: str, seed: int) -> Model:
    hasher, X, rng = small(name), documents(seed), np.random.default_rng(seed)
    # Pretrained weights are so small that their gradients are lost in the rounding of the loss.
    params = {key: rng.normal(size=array.shape) for key, array in hasher.initial_params(X, seed).items()}
    loss = _whole(hasher, batches(hasher, X, seed), {})
    return _model(name, params, loss, {}, "reconstruction, in fine-tuning")


def _ksh(name: str, seed: int) -> Model:
    rng = np.random.default_rng(seed)
    K = rng.random((B, 5))
    sets = scipy.sparse.csr_matrix(np.eye(C)[rng.integers(0, C, B)].T)  # (C, B)
    residual = Residual(sets, 4 * (2 * np.eye(C) - 1), rng.choice([-1.0, 1.0], (B, 1)))

    def loss(params: Params) -> tuple[float, Callable[[], Params]]:
        cost, back = smooth_objective(params["a"], K - K.mean(axis=0), residual.times)
        return cost, lambda: {"a": back()}

    return _model(name, {"a": rng.normal(size=5)}, loss, {}, "-y^T R y, y = tanh(K a / 2), of each bit")


def _model(name: str, params: Params, loss: Loss, terms: dict[str, Loss], formula: str) -> Model:
    """Return a model with the titles of the operations that its loss calls, in the order of first calls."""
    codes: dict[Any, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes[frame.f_code] = None

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        loss(params)[1]()
    finally:
        sys.setprofile(before)
    cases = operations()
    used = tuple(case.title for code in codes for case in cases if case.function.__code__ is code)
    return Model(name, params, loss, terms, operations=used, formula=formula)


# ---------------------------------------------------------------------- the kernels


def kernel_models(seed: int = 0, names: Sequence[str] | None = None) -> list[Model]:
    """Return the models of `KERNELS`, with parameters in float32; none where nothing is compiled."""
    if not COMPILED:
        return []
    return [_kernel_model(title, seed) for title, name in KERNELS.items() if names is None or name in names]


def _kernel_model(title: str, seed: int) -> Model:
    name, X = KERNELS[title], documents(seed, N_WORDS)
    context = drawn_teacher(X, seed) if name == "nphash" else None
    weights, constants = initial_weights(small(name, n_bits=N_BITS), X, seed, context)
    params = {key: array.astype(np.float32) for key, array in weights.items()}

    def parts(
        hasher: VariationalHasher, dtype: type[np.floating], operations: Operations = NUMPY
    ) -> dict[str, Loss]:
        own = context
        if context is not None:
            target, teacher, V_u = (
                each.astype(dtype) for each in (context.target, context.teacher, context.V_u)
            )
            own = NeighbourTeacher(target, context.neighbours, teacher, V_u)
        same = batches(hasher, X.astype(dtype), seed, own, operations)
        return parts_of(hasher, same, {key: array.astype(dtype) for key, array in constants.items()})

    def model(hasher: VariationalHasher) -> Model:
        kernels, equations = parts(hasher, np.float32, CompiledEngine().operations), parts(hasher, np.float64)
        kernels["loss"] = _through_adam(kernels["loss"])
        terms = {key: _by_dtype(kernels[key], equations[key]) for key in kernels}
        return Model(title, params, terms.pop("loss"), terms, formula="float32, against float64 equations")

    return _with_stand_in(model, name, n_bits=N_BITS)


def _by_dtype(kernels: Loss, equations: Loss) -> Loss:
    """Return a loss that is computed by the kernels where the parameters are float32."""
    return lambda params: (kernels if next(iter(params.values())).dtype == np.float32 else equations)(params)


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
