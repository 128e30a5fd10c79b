"""Model solution of exercise 2."""

import numpy as np

EXERCISE = 2


def tanh_layer(x, W, b):
    y = np.tanh(x @ W + b)

    def back(dy):
        da = dy * (1 - y * y)
        dx = da @ W.T
        dW = x.T @ da
        db = da.sum(axis=0)
        return dx, dW, db

    return y, back


def residual(x, W, b):
    y, back_layer = tanh_layer(x, W, b)

    def back(dy):
        dx, dW, db = back_layer(dy)
        return dx + dy, dW, db

    return x + y, back
