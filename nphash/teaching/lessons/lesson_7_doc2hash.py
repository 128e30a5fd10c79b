# %% [markdown]
# Lesson 7: the whole of Doc2hash on a few screens
# ================================================
#
# Everything of lessons 1 to 6 in one model, trained on real documents: the documentation strings
# of NumPy and SciPy, which are on this machine already. Only reading and weighing the words is
# taken from the library. At the end the same settings go to `nphash.Doc2Hash`, and the two must
# agree.
#
# ```
# documents x --W_1--> ReLU, dropout --W_a--> logits a --noise--> bits z --W_s--> scores s
#    (B, V)               (B, H)                (B, L)            (B, L)         (B, V)
# ```
#
# The loss of a document is that of lesson 4, Eq. (3): how badly its words are predicted from its
# bits, Eq. (1), plus beta times the divergence of its bits from fair coins, Eq. (4). The bits are
# those of lesson 5, Eq. (7) forward and Eq. (8) backward, and Adam is that of lesson 6.

# %%
import time
from collections import Counter

import numpy as np
from scipy.sparse import csr_array

from nphash.core.threads import single_threaded_blas
from nphash.corpus import read_documents
from nphash.teaching.lessons import draw
from nphash.text.vectorizer import Vectorizer, VectorizerSettings

BITS, HIDDEN, EPOCHS, BATCH, RATE = 32, 128, 12, 100, 2e-3
DROPOUT, BETA, TAU_FIRST, TAU_LAST, STRETCH = 0.2, 0.1, 1.0, 0.3, 10.0
SEEDS = (1, 2, 3)

# %% [markdown]
# The documents
# -------------
# A document's class is its module, such as `scipy.linalg`; classes of fewer than 100 documents are
# left out. The classes are never shown to the model: they only show whether a document that was
# found is about the same thing. Every fifth document is a query, the others are trained on and
# searched. Each row holds the TF-IDF weights of a document's words, scaled to length 1.

# %%
documents = list(read_documents("docstrings:numpy,scipy"))
size = Counter(document.labels[1] for document in documents)
documents = [document for document in documents if size[document.labels[1]] >= 100]
classes = np.array([document.labels[1] for document in documents])
query = np.arange(len(documents)) % 5 == 4

vectorizer = Vectorizer(VectorizerSettings(max_words=2000))
texts = np.array([document.text for document in documents], dtype=object)
X = csr_array(vectorizer.fit_transform(texts[~query]))
X_query = csr_array(vectorizer.transform(texts[query]))
y, y_query = classes[~query], classes[query]
print(f"{X.shape[0]} documents, {X_query.shape[0]} queries, {X.shape[1]} words, {len(set(y))} classes")


# %% [markdown]
# The layers
# ----------
# The sparse layer is data: no gradient goes back to the documents. `bits` is straight-through:
# hard bits forward, the derivative z(1 - z)/tau of the relaxed ones backward. The two losses return
# means over the batch, so both gradients are divided by B, once.


# %%
def dense(x, W, b):
    return x @ W + b, lambda dy: (dy @ W.T, x.T @ dy, dy.sum(axis=0))


def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))  # cannot overflow


def bits(a, noise, tau):
    soft = sigmoid((a + noise) / tau)  # (B, L)
    return (a + noise > 0).astype(a.dtype), lambda dz: dz * soft * (1 - soft) / tau


def word_loss(s, t):
    s = s - s.max(axis=1, keepdims=True)
    e = np.exp(s)  # (B, V)
    total = e.sum(axis=1, keepdims=True)
    mass = t.sum(axis=1).reshape(-1, 1)  # (B, 1)
    loss = float((mass * np.log(total)).sum() - t.multiply(s).sum()) / len(s)

    def back(dloss):
        ds = e * (mass / total)  # (B, V), mass * softmax
        rows = np.repeat(np.arange(len(s)), np.diff(t.indptr))
        ds[rows, t.indices] -= t.data
        return ds * s.dtype.type(dloss / len(s))

    return loss, back


def bits_kl(a):
    p = sigmoid(a)  # (B, L)
    kl = np.log(2) + p * a - np.logaddexp(0, a)  # p log 2p + (1 - p) log 2(1 - p), by a = logit p
    return float(kl.sum()) / len(a), lambda dkl: a.dtype.type(dkl / len(a)) * a * p * (1 - p)


