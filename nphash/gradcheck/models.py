"""Whole losses of all systems that are trained by gradients, small and with fixed noise, to be checked.

Every model is the system's own code on a few generated documents: its loss, and each term of the loss (the
data term, each divergence, the labels), so that a wrong weight is distinguished from a wrong gradient. A
straight-through sample has no numeric gradient; there the model with a differentiable stand-in is
differentiated numerically, and the system's own gradient is compared with that.

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
from nphash.core.typing import CSR, Array, Params, Rng
from nphash.gradcheck import Case, Model, straight_through_surrogate
from nphash.gradcheck.problem import Loss
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

__all__ = ["VARIANTS", "WITHOUT_GRADIENT", "models", "operations"]

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

WEIGHTS = {"KL": "beta", "labels": "alpha", "distillation": "gamma"}  # of a batch, by the term of the loss


def operations() -> list[Case]:
    """Return every operation the systems are made of: `gradcheck.operations` and their own, in forward order.

    Examples
    --------
    >>> [case.title for case in operations()][-3:]
    ['ammi.bit_entropy', 'ammi.markov_entropy', 'ksh.smooth_objective']
    """

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
    """Return the loss of every system that is trained by gradients, ready for `gradcheck.check_model`.

    Parameters
    ----------
    seed
        Draws documents, weights and noise.
    names
        Which of `METHODS`, each with its `VARIANTS`; others are passed over. All if None.

    Examples
    --------
    >>> model, relaxed = models(names=["doc2hash"])
    >>> relaxed.name
    'doc2hash (relaxed)'
    >>> list(model.terms), model.operations[:2]
    (['reconstruction', 'KL'], ('ops.sparse_dense', 'ops.relu'))
    >>> gradcheck.passed(gradcheck.check_model(model))
    True
    """
    special = {"ammi": _ammi, "s-rbm": _stacked_rbm, "ksh": _ksh}
    chosen = [name for name in METHODS if names is None or name in names]
    found = []
    for name in chosen:
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
    known = hasher.get_params()
    sizes = {key: value for key, value in SMALL.items() if key in known}
    if name == "nphash":
        sizes["hidden"] = (6,)  # its encoder has one layer
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
    labels = _labels(hasher, np.random.default_rng(seed)) if hasher.supervised else None
    middle = hasher._training.n_epochs / 2
    for _ in count():
        rng = np.random.default_rng([seed, 1])
        numbers = values_at(hasher.schedules(), middle)
        yield Batch(X, X, labels, rng, middle, np.arange(B), context, operations, **numbers)


def _labels(hasher: VariationalHasher, rng: Rng) -> Any:
    # Several for each document; one where the classifier is linear, so that both losses are checked.
    if hasher._labels.hidden is None:
        return rng.integers(0, C, B)
    return scipy.sparse.csr_matrix(rng.integers(0, 2, (B, C)).astype(np.float64))


# ---------------------------------------------------------------------- variational systems


def _variational(title: str, seed: int) -> Model:
    hasher, X = small(title), documents(seed)
    context = alike(X, seed) if isinstance(hasher, NpHash) else None
    params, constants = initial_weights(hasher, X, seed, context)

    def model(hasher: VariationalHasher) -> Model:
        parts = parts_of(hasher, batches(hasher, X, seed, context), constants)
        whole = parts.pop("loss")
        used = _operations_of(lambda: whole(params)[1]())
        return Model(title, params, whole, parts, operations=used, formula=_formula(parts))

    real, other = model(hasher), stand_in(small(title))
    return real if other is None else Model(**{**vars(real), "smooth": model(other)})


def initial_weights(hasher: VariationalHasher, X: CSR, seed: int, context: object) -> tuple[Params, Params]:
    """Return a hasher's initial weights, and the arrays among them that are no parameters.

    Biases are moved away from zero: where no unit before it is active, a unit would stand at its kink.
    """
    rng, params = np.random.default_rng([seed, 3]), hasher.initial_params(X, X, seed, context)
    constants = {key: params.pop(key) for key in ("V_u",) if key in params}
    for array in params.values():
        if array.ndim == 1:
            array += 0.3 * rng.normal(size=array.shape)
    return params, constants


def stand_in(hasher: Any) -> VariationalHasher | None:
    """Return a hasher with a differentiable sample in place of a straight-through one; None without one."""
    if not hasattr(hasher, "sample") or getattr(hasher, "sampling", "") == "relaxed":
        return None
    hasher.sample = (
        straight_through_surrogate(straight_through_bernoulli, lambda a, uniform: sigmoid(a))
        if isinstance(hasher, Nash)
        else straight_through_surrogate(straight_through_bits, relaxed_bits)
    )
    found: VariationalHasher = hasher
    return found


def alike(X: Any, seed: int) -> NeighbourTeacher:
    """Return generated neighbours, teacher and coordinates: few documents have no graph."""
    rng = np.random.default_rng([seed, 2])
    teacher = normalise_rows(rng.normal(size=(B, 5)))
    return NeighbourTeacher(X, rng.integers(0, B, (B, 2)), teacher, rng.normal(size=(X.shape[1], 5)))


def _formula(parts: dict[str, Loss]) -> str:
    first, *others = parts
    return " + ".join([first, *(f"{WEIGHTS[other]} {other}" for other in others)])


def parts_of(hasher: VariationalHasher, same: Iterator[Batch], constants: Params) -> dict[str, Loss]:
    """Return the whole loss under ``"loss"``, and each of its terms without its weight.

    A term alone is the model with the weights of the others zero: the words, whose weight is one, are omitted
    by a reconstruction that is handed in.
    """

    def whole(params: Params) -> tuple[float, Callable[[], Params]]:
        terms, back = hasher.loss({**constants, **params}, next(same))
        return terms["loss"], back

    def alone(term: str, params: Params) -> tuple[float, Callable[[], Params]]:
        batch = next(same)
        numbers: dict[str, Any] = {weight: float(weight == WEIGHTS.get(term)) for weight in WEIGHTS.values()}
        if term in WEIGHTS:
            numbers["operations"] = batch.operations._replace(reconstruct=_no_words)
        terms, back = hasher.loss({**constants, **params}, replace(batch, **numbers))
        return terms[term], back

    terms = ["reconstruction", "KL"] + ["labels"] * hasher.supervised
    terms += ["distillation"] * isinstance(hasher, NpHash)
    parts: dict[str, Loss] = {"loss": whole}
    return parts | {term: partial(alone, term) for term in terms}


def _no_words(z: Array, W: Array, b: Array, target: CSR) -> tuple[float, Callable[..., tuple[Array, ...]]]:
    """Reconstruct nothing: no loss, whatever the code."""
    return 0.0, lambda dloss=1.0: (np.zeros_like(z), np.zeros_like(W), np.zeros_like(b))


# ---------------------------------------------------------------------- the others


def _whole(
    hasher: VariationalHasher, same: Iterator[Batch], params: Params
) -> tuple[float, Callable[[], Params]]:
    terms, back = hasher.loss(params, next(same))
    return terms["loss"], back


def _ammi(name: str, seed: int) -> Model:
    hasher, X = small(name), documents(seed)
    params = {key: array.astype(np.float64) for key, array in hasher.initial_params(X, seed).items()}

    def given(params: Params) -> tuple[float, Callable[[], Params]]:
        a, back_a = sparse_dense(X, params["W"], params["b"])  # (B, L)
        value, back_value = bit_entropy(a)
        return value, lambda: _named(back_a(back_value()))

    def alone(params: Params) -> tuple[float, Callable[[], Params]]:
        a, back_a = sparse_dense(X, params["W"], params["b"])  # (B, L)
        p, back_p = sigmoid(a)
        value, back_value = markov_entropy(p)
        return value, lambda: _named(back_a(back_p(back_value())))

    loss = partial(_whole, hasher, batches(hasher, X, seed))
    terms = {"H(Z|Y)": given, "H(Z)": alone}
    used = _operations_of(lambda: loss(params)[1]())
    return Model(name, params, loss, terms, operations=used, formula="H(Z|Y) - entropy_weight H(Z)")


def _named(grads: tuple[Any, ...]) -> Params:
    return dict(zip(("W", "b"), grads, strict=True))


def _stacked_rbm(name: str, seed: int) -> Model:
    hasher, X, rng = small(name), documents(seed), np.random.default_rng(seed)
    # Pretrained weights are so small that their gradients are lost in the rounding of the loss.
    params = {key: rng.normal(size=array.shape) for key, array in hasher.initial_params(X, seed).items()}
    loss = partial(_whole, hasher, batches(hasher, X, seed))
    used = _operations_of(lambda: loss(params)[1]())
    return Model(name, params, loss, operations=used, formula="reconstruction, in fine-tuning")


def _ksh(name: str, seed: int) -> Model:
    rng = np.random.default_rng(seed)
    K = rng.random((B, 5))
    sets = scipy.sparse.csr_matrix(np.eye(C)[rng.integers(0, C, B)].T)  # (C, B)
    residual = Residual(sets, 4 * (2 * np.eye(C) - 1), rng.choice([-1.0, 1.0], (B, 1)))

    def loss(params: Params) -> tuple[float, Callable[[], Params]]:
        cost, back = smooth_objective(params["a"], K - K.mean(axis=0), residual.times)
        return cost, lambda: {"a": back()}

    params = {"a": rng.normal(size=5)}
    used = _operations_of(lambda: loss(params)[1]())
    return Model(name, params, loss, operations=used, formula="-y^T R y, y = tanh(K a / 2), of each bit")


def _operations_of(step: Callable[[], Any]) -> tuple[str, ...]:
    """Return the titles of the operations that a step calls, in the order of their first calls."""
    titles: dict[Any, list[str]] = {}
    for case in operations():
        titles.setdefault(case.function.__code__, []).append(case.title)
    called: dict[str, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.update(dict.fromkeys(titles.get(frame.f_code, ())))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        step()
    finally:
        sys.setprofile(before)
    return tuple(called)
