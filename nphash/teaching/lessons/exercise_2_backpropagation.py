"""Exercise 2: layers as functions that return functions.

Fill in the blanks (`...` and `raise NotImplementedError`), keep the names, then

    nphash gradcheck --exercise exercise_2_backpropagation.py

which runs this file. Lesson 2 has the derivations. Shapes: B documents, I inputs, O outputs.
"""

import numpy as np

EXERCISE = 2


def tanh_layer(x, W, b):
    """Return y = tanh(x W + b) and the backward pass: x (B, I), W (I, O), b (O,) -> y (B, O).

    `back(dy)` returns (dx, dW, db), each of the shape of its argument.
    """
    y = np.tanh(x @ W + b)

    def back(dy):
        da = ...  # (B, O), the gradient in front of tanh
        dx = ...
        dW = ...
        db = ...
        return dx, dW, db

    return y, back


def residual(x, W, b):
    """Return y = x + tanh(x W + b) and the backward pass; here W is square, (I, I).

    The input goes two ways. Use tanh_layer.
    """
    raise NotImplementedError
