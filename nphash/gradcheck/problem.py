"""Problems to check: a function of arrays, or a model's loss of a dictionary of parameters.

A straight-through sample is checked twice: forward it has to be the hard form of its relaxed sample, which no
derivative shows, since that of a step is zero either way; backward it borrows the relaxed sample's gradient.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from nphash.core.typing import Array, Params
from nphash.errors import InputError

Operation = Callable[..., tuple[Any, Any]]  # its output and ``back``
Evaluate = Callable[[Params], tuple[Any, Any]]
Loss = Callable[[Params], tuple[float, Callable[..., Params]]]
Value = Callable[[Params], float]
Hard = Callable[[Array, dict[str, Any]], Array]  # (relaxed sample, constants by name) -> hard sample
Cause = tuple[str, str]  # what is likely to be wrong, and what was seen of it


@dataclass(frozen=True)
class Settings:
    """How thoroughly to check.

    Parameters
    ----------
    seed
        Draws the upstream gradient, the directions and the entries.
    tolerance
        Largest relative error; None for 1e-7 in float64. In float32 it is 1e-4: an analytic gradient
        that chains some hundred roundings of 6e-8 can be off by 1e-5 of its largest entry, and the
        bugs one looks for are far larger. (Numeric derivatives are taken in float64 all the same.)
    all_below
        Parameters with at most so many entries are checked entry by entry ...
    entries
        ... larger ones at so many entries.
    sweep
        Whether to measure the error against the step.
    """

    seed: int = 0
    tolerance: float | None = None
    all_below: int = 300
    entries: int = 24
    sweep: bool = True


@dataclass(frozen=True)
class Model:
    """A whole loss with fixed noise, as hashers hand it in.

    Parameters
    ----------
    name
        How reports call it.
    params
        Its parameters, float64, in forward order.
    loss
        ``loss(params) -> (value, back)``; ``back()`` returns gradients under the same keys.
    terms
        Parts of the loss (data term, divergence, weight decay ...), each like ``loss`` or a plain function
        of the parameters that returns its value. Those with a backward pass are checked on their own, and a
        wrong total is compared with all of them: it shows which one has the wrong weight.
    constants
        Named numbers that may turn up as a wrong factor, such as ``{"kl_weight": 0.1}``.
    operations
        Titles of the built-in operations it is made of, in forward order.
    formula
        What the loss is, for readers of a report.
    smooth
        Where samples are straight-through: the same model with `straight_through_surrogate` in their
        place. The gradients of this model are compared with numeric ones of that.

    Examples
    --------
    >>> import numpy as np
    >>> def loss(params):
    ...     w = params["w"]
    ...     return float(w @ w), lambda dloss=1.0: {"w": 2 * dloss * w}
    >>> Model("square", {"w": np.ones(2)}, loss).name
    'square'
    """

    name: str
    params: Mapping[str, Array]
    loss: Loss
    terms: Mapping[str, Loss | Value] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    operations: tuple[str, ...] = ()
    formula: str = ""
    smooth: Model | None = None


@dataclass(frozen=True)
class Problem:
    """A function of named arrays with named gradients."""

    name: str
    params: Params
    evaluate: Evaluate
    constants: dict[str, Any] = field(default_factory=dict)
    equation: str = ""
    formula: str = ""
    relaxed: Evaluate | None = None  # whose gradient a straight-through function borrows
    hard: Hard | None = None  # makes the straight-through value of the relaxed one
    terms: dict[str, Evaluate] = field(default_factory=dict)
    vary: Callable[[str, Any], Evaluate] | None = None  # the function with another value of a constant

    def in_float64(self) -> Problem:
        """Return the same problem with its parameters in float64."""
        params = {name: np.array(value, dtype=np.float64) for name, value in self.params.items()}
        return replace(self, params=params)


def equation_of(function: Callable[..., Any]) -> str:
    """Return the number of the paper's equation that a function holds, or an empty string.

    Examples
    --------
    >>> from nphash.nn import losses
    >>> equation_of(losses.categorical_kl)
    '(4)'
    """
    found = re.match(r"Eq\. (\(\d+\))", inspect.getdoc(function) or "")
    return found[1] if found else ""


def _formula_of(function: Callable[..., Any]) -> str:
    """Return the first sentence of a docstring without the equation's number: it states the formula."""
    doc = inspect.getdoc(function) or ""
    return re.sub(r"^Eq\. \(\d+\)\s+", "", doc.partition("\n\n")[0].replace("\n", " "))


