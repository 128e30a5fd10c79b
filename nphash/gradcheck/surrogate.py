"""A differentiable stand-in for straight-through samples, so that whole models can be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nphash.core.typing import Array

__all__ = ["straight_through_surrogate"]

Sample = Callable[..., tuple[Array, Any]]


def straight_through_surrogate(hard: Sample, relaxed: Sample) -> Sample:
    """Return a sample whose true gradient is the straight-through one.

    A model with hard samples z has no numeric gradient, and the model with relaxed samples y has
    another one, taken at other inputs of the decoder. Between them lies z0 + y - y0, where z0 and y0 are
    kept from the first call: at that point it has the value of the hard sample, and around it the slope
    of the relaxed one. So a model that is given this as its sample is the straight-through model as far
    as gradients can tell, and its numeric gradient exists.

    Parameters
    ----------
    hard, relaxed
        Such as `nphash.nn.gumbel.straight_through_bits` and `nphash.nn.gumbel.relaxed_bits`; called alike.

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

    def sample(*args: Any) -> tuple[Array, Any]:
        y, _ = relaxed(*args)
        z, back = hard(*args)
        if not kept:
            kept.append(z - y)
        return kept[0] + y, back

    return sample
