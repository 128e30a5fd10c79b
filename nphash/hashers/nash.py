"""NASH (Shen et al., ACL 2018): a Bernoulli latent code trained straight through its sampling step.

A bit is one with probability p = sigmoid(a); the gradient takes dz/dp for 1 (Eq. (5) of the
Doc2hash paper). The decoder may see the code with normal noise, of one size (NASH-N) or of a size
the encoder chooses (NASH-DN): then a code must still be understood when blurred, which the authors
read as a trade of rate against distortion.

Where this departs from published code: the divergence is two-sided, p log 2p + (1-p) log 2(1-p)
(the Doc2hash authors' baseline has the first half only, with its minimum at p = 1/(2e)); dropout is
on in training and off in encoding (there the other way round); bits reach the decoder as signs
2z - 1, so that its bias stays the mean; noise is multiplied by a draw (one public version adds the
scale itself); stored codes are those of p > 1/2, never random.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nphash.core.arguments import check_choice
from nphash.core.typing import CSR, Array, Back, Params, Rng
from nphash.hashers.autoencoder import SUPERVISED, VariationalHasher
from nphash.hashers.networks import classify, encoder, glorot
from nphash.hashers.training.settings import ClassifierSettings
from nphash.hashers.training.trainer import Batch
from nphash.nn.gumbel import straight_through_bernoulli
from nphash.nn.losses import bernoulli_kl, bound_loss, supervised_loss
from nphash.nn.ops import dropout_mask, gaussian_sample, normal_noise
from nphash.nn.schedules import Schedule, ScheduleLike

SAMPLING = ("stochastic", "deterministic")

Sample = Callable[[Array, Array], tuple[Array, Back]]


def model(
    w: Params, batch: Batch, mask: Array | None, uniform: Array, noise: Array, sample: Sample
) -> tuple[dict[str, float], Callable[[], Params]]:
    """Forward pass of NASH, and below it `back`, which undoes its steps one by one, the last first.

    The decoder sees the code with noise: of the size sigma, or of a size that the encoder chooses.
    """
    ops, y, sized = batch.operations, batch.y, "W_n" in w
    h, back_h = encoder(w, batch.x, mask, ops)  # (B, H)
    a, back_a = ops.dense(h, w["W_a"], w["b_a"])  # (B, L) logits
    z, back_z = sample(a, uniform)  # (B, L) bits: Eq. (5)
    signs = 2 * z - 1  # (B, L): bits as the decoder reads them, so that dz = 2 dsigns
    seen = signs + batch.sigma * noise  # (B, L) by the decoder
    if sized:
        log_variance, back_size = ops.dense(h, w["W_n"], w["b_n"])  # (B, L)
        seen, back_seen = gaussian_sample(signs, log_variance, noise)  # (B, L)
    nll, back_nll = ops.reconstruct(seen, w["W_s"], w["b_s"], batch.target)  # Eq. (1)
    kl, back_kl = bernoulli_kl(a)  # Eq. (4)
    loss, back_bound = bound_loss(nll, kl, batch.beta)  # Eq. (3)
    terms = {"loss": loss, "reconstruction": nll, "KL": kl}
    if y is not None:
        label_loss, back_labels = classify(w, signs, y)  # Eq. (10), for one class each cross-entropy
        loss, back_loss = supervised_loss(loss, label_loss, batch.alpha)  # Eq. (9)
        terms |= {"loss": loss, "labels": label_loss}

    def back() -> Params:
        dbound, g = 1.0, Params()
        dsigns_labels: Array | float = 0.0
        if y is not None:
            dbound, dlabel_loss = back_loss()
            dsigns_labels, g = back_labels(dlabel_loss)  # (B, L)
        dnll, dkl = back_bound(dbound)
        dseen, g["W_s"], g["b_s"] = back_nll(dnll)  # (B, L), (L, V), (V,)
        dh_size: Array | float = 0.0
        dsigns_words = dseen
        if sized:
            dsigns_words, dlog_variance = back_seen(dseen)
            dh_size, g["W_n"], g["b_n"] = back_size(dlog_variance)  # (B, H), (H, L), (L,)
        da = back_z(2 * (dsigns_words + dsigns_labels)) + back_kl(dkl)  # (B, L)
        dh, g["W_a"], g["b_a"] = back_a(da)  # (B, H), (H, L), (L,)
        return g | back_h(dh + dh_size)

    return terms, back


@dataclass(eq=False, repr=False, kw_only=True)
class Nash(VariationalHasher):
    """NASH: Bernoulli codes with the straight-through estimator.

    Parameters
    ----------
    n_bits, hidden, dropout, kl_weight, target, training, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    sampling
        ``"stochastic"``: a bit is one where p exceeds a uniform draw, which the authors found better.
        ``"deterministic"``: where it exceeds 1/2.

    Attributes
    ----------
    params_, history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `nphash.hashers.Doc2Hash`.

    References
    ----------
    Shen et al. (2018), NASH: Toward End-to-End Neural Architecture for Generative Semantic Hashing.

    Examples
    --------
    >>> import numpy as np
    >>> from nphash.hashers import Training
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> Nash(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0).fit_transform(X).shape
    (60, 8)
    """

    noisy = False  # whether the decoder sees codes with noise

    sampling: str = "stochastic"

    def _check_params(self) -> None:
        super()._check_params()
        check_choice(self.sampling, "sampling", SAMPLING)

    def sample(self, a: Array, uniform: Array) -> tuple[Array, Back]:
        """Draw bits (B, L) of logits; a method, so that a gradient check can put another in its place."""
        return straight_through_bernoulli(a, uniform)

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Draw dropout and noise of a batch, and run the `model`."""
        rng, shape, dtype = batch.rng, (batch.x.shape[0], self.n_bits), params["W_1"].dtype
        mask = dropout_mask(rng, (shape[0], self.hidden[-1]), self.dropout, dtype)
        uniform = np.full(shape, 0.5, dtype)
        if rng is not None and self.sampling == "stochastic":
            uniform = rng.random(shape).astype(dtype)
        noise = normal_noise(rng, shape, dtype) if self.noisy else np.zeros((), dtype)
        return model(params, batch, mask, uniform, noise, self.sample)


