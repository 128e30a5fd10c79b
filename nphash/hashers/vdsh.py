"""VDSH (Chaidaroon & Fang, SIGIR 2017): a Gaussian variational autoencoder, cut at the median.

The latent code is normal, N(mu, e^lv), against a standard normal prior. A stored bit says whether
mu lies above its median over the training documents, so bits are balanced.

Where this departs from the published code: there the log-variance is the output of a sigmoid, so
that the posterior is never sharper than the prior (``variance="sigmoid"`` here; free by default);
it steps after every single document, here after a batch; it starts the decoder at N(0, 1), large
enough to drown the data; it clamps logarithms at 1e-10, which stops the gradients of improbable
words; and it reconstructs presence (``target="binary"``), with an even weight for the divergence.

Letters: B batch, V vocabulary, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nphash.core.arguments import check_choice
from nphash.core.typing import CSR, Array, Params, Rng
from nphash.hashers.autoencoder import SUPERVISED, VariationalHasher
from nphash.hashers.networks import classify, encoder, glorot, initial_layers
from nphash.hashers.training.settings import ClassifierSettings
from nphash.hashers.training.trainer import Batch
from nphash.hashers.training.validation import MOST_DATABASE, subset
from nphash.nn.losses import bound_loss, gaussian_kl, supervised_loss
from nphash.nn.ops import Operations, dropout_mask, gaussian_sample, normal_noise, sigmoid

VARIANCES = ("free", "sigmoid")


def gaussian_code(
    w: Params, h: Array, noise: Array, ops: Operations, bounded: bool, names: tuple[str, str]
) -> tuple[Array, float, Callable[[Array, float], tuple[Array, Params]]]:
    """Draw z ~ N(mu, e^lv), both linear in h by the weights of these names; also return its KL divergence."""
    m, v = names
    mu, back_mu = ops.dense(h, w[f"W_{m}"], w[f"b_{m}"])  # (B, L)
    lv, back_lv = ops.dense(h, w[f"W_{v}"], w[f"b_{v}"])  # (B, L)
    if bounded:
        lv, back_sigmoid = sigmoid(lv)
    z, back_z = gaussian_sample(mu, lv, noise)  # (B, L)
    kl, back_kl = gaussian_kl(mu, lv)

    def back(dz: Array, dkl: float) -> tuple[Array, Params]:
        dmu, dlv = (by_z + by_kl for by_z, by_kl in zip(back_z(dz), back_kl(dkl), strict=True))
        dlv = back_sigmoid(dlv) if bounded else dlv
        dh, dW_m, db_m = back_mu(dmu)  # (B, H), (H, L), (L,)
        dh_lv, dW_v, db_v = back_lv(dlv)
        return dh + dh_lv, {f"W_{m}": dW_m, f"b_{m}": db_m, f"W_{v}": dW_v, f"b_{v}": db_v}

    return z, kl, back


def model(
    w: Params, batch: Batch, masks: list[Array | None], noises: list[Array], bounded: bool
) -> tuple[dict[str, float], Callable[[], Params]]:
    """Forward pass of VDSH, and below it `back`, which undoes its steps one by one, the last first.

    With the weights of a second encoder there is a private code v: the decoder sees z + v, the classifier z.
    """
    ops, y, private = batch.operations, batch.y, "W_va" in w
    h, back_h = encoder(w, batch.x, masks[0], ops)  # (B, H)
    z, kl, back_z = gaussian_code(w, h, noises[0], ops, bounded, ("a", "l"))  # (B, L)
    seen = z
    if private:
        h_v, back_h_v = encoder(w, batch.x, masks[1], ops, "v")  # (B, H)
        v, kl_v, back_v = gaussian_code(w, h_v, noises[1], ops, bounded, ("va", "vl"))  # (B, L)
        seen, kl = z + v, kl + kl_v
    nll, back_nll = ops.reconstruct(seen, w["W_s"], w["b_s"], batch.target)  # Eq. (1)
    loss, back_bound = bound_loss(nll, kl, batch.beta)  # Eq. (3)
    terms = {"loss": loss, "reconstruction": nll, "KL": kl}
    if y is not None:
        label_loss, back_labels = classify(w, z, y)  # Eq. (10), for one class each cross-entropy
        loss, back_loss = supervised_loss(loss, label_loss, batch.alpha)  # Eq. (9)
        terms |= {"loss": loss, "labels": label_loss}

    def back() -> Params:
        dbound, g = 1.0, Params()
        dz_labels: Array | float = 0.0
        if y is not None:
            dbound, dlabel_loss = back_loss()
            dz_labels, g = back_labels(dlabel_loss)  # (B, L)
        dnll, dkl = back_bound(dbound)
        dseen, g["W_s"], g["b_s"] = back_nll(dnll)  # (B, L), (L, V), (V,)
        if private:
            dh_v, g_v = back_v(dseen, dkl)  # (B, H)
            g |= g_v | back_h_v(dh_v)
        dh, g_z = back_z(dseen + dz_labels, dkl)  # (B, H)
        return g | g_z | back_h(dh)

    return terms, back


@dataclass(eq=False, repr=False, kw_only=True)
class Vdsh(VariationalHasher):
    """VDSH: Gaussian codes, thresholded at the median.

    Parameters
    ----------
    n_bits, hidden, dropout, kl_weight, target, training, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    variance
        ``"free"``: any positive variance. ``"sigmoid"``: between 1 and e, as published.

    Attributes
    ----------
    params_ : dict of str to ndarray
        ``W_1, b_1, ...`` encoder, ``W_a (H, L), b_a`` means (in the other systems these are logits: the
        name is that of the values whose signs are the codes), ``W_l (H, L), b_l`` log-variances,
        ``W_s (L, V), b_s`` decoder, ``median (L,)`` thresholds.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `nphash.hashers.Doc2Hash`.

    References
    ----------
    Chaidaroon & Fang (2017), Variational Deep Semantic Hashing for Text Documents.

    Examples
    --------
    >>> import numpy as np
    >>> from nphash.hashers import Training
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> hasher = Vdsh(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0).fit(X)
    >>> (hasher.decision_function(X) > 0).mean(axis=0)
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """

    private = False  # whether there is a second code, which is not stored

    variance: str = "free"

    def _check_params(self) -> None:
        super()._check_params()
        check_choice(self.variance, "variance", VARIANCES)

    def _initial_code(self, rng: Rng, n_hidden: int, target: CSR) -> Params:
        shared = super()._initial_code(rng, n_hidden, target)
        return {**shared, "W_l": glorot(rng, n_hidden, self.n_bits), "b_l": np.zeros(self.n_bits)}

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Draw dropout and noise of a batch, and run the `model`."""
        rng, B, dtype = batch.rng, batch.x.shape[0], params["W_1"].dtype
        codes = range(1 + self.private)
        masks = [dropout_mask(rng, (B, self.hidden[-1]), self.dropout, dtype) for _ in codes]
        noises = [normal_noise(rng, (B, self.n_bits), dtype) for _ in codes]
        return model(params, batch, masks, noises, self.variance == "sigmoid")

    def finalise_params(self, params: Params, X: CSR) -> Params:
        """Return weights with the median of each bit over the training documents."""
        some, _ = subset(X, X, MOST_DATABASE)
        mu = super()._logits(params, some)
        return {**params, "median": np.median(mu, axis=0)}

    def _logits(self, params: Params, X: CSR) -> Array:
        mu = super()._logits(params, X)
        return mu - params["median"] if "median" in params else mu


@dataclass(eq=False, repr=False, kw_only=True)
class VdshS(Vdsh):
    """VDSH-S: VDSH with a classifier on the sampled code.

    Parameters
    ----------
    n_bits, hidden, dropout, variance, kl_weight, training, random_state, threads
        As in `Vdsh`, with the input as target.
    labels
        Weight and width of the classifier. The published one is linear: ``ClassifierSettings(hidden=None)``.

    Attributes
    ----------
    params_ : dict of str to ndarray
        As in `Vdsh`, with ``W_y1 (L, H_y), b_y1, W_y2 (H_y, C), b_y2`` of a classifier of width H_y.
    n_labels_ : int
        The number C of labels.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `Vdsh`.

    Examples
    --------
    >>> VdshS(labels=ClassifierSettings(hidden=None)).get_params()["labels__weight"]  # still the usual one
    Linear(start=0.0, stop=30.0, epochs=5)
    """

    supervised = True
    _groups = SUPERVISED

    target: str = field(default="input", init=False)
    labels: ClassifierSettings | None = None


class VdshSP(VdshS):
    """VDSH-SP: VDSH-S with a second, private code that explains what the labels do not.

    The decoder sees the sum z + v of the shared and the private code, the classifier and the
    stored bits z alone; v has an encoder of its own. What words say beside the labels need not
    pass through z.

    Parameters
    ----------
    n_bits, hidden, dropout, variance, kl_weight, labels, training, random_state, threads
        As in `VdshS`.

    Attributes
    ----------
    params_ : dict of str to ndarray
        As in `VdshS`; the private code has ``W_v1, b_v1, ...``, ``W_va, b_va`` and ``W_vl, b_vl``.
    n_labels_, history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `VdshS`.

    Examples
    --------
    >>> VdshSP(n_bits=8, variance="sigmoid")
    VdshSP(n_bits=8, variance='sigmoid')
    """

    private = True

    def _initial_code(self, rng: Rng, n_hidden: int, target: CSR) -> Params:
        params = super()._initial_code(rng, n_hidden, target)
        params |= initial_layers(rng, (target.shape[1], *self.hidden), "v")
        for name in ("va", "vl"):
            params |= {f"W_{name}": glorot(rng, n_hidden, self.n_bits), f"b_{name}": np.zeros(self.n_bits)}
        return params
