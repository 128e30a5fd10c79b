"""A small model to plant mistakes in; those of single operations stand in `benchmarks.planted`."""

import numpy as np
from scipy import sparse

from benchmarks.planted import CASES, PLANTED, find, mutant
from nphash.gradcheck import Model
from nphash.nn import gumbel, losses, ops

__all__ = ["CASES", "PLANTED", "find", "mutant", "small_model"]


def small_model(kl_in_gradient=0.1, decay_in_gradient=0.05, sample=None, lose=()):
    """A two-layer Doc2hash with weight decay; the arguments plant mistakes in its gradient."""
    rng = np.random.default_rng(5)
    X = sparse.csr_array(rng.random((6, 9)) * (rng.random((6, 9)) < 0.5))
    noise = gumbel.logistic_noise(rng, (6, 4))
    params = {
        "W1": rng.normal(size=(9, 4)),
        "b1": rng.normal(size=4),
        "W2": rng.normal(size=(4, 9)),
        "b2": rng.normal(size=9),
    }
    draw = sample or gumbel.relaxed_bits

    def data(p):
        a, encoder_back = ops.sparse_dense(X, p["W1"], p["b1"])
        z, sample_back = draw(a, noise, 0.7)
        scores, decoder_back = ops.dense(z, p["W2"], p["b2"])
        loss, loss_back = losses.reconstruction(scores, X)

        def back(dloss=1.0):
            dz, dW2, db2 = decoder_back(loss_back(dloss))
            dW1, db1 = encoder_back(sample_back(dz))
            return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

        return loss, back

    def kl(p):
        a, encoder_back = ops.sparse_dense(X, p["W1"], p["b1"])
        loss, loss_back = losses.bernoulli_kl(a)
        return 0.1 * loss, lambda d=1.0: dict(
            zip(("W1", "b1"), encoder_back(loss_back(0.1 * d)), strict=True)
        )

    def decay(p):
        loss, back = losses.l2_penalty(p["W1"], 0.05)
        return loss, lambda d=1.0: {"W1": back(d)}

    def whole(p):
        parts = [data(p), kl(p), decay(p)]
        weights = (1.0, kl_in_gradient / 0.1, decay_in_gradient / 0.05)

        def back(dloss=1.0):
            grads = {name: np.zeros_like(value) for name, value in p.items()}
            for (_, part_back), weight in zip(parts, weights, strict=True):
                for name, g in part_back(dloss).items():
                    grads[name] += weight * g * (name not in lose)
            return grads

        return sum(loss for loss, _ in parts), back

    terms = {"reconstruction": data, "kl": kl, "weight decay": decay}
    return Model("doc2hash", params, whole, terms, {"kl_weight": 0.1})