# %% [markdown]
# The model
# ---------
# Forward in five lines, backward the same five lines read upwards. The logits a are used twice, by
# the sample and by the divergence: their gradient is the sum of both. The decoder sees the signs
# 2z - 1, which makes a bit's two values equally loud. And the encoder sees the documents ten times as
# long: Adam moves a weight by about the learning rate a step, whatever its gradient, so that the length
# of the rows decides how fast the first layer learns.


# %%
def model(w, x, noise, mask, tau):
    h, _ = dense(STRETCH * x, w["W_1"], w["b_1"])
    h, back_relu = relu(h)
    a, back_a = dense(h * mask, w["W_a"], w["b_a"])
    z, back_z = bits(a, noise, tau)
    s, back_s = dense(2 * z - 1, w["W_s"], w["b_s"])
    words, back_words = word_loss(s, x)
    kl, back_kl = bits_kl(a)

    def back():
        g = {}
        dsigns, g["W_s"], g["b_s"] = back_s(back_words(1.0))
        da = back_z(2 * dsigns) + back_kl(BETA)
        dh, g["W_a"], g["b_a"] = back_a(da)
        dh = back_relu(dh * mask)
        g["W_1"], g["b_1"] = STRETCH * (x.T @ dh), dh.sum(axis=0)
        return g

    return words + BETA * kl, words, kl, back


# %% [markdown]
# The backward pass of the first layer is thrown away: it would compute the gradient of the documents as
# well, a (B, V) matrix that nobody wants. So `back` writes its other two products itself.
#
# Initial weights and training
# --------------------------
# The decoder's bias starts at the log frequencies of the words. From zero, the cheapest way to a
# better loss would be to encode nothing but the mean document, the same for all.


# %%
def uniform(rng, rows, columns):
    bound = np.sqrt(6 / (rows + columns))
    return rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)


def start(rng, n_words):
    frequency = np.asarray(X.sum(axis=0), dtype=np.float64).ravel()
    return {
        "W_1": uniform(rng, n_words, HIDDEN),
        "W_a": uniform(rng, HIDDEN, BITS),
        "W_s": uniform(rng, BITS, n_words),
        "b_1": np.zeros(HIDDEN, np.float32),
        "b_a": np.zeros(BITS, np.float32),
        "b_s": np.log(frequency / frequency.sum()).astype(np.float32),
    }


