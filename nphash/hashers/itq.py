"""Iterative quantisation (Gong & Lazebnik 2011) of latent semantic indexing.

Documents are projected on the first L singular vectors, scaled to length one and centred: V. Signs of V
itself make bad bits, because the first directions hold most of the variance. So V is rotated, the
rotation R being the one that brings it nearest to the corners of the cube,

    min over B in {-1, 1}^(n x L) and R R^T = I of  |B - V R|^2,

alternately: B = sign(V R); R = P Q^T from the SVD  V^T B = P S Q^T.

A rotation keeps lengths, so the fitted model is one linear map W = C R of the words (C the singular
vectors) and L thresholds: bit j is one where (x W)_j / |x W| > t_j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.arguments import check_count
from nphash.core.threads import count_threads, single_threaded_blas
from nphash.core.typing import CSR, Array
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import LinearHasher, project
from nphash.hashers.neighbours.spectral import fit_lsi
from nphash.nn.ops import normalise_rows


def rotation(V: Array, n_bits: int, iterations: int, seed: int) -> Array:
    """Return R (d, L) with orthonormal rows such that V R is near the corners of the cube.

    V are centred rows (n, d). With d < L the further bits are further directions in the same space.
    """
    rng = np.random.default_rng([seed])
    V = np.asarray(V, dtype=np.float64)
    with single_threaded_blas():
        R = np.linalg.qr(rng.standard_normal((n_bits, n_bits)))[0][: V.shape[1]]  # (d, L)
        for _ in range(iterations):
            B = np.where(V @ R > 0, 1.0, -1.0)  # (n, L)
            P, _, Q = np.linalg.svd(V.T @ B, full_matrices=False)  # (d, d), (d, L)
            R = P @ Q
    return R


@dataclass(eq=False, repr=False, kw_only=True)
class ITQ(LinearHasher):
    """Latent semantic indexing, then iterative quantisation.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`; n_bits is also the number of singular vectors.
    iterations
        Steps of the alternation.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, n_bits)
        W, the rotated singular vectors.
    thresholds_ : ndarray of shape (n_bits,)
        t, the rotated mean of the normalised training documents.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Gong & Lazebnik (2011), Iterative Quantization: A Procrustean Approach to Learning Binary Codes.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> ITQ(n_bits=8, random_state=0).fit_transform(X).shape
    (60, 8)
    """

    iterations: int = 50

    def _fit(self, X: csr_matrix, y: object, **options: object) -> None:
        check_count(self.iterations, "iterations", 0, "50 are usual")
        seed = seed_from(self.random_state)
        components = fit_lsi(X, self.n_bits, seed).components  # (V, d)
        rows = normalise_rows(project(X, components, count_threads(self.threads)))  # (n, d)
        mean = rows.mean(axis=0, dtype=np.float64)  # (d,)
        R = rotation(rows - mean, self.n_bits, self.iterations, seed)  # (d, L)
        with single_threaded_blas():
            self.components_ = (components @ R).astype(np.float32)
        self.thresholds_ = (mean @ R).astype(np.float32)

    def _decision(self, X: CSR) -> Array:
        rotated = project(X, self.components_, count_threads(self.threads))  # (n, L)
        difference: Array = normalise_rows(rotated) - self.thresholds_
        return difference
