"""Adversarial mutual information (Stratos & Wiseman 2020): codes that say much about documents, no decoder.

The encoder is linear, p_j = sigmoid(x w_j + b_j), its bits independent given the document. What a code Z
says about its document Y is

    I(Y; Z) = H(Z) - H(Z|Y),    H(Z|Y) = mean over documents of sum_j h(p_j),  h the binary entropy,

and H(Z), the entropy of codes over all documents, cannot be computed. It is bounded from above by the
cross entropy to any other distribution of codes, here a Markov chain q of order 3: each bit depends on
the three before it. The paper fits q by gradient steps of its own after every batch (the adversary). But
the best chain is known: its tables are the shares of the batch, weighted by p, that have each pattern of
four neighbouring bits. With those put in, the cross entropy is

    H+ = sum_j [H(Z_j-3 .. Z_j) - H(Z_j-3 .. Z_j-1)],    each from the batch's mean of products of p,

and since q is at its minimum, its change does not show in the gradient: dH+ = -sum log q d(mean pattern).

loss = H(Z|Y) - entropy_weight * H+. Nothing here is as wide as the vocabulary but the sparse product x W.

Where it starts decides where it ends. From random weights a linear encoder of all words learns the training
documents of Reuters by heart (precision at 100 with 32 bits .79 to .81, whatever the step size, batch, spread
or dropout of words); from the rotated singular vectors of iterative quantisation it ends at .83. On 20
Newsgroups, where singular vectors are poor (.40), random weights do better: .52 against .48.

Letters: B batch, V vocabulary, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nphash.codes import pack
from nphash.core.arguments import check_choice, check_that, is_number
from nphash.core.threads import count_threads
from nphash.core.typing import CSR, Array, Params
from nphash.engine.select import sparse_product
from nphash.hashers.inputs import seed_from
from nphash.hashers.itq import ITQ
from nphash.hashers.linear import LinearHasher, project
from nphash.hashers.training.settings import Training
from nphash.hashers.training.trainer import Batch, Data
from nphash.hashers.training.validation import CheckedLabels, choose_validator, hold_out, learn
from nphash.nn.ops import sigmoid, softplus

# Added to every share of a pattern: the logarithm of one that no document has stays finite.
TINY = 1e-6


def bit_entropy(a: Array) -> tuple[float, Callable[..., Array]]:
    """Mean over documents, in nats, of H(Z|Y) = sum_j [softplus(a_j) - a_j p_j],  dH/da = -a p (1 - p)."""
    p, sigmoid_back = sigmoid(a)  # (B, L)
    entropy = float((softplus(a)[0] - a * p).sum(dtype=np.float64)) / len(a)

    def back(dentropy: float = 1.0) -> Array:
        return sigmoid_back(-a * a.dtype.type(dentropy / len(a)))

    return entropy, back


def markov_entropy(p: Array) -> tuple[float, Callable[..., Array]]:
    """H+ = min over Markov chains q of order 3 of the cross entropy, in nats, of a batch's codes to q."""
    n, n_bits = p.shape
    # Before the first bit stand three that are always one.
    ones = np.concatenate([np.ones((n, 3), p.dtype), p], axis=1)  # (B, L + 3)
    each = np.stack([1 - ones, ones], axis=2)  # (B, L + 3, 2)
    windows = [
        np.ascontiguousarray(each[:, k : k + n_bits].transpose(1, 0, 2)) for k in range(4)
    ]  # (L, B, 2)
    first = _pairs(windows[0], windows[1])  # (L, B, 4)
    second = _pairs(windows[2], windows[3])  # (L, B, 4)
    share = (first.transpose(0, 2, 1) @ second).reshape(n_bits, 8, 2) / n + p.dtype.type(TINY)  # (L, 8, 2)
    log_q = np.log(share / share.sum(axis=2, keepdims=True))  # (L, 8, 2) of the last bit, given three
    entropy = -float((share * log_q).sum(dtype=np.float64))

    def back(dentropy: float = 1.0) -> Array:
        dshare = log_q.reshape(n_bits, 4, 4) * p.dtype.type(-dentropy / n)  # (L, 4, 4)
        dwindows = [
            *_pairs_back(second @ dshare.transpose(0, 2, 1), windows[0], windows[1]),
            *_pairs_back(first @ dshare, windows[2], windows[3]),
        ]  # (L, B) each
        dones = np.zeros_like(ones)  # (B, L + 3)
        for k, dwindow in enumerate(dwindows):
            dones[:, k : k + n_bits] += dwindow.T
        return dones[:, 3:]

    return entropy, back


def _pairs(u: Array, v: Array) -> Array:
    """Return probabilities of two bits' four patterns, (L, B, 4), from those of each bit (L, B, 2)."""
    pairs: Array = (u[:, :, :, None] * v[:, :, None, :]).reshape(*u.shape[:2], 4)
    return pairs


