"""Exercise 7: the loss of Doc2hash and its gradients by every parameter.

Lesson 7 has the model; here the bits are the relaxed ones, so that the whole loss can be differentiated.
The operations are those of the lessons: `out, back = op(...)`. Shapes: B documents, V words, H hidden
units, L bits.
"""

import numpy as np

from nphash.nn.gumbel import relaxed_bits
from nphash.nn.losses import bernoulli_kl
from nphash.nn.ops import dense, log_softmax, relu

EXERCISE = 7


def word_loss(scores, x):
    """Return the mean of -sum x log softmax(scores) and the backward pass, given."""
    log_p, back_log = log_softmax(scores)
    return -(x * log_p).sum() / len(x), lambda dloss: back_log(-dloss * x / len(x))


def loss(params, x, noise, temperature, kl_weight):
    """Return words + kl_weight * KL and the backward pass.

    params holds W_1 (V, H), b_1, W_a (H, L), b_a, W_s (L, V), b_s. The encoder is
    a = relu(x W_1 + b_1) W_a + b_a, the bits are relaxed_bits(a, noise, temperature), and the
    decoder sees their signs 2z - 1: scores = (2z - 1) W_s + b_s.
    `back(dloss)` returns a dictionary with the gradient of each parameter, by the same names.
    """
    h, back_hidden = dense(x, params["W_1"], params["b_1"])
    h, back_relu = relu(h)
    #: a, back_a = ...
    a, back_a = dense(h, params["W_a"], params["b_a"])  #:
    #: z, back_z = ...
    z, back_z = relaxed_bits(a, noise, temperature)  #:
    #: scores, back_s = ...
    scores, back_s = dense(2 * z - 1, params["W_s"], params["b_s"])  #:
    words, back_words = word_loss(scores, x)
    kl, back_kl = bernoulli_kl(a)

    def back(dloss):
        #: raise NotImplementedError
        dsigns, dW_s, db_s = back_s(back_words(dloss))  #:
        da = back_z(2 * dsigns) + back_kl(kl_weight * dloss)  #:
        dh, dW_a, db_a = back_a(da)  #:
        _, dW_1, db_1 = back_hidden(back_relu(dh))  #:
        return {"W_1": dW_1, "b_1": db_1, "W_a": dW_a, "b_a": db_a, "W_s": dW_s, "b_s": db_s}  #:

    return words + kl_weight * kl, back


def encode(params, x):
    """Return the bits that are stored, (B, L) of booleans: no noise, no temperature."""
    #: return ...
    h = np.maximum(x @ params["W_1"] + params["b_1"], 0)  #:
    return h @ params["W_a"] + params["b_a"] > 0  #:
