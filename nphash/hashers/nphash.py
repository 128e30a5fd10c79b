"""The method of this package: codes that reconstruct documents and neighbours, and keep similarities.

Six ideas, none of which needs labels:

* neighbours: from a document's code its own words *and* those of one near document are reconstructed,
  a neighbour drawn anew at each step (PairRec's idea at the price of one encoding);
* the neighbours come from a Laplacian eigenmap of the graph of similar documents, where chains of
  small steps count, not from direct similarity;
* rounds: where a document lies in the eigenmap is predicted from its words, the graph is made again with
  what was predicted, and so on (`nphash.hashers.neighbours.rounds`);
* distillation: within a batch, codes are as near as a teacher says, cosine in the predicted coordinates and
  in those of LSI, with shares by which both halves of a document's words have the same neighbours;
* the encoder reads LSI and predicted coordinates, not words: it cannot learn its documents by heart, and
  new ones get codes as good as theirs;
* codes are read from encoder, regression and decoder: a bit is what the encoder says of it, what the codes of
  all documents with these words say of it (a ridge regression, as in the rounds), and whether the words are
  likelier with it or without. The decoder knows each word by itself, which is what a query of a few words
  needs; encoder and regression have seen only whole documents.

Bits are sampled straight through as in `Doc2Hash`, and codes come from an exponential moving average of
weights. The last epoch is kept, and all documents are learned from, unless labelled ones are given to choose
the epoch: the ELBO of documents held out is best long before the neighbours are.

Letters: B batch, V vocabulary, H hidden units, L bits, n documents, d LSI dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from nphash.core.typing import CSR, Array, Params
from nphash.errors import InputError, UnsupportedError
from nphash.hashers.doc2hash import SAMPLING, Doc2Hash, Sample
from nphash.hashers.linear import ridge
from nphash.hashers.networks import INPUT_LENGTH, initial_layers
from nphash.hashers.training.settings import NeighbourSettings, Training
from nphash.hashers.training.trainer import Batch, Validator
from nphash.hashers.training.validation import CheckedLabels, precision_validator
from nphash.nn.gumbel import logistic_noise, straight_through_bits
from nphash.nn.losses import NUMPY, bernoulli_kl, bound_loss, similarity_distillation
from nphash.nn.ops import Operations, dense, dropout_mask, normalise_rows, relu, softmax
from nphash.nn.schedules import Schedule, ScheduleLike

if TYPE_CHECKING:
    from nphash.hashers.neighbours.rounds import NeighbourTeacher

# A fit has at least so many steps, if need be by more epochs, and at most so many by fewer.
STEPS = (1_500, 12_000)
EPOCHS = (4, 200)
USUAL_EPOCHS = 18

# Distillation pulls a bit with a force of 1 / L, reconstruction does not: its weight is given for codes
# of the first length and grows with L. Below the second it stays: 8 bits have to be shared by similar
# documents, and with half the weight they lose two points on Reuters and 20 Newsgroups.
WEIGHED_BITS = 32
SHORT_BITS = 16

# Up to so many words a document's decoder scores count alone beside the encoder's logits; beyond, less with
# the square root of their number, and the regression takes their place.
FEW_WORDS = 4

# The encoder's share. Without the regression 20 Newsgroups loses half a point at 32 bits and a whole one at
# 128, Reuters a quarter at 128, and queries of three words one to two; 8 bits would gain a quarter.
ENCODER = 0.75

# Of the ridge regression of finished bits: how many documents have to agree before a word is believed.
BITS_PENALTY = 2.0
BITS_AT_ONCE = 32  # it needs a few times as many numbers as there are documents


def model(
    w: Params,
    batch: Batch,
    mask: Array | None,
    noise: Array,
    sample: Sample,
    P: Array | None,
    tau_code: float,
) -> tuple[dict[str, float], Callable[[], Params]]:
    """Forward pass of the method, and below it `back`, which undoes its steps one by one, the last first.

    P (B, B) are the teacher's distributions over the batch, None for no distillation; the target holds the
    words of each document and of a neighbour.
    """
    ops = batch.operations
    u = coordinates(w, batch.x, ops)  # (B, d), constant: it has no gradient
    h, back_h = ops.dense(u, w["W_1"], w["b_1"])  # (B, H)
    h, back_relu = ops.relu(h)
    h = h if mask is None else h * mask
    a, back_a = ops.dense(h, w["W_a"], w["b_a"])  # (B, L) logits
    z, back_z = sample(a, noise, batch.tau)  # (B, L) bits: Eq. (7), backward Eq. (8); relaxed: Eq. (8)
    signs = 2 * z - 1  # (B, L): bits as the decoder reads them, so that dz = 2 dsigns
    nll, back_nll = ops.reconstruct(signs, w["W_s"], w["b_s"], batch.target)  # Eq. (1)
    kl, back_kl = bernoulli_kl(a)  # Eq. (4)
    bound, back_bound = bound_loss(nll, kl, batch.beta)  # Eq. (3)
    similarity = 0.0
    if P is not None:
        similarity, back_similarity = similarity_distillation(signs, P, tau_code)
    terms = {"loss": bound + batch.gamma * similarity, "reconstruction": nll, "KL": kl}

    def back() -> Params:
        g: Params = {}
        dsigns_similarity = 0.0 if P is None else back_similarity(batch.gamma)
        dnll, dkl = back_bound()
        dsigns_words, g["W_s"], g["b_s"] = back_nll(dnll)  # (B, L), (L, V), (V,)
        da = back_z(2 * (dsigns_words + dsigns_similarity)) + back_kl(dkl)  # (B, L)
        dh, g["W_a"], g["b_a"] = back_a(da)  # (B, H), (H, L), (L,)
        dh = back_relu(dh if mask is None else dh * mask)
        _, g["W_1"], g["b_1"] = back_h(dh)  # (d, H), (H,)
        return g

    return terms | {"distillation": similarity}, back


def coordinates(w: Params, x: CSR, ops: Operations) -> Array:
    """Return the coordinates u = x V_u of documents, (B, d), rescaled to one length."""
    no_bias = np.zeros(w["V_u"].shape[1], w["V_u"].dtype)
    u, _ = ops.sparse_dense(x, w["V_u"], no_bias)
    scaled: Array = u.dtype.type(INPUT_LENGTH) * normalise_rows(u)
    return scaled


@dataclass(eq=False, repr=False, kw_only=True)
class NpHash(Doc2Hash):
    """The method of this package: neighbours reconstructed, similarities kept; no labels, no tuning.

    Parameters
    ----------
    n_bits, dropout, temperature, kl_weight, random_state, threads
        As in `nphash.hashers.Doc2Hash`.
    hidden
        Width of the encoder's one ReLU layer, as a tuple.
    similarity
        Rounds, graph, teacher and their weights.
    training
        Epochs, batch size, learning rate, ... With None, or None for the epochs, these fit the number of
        documents.

    Attributes
    ----------
    params_ : dict of str to ndarray
        ``V_u (V, d)`` coordinates of words, ``W_1 (d, H), b_1`` encoder, ``W_a (H, L), b_a`` logits,
        ``W_s (L, V), b_s`` decoder, ``W_g (V, L)`` regression of finished bits on words.
    n_epochs_ : int
        Epochs that fit the number of documents, for where none are given.
    history_, best_epoch_, n_iter_, n_features_in_, n_bits_
        As in `nphash.hashers.Doc2Hash`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).poisson(0.3, (60, 40))
    >>> NpHash(n_bits=8, hidden=(16,), training=Training(epochs=2), random_state=0).fit_transform(X).shape
    (60, 8)
    """

    _groups: ClassVar[dict[str, Callable[[], Any]]] = {
        "training": lambda: Training(epochs=None, average=0.998),
        "similarity": NeighbourSettings,
    }
    out_of_core = False  # graph and LSI are made of the whole matrix
    uses_validation = False  # the average of the last epochs is as good as the best

    hidden: tuple[int, ...] = (500,)
    kl_weight: ScheduleLike = 0.2
    similarity: NeighbourSettings | None = None
    sampling: str = field(default="straight-through", init=False)
    target: str = field(default="input", init=False)

    @property
    def partial_fit(self) -> Any:
        """Not possible: neighbours are sought among all documents."""
        raise UnsupportedError("NpHash has to see all documents at once", "use fit, or doc2hash, nash, vdsh")

    @property
    def _training(self) -> Training:
        training: Training = self._settings("training")
        if not isinstance(training, Training) or training.epochs is not None:
            return training
        return replace(training, epochs=getattr(self, "n_epochs_", USUAL_EPOCHS))

    def _check_params(self) -> None:
        super()._check_params()
        if len(self.hidden) != 1:
            raise InputError(f"hidden is {self.hidden!r}", "this encoder has one layer: give (500,)")
        if not isinstance(self._settings("similarity"), NeighbourSettings):
            raise InputError(f"similarity is {self.similarity!r}", "give a NeighbourSettings or None")
        self._settings("similarity").check()

    def _fit(self, X: CSR, y: CheckedLabels, **options: object) -> None:
        self._check_params()
        steps = -(-X.shape[0] // self._training.batch_size)
        fewest, most = (-(-total // steps) for total in STEPS)
        self.n_epochs_ = int(np.clip(np.clip(USUAL_EPOCHS, fewest, most), *EPOCHS))
        super()._fit(X, y, **options)

    # ------------------------------------------------------------------ before the first step
    # What only a fit needs is imported here: SciPy's eigensolvers take longer to load than a search.

    def initial_params(
        self, x: CSR, target: CSR, seed: int, context: NeighbourTeacher | None = None
    ) -> Params:
        """Return the weights a fit begins with, and the coordinates of words, which stay as they are."""
        rng = np.random.default_rng([seed])
        V_u = self._context(x, seed).V_u if context is None else context.V_u  # (V, d)
        params = initial_layers(rng, (V_u.shape[1], *self.hidden)) | self._initial_code(
            rng, self.hidden[-1], target
        )
        return {name: array.astype(self._training.dtype) for name, array in {**params, "V_u": V_u}.items()}

    def _context(self, X: CSR, seed: int) -> NeighbourTeacher:
        from nphash.hashers.neighbours.rounds import neighbour_rounds

        return neighbour_rounds(X, self._settings("similarity"), seed, self.threads)

    def _validator(self, X: CSR, y: CheckedLabels, X_valid: CSR, y_valid: CheckedLabels) -> Validator | None:
        """Return the validator: precision of codes read without W_g, which would take too long each epoch."""
        if y is None or y_valid is None or X_valid.shape[0] == 0:
            return None
        X_valid = X_valid.astype(self._training.dtype, copy=False)
        return precision_validator(self.encode, X, y, X_valid, y_valid, self.n_bits)

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of `Doc2Hash`, and the weight of the distillation."""
        weight = self._settings("similarity").weight * max(self.n_bits, SHORT_BITS) / WEIGHED_BITS
        return super().schedules() | {"gamma": self._schedule(weight)}

    def loss(self, params: Params, batch: Batch) -> tuple[dict[str, float], Callable[[], Params]]:
        """Draw dropout, noise and neighbours of a batch, and run the `model`; without context the ELBO."""
        B, dtype = batch.x.shape[0], params["W_1"].dtype
        mask = dropout_mask(batch.rng, (B, self.hidden[-1]), self.dropout, dtype)
        noise = logistic_noise(batch.rng, (B, self.n_bits), dtype)
        sample = straight_through_bits if batch.rng is None else self.sample or SAMPLING[self.sampling]
        batch = replace(batch, target=self._with_neighbour(batch))
        P = self._teacher(batch, dtype)
        return model(params, batch, mask, noise, sample, P, self._settings("similarity").code_temperature)

    def _with_neighbour(self, batch: Batch) -> Any:
        """Return the target x_i + x_j, CSR (B, V): j is drawn from i's neighbours."""
        if batch.context is None or batch.rng is None:
            return batch.target
        neighbours = batch.context.neighbours[batch.rows]  # (B, k)
        columns = batch.rng.integers(neighbours.shape[1], size=len(neighbours))
        chosen = neighbours[np.arange(len(neighbours)), columns]
        return batch.target + batch.context.target[chosen]

    def _teacher(self, batch: Batch, dtype: npt.DTypeLike) -> Array | None:
        """Return the teacher's distributions over the other documents of a batch, (B, B); None for none."""
        if batch.context is None or batch.x.shape[0] < 3 or batch.gamma == 0:
            return None
        t = batch.context.teacher[batch.rows]  # (B, d)
        similarity = t @ t.T / t.dtype.type(self._settings("similarity").teacher_temperature)  # (B, B)
        np.fill_diagonal(similarity, -np.inf)
        return softmax(similarity)[0].astype(dtype)

    def finalise_params(self, params: Params, X: CSR) -> Params:
        """Return weights with ``W_g (V, L)``, by which words predict the bits of encoder and decoder."""
        bits = np.sign(self._logits(params, X)).astype(np.int8)  # (n, L)
        some = [bits[:, i : i + BITS_AT_ONCE] for i in range(0, self.n_bits, BITS_AT_ONCE)]
        return {**params, "W_g": np.hstack([ridge(X, Y, BITS_PENALTY, self.threads) for Y in some])}

    def encoder_logits(self, params: Params, x: CSR, operations: Operations = NUMPY) -> Array:
        """Return ``c a / |a| + (1 - r) g / |g| + r s / |s|``, (B, L): the signs are the codes.

        a are the encoder's logits, g = x W_g what is usual for these words, s = x W_s^T the decoder's scores:
        log p(x | z) = s z + terms without x or similar for most z, so that their signs are the code that
        explains the words best. Before `finalise_params`, ``a / |a| + s / |s|``.
        """
        h, _ = relu(dense(coordinates(params, x, operations), params["W_1"], params["b_1"])[0])
        a = normalise_rows(dense(h, params["W_a"], params["b_a"])[0])  # (B, L)
        s = normalise_rows(self._by_word(x, params["W_s"].T, operations))
        if "W_g" not in params:
            s += a
            return s
        r = np.sqrt(FEW_WORDS / np.maximum(np.diff(x.indptr), FEW_WORDS)).astype(a.dtype)[:, None]  # (B, 1)
        g = normalise_rows(self._by_word(x, params["W_g"], operations))
        logits: Array = a.dtype.type(ENCODER) * a + (1 - r) * g + r * s
        return logits

    def _by_word(self, x: CSR, W: Array, operations: Operations) -> Array:
        """Return x W, (B, L), of weights W (V, L)."""
        return operations.sparse_dense(x, np.ascontiguousarray(W), np.zeros(self.n_bits, x.dtype))[0]