def _pairs_back(dpairs: Array, u: Array, v: Array) -> tuple[Array, Array]:
    """Return gradients by the probabilities of a one, (L, B) each."""
    d = dpairs.reshape(*u.shape[:2], 2, 2)  # (L, B, 2, 2)
    du = (d * v[:, :, None, :]).sum(axis=3)  # (L, B, 2)
    dv = (d * u[:, :, :, None]).sum(axis=2)  # (L, B, 2)
    return du[:, :, 1] - du[:, :, 0], dv[:, :, 1] - dv[:, :, 0]


@dataclass(eq=False, repr=False, kw_only=True)
class AMMI(LinearHasher):
    """Adversarial mutual information with a linear encoder and a Markov prior.

    Parameters
    ----------
    n_bits, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    entropy_weight
        Weight of the codes' entropy against the uncertainty of each code.
    start
        Initial weights: ``"itq"``, those of iterative quantisation, scaled so that logits have standard
        deviation 2; ``"random"``, uniform between -0.1 and 0.1, as in the paper.
    training
        Epochs, batch size, learning rate, ... The batch is what the Markov chain is fitted to: below
        some hundred documents it is fitted to noise.

    Attributes
    ----------
    components_ : ndarray of shape (n_words, n_bits)
        W.
    thresholds_ : ndarray of shape (n_bits,)
        -b.
    history_ : list of dict
        Loss, both entropies and validation figure of every epoch.
    best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `nphash.hashers.Doc2Hash`.

    References
    ----------
    Stratos & Wiseman (2020), Learning Discrete Structured Representations by Adversarially Maximizing
    Mutual Information.

    Examples
    --------
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> AMMI(n_bits=8, training=Training(epochs=2), random_state=0).fit_transform(X).shape
    (60, 8)
    """

    _groups: ClassVar[dict[str, Callable[[], Any]]] = {
        "training": lambda: Training(epochs=16, batch_size=128, learning_rate=0.01)
    }

    entropy_weight: float = 3.0
    start: str = "itq"
    training: Training | None = None

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the terms of the loss on a batch and a function for its gradients by every parameter."""
        a, back_a = batch.operations.sparse_dense(batch.x, params["W"], params["b"])  # (B, L)
        p, back_p = sigmoid(a)
        uncertainty, back_uncertainty = bit_entropy(a)
        entropy, back_entropy = markov_entropy(p)
        weight = self.entropy_weight

        def back() -> Params:
            da = back_uncertainty() - back_p(back_entropy(weight))  # (B, L)
            dW, db = back_a(da)
            return {"W": dW, "b": db}

        terms = {"loss": uncertainty - weight * entropy, "H(Z)": entropy, "H(Z|Y)": uncertainty}
        return terms, back

    def _fit(self, X: CSR, y: CheckedLabels, **options: object) -> None:
        training = self._training
        self._check_params()
        seed = seed_from(self.random_state)
        X, y, X_valid, y_valid = hold_out(X, y, training.validation_share, options)
        X = X.astype(training.dtype)
        params = {name: array.astype(training.dtype) for name, array in self.initial_params(X, seed).items()}
        documents = X, y, X_valid.astype(training.dtype), y_valid
        validator = choose_validator(
            self, documents, lambda w, few: -self.loss(w, Batch(few, few))[0]["loss"]
        )
        best = learn(self, params, Data(X, X), validator, seed, options)
        self.components_, self.thresholds_ = best["W"], -best["b"]

    def initial_params(self, X: CSR, seed: int) -> Params:
        """Return the weights a fit begins with, W (V, L) and b (L,)."""
        if self.start == "random":
            W = np.random.default_rng([seed]).uniform(-0.1, 0.1, (X.shape[1], self.n_bits))
            return {"W": W, "b": np.zeros(self.n_bits)}
        itq = ITQ(self.n_bits, random_state=seed, threads=self.threads).fit(X)
        scores = project(X, itq.components_, count_threads(self.threads))  # (n, L)
        deviation = float(scores.std(axis=0, dtype=np.float64).mean())
        scale = 2.0 / deviation if deviation > 0 else 1.0
        # thresholds there are for rows of length one
        length = float(np.sqrt(np.einsum("ij,ij->i", scores, scores)).mean(dtype=np.float64))
        return {"W": scale * itq.components_, "b": -scale * length * itq.thresholds_}

    def _check_params(self) -> None:
        self._check_training()
        weight = self.entropy_weight
        check_that(is_number(weight) and weight >= 0, "entropy_weight", weight, "give 0 or more; 3 is usual")
        check_choice(self.start, "start", ("itq", "random"))

    def encode(self, params: Params, X: CSR) -> Any:
        """Return the packed codes of documents under given weights."""
        a = sparse_product(X.astype(params["W"].dtype), params["W"], self.threads) + params["b"]
        return pack(a > 0)
