"""Doc2hash (Zhang & Zhu, NAACL 2019): a bag-of-words autoencoder with a categorical latent code.

Each bit is a categorical variable with two categories, sampled by the Gumbel-max trick and
trained through its Gumbel-softmax relaxation. Two categories depend only on the difference
a = a_1 - a_0 of their logits, and the difference of two Gumbel draws is one logistic draw, so the
model here has one logit a bit; `nphash.nn.gumbel` holds the paper's form, and a test shows that both
give the same samples, loss and gradients.

Where this departs from the printed paper and the published code:

* the KL divergence is summed over bits, each against its own fair prior (the published code takes
  one softmax over all 2L logits, which divides it by L), and its weight is 0.1 a bit (there 2 for all
  bits together, which is 2 / L a bit);
* the decoder reads bits as signs 2z - 1, by L x V weights, so that its bias stays the mean (there as
  one-hot pairs, by 2L x V weights);
* dropout is off when documents are encoded (the published code leaves it on);
* the temperature falls over epochs, not steps (there it reaches its floor within the first epoch);
* the best epoch is chosen on held-out documents, not on the test set;
* the decoder's bias starts at the log unigram frequencies;
* documents are rescaled before the first layer, and the learning rate decays over the epochs.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nphash.core.arguments import check_choice, check_that
from nphash.core.typing import Array, Back, Params
from nphash.hashers.autoencoder import SUPERVISED, VariationalHasher
from nphash.hashers.networks import classify, encoder
from nphash.hashers.training.settings import ClassifierSettings
from nphash.hashers.training.trainer import Batch
from nphash.nn.gumbel import logistic_noise, relaxed_bits, straight_through_bits
from nphash.nn.losses import bernoulli_kl, bound_loss, supervised_loss
from nphash.nn.ops import dropout_mask
from nphash.nn.schedules import Schedule, ScheduleLike

SAMPLING = {"straight-through": straight_through_bits, "relaxed": relaxed_bits}

Sample = Callable[[Array, Array, float], tuple[Array, Back]]


def model(
    w: Params, batch: Batch, mask: Array | None, noise: Array, sample: Sample
) -> tuple[dict[str, float], Callable[[], Params]]:
    """Forward pass of Doc2hash, and below it `back`, which undoes its steps one by one, the last first.

    The logits a are used twice, by the sample and by the divergence: their gradient is the sum of both.
    """
    ops, y = batch.operations, batch.y
    h, back_h = encoder(w, batch.x, mask, ops)  # (B, H)
    a, back_a = ops.dense(h, w["W_a"], w["b_a"])  # (B, L) logits
    z, back_z = sample(a, noise, batch.tau)  # (B, L) bits: Eq. (7), backward Eq. (8); relaxed: Eq. (8)
    signs = 2 * z - 1  # (B, L): bits as the decoder reads them, so that dz = 2 dsigns
    nll, back_nll = ops.reconstruct(signs, w["W_s"], w["b_s"], batch.target)  # Eq. (1)
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
        dsigns_words, g["W_s"], g["b_s"] = back_nll(dnll)  # (B, L), (L, V), (V,)
        da = back_z(2 * (dsigns_words + dsigns_labels)) + back_kl(dkl)  # (B, L)
        dh, g["W_a"], g["b_a"] = back_a(da)  # (B, H), (H, L), (L,)
        return g | back_h(dh)

    return terms, back


@dataclass(eq=False, repr=False, kw_only=True)
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
        ``"straight-through"``: bits are 0 or 1, the gradient is the relaxed sample's (the paper's
        Eq. 7 forward, Eq. 8 backward). ``"relaxed"``: they lie between. The decoder sees them as
        signs 2z - 1.
    temperature
        A number, a pair (first, last) for linear annealing over the epochs, or a schedule.
    kl_weight
        Weight of the KL divergence of each bit: number, pair or schedule. The default suits
        TF-IDF targets; binary targets have a likelihood about eight times larger.
    target
        What is reconstructed: ``"input"``, the word weights as given (TF, TF-IDF, ...), or
        ``"binary"``, presence.
    training
        Epochs, batch size, learning rate, ... With None, the learning rate decays from 0.001 to 0.0001;
        a `Training` of your own has its learning rate, or the default of that class, 0.001 throughout.
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
    n_iter_ : int
        Epochs done.
    n_features_in_, n_bits_ : int
        Words (columns) and bits at the last `fit`.

    References
    ----------
    Zhang & Zhu (2019), Doc2hash: Learning Discrete Latent Variables for Documents Retrieval.

    Examples
    --------
    >>> import numpy as np
    >>> from nphash.hashers import Training
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> codes = Doc2Hash(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0).fit_transform(X)
    >>> codes.shape, codes.dtype
    ((60, 8), dtype('uint8'))
    """

    sampling: str = "straight-through"
    temperature: ScheduleLike = (1.0, 0.3)
    sample: Sample | None = field(default=None, init=False)  # in place of `SAMPLING`, to check gradients

    def _check_params(self) -> None:
        super()._check_params()
        check_choice(self.sampling, "sampling", tuple(SAMPLING))
        lowest = self._lowest(self.temperature, "temperature")
        check_that(lowest > 0, "temperature", self.temperature, "it must be above 0 from first to last")

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of both weights, and of the temperature."""
        return super().schedules() | {"tau": self._schedule(self.temperature)}

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Draw dropout and noise of a batch, none without a generator, and run the `model`."""
        B, dtype = batch.x.shape[0], params["W_1"].dtype
        mask = dropout_mask(batch.rng, (B, self.hidden[-1]), self.dropout, dtype)
        noise = logistic_noise(batch.rng, (B, self.n_bits), dtype)
        sample = straight_through_bits if batch.rng is None else self.sample or SAMPLING[self.sampling]
        return model(params, batch, mask, noise, sample)


