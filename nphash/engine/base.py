"""The engine: which code computes the operations whose cost grows with the vocabulary.

`Engine` runs the equations of `nphash.nn.ops` and `nphash.nn.losses` as they are written; it is the
definition. `nphash.engine.compiled.CompiledEngine` has the same methods and gives the same results up to
rounding, by Numba kernels. The latent layer, its noise and divergence are of size batch x bits and are the
same NumPy code with both.

Shapes: B documents of a batch, V words, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nphash.core.typing import Array, Back, Backs
from nphash.engine.timing import Profile
from nphash.nn.losses import reconstruction
from nphash.nn.ops import dense, relu, sparse_dense
from nphash.nn.sparse_rows import scale_rows

__all__ = ["BacksOfScalar", "Engine"]

BacksOfScalar = Callable[..., tuple[Any, ...]]


class Engine:
    """The operations as the equations say, in float32 or float64.

    Parameters
    ----------
    threads
        How many threads. Results are the same for any number.
    profile
        Where the seconds spent are added up; a new one if None.

    Examples
    --------
    >>> import numpy as np
    >>> y, back = Engine().dense(np.ones((1, 2)), np.eye(2), np.zeros(2))
    >>> y
    array([[1., 1.]])
    """

    name = "numpy"
    looks_up = False  # whether the last codes decoded were +-1, and their products sums that were looked up

    def __init__(self, threads: int = 1, profile: Profile | None = None) -> None:
        self.threads = threads
        self.profile = Profile() if profile is None else profile

    def take(self, X: Any, rows: Array) -> Any:
        """Return the documents with these numbers, X[rows]."""
        return X[rows]

    def scale_rows(self, X: Any, length: float) -> Any:
        """Documents of one length, as `nphash.nn.sparse_rows.scale_rows`."""
        return scale_rows(X, length)

    def sparse_dense(self, X: Any, W: Array, b: Array) -> tuple[Array, Backs]:
        """First layer, as `nphash.nn.ops.sparse_dense`."""
        profile = self.profile
        with profile.measure("first layer"):
            h, back = sparse_dense(X, W, b, self.threads)
        return h, profile.around("first layer, backward", back)

    def dense(self, x: Array, W: Array, b: Array) -> tuple[Array, Backs]:
        """Fully connected layer, as `nphash.nn.ops.dense`."""
        profile = self.profile
        with profile.measure("hidden layers"):
            y, back = dense(x, W, b)
        return y, profile.around("hidden layers, backward", back)

    def relu(self, x: Array) -> tuple[Array, Back]:
        """Rectifier, as `nphash.nn.ops.relu`."""
        return relu(x)

    def decode(self, z: Array, W: Array, b: Array, target: Any) -> tuple[float, BacksOfScalar]:
        """Compute the decoder's scores z W + b and their `nphash.nn.losses.reconstruction` in one.

        Parameters
        ----------
        z
            What the decoder sees of the code, array of shape (B, L).
        W, b
            Arrays of shapes (L, V) and (V,).
        target
            CSR (B, V), as for `reconstruction`.

        Returns
        -------
        tuple
            Mean loss in nats a document; ``back(dloss=1.0)`` returns (dz, dW, db).
        """
        profile = self.profile
        with profile.measure("decoder"):
            scores, back_scores = dense(z, W, b)  # (B, V)
            loss, back_loss = reconstruction(scores, target)

        def back(dloss: float = 1.0) -> tuple[Any, ...]:
            return back_scores(back_loss(dloss))  # (B, L), (L, V), (V,)

        return loss, profile.around("decoder, backward", back)