def train(rng, w, epochs=EPOCHS):
    m, v, t = {k: 0 * p for k, p in w.items()}, {k: 0 * p for k, p in w.items()}, 0
    history = []
    for epoch in range(epochs):
        order, sums = rng.permutation(X.shape[0]), np.zeros(3)
        for first in range(0, len(order), BATCH):
            x = X[np.sort(order[first : first + BATCH])]
            done = (epoch + first / len(order)) / epochs
            tau = TAU_FIRST + (TAU_LAST - TAU_FIRST) * done
            noise = rng.logistic(size=(x.shape[0], BITS)).astype(np.float32)
            mask = (rng.random((x.shape[0], HIDDEN)) >= DROPOUT).astype(np.float32) / (1 - DROPOUT)
            *terms, back = model(w, x, noise, mask, tau)
            t += 1
            for k, g in back().items():
                m[k] += 0.1 * (g - m[k])
                v[k] += 0.001 * (g * g - v[k])
                w[k] -= RATE * (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
            sums += np.multiply(terms, x.shape[0])
        history.append(sums / len(order))
        if epoch % 3 == 2 or epoch == 0:
            print(f"epoch {epoch + 1:2}  loss {history[-1][0]:.3f}  words {history[-1][1]:.3f}", end="")
            print(f"  KL {history[-1][2]:.2f} of at most {BITS * np.log(2):.1f}")
    return np.array(history)


# %% [markdown]
# Codes and their quality
# -----------------------
# No dropout and no noise when encoding: bit = [a > 0]. The precision at 100 is the share of documents
# of the query's class among the 100 nearest, expected over all orders of documents at the same
# distance (lesson 9 says why).


# %%
def encode(w, x):
    h, _ = relu(STRETCH * x @ w["W_1"] + w["b_1"])
    return h @ w["W_a"] + w["b_a"] > 0  # (n, L)


def precision_at_100(codes_query, codes, k=100):
    signs_query, signs = (np.where(c, 1, -1).astype(np.float32) for c in (codes_query, codes))
    distance = (BITS - signs_query @ signs.T) / 2  # a product is +1 where bits agree, -1 where they differ
    same = y_query[:, None] == y[None, :]
    found = np.zeros(len(distance))
    left = np.full(len(distance), k)
    for d in range(BITS + 1):
        group = distance == d
        total, hits = group.sum(axis=1), (group & same).sum(axis=1)
        taken = np.minimum(left, total)
        found += taken * hits / np.maximum(total, 1)
        left -= taken
    return float(found.mean() / k)


untrained, own = [], []
seconds = time.process_time()
for seed in SEEDS:
    rng = np.random.default_rng(seed)
    w = start(rng, X.shape[1])
    untrained.append(precision_at_100(encode(w, X_query), encode(w, X)))
    print(f"\nseed {seed}")
    with single_threaded_blas():  # products this small: a second thread waits longer than it works
        history = train(rng, w)
    own.append(precision_at_100(encode(w, X_query), encode(w, X)))
seconds = time.process_time() - seconds
chance = float((y_query[:, None] == y[None, :]).mean())
print(
    f"\nP@100: by chance {chance:.4f}, initial weights {np.mean(untrained):.4f}, trained {np.mean(own):.4f}"
)

# %% [markdown]
# The library with the same settings
# ----------------------------------
# It draws other random numbers, so it is compared over three seeds: one fit differs from another by
# about 0.01 whoever does it. It is not another model: `nphash/hashers/doc2hash.py` has the same encoder,
# sample and divergence, with the same names.
#
# Both depart from the published code, where
#
# * the decoder has 2L inputs, the bits as one-hot pairs (1 - z, z), not L signs: as a function of the code
#   the same, but with two weights for each of ours;
# * softmax and KL run over all 2L logits together, with weight 2: about 2/L a bit (lesson 4), here BETA;
# * the encoder sees the documents as they are, and dropout stays on when they are encoded;
# * the temperature falls with the steps, to 0.1 after 57 of them, and b_s does not start at the frequencies;
# * the best of 100 epochs is chosen on the test set (lesson 9).

# %%
from nphash.codes import unpack  # noqa: E402
from nphash.hashers import create  # noqa: E402

library = []
library_seconds = time.process_time()
for seed in SEEDS:
    hasher = create("doc2hash", n_bits=BITS, hidden=(HIDDEN,), dropout=DROPOUT, kl_weight=BETA)
    hasher.set_params(temperature=(TAU_FIRST, TAU_LAST), random_state=seed, training__epochs=EPOCHS)
    hasher.set_params(
        training__learning_rate=RATE, training__batch_size=BATCH, training__validation_share=0.0
    )
    hasher.fit(X)
    codes_query, codes = (unpack(hasher.transform(part), BITS) for part in (X_query, X))
    library.append(precision_at_100(codes_query, codes))
library_seconds = time.process_time() - library_seconds
for name, figures, used in (("these lines", own, seconds), ("library", library, library_seconds)):
    each = ", ".join(f"{figure:.4f}" for figure in figures)
    print(f"P@100 of {name}: mean {np.mean(figures):.4f} ({each}) in {used:.1f} s")
print(f"difference {abs(np.mean(own) - np.mean(library)):.4f}")

epochs = np.arange(1, EPOCHS + 1)
draw(
    "lesson_7_loss.png", {"loss": (epochs, history[:, 0]), "words": (epochs, history[:, 1])}, "epoch", "nats"
)

# %% [markdown]
# Things to break
# ---------------
# * BETA = 2, the figure in the published code taken literally (there the KL is divided by the number of
#   bits): the KL stays near 0, so the bits are fair coins whatever the document, and the precision falls to
#   0.10, about chance. Now with STRETCH = 1: the KL is as near 0, but the precision is 0.36,
#   since the stored code asks only for the sign of a. Why does scaling make the signs collapse as well?
#   (Count in both the hidden units that are active, and the different codes.)
# * b_s = 0: watch the KL of the first epochs. What are the first bits spent on?
# * Leave dropout on when encoding, as the published code does: codes of the same document differ.
# * TAU_FIRST = TAU_LAST = 0.1, their temperature after 57 steps: in lesson 5 that was the worst choice, and
#   here too the words are predicted worse. What about the precision?
#
# Exercise
# --------
# `exercise_7_doc2hash.py`: write the loss of the model and its backward pass yourself, from logits on.
#
#     nphash gradcheck --exercise exercise_7_doc2hash.py
