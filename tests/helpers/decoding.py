"""A small decoder, what its forward kernel leaves, and what the gradient kernels take."""

import numpy as np
import scipy.sparse

from nphash.engine.compiled import sort_by_word
from nphash.engine.kernels.decoder import Entries, Latent, ScoreGradient, forward
from nphash.engine.kernels.sign_tables import offsets_of
from nphash.nn.ops import softmax

ROWS, BITS, WORDS, WIDTH = 5, 8, 166, 16  # eleven tiles, the last of 6 words


KINDS = {
    "usual": (0, False),
    "a score far above the first": (100, False),
    "signs": (0, True),
    "signs, and a score far above the first": (100, True),
}


def decoded(rng, raised, signs):
    """Random weights, documents, and what `forward` leaves of them, by all tiles at once."""
    z = rng.standard_normal((ROWS, BITS)).astype(np.float32)
    z = np.sign(z) if signs else z
    W, b = (
        rng.standard_normal((BITS, WORDS)).astype(np.float32),
        rng.standard_normal(WORDS).astype(np.float32),
    )
    b[88] += raised
    target = scipy.sparse.random(ROWS, WORDS, 0.1, format="csr", rng=rng, dtype=np.float32)
    starts, documents, positions = sort_by_word(target)
    entries = Entries(starts, documents, target.data[positions])
    n_tiles = -(-WORDS // WIDTH)
    out = np.empty(WORDS * ROWS, np.float32), np.empty((n_tiles, ROWS), np.float32), np.empty(ROWS)
    out[1][0] = z @ W[:, 0] + b[0]  # the first score of each document, as the first m
    vectors = np.empty((ROWS, BITS), np.float32), np.empty((ROWS, BITS), np.float32)
    codes = Latent(z, offsets_of(z))
    hits = forward(codes, W, b, entries, out, vectors, WIDTH, 0, n_tiles)
    return z, W, b, target, entries, out, vectors, hits


def gradient_of(case):
    """What the gradient kernels take, and the scores' gradient as it is written, (B, V)."""
    z, W, b, target, entries, (E, shifts, total), _, _ = case
    mass = np.asarray(target.sum(axis=1)).ravel()
    factors = (np.exp(shifts - shifts[-1]) * mass / total / ROWS).astype(np.float32)
    p, _ = softmax(z @ W + b)
    ds = ScoreGradient(E, factors, np.float32(1 / ROWS), entries)
    return ds, (mass[:, None] * p - target.toarray()) / ROWS


PRECISION = 1e-6  # of a gradient's largest entry


def close(gradient, exact, precision=PRECISION):
    scale = np.abs(exact).max()
    assert np.abs(np.asarray(gradient, np.float64) - exact).max() <= precision * max(scale, 1e-30)


def targets(kind, rows, words, rng):
    """Documents of a kind: CSR (rows, words)."""
    X = scipy.sparse.random(rows, words, min(1.0, 6 / words), format="lil", rng=rng, dtype=np.float32)
    if kind == "empty documents":
        X[: rows // 2 + 1] = 0
    elif kind == "one word":
        X[:] = 0
        for row in range(rows):
            X[row, rng.integers(words)] = 1
    elif kind == "a word in every document":
        X[:, words // 2] = 1
    X = X.tocsr()
    X.eliminate_zeros()
    return X.astype(np.float32)


def decoder(rng, rows, bits, words):
    z = np.sign(rng.standard_normal((rows, bits))).astype(np.float32)
    W = (0.3 * rng.standard_normal((bits, words))).astype(np.float32)
    return z, W, rng.standard_normal(words).astype(np.float32)