@dataclass(eq=False, repr=False, kw_only=True)
class Doc2HashS(Doc2Hash):
    """Supervised Doc2hash: a two-layer classifier on the sampled code, Eq. (9) and (10).

    The loss is that of `Doc2Hash` and, with weight alpha, the classifier's: the logistic loss for
    documents with several labels (an indicator matrix), the softmax loss for one class each. Its
    gradient reaches the encoder through the sample. The published code has one linear layer and,
    for several labels, the squared error of sigmoids; and it raises alpha by 0.003 a step.

    Parameters
    ----------
    n_bits, hidden, dropout, temperature, kl_weight, training, random_state, threads
        As in `Doc2Hash`, with straight-through bits and the input as target; more dropout and
        divergence, since labels are learned by heart sooner than words.
    labels
        Weight and width of the classifier. With None, alpha rises from 0 to 10 over all epochs: at full
        weight from the start it saturates bits before they mean anything. Setting one field
        (``labels__hidden=50``) keeps that; a `ClassifierSettings` of your own has its weight, or the
        default of that class, 0 to 30 within 5 epochs.

    Attributes
    ----------
    params_ : dict of str to ndarray
        As in `Doc2Hash`, with ``W_y1 (L, H_y), b_y1, W_y2 (H_y, C), b_y2`` of a classifier of width H_y.
    n_labels_ : int
        The number C of labels.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `Doc2Hash`.

    Examples
    --------
    >>> import numpy as np
    >>> from nphash.hashers import Training
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> hasher = Doc2HashS(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0)
    >>> hasher.fit_transform(X, np.arange(60) % 3).shape
    (60, 8)
    """

    supervised = True
    _groups = SUPERVISED | {"labels": lambda: ClassifierSettings(weight=(0.0, 10.0))}

    dropout: float = 0.5
    kl_weight: ScheduleLike = 0.3
    sampling: str = field(default="straight-through", init=False)
    target: str = field(default="input", init=False)
    labels: ClassifierSettings | None = None
