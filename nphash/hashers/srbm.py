"""Semantic hashing by stacked restricted Boltzmann machines (Salakhutdinov & Hinton 2009).

Pretraining, layer by layer, by contrastive divergence with one step (CD-1). The first machine has a
constrained Poisson visible layer: the words of a document of length N have rates

    v_i = N softmax_i(c + h W^T),        p(h_j = 1 | v) = sigmoid(b_j + sum_i v_i W_ij);

those above are binary. A step adds to W the mean of (v h)_data - (v h)_reconstruction, to b and c those
of h and v; hidden units are drawn when they drive the reconstruction, and probabilities elsewhere.

Fine-tuning: the stack is unrolled into an autoencoder V-H-...-L-...-H-V with the same initial weights in
both halves, sigmoid units, a softmax at the end, and trained on the likelihood of the words. Gaussian
noise on the inputs of the code units makes them decide: only inputs far from zero survive it. A bit is one
where its input is above the median of the training documents.

Words beyond the `words` most frequent are left out, so that no layer is as wide as the vocabulary. A
Poisson layer needs counts: whatever weights come in, each document's are scaled to a mean of one. (With rows
of length one, hidden units hardly move from a half, nothing is learned, and fine-tuning ends at the word
frequencies: precision at 100 of .23 on Reuters, where pretraining on scaled rows alone gives .71.)

Letters: B batch, V words kept, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from nphash.codes import pack
from nphash.core.arguments import check_count, check_positive, check_that
from nphash.core.threads import single_threaded_blas
from nphash.core.typing import CSR, Array, Params
from nphash.engine.select import sparse_product
from nphash.hashers.base import Hasher
from nphash.hashers.inputs import seed_from
from nphash.hashers.linear import product_in_blocks
from nphash.hashers.networks import check_widths, log_unigram
from nphash.hashers.training.settings import Training
from nphash.hashers.training.trainer import Batch, Data
from nphash.hashers.training.validation import CheckedLabels, choose_validator, hold_out, learn
from nphash.nn.losses import reconstruction
from nphash.nn.ops import dense, sigmoid, softmax, sparse_dense
from nphash.nn.schedules import Schedule, ScheduleLike, as_schedule, schedule_ends

PRETRAINING_BATCH = 100
DECAY = 2e-4  # of weights, a step, times the learning rate
MOMENTUM = 0.9


def scale_to_counts(X: csr_matrix) -> csr_matrix:
    """Return documents scaled so that the mean weight of each one's words is one; empty ones stay empty."""
    words = np.diff(X.indptr)  # (n,)
    mass = np.asarray(X.sum(axis=1), dtype=X.dtype).ravel()  # (n,)
    scale = np.divide(words, mass, out=np.zeros_like(mass), where=mass > 0)
    data = X.data * np.repeat(scale, words)
    return csr_matrix((data, X.indices, X.indptr), shape=X.shape)


def contrastive_divergence(
    v: csr_matrix | Array, W: Array, b: Array, c: Array, uniform: Array
) -> tuple[tuple[Array, Array, Array], Array]:
    """Return the directions (dW, db, dc) in which CD-1 moves a machine, and p(h|v), (B, H).

    Data v (B, V) are CSR, words, whose layer is constrained Poisson, or dense, probabilities of binary units.
    """
    n = v.shape[0]
    words = hasattr(v, "indptr")
    a, back = sparse_dense(v, W, b) if words else dense(v, W, b)
    p, _ = sigmoid(a)  # (B, H)
    sampled = (uniform < p).astype(p.dtype)  # (B, H), for uniform draws from [0, 1)
    scores = sampled @ W.T + c  # (B, V)
    if words:
        length = np.asarray(v.sum(axis=1), dtype=p.dtype).reshape(-1, 1)  # (B, 1)
        again = length * softmax(scores)[0]  # (B, V)
    else:
        again = sigmoid(scores)[0]
    p_again, _ = sigmoid(again @ W + b)  # (B, H)
    positive = back(p)[-2:]  # the transposed products v^T p and sum p
    visible = np.asarray(v.sum(axis=0), dtype=p.dtype).ravel()  # (V,)
    dW = (positive[0] - again.T @ p_again) / n  # (V, H)
    db = (positive[1] - p_again.sum(axis=0)) / n
    return (dW, db, (visible - again.sum(axis=0)) / n), p


