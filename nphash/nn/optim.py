"""Adam (Kingma & Ba, 2015) over a plain dictionary of parameters: the definition.

Training calls `nphash.engine.select.Optimiser`, which adds to `Adam` hooks around a step, or its compiled
form `nphash.engine.optim.CompiledAdam`.

The letters are the paper's: g gradient, m and v its first and second moment, mhat and vhat these
moments freed of their bias towards zero, t the number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nphash.core.typing import Array, Params
from nphash.errors import InputError

__all__ = ["Adam", "adam_step", "check_gradients", "global_norm", "moving_average"]

BLOCK = 1 << 16  # entries updated at once, so that the intermediate results stay in the cache


def adam_step(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Return (w, m, v) after step ``t`` (counted from 1): the readable form of what `Adam` does in place.

    Examples
    --------
    >>> w, m, v = adam_step(np.ones(1), np.array([5.0]), np.zeros(1), np.zeros(1), t=1, learning_rate=0.1)
    >>> w.round(6)  # the first step is the learning rate, whatever the gradient's size
    array([0.9])
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mhat = m / (1 - beta1**t)
    vhat = v / (1 - beta2**t)
    return w - learning_rate * mhat / (np.sqrt(vhat) + epsilon), m, v


def global_norm(grads: Params) -> float:
    """Return the Euclidean norm of all gradients taken as one vector, in float64.

    Examples
    --------
    >>> global_norm({"W": np.array([[3.0]]), "b": np.array([4.0])})
    5.0
    """
    return float(np.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads.values())))


def moving_average(average: Array, w: Array, kept: float) -> None:
    """Move an exponential moving average of weights, in place: average = kept average + (1 - kept) w.

    Examples
    --------
    >>> average = np.array([1.0])
    >>> moving_average(average, np.array([3.0]), kept=0.75)
    >>> average
    array([1.5])
    """
    average *= average.dtype.type(kept)
    average += average.dtype.type(1 - kept) * w


@dataclass
class Adam:
    """Adam's settings and state; `step` changes parameters in place.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        As in the paper.
    max_norm
        Scale the gradients down so that their global norm is at most this (the ``clip_norm`` of
        `nphash.hashers.Training`); None for no limit.

    Attributes
    ----------
    m, v
        The moments, with the keys, shapes and dtypes of the parameters; empty before the first step.
    t
        The number of steps done. m, v and t are all that a checkpoint has to keep.

    Examples
    --------
    >>> optimiser = Adam(learning_rate=0.1)
    >>> params = {"b": np.array([1.0])}
    >>> optimiser.step(params, {"b": np.array([5.0])})
    >>> params["b"].round(6)
    array([0.9])
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_norm: float | None = None
    m: Params = field(default_factory=dict)
    v: Params = field(default_factory=dict)
    t: int = 0

    def step(self, params: Params, grads: Params, learning_rate: float | None = None) -> None:
        """Update every parameter that has a gradient, in place; all moments share the number of steps t.

        A parameter without a gradient stays as it is. Where its first gradient comes late, its moments are
        corrected for more steps than they have seen, and its first steps are up to three times as long.
        ``learning_rate`` is this step's, for schedules; the setting if None.

        Raises
        ------
        InputError
            If a gradient has no parameter of its name and shape, or the parameter is not C-contiguous.
            Nothing has changed then.
        """
        check_gradients(params, grads)
        norm = 0.0 if self.max_norm is None else global_norm(grads)
        scale = 1.0 if self.max_norm is None or norm <= self.max_norm else self.max_norm / norm
        rate = self.learning_rate if learning_rate is None else learning_rate
        self.t += 1
        unbias1, unbias2 = 1 / (1 - self.beta1**self.t), 1 / (1 - self.beta2**self.t)
        for name, gradient in grads.items():
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(params[name]), np.zeros_like(params[name])
            flat_w, flat_g = params[name].reshape(-1), np.asarray(gradient).reshape(-1)
            flat_m, flat_v = self.m[name].reshape(-1), self.v[name].reshape(-1)
            for start in range(0, gradient.size, BLOCK):
                block = slice(start, start + BLOCK)
                w, m, v, g = flat_w[block], flat_m[block], flat_v[block], scale * flat_g[block]
                m *= self.beta1
                m += (1 - self.beta1) * g
                v *= self.beta2
                v += (1 - self.beta2) * g * g
                w -= rate * (m * unbias1) / (np.sqrt(v * unbias2) + self.epsilon)


def check_gradients(params: Params, grads: Params) -> None:
    """Raise `InputError` unless each gradient has a parameter of its shape that can be changed in place."""
    for name, g in grads.items():
        if name not in params:
            raise InputError(
                f"there is a gradient for {name!r}, but no such parameter", "keep the keys equal"
            )
        w = params[name]
        if g.shape != w.shape:
            raise InputError(
                f"the gradient of {name!r} has shape {g.shape}, the parameter {w.shape}", "check its `back`"
            )
        if not w.flags.c_contiguous:
            raise InputError(f"parameter {name!r} is not C-contiguous", "store np.ascontiguousarray of it")
