"""What can be checked: a function of arrays, or a model's loss of a dictionary of parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nphash.core.typing import Array
from nphash.errors import InputError
from nphash.gradcheck.samples import Hard

__all__ = ["Model", "Problem", "Settings", "equation_of", "from_function", "from_model"]

Evaluate = Callable[[dict[str, Array]], tuple[Any, Any]]
Loss = Callable[[dict[str, Array]], tuple[float, Callable[..., dict[str, Array]]]]
Value = Callable[[dict[str, Array]], float]


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
        of the parameters that returns its value. Those with a way back are checked on their own, and a
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
    """A function of named arrays with named gradients: what the checker works on.

    ``relaxed`` is the differentiable function whose gradient a straight-through function borrows, ``hard``
    makes the straight-through value of the relaxed one; ``vary(name, value)`` is the same function with
    another value of a constant.
    """

    name: str
    params: dict[str, Array]
    evaluate: Evaluate
    constants: dict[str, Any] = field(default_factory=dict)
    equation: str = ""
    formula: str = ""
    relaxed: Evaluate | None = None
    hard: Hard | None = None
    terms: dict[str, Evaluate] = field(default_factory=dict)
    vary: Callable[[str, Any], Evaluate] | None = None

    def in_float64(self) -> Problem:
        """Return the same problem with its parameters in float64."""
        params = {name: np.array(value, dtype=np.float64) for name, value in self.params.items()}
        return replace(self, params=params)


def equation_of(function: Callable[..., Any]) -> str:
    """Return the number of the paper's equation that a function holds, or an empty string.

    Examples
    --------
    >>> from nphash import losses
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
    function: Callable[..., tuple[Any, Any]],
    args: Sequence[Any],
    constants: Sequence[str] = (),
    name: str = "",
    relaxed: Callable[..., tuple[Any, Any]] | None = None,
) -> Problem:
    """Make a problem of ``(out, back) = function(*args)``.

    Floating-point arrays are parameters, unless ``constants`` names them; everything else is constant.

    Raises
    ------
    InputError
        If no argument can be differentiated, or ``constants`` names none.
    """
    names = _argument_names(function, len(args))
    given = dict(zip(names, args, strict=True))
    params = _parameters(given, constants)

    def evaluate_with(chosen: Callable[..., tuple[Any, Any]], given: dict[str, Any] = given) -> Evaluate:
        def evaluate(values: dict[str, Array]) -> tuple[Any, Any]:
            wide = all(value.dtype == np.float64 for value in values.values())
            arguments = [values[key] if key in values else _widen(given[key], wide) for key in names]
            out, back = _pair(chosen(*arguments))
            return out, lambda dout: dict(zip(params, _as_tuple(back(dout), list(params)), strict=True))

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


def _parameters(given: dict[str, Any], constants: Sequence[str]) -> dict[str, Array]:
    for constant in constants:
        if constant not in given:
            raise InputError(
                f"constant {constant!r} is no argument: these are {', '.join(given)}", "correct the name"
            )
    params = {key: value for key, value in given.items() if _is_float(value) and key not in constants}
    if not params:
        kinds = ", ".join(f"{key}: {_kind(value)}" for key, value in given.items()) or "none"
        raise InputError(
            f"no argument can be differentiated ({kinds}), but a floating-point array is needed",
            _way_out(given, constants),
        )
    return params


def _way_out(given: dict[str, Any], constants: Sequence[str]) -> str:
    """Return what to do where no argument has a gradient."""
    for key, value in given.items():
        if isinstance(value, (float, int)):
            return f"numbers are constants: for the derivative by {key} give np.array({float(value)!r})"
        if isinstance(value, (list, tuple)):
            return f"give an array, np.array({key}, dtype=float)"
    if any(_is_float(given[name]) for name in constants):
        return "leave an array out of constants"
    if any(isinstance(value, np.ndarray) for value in given.values()):
        return "integer arrays have no derivative: convert with .astype(float)"
    return "give one"


def from_model(model: Model) -> list[Problem]:
    """Make problems of a model's terms, one by one, and of its whole loss, in this order."""
    params = {key: np.asarray(value) for key, value in reversed(list(model.params.items()))}
    for key, value in params.items():
        if not _is_float(value):
            raise InputError(
                f"parameter {key!r} of {model.name} is {_kind(value)}", "give floating-point arrays"
            )

    def evaluate_with(loss: Loss | Value) -> Evaluate:
        def evaluate(values: dict[str, Array]) -> tuple[Any, Any]:
            found = loss(values)
            if isinstance(found, (float, int)):
                return found, None
            out, back = _pair(found)
            return out, lambda dout: _scaled(back(), dout, params)

        return evaluate

    constants = dict(model.constants)
    terms = {name: evaluate_with(term) for name, term in model.terms.items()}
    smooth = {name: evaluate_with(term) for name, term in model.smooth.terms.items()} if model.smooth else {}
    start = {key: value.copy() for key, value in params.items()}
    apart = [
        Problem(f"{model.name}: {name}", params, term, constants, relaxed=smooth.get(name))
        for name, term in terms.items()
        if term(start)[1] is not None
    ]
    whole = Problem(
        model.name,
        params,
        evaluate_with(model.loss),
        constants,
        formula=model.formula,
        relaxed=evaluate_with(model.smooth.loss) if model.smooth else None,
        terms=smooth or terms,
    )
    return [*apart, whole]


def _scaled(grads: Any, dout: Any, params: dict[str, Array]) -> dict[str, Array]:
    if not isinstance(grads, Mapping):
        raise TypeError(f"back() of a model returns a dict of gradients, not {_kind(grads)}")
    # A term that does not touch a parameter may leave it out: its gradient is zero.
    return {key: float(dout) * np.asarray(grads.get(key, np.zeros_like(params[key]))) for key in params}


def _argument_names(function: Callable[..., Any], n: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a built-in without signature
        parameters = []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in positional][:n]
    return names + [f"argument {i + 1}" for i in range(len(names), n)]


def _pair(result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
        raise TypeError(
            f"the function returned {_kind(result)}, but (out, back) with a callable back is needed"
        )
    return result[0], result[1]


def _as_tuple(grads: Any, names: list[str]) -> tuple[Any, ...]:
    several: tuple[Any, ...] = tuple(grads) if isinstance(grads, (tuple, list)) else (grads,)
    if len(several) != len(names):
        raise TypeError(
            f"back returned {len(several)} gradients for {len(names)} floating-point arrays "
            f"({', '.join(names)}): name those that are constants, e.g. constants=('mask',)"
        )
    return several


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)


def _widen(value: Any, wide: bool) -> Any:
    return value.astype(np.float64) if wide and _is_float(value) else value


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__