def from_function(
    function: Operation,
    args: Sequence[Any],
    constants: Sequence[str] = (),
    name: str = "",
    relaxed: Operation | None = None,
) -> Problem:
    """Return the problem of ``(out, back) = function(*args)``, whose floating-point arrays are parameters."""
    names = argument_names(function, len(args))
    given = dict(zip(names, args, strict=True))
    params = _parameters(given, constants)

    def evaluate_with(chosen: Operation, given: dict[str, Any] = given) -> Evaluate:
        def evaluate(values: Params) -> tuple[Any, Any]:
            wide = all(value.dtype == np.float64 for value in values.values())
            arguments = [values[key] if key in values else _widen(given[key], wide) for key in names]
            out, back = _pair(chosen(*arguments))
            return out, lambda dout: _by_name(back(dout), params)

        return evaluate

    return Problem(
        name=name or getattr(function, "__name__", "function"),
        params=params,
        evaluate=evaluate_with(function),
        constants={key: value for key, value in given.items() if key not in params},
        equation=equation_of(function),
        formula=_formula_of(function),
        relaxed=evaluate_with(relaxed) if relaxed else None,
        vary=lambda key, value: evaluate_with(relaxed or function, {**given, key: value}),
    )


def _parameters(given: dict[str, Any], constants: Sequence[str]) -> Params:
    for name in constants:
        if name not in given:
            known = ", ".join(given)
            raise InputError(f"constant {name!r} is no argument: these are {known}", "correct the name")
    params = {key: value for key, value in given.items() if _is_float(value) and key not in constants}
    _refuse_halves(params)
    if not params:
        kinds = ", ".join(f"{key}: {_kind(value)}" for key, value in given.items()) or "none"
        problem = f"no argument can be differentiated ({kinds}), but a floating-point array is needed"
        raise InputError(problem, _remedy(given, constants))
    return params


def _refuse_halves(params: Params) -> None:
    for key, value in params.items():
        if value.dtype == np.float16:
            raise InputError(
                f"{key} is a {_kind(value)}: its rounding, of 1 in 2,000, would look like a mistake",
                f"check in float64: give {key}.astype(float)",
            )


def _remedy(given: dict[str, Any], constants: Sequence[str]) -> str:
    """Return what to do where no argument has a gradient."""
    for key, value in given.items():
        if isinstance(value, (float, int)):
            return f"numbers are constants: for the derivative by {key} give np.array({float(value)!r})"
        if isinstance(value, (list, tuple)):
            return f"give an array, np.array({key}, dtype=float)"
    if any(_is_float(given[name]) for name in constants):
        return "leave an array out of constants"
    arrays = [value for value in given.values() if isinstance(value, np.ndarray)]
    if any(value.dtype.kind == "c" for value in arrays):
        return "complex arrays are not differentiated: make the function one of x.real and x.imag, two arrays"
    if any(value.dtype.kind in "iub" for value in arrays):
        return "integer arrays have no derivative: convert with .astype(float)"
    return "convert to numbers with .astype(float)" if arrays else "give one"


