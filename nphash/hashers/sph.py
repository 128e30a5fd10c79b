"""Spectral hashing (Weiss, Torralba & Fergus 2008).

If documents filled a box evenly along their principal directions, the functions that vary least
between similar documents while splitting them evenly would be cosines along the box's edges:

    phi_ik(x) = cos(pi k (x_i - a_i) / r_i),   eigenvalue falling with (k / r_i)^2,  k = 1, 2, ...

with a_i the smallest coordinate in direction i and r_i the range. The L functions of smallest k / r_i
are taken, whatever their direction, and a bit is the sign of one of them. (Two functions along the
same direction cross zero without carrying it on: that is why more bits can be worse than fewer.)
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.threads import count_threads
from nphash.core.typing import CSR, Array
from nphash.hashers.base import Hasher
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import project
from nphash.hashers.neighbours.spectral import fit_lsi


def modes(ranges: Array, n_bits: int) -> tuple[Array, Array]:
    """Return directions (L,) and numbers k of half waves (L,) of the smoothest functions on a box.

    Its edges r (d,) are positive. Functions come by rising k / r, then rising direction.
    """
    waves = np.arange(1, n_bits + 1)
    frequencies = waves[:, None] / ranges  # (L, d)
    order = np.argsort(frequencies, axis=None, kind="stable")[:n_bits]
    k, direction = np.unravel_index(order, frequencies.shape)
    return direction, waves[k]


class SpectralHashing(Hasher):
    """Spectral hashing: cosines along the principal directions.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, d)
        Principal directions, d at most L.
    lowest_, ranges_ : ndarray of shape (d,)
        The box: smallest coordinate of the training documents, and largest less smallest.
    directions_, waves_ : ndarray of shape (n_bits,)
        Direction and number of half waves of each bit.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Weiss, Torralba & Fergus (2008), Spectral Hashing.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> SpectralHashing(n_bits=8, random_state=0).fit_transform(X).shape
    (60, 8)
    """

    def _fit(self, X: csr_matrix, y: object, **options: object) -> None:
        seed = seed_from(self.random_state)
        # Coordinates keep the mean in: it moves all of a direction's coordinates, and the box with them.
        self.components_ = fit_lsi(X, self.n_bits, seed, centred=True).components  # (V, d)
        coordinates = project(X, self.components_, count_threads(self.threads))  # (n, d)
        self.lowest_ = coordinates.min(axis=0)
        self.ranges_ = coordinates.max(axis=0) - self.lowest_
        self.directions_, self.waves_ = modes(self.ranges_, self.n_bits)

    def _decision(self, X: CSR) -> Array:
        coordinates = project(X, self.components_, count_threads(self.threads))  # (n, d)
        share = (coordinates - self.lowest_) / self.ranges_  # (n, d) of the box, 0 to 1 in training
        phi: Array = np.cos(np.pi * self.waves_ * share[:, self.directions_])  # (n, L)
        return phi
