"""Model solution of exercise 7."""

import numpy as np

from nphash.nn.gumbel import relaxed_bits
from nphash.nn.losses import bernoulli_kl
from nphash.nn.ops import dense, log_softmax, relu

EXERCISE = 7


def word_loss(scores, x):
    log_p, back_log = log_softmax(scores)
    return -(x * log_p).sum() / len(x), lambda dloss: back_log(-dloss * x / len(x))


def loss(params, x, noise, temperature, kl_weight):
    h, back_hidden = dense(x, params["W_1"], params["b_1"])
    h, back_relu = relu(h)
    a, back_a = dense(h, params["W_a"], params["b_a"])
    z, back_z = relaxed_bits(a, noise, temperature)
    scores, back_s = dense(2 * z - 1, params["W_s"], params["b_s"])
    words, back_words = word_loss(scores, x)
    kl, back_kl = bernoulli_kl(a)

    def back(dloss):
        dsigns, dW_s, db_s = back_s(back_words(dloss))
        da = back_z(2 * dsigns) + back_kl(kl_weight * dloss)
        dh, dW_a, db_a = back_a(da)
        _, dW_1, db_1 = back_hidden(back_relu(dh))
        return {"W_1": dW_1, "b_1": db_1, "W_a": dW_a, "b_a": db_a, "W_s": dW_s, "b_s": db_s}

    return words + kl_weight * kl, back


def encode(params, x):
    h = np.maximum(x @ params["W_1"] + params["b_1"], 0)
    return h @ params["W_a"] + params["b_a"] > 0