def from_model(model: Model) -> list[Problem]:
    """Return problems of a model's terms, one by one, and of its whole loss, in this order."""
    params = {key: np.asarray(value) for key, value in reversed(list(model.params.items()))}
    for key, value in params.items():
        if not _is_float(value):
            found = f"parameter {key!r} of {model.name} is {_kind(value)}"
            raise InputError(found, "give floating-point arrays")
    _refuse_halves(params)

    def evaluate_with(loss: Loss | Value) -> Evaluate:
        def evaluate(values: Params) -> tuple[Any, Any]:
            found = loss(values)
            if isinstance(found, (float, int)):
                return found, None
            out, back = _pair(found)
            return out, lambda dout: _scaled(back(), dout, params)

        return evaluate

    constants, smooth = dict(model.constants), model.smooth
    terms = {name: evaluate_with(term) for name, term in model.terms.items()}
    relaxed = {name: evaluate_with(term) for name, term in smooth.terms.items()} if smooth else {}
    start = {key: value.copy() for key, value in params.items()}
    alone = [
        Problem(f"{model.name}: {name}", params, term, constants, relaxed=relaxed.get(name))
        for name, term in terms.items()
        if term(start)[1] is not None
    ]
    whole = Problem(model.name, params, evaluate_with(model.loss), constants, formula=model.formula)
    path = evaluate_with(smooth.loss) if smooth else None
    return [*alone, replace(whole, relaxed=path, terms=relaxed or terms)]


def _scaled(grads: object, dout: float, params: Params) -> Params:
    if not isinstance(grads, Mapping):
        raise TypeError(f"back() of a model returns a dict of gradients, not {_kind(grads)}")
    # A term that does not touch a parameter may leave it out: its gradient is zero.
    return {key: dout * np.asarray(grads.get(key, np.zeros_like(params[key]))) for key in params}


def argument_names(function: Callable[..., Any], n: int) -> list[str]:
    """Return what a function calls its first n arguments."""
    names = []
    with suppress(TypeError, ValueError):  # a built-in without signature
        parameters = inspect.signature(function).parameters.values()
        names = [
            each.name
            for each in parameters
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
    return names[:n] + [f"argument {i + 1}" for i in range(len(names), n)]


def _pair(result: object) -> tuple[Any, Any]:
    if not isinstance(result, (tuple, list)) or len(result) != 2 or not callable(result[1]):
        needed = "(out, back) with a callable back is needed"
        raise TypeError(f"the function returned {_kind(result)}, but {needed}")
    return result[0], result[1]


def _by_name(grads: object, params: Params) -> dict[str, Any]:
    """Return the gradients that ``back`` gave, by name of their parameters, as a dictionary may."""
    if isinstance(grads, Mapping) and set(grads) == set(params):
        return {name: grads[name] for name in params}
    several: list[Any] = list(grads) if isinstance(grads, (tuple, list)) else [grads]
    first = next(iter(params.values()))
    if isinstance(grads, list) and len(params) == 1 and 0 < np.ndim(grads[:1]) <= first.ndim:
        several = [grads]  # one gradient, written as a list of its rows
    if len(several) != len(params):
        raise TypeError(
            f"back returned {len(several)} gradients for {len(params)} floating-point arrays "
            f"({', '.join(params)}): name those that are constants, e.g. constants=('mask',)"
        )
    return dict(zip(params, several, strict=True))


def _is_float(value: object) -> bool:
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)


def _widen(value: object, wide: bool) -> object:
    return value.astype(np.float64) if wide and isinstance(value, np.ndarray) and _is_float(value) else value


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__


# ---------------------------------------------------------------------- straight-through samples


def wrong_sample(problem: Problem, z: Array) -> Cause | None:
    """Compare a sample with the hard form of its relaxed one; return the cause if they differ."""
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
    if np.array_equal(z, 1 - wanted) or np.array_equal(z, problem.hard(-y, problem.constants)):
        return "sample turned round", f"{seen}; so everywhere"
    for name, what, other, path in variants(problem):
        with suppress(Exception):  # a value the function cannot take cannot be the cause
            wanted = problem.hard(np.asarray(path(problem.params)[0]), {**problem.constants, name: other})
            if np.array_equal(z, wanted):
                return f"{name} not applied the same way", f"the sample is right for {name} = {what}; {seen}"
    return "sample and relaxed sample disagree", seen


def variants(problem: Problem) -> Iterator[tuple[str, str, Any, Evaluate]]:
    """Yield (constant, what, value, function): the function with one constant at another value."""
    if problem.vary is not None:
        for name, value in problem.constants.items():
            for what, other in other_values(value):
                yield name, what, other, problem.vary(name, other)


