# %% [markdown]
# Lesson 2: backpropagation as functions that return functions
# ============================================================
#
# A deep model is a chain of functions. Its gradient is the chain rule, applied from the end to the
# beginning. The only question is how to keep the book, and this course uses one rule:
#
# ```
# an operation returns its output and a function:   out, back = op(x, ...)
# back(dout) returns the gradients of the arguments, in their order
# ```
#
# Here dout is the gradient of the loss by the output: an array of the output's shape. There are no layer
# objects, no stored state, no graph: what back needs it finds in the variables around it (a closure).
# At the end, Eq. (9) and Eq. (10) of the paper, where a code has two readers.

# %%
import numpy as np

from nphash.gradcheck import assert_gradients, check, format_text
from nphash.teaching.lessons import draw

rng = np.random.default_rng(0)

# %% [markdown]
# One number first
# ----------------
# y = x^2, so dy/dx = 2x, and by the chain rule dloss/dx = dloss/dy * 2x. The derivative is not what back
# returns: it returns the *product* with what comes from above. That is all it has to know of the rest
# of the model.


# %%
def square(x):
    return x * x, lambda dy: dy * 2 * x


def sine(x):
    return np.sin(x), lambda dy: dy * np.cos(x)


x = 0.7
y, back_square = square(x)
z, back_sine = sine(y)
dx = back_square(back_sine(1.0))  # read it from the inside: the last operation goes first
print(f"sin(x^2) = {z:.4f}, slope {dx:.6f}, by formula {2 * x * np.cos(x * x):.6f}")

# %% [markdown]
# A dense layer
# -------------
# y = x W + b with x (B, I), W (I, O), b (O,). Written with indices, y_bo = sum_i x_bi W_io + b_o. What
# does one entry of each argument do?
#
#     dloss/dx_bi = sum_o dy_bo W_io        ->  dx = dy W^T      (B, O)(O, I) = (B, I)
#     dloss/dW_io = sum_b x_bi dy_bo        ->  dW = x^T dy      (I, B)(B, O) = (I, O)
#     dloss/db_o  = sum_b dy_bo             ->  db = sum over b of dy
#
# Two checks that need no thought: a gradient has the shape of its argument, and the inner sizes of a
# product meet. For W there is only one way to make (I, O) from x (B, I) and dy (B, O).


# %%
def dense(x, W, b):
    y = x @ W + b  # (B, O)

    def back(dy):
        return dy @ W.T, x.T @ dy, dy.sum(axis=0)

    return y, back


def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


def sigmoid(x):
    y = 0.5 * (1 + np.tanh(x / 2))
    return y, lambda dy: dy * y * (1 - y)


B, I, H, O = 5, 4, 6, 3  # noqa: E741
arguments = rng.normal(size=(B, I)), rng.normal(size=(I, O)), rng.normal(size=O)
print(format_text(check(dense, *arguments)))

# %% [markdown]
# When a square W hides a mistake
# -------------------------------
# dy W in place of dy W^T has the right shape whenever W is square. The shapes check nothing then; the
# numbers do.


# %%
def dense_without_transpose(x, W, b):
    return x @ W + b, lambda dy: (dy @ W, x.T @ dy, dy.sum(axis=0))


square_arguments = rng.normal(size=(B, I)), rng.normal(size=(I, I)), rng.normal(size=I)
print(format_text(check(dense_without_transpose, *square_arguments)))

# %% [markdown]
# Chains
# ------
# An operation made of operations is again one: its back calls theirs in reverse. The rule for relu is
# worth a look: its derivative is 1 above zero and 0 below, so back lets through what came from active
# units. At exactly zero there is no derivative; a checker has to recognise steps across this kink.


# %%
def encoder(x, W_1, b_1, W_2, b_2):
    h, back_1 = dense(x, W_1, b_1)
    h, back_relu = relu(h)
    y, back_2 = dense(h, W_2, b_2)

    def back(dy):
        dh, dW_2, db_2 = back_2(dy)
        dx, dW_1, db_1 = back_1(back_relu(dh))
        return dx, dW_1, db_1, dW_2, db_2

    return y, back


weights = rng.normal(size=(I, H)), rng.normal(size=H), rng.normal(size=(H, O)), rng.normal(size=O)
print(format_text(check(encoder, rng.normal(size=(B, I)), *weights)))

# %% [markdown]
# Why backwards? Forward, one would carry the derivative by *one* parameter through the whole model, and
# start again for the next of a million. Backward, one carries the derivative of *one* loss, and gets all
# parameters on the way, at about twice the price of the loss itself. Counted in multiplications:

# %%
forward = B * I * H + B * H * O
backward = 2 * forward
numeric = 2 * forward * sum(w.size for w in weights)
print(f"loss {forward}, all gradients backward {backward}, all by differences {numeric}")

