"""Doc2hash (Zhang & Zhu, NAACL 2019): a bag-of-words autoencoder with a categorical latent code.

Each bit is a categorical variable with two categories, sampled by the Gumbel-max trick and
trained through its Gumbel-softmax relaxation. Two categories depend only on the difference
a = a_1 - a_0 of their logits, and the difference of two Gumbel draws is one logistic draw, so the
model here has one logit a bit; `nphash.gumbel` holds the paper's form, and a test shows that both
give the same samples, loss and gradients.

Where this departs from the printed paper and the published code:

* the KL divergence is summed over bits, each against its own fair prior (the published code takes
  one softmax over all 2L logits, which divides it by L);
* dropout is off when documents are encoded (the published code leaves it on);
* the temperature falls over epochs, not steps (there it reaches its floor within the first epoch);
* the best epoch is chosen on held-out documents, not on the test set;
* the decoder's bias starts at the log unigram frequencies.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nphash.errors import InputError
from nphash.gumbel import logistic_noise, relaxed_bits, straight_through_bits
from nphash.hashers.autoencoder import VariationalHasher, encoder, glorot, log_unigram
from nphash.hashers.training import Batch, Params, Training
from nphash.losses import bernoulli_kl, bound_loss, reconstruction
from nphash.ops import dense, dropout_mask
from nphash.schedules import ScheduleLike

__all__ = ["Doc2Hash"]

SAMPLING = {"straight-through": straight_through_bits, "relaxed": relaxed_bits}


class Doc2Hash(VariationalHasher):
    """Unsupervised Doc2hash.

    Parameters
    ----------
    n_bits
        Length L of a code.
    hidden
        Widths of the encoder's ReLU layers.
    dropout
        Share of the last hidden layer's units left out of a training step.
    sampling
        ``"straight-through"``: the decoder sees 0 or 1, the gradient is the relaxed sample's
        (the paper's Eq. 7 forward, Eq. 8 backward). ``"relaxed"``: the decoder sees the relaxed
        sample.
    temperature
        A number, a pair (first, last) for a line over the epochs, or a schedule.
    kl_weight
        Weight of the KL divergence of each bit: number, pair or schedule. The default suits
        TF-IDF targets; binary targets have a likelihood about eight times larger.
    target
        What is reconstructed: ``"input"``, the word weights as given (TF, TF-IDF, ...), or
        ``"binary"``, presence.
    training
        Epochs, batch size, learning rate, ...
    random_state
        None, a number, a NumPy Generator or RandomState.
    threads
        Worker threads; None uses every processor. Results do not depend on it.

    Attributes
    ----------
    params_ : dict of str to ndarray
        ``W_1, b_1, ...`` encoder, ``W_a (H, L), b_a`` logits, ``W_s (L, V), b_s`` decoder.
    history_ : list of dict
        Loss, reconstruction, KL and validation figure of every epoch.
    best_epoch_ : int
        The epoch whose weights were kept.

    References
    ----------
    Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> codes = Doc2Hash(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0).fit_transform(X)
    >>> codes.shape, codes.dtype
    ((60, 8), dtype('uint8'))
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        hidden: tuple[int, ...] = (500, 500),
        dropout: float = 0.2,
        sampling: str = "straight-through",
        temperature: ScheduleLike = (1.0, 0.3),
        kl_weight: ScheduleLike = 0.1,
        target: str = "input",
        training: Training | None = None,
        random_state: Any = None,
        threads: int | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.hidden = hidden
        self.dropout = dropout
        self.sampling = sampling
        self.temperature = temperature
        self.kl_weight = kl_weight
        self.target = target
        self.training = training
        self.random_state = random_state
        self.threads = threads

    def _check_params(self) -> None:
        super()._check_params()
        if self.sampling not in SAMPLING:
            raise InputError(f"sampling is {self.sampling!r}", f"give one of {', '.join(SAMPLING)}")
        if not min(self._ends(self.temperature)) > 0:
            raise InputError(f"temperature is {self.temperature}", "it must be above 0 from first to last")

    def _start(self, rng: np.random.Generator, n_hidden: int, target: Any) -> Params:
        return {
            "W_a": glorot(rng, n_hidden, self.n_bits),  # (H, L)
            "b_a": np.zeros(self.n_bits),
            "W_s": glorot(rng, self.n_bits, target.shape[1]),  # (L, V)
            "b_s": log_unigram(target),
        }

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Return the bound's terms on a batch and a function for their gradients by every parameter.

        Noise comes from ``batch.rng``: the same batch gives the same loss.
        """
        rng, dtype = batch.rng, params["W_1"].dtype
        rows = batch.x.shape[0]
        mask = dropout_mask(rng, (rows, self.hidden[-1]), self.dropout, dtype)
        noise = logistic_noise(rng, (rows, self.n_bits), dtype)
        tau = self._schedule(self.temperature)(batch.epoch)
        beta = self._schedule(self.kl_weight)(batch.epoch)

        h, back_encoder = encoder(params, batch.x, mask)  # (B, H)
        a, back_a = dense(h, params["W_a"], params["b_a"])  # (B, L)
        z, back_z = SAMPLING[self.sampling](a, noise, tau)  # (B, L)
        s, back_s = dense(2 * z - 1, params["W_s"], params["b_s"])  # (B, V)
        likelihood, back_likelihood = reconstruction(s, batch.target)
        kl, back_kl = bernoulli_kl(a)
        loss, back_loss = bound_loss(likelihood, kl, beta)

        def back() -> Params:
            dlikelihood, dkl = back_loss()
            dsigns, dW_s, db_s = back_s(back_likelihood(dlikelihood))  # (B, L), (L, V), (V,)
            da = back_z(2 * dsigns) + back_kl(dkl)  # (B, L)
            dh, dW_a, db_a = back_a(da)  # (B, H), (H, L), (L,)
            return {**back_encoder(dh), "W_a": dW_a, "b_a": db_a, "W_s": dW_s, "b_s": db_s}

        return {"loss": loss, "reconstruction": likelihood, "KL": kl}, back

    def bound(self, params: Params, x: Any, target: Any) -> float:
        """Return the mean bound a document at the codes as they are stored: no noise, no dropout."""
        a = self._logits(params, x)  # (n, L)
        s, _ = dense(np.sign(a), params["W_s"], params["b_s"])  # (n, V)
        likelihood, _ = reconstruction(s, target)
        kl, _ = bernoulli_kl(a)
        loss, _ = bound_loss(likelihood, kl, self._schedule(self.kl_weight)(self._training.epochs))
        return -loss