def other_values(value: object) -> Iterator[tuple[str, Any]]:
    """Yield what might stand in place of a constant by mistake, each with what to call it."""
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        yield "0", np.zeros_like(value)
        yield "-itself", -value
        yield "its mean", np.full_like(value, value.mean())
        yield "1/2", np.full_like(value, 0.5)
    elif sparse.issparse(value):
        binary: Any = deepcopy(value)
        binary.data = np.ones_like(binary.data)
        yield "its non-zero entries as ones", binary
    elif isinstance(value, float):
        yield from ((f"{other:g}", other) for other in (0.5, 1.0, 0.0, 2.0) if other != value)
        yield "its reciprocal", 1 / value if value else 1.0


def sizes(problem: Problem, out: Array) -> Iterator[tuple[int, str]]:
    """Yield the sizes over which a mean may be taken: the batch first."""
    arrays = {**problem.params, "out": out, **problem.constants}
    shapes = {name: value.shape for name, value in arrays.items() if hasattr(value, "shape")}
    found: dict[int, str] = {}
    for axis, word in enumerate(("rows", "columns", "categories", "places along axis 3")):
        for name, shape in shapes.items():
            if axis < len(shape):
                found.setdefault(shape[axis], f"the number of {word} of {name}")
    for name, value in problem.params.items():
        found.setdefault(value.size, f"the number of entries of {name}")
    for size in [size for size in found if out.ndim > 2 and size and out.size % size == 0]:
        found.setdefault(out.size // size, f"{out.size // size} entries of out")
    yield from ((size, what) for size, what in found.items() if size != 1)


def numbers(problem: Problem, dout: Array) -> Iterator[tuple[float, str]]:
    """Yield the constants by name, and the upstream gradient where it is a number."""
    for name, value in problem.constants.items():
        if isinstance(value, float) and value not in (0, 1, -1):
            yield value, name
    if dout.ndim == 0:
        yield float(dout), "the upstream gradient"


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the softmax over several axes."""
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    result: Array = e / e.sum(axis=axes, keepdims=True)
    return result


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
        yield f"softmax({name})", softmax(x, (-1,)), True
    if y.shape == x.shape:
        yield from (("y (1 - y)", y * (1 - y), True), ("1 - y^2", 1 - y * y, True))
        yield from (("y", y, False), ("(1 - y)", 1 - y, False), ("(1 + y)", 1 + y, False))
    yield from ((f"sigmoid({name})", sigmoid, False), (f"(1 - sigmoid({name}))", 1 - sigmoid, False))
    yield from ((f"exp({name})", np.exp(x), False), (f"exp({name} / 2)", np.exp(x / 2), False))
    yield name, x, False


def straight_through_surrogate(hard: Operation, relaxed: Operation) -> Operation:
    """Return a sample whose true gradient is the straight-through one.

    A model with hard samples z has no numeric gradient, and the model with relaxed samples y has
    another one, taken at other inputs of the decoder. Between them lies z0 + y - y0, where z0 and y0 are
    kept from the first call: at that point it has the value of the hard sample, and around it the slope
    of the relaxed one. So a model that is given this as its sample is the straight-through model as far
    as gradients show, and its numeric gradient exists.

    Parameters
    ----------
    hard, relaxed
        Such as `nphash.nn.gumbel.straight_through_bits` and `nphash.nn.gumbel.relaxed_bits`, which take the
        same arguments.

    Returns
    -------
    callable
        Takes their arguments. The first call fixes the point; make a new one for another check.

    Examples
    --------
    >>> import numpy as np
    >>> from nphash.nn.gumbel import relaxed_bits, straight_through_bits
    >>> sample = straight_through_surrogate(straight_through_bits, relaxed_bits)
    >>> noise = np.zeros(1)
    >>> sample(np.array([0.5]), noise, 1.0)[0], sample(np.array([0.6]), noise, 1.0)[0].round(3)
    (array([1.]), array([1.023]))
    """
    kept: list[Array] = []

    def sample(*args: Array | float) -> tuple[Array, Any]:
        y, _ = relaxed(*args)
        z, back = hard(*args)
        if not kept:
            kept.append(z - y)
        return kept[0] + y, back

    return sample