# %% [markdown]
# Branches
# --------
# If a value is used twice, its gradient is the sum of what comes back from both uses: for f(u(x), v(x)) the
# chain rule has one term for each. A forgotten term is hard to see: all shapes are right, and the loss may
# fall all the same.
#
# Supervised Doc2hash is such a case. The code z of a document has two readers: the decoder, which predicts
# the words, and a classifier, which predicts the labels. With L_bound the loss of the words (lesson 4),
#
#     Eq. (9)     L = L_bound + alpha L_dis
#     Eq. (10)    L_dis = -sum_j [y_j log sigmoid(s_j) + (1 - y_j) log(1 - sigmoid(s_j))],  s_j = eta_j^T z
#
# The logistic loss of one score: with log sigmoid(s) = s - log(1 + e^s) and log(1 - sigmoid(s)) =
# -log(1 + e^s) it is log(1 + e^s) - y s, and its derivative sigmoid(s) - y. Again: expected minus observed.


# %%
def logistic_loss(s, y):
    loss = (np.logaddexp(0, s) - y * s).sum() / len(s)
    return loss, lambda dloss: dloss * (sigmoid(s)[0] - y) / len(s)


def word_loss(s, t):  # lesson 1
    log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    loss = -(t * log_p).sum() / len(s)
    return loss, lambda dloss: dloss * (t.sum(axis=1, keepdims=True) * np.exp(log_p) - t) / len(s)


def two_readers(z, W, b, eta, words, labels, alpha):
    scores, back_decoder = dense(z, W, b)
    bound, back_bound = word_loss(scores, words)
    s, back_classifier = dense(z, eta, np.zeros(eta.shape[1]))
    dis, back_dis = logistic_loss(s, labels)

    def back(dloss):
        dz_words, dW, db = back_decoder(back_bound(dloss))
        dz_labels, deta, _ = back_classifier(back_dis(alpha * dloss))
        return dz_words + dz_labels, dW, db, deta  # z goes both ways

    return bound + alpha * dis, back


L, V, C = 4, 7, 3
z, words = rng.normal(size=(B, L)), rng.integers(0, 3, (B, V)).astype(float)
W, b, eta = rng.normal(size=(L, V)), rng.normal(size=V), rng.normal(size=(L, C))
labels = (rng.random((B, C)) < 0.5).astype(float)
given = (z, W, b, eta, words, labels, 0.5)
print(format_text(check(two_readers, *given, constants=("words", "labels"))))


# %% [markdown]
# And with one branch forgotten:


# %%
def one_reader_forgotten(z, W, b, eta, words, labels, alpha):
    loss, back = two_readers(z, W, b, eta, words, labels, alpha)
    scores, back_decoder = dense(z, W, b)
    _, back_bound = word_loss(scores, words)
    return loss, lambda dloss: (back_decoder(back_bound(dloss))[0], *back(dloss)[1:])


print(format_text(check(one_reader_forgotten, *given, constants=("words", "labels"))))

# %% [markdown]
# Only z is wrong; the weights are right. "Right for alpha = 0" says in figures what happened: to z it is
# as if the labels did not exist. In a whole model every layer in front of z would be wrong as
# well: so look for the *first* wrong operation in backward order, not for the most spectacular one.
#
# Descending
# ----------
# With the gradients a few lines train both readers. Both losses fall, but not in every step: they share z,
# and what helps the one may cost the other something.

# %%
history = []
for _ in range(100):
    loss, back = two_readers(z, W, b, eta, words, labels, 0.5)
    history.append(loss)
    dz, dW, db, deta = back(1.0)
    z, W, b, eta = z - dz, W - dW, b - db, eta - deta
print(f"loss {history[0]:.3f} -> {history[-1]:.3f}")
draw("lesson_2_loss.png", {"loss": (np.arange(100), history)}, "step", "nats")

# %% [markdown]
# In the library
# --------------
# `nphash/nn/ops.py` and `nphash/nn/losses.py` hold these operations with the same rule. Your own operations
# can be tested with one line in pytest; it is silent when all is right:

# %%
assert_gradients(lambda x: (np.log1p(x * x), lambda dy: dy * 2 * x / (1 + x * x)), rng.normal(size=5))
print("log(1 + x^2): right")

# %% [markdown]
# Things to break
# ---------------
# * db = dy: the shape gives it away. And db = dy.mean(axis=0)?
# * relu with dy * (y >= 0), y being the output: whose derivative is that? And with dy * (x >= 0), which
#   passes: at which x does it differ from x > 0, and why can no difference distinguish the two there?
# * Write `x += 1` at the top of the encoder: what does the checker say about changed arguments?
# * Write `h += 1` behind its relu: that passes, as h is no argument. Now let back of relu keep the output,
#   y = np.maximum(x, 0) and dy * (y > 0), which is as right by itself. What is wrong now, and why?
#
# Exercise
# --------
# `exercise_2_backpropagation.py`: a tanh layer, and a residual layer, which has a branch.
#
#     nphash gradcheck --exercise exercise_2_backpropagation.py