def pretrain(
    v: csr_matrix | Array, n_hidden: int, epochs: int, rate: float, seed: list[int]
) -> tuple[Array, Array, Array]:
    """Return weights and biases (W, b, c) of one machine trained by CD-1 with momentum on data v (n, V)."""
    n, n_visible = v.shape
    rng = np.random.default_rng(seed)
    W = (0.1 * rng.standard_normal((n_visible, n_hidden))).astype(v.dtype)
    c = np.zeros(n_visible, v.dtype) if isinstance(v, np.ndarray) else log_unigram(v).astype(v.dtype)
    weights = [W, np.zeros(n_hidden, v.dtype), c]
    speeds = [np.zeros_like(array) for array in weights]
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, PRETRAINING_BATCH):
            rows = np.sort(order[start : start + PRETRAINING_BATCH])
            uniform = rng.random((len(rows), n_hidden), dtype=np.float32)
            moves, _ = contrastive_divergence(v[rows], weights[0], weights[1], weights[2], uniform)
            for array, speed, move in zip(weights, speeds, moves, strict=True):
                speed *= MOMENTUM
                speed += v.dtype.type(rate) * move
                if array.ndim == 2:
                    speed -= v.dtype.type(rate * DECAY) * array
                array += speed
    return weights[0], weights[1], weights[2]