@dataclass(eq=False, repr=False, kw_only=True)
class NashN(Nash):
    """NASH-N: NASH whose decoder sees codes with normal noise of one size.

    Parameters
    ----------
    n_bits, hidden, dropout, kl_weight, target, training, random_state, threads
        As in `Nash`, with stochastic bits.
    noise
        Standard deviation on codes of signs: number, pair or schedule.

    Attributes
    ----------
    params_, history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `Nash`.

    Examples
    --------
    >>> NashN(noise=(1.0, 0.0)).noise
    (1.0, 0.0)
    """

    noisy = True

    sampling: str = field(default="stochastic", init=False)
    noise: ScheduleLike = 0.5

    def _check_params(self) -> None:
        super()._check_params()
        self._check_weight(self.noise, "noise")

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of both weights, and of the noise."""
        return super().schedules() | {"sigma": self._schedule(self.noise)}


class NashDN(Nash):
    """NASH-DN: NASH whose decoder sees codes with normal noise of a size that depends on the document.

    Parameters
    ----------
    n_bits, hidden, dropout, sampling, kl_weight, target, training, random_state, threads
        As in `Nash`.

    Attributes
    ----------
    params_ : dict of str to ndarray
        As in `Nash`, with ``W_n (H, L), b_n`` of the logarithm of the noise's variance. ``W_a, b_a`` give
        logits, as everywhere but in `Vdsh`, whose variance is called ``W_l, b_l``.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `Nash`.

    Examples
    --------
    >>> NashDN(n_bits=8, sampling="deterministic")
    NashDN(n_bits=8, sampling='deterministic')
    """

    noisy = True

    def _initial_code(self, rng: Rng, n_hidden: int, target: CSR) -> Params:
        shared = super()._initial_code(rng, n_hidden, target)
        return {**shared, "W_n": glorot(rng, n_hidden, self.n_bits), "b_n": np.zeros(self.n_bits)}


@dataclass(eq=False, repr=False, kw_only=True)
class NashDNS(NashDN):
    """NASH-DN-S: NASH-DN with a two-layer classifier on the sampled code.

    Parameters
    ----------
    n_bits, hidden, dropout, sampling, kl_weight, training, random_state, threads
        As in `Nash`, with the input as target.
    labels
        Weight and width of the classifier.

    Attributes
    ----------
    params_ : dict of str to ndarray
        As in `NashDN`, with ``W_y1 (L, H_y), b_y1, W_y2 (H_y, C), b_y2`` of a classifier of width H_y.
    n_labels_ : int
        The number C of labels.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `Nash`.

    Examples
    --------
    >>> NashDNS(labels=ClassifierSettings(weight=5.0)).get_params()["labels__weight"]
    5.0
    """

    supervised = True
    _groups = SUPERVISED

    target: str = field(default="input", init=False)
    labels: ClassifierSettings | None = None