@dataclass(eq=False, repr=False, kw_only=True)
class StackedRBM(Hasher):
    """Stacked restricted Boltzmann machines, fine-tuned as an autoencoder with a noisy code.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    hidden
        Widths of the layers between words and code.
    words
        How many of the most frequent words are used.
    pretraining_epochs, pretraining_rate
        Passes and step size of contrastive divergence, for each layer.
    noise
        Standard deviation of the noise on the inputs of the code units in fine-tuning: a number, a
        pair (first, last) for linear annealing over the epochs, or a schedule.
    training
        Epochs, batch size, learning rate, ... of fine-tuning.

    Attributes
    ----------
    kept_ : ndarray of int
        Columns of the words used.
    params_ : dict of str to ndarray
        ``W_1, b_1, ...`` words to code, ``U_1, c_1, ...`` back (``U_1`` gives the words), ``t`` medians.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `nphash.hashers.Doc2Hash`, of fine-tuning.

    References
    ----------
    Salakhutdinov & Hinton (2009), Semantic Hashing.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> quick = Training(epochs=2)
    >>> hasher = StackedRBM(8, hidden=(16,), pretraining_epochs=1, training=quick, random_state=0)
    >>> hasher.fit_transform(X).shape
    (60, 8)
    """

    _groups: ClassVar[dict[str, Callable[[], Any]]] = {"training": lambda: Training(epochs=15)}

    hidden: tuple[int, ...] = (500, 500)
    words: int = 2000
    pretraining_epochs: int = 5
    pretraining_rate: float = 0.02
    noise: ScheduleLike = (0.0, 4.0)
    training: Training | None = None

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the unrolled autoencoder's loss, with noise of ``batch.rng`` if any, and its gradients."""
        depth = len(self.hidden) + 1
        a, back_a = sparse_dense(batch.x, params["W_1"], params["b_1"])  # (B, H)
        layers = []
        up = [(f"W_{i}", f"b_{i}") for i in range(2, depth + 1)]
        down = [(f"U_{i}", f"c_{i}") for i in range(depth, 0, -1)]
        for W, b in up + down:
            if f"U_{depth}" == W and batch.rng is not None:  # these are the inputs of the code units, (B, L)
                a = a + (batch.sigma * batch.rng.standard_normal(a.shape)).astype(a.dtype)
            h, back_h = sigmoid(a)
            a, back_dense = dense(h, params[W], params[b])  # (B, H), at last (B, V)
            layers.append((W, b, back_h, back_dense))
        loss, back_loss = reconstruction(a, batch.target)

        def back() -> Params:
            g: Params = {}
            da = back_loss()
            for W, b, back_h, back_dense in reversed(layers):
                dh, g[W], g[b] = back_dense(da)
                da = back_h(dh)
            g["W_1"], g["b_1"] = back_a(da)
            return g

        return {"loss": loss}, back

    def schedules(self) -> dict[str, Schedule]:
        """Return the size of the noise."""
        return {"sigma": as_schedule(self.noise, self._training.n_epochs)}

    def _fit(self, X: CSR, y: CheckedLabels, **options: object) -> None:
        self._check_params()
        training = self._training
        seed = seed_from(self.random_state)
        X, y, X_valid, y_valid = hold_out(X, y, training.validation_share, options)
        frequency = np.bincount(X.indices, minlength=X.shape[1])  # (V,)
        self.kept_ = np.sort(np.argsort(-frequency, kind="stable")[: self.words])
        X, X_valid = (scale_to_counts(docs[:, self.kept_]).astype(training.dtype) for docs in (X, X_valid))
        validator = choose_validator(
            self,
            (X, y, X_valid, y_valid),
            lambda params, few: -self.loss(params, Batch(few, few))[0]["loss"],
            lambda params: self._with_medians(params, X),
        )
        best = learn(self, self.initial_params(X, seed), Data(X, X), validator, seed, options)
        self.params_ = self._with_medians(best, X)

    def initial_params(self, X: CSR, seed: int) -> Params:
        """Return the unrolled autoencoder's weights after pretraining on documents of the words kept."""
        params: Params = {}
        v: Any = X
        with single_threaded_blas():
            for i, (_, width) in enumerate(pairwise((X.shape[1], *self.hidden, self.n_bits)), start=1):
                W, b, c = pretrain(v, width, self.pretraining_epochs, self.pretraining_rate, [seed, i])
                params |= {f"W_{i}": W, f"b_{i}": b, f"U_{i}": np.ascontiguousarray(W.T), f"c_{i}": c}
                a = sparse_product(v, W, self.threads) + b if i == 1 else dense(v, W, b)[0]
                v, _ = sigmoid(a)  # (n, H)
        return params

    def _check_params(self) -> None:
        self._check_training()
        check_widths(self.hidden)
        check_count(self.words, "words", hint="2000 are usual")
        check_count(self.pretraining_epochs, "pretraining_epochs", 0, "5 are usual")
        check_positive(self.pretraining_rate, "pretraining_rate", "give a positive number; 0.02 is usual")
        lowest = min(schedule_ends(self.noise, self._training.n_epochs, "noise"))
        check_that(lowest >= 0, "noise", self.noise, "it must be 0 or more from first to last")

    def _with_medians(self, params: Params, X: CSR) -> Params:
        return {**params, "t": np.median(self._inputs(params, X), axis=0).astype(params["b_1"].dtype)}

    def encode(self, params: Params, X: CSR) -> Any:
        """Return the packed codes of documents, in the words kept, under given weights and medians."""
        return pack(self._inputs(params, X) > params["t"])

    def _inputs(self, params: Params, X: CSR) -> Array:
        """Return the inputs of the code units, shape (n, L)."""
        a = sparse_product(X, params["W_1"], self.threads) + params["b_1"]  # (n, H)
        for i in range(2, len(self.hidden) + 2):
            a = product_in_blocks(sigmoid(a)[0], params[f"W_{i}"]) + params[f"b_{i}"]
        return a

    def _decision(self, X: CSR) -> Array:
        X = scale_to_counts(X[:, self.kept_]).astype(self.params_["t"].dtype)
        difference: Array = self._inputs(self.params_, X) - self.params_["t"]
        return difference
