# %% [markdown]
# Lesson 1: bag of words, softmax likelihood and its gradient
# ===========================================================
#
# Everything in this course predicts the words of a document. This lesson says what that means, and
# derives the one gradient that everything else is built on:
#
#     Eq. (1)    -log p(x) = -sum_i t_i log p(w_i),    p(w_i) = exp(s_i) / sum_j exp(s_j)
#
# You need NumPy and the chain rule. Run a lesson cell by cell: as a notebook, or as a script in an editor
# that knows `# %%` (VS Code, Spyder, PyCharm); `python lesson_1_bag_of_words.py` runs the script whole.

# %%
import numpy as np
from scipy.sparse import csr_array

from nphash.gradcheck import check, format_curve, format_text
from nphash.teaching.lessons import draw

# %% [markdown]
# Documents become rows of counts
# -------------------------------
# A bag of words forgets the order of the words and keeps how often each occurs. The vocabulary is the
# list of known words; a document is a row of V counts, a corpus a (B, V) matrix.

# %%
texts = ["the cat saw the dog", "the dog ran", "a bird saw the cat"]
vocabulary = sorted({word for text in texts for word in text.split()})
counts = np.array([[text.split().count(word) for word in vocabulary] for text in texts], dtype=float)
print("vocabulary:", *vocabulary)
print(counts.astype(int))

# %% [markdown]
# Real matrices are almost empty: a vocabulary has thousands of words, a document some dozens. That is why
# they are stored as three arrays (CSR: the counts, their columns, where each row begins). Here is the
# documentation of the package `click`, with the library's tokeniser:

# %%
from nphash.corpus import read_documents  # noqa: E402
from nphash.text.vectorizer import Vectorizer, VectorizerSettings  # noqa: E402

vectorizer = Vectorizer(VectorizerSettings(stop_words="none", min_documents=1, max_share=1.0))
real = vectorizer.fit_counts(document.text for document in read_documents("docstrings:click"))
print(f"{real.shape[0]} documents, {real.shape[1]} words, {real.nnz / np.prod(real.shape):.1%} not zero")

frequency = np.sort(np.asarray(real.sum(axis=0)).ravel())[::-1]
rank = np.arange(1, len(frequency) + 1)
for i in (0, 9, 99):
    print(f"the word of rank {i + 1:3} occurs {frequency[i]:4} times")
draw("lesson_1_zipf.png", {"words": (rank, frequency)}, "rank", "frequency", logarithmic="xy")

# %% [markdown]
# That straight line is Zipf's law: few words are very frequent, most are rare. It is the reason for
# weights such as TF-IDF, which lower the frequent ones. In Eq. (1) t_i is whatever weight a word has in
# the document: its count, 1 if it occurs, or TF-IDF. The mathematics does not care.
#
# From scores to probabilities
# ----------------------------
# A model gives each word a score s_i, any real number. Softmax makes probabilities of scores:
#
#     p_i = exp(s_i) / sum_j exp(s_j)
#
# Adding the same number to all scores changes nothing, since it cancels. That is more than a curiosity:
# it is how overflow is avoided.


# %%
def naive_softmax(scores):
    e = np.exp(scores)
    return e / e.sum(axis=1, keepdims=True)


def softmax(scores):
    return naive_softmax(scores - scores.max(axis=1, keepdims=True))


with np.errstate(all="ignore"):
    print("naive:  ", naive_softmax(np.array([[1000.0, 1001.0, 1002.0]])))
print("shifted:", softmax(np.array([[1000.0, 1001.0, 1002.0]])).round(4))

# %% [markdown]
# The likelihood of a document
# ----------------------------
# Words are drawn one by one and independently from p. The probability of a document is the product of
# those of its words, its logarithm a sum:
#
#     log p(x) = sum_i t_i log p_i = sum_i t_i (s_i - log sum_j exp(s_j))
#
# (The number of orders in which the words could come is left out: it does not depend on the scores.) Write
# T = sum_i t_i for the document's total weight, its *mass*. Then
#
#     -log p(x) = T log sum_j exp(s_j) - sum_i t_i s_i
#
# The first term sees all scores but only the mass of the document; the second sees only the words that
# occur. A sparse document costs little in the second, and the first is the price of normalising.
#
# The gradient
# ------------
# The derivative of log sum_j exp(s_j) by s_i is exp(s_i) / sum_j exp(s_j) = p_i. So
#
#     d(-log p(x)) / ds_i = T p_i - t_i
#
# Read it: *expected count minus observed count*. It adds up to zero over the words, since sum p = 1 and
# sum t = T: raising all scores equally changes nothing, as seen above. The loss of a batch is the mean over
# its B documents, so the gradient is divided by B as well. Both together, as a function that returns
# its value and the backward pass (lesson 2 makes a system of this):


# %%
def word_loss(scores, counts):
    shifted = scores - scores.max(axis=1, keepdims=True)  # (B, V)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (B, V)
    loss = -(counts * log_p).sum() / len(scores)

    def back(dloss):
        mass = counts.sum(axis=1, keepdims=True)  # (B, 1)
        return dloss * (mass * np.exp(log_p) - counts) / len(scores)  # (B, V)

    return loss, back


rng = np.random.default_rng(0)
scores = rng.normal(size=counts.shape)
loss, back = word_loss(scores, counts)
print(f"loss {loss:.4f} nats a document; the gradient adds up to {np.abs(back(1.0).sum(axis=1)).max():.0e}")

# %% [markdown]
# Is it right?
# ------------
# A derivative is the limit of a quotient, so let us not believe the formula but measure it:
#
#     df/ds_i ~ (f(s + h e_i) - f(s - h e_i)) / 2h
#
# By Taylor's theorem the error of this *central* difference is about h^2 f'''/6, so a smaller step is
# better - until the rounding of f, about 1e-16, divided by h takes over. Plotted against h the error
# is a V. The formula is right if there is a V at all: the error of a wrong one does not fall.


# %%
def central(h):
    step = np.zeros_like(scores)
    step[0, 3] = h
    return (word_loss(scores + step, counts)[0] - word_loss(scores - step, counts)[0]) / (2 * h)


steps = 10.0 ** -np.arange(1, 13)
analytic = back(1.0)[0, 3]
errors = np.array([abs(central(h) - analytic) / abs(analytic) for h in steps])
for h, error in zip(steps[::2], errors[::2], strict=True):
    print(f"step {h:.0e}  relative error {error:.1e}")
wrong = np.array([abs(central(h) - 1.1 * analytic) / abs(analytic) for h in steps])
draw("lesson_1_v.png", {"right": (steps, errors), "10% off": (steps, wrong)}, "step", "error", "xy", "o-")

# %% [markdown]
# The library's checker does this for every entry of every argument, chooses good steps, and tries a
# random direction as well. `constants` names the arrays that are data:

# %%
reports = check(word_loss, scores, counts, constants=("counts",))
print(format_text(reports))
print(format_curve(reports[0], width=30))

# %% [markdown]
# Now break it. It is easily forgotten that a document has T words, not one: p - t in place of
# T p - t. (For classification, where T = 1, it is the same.) The checker does not only see that
# something is wrong:


# %%
def forgetful_loss(scores, counts):
    loss, _ = word_loss(scores, counts)
    return loss, lambda dloss: dloss * (softmax(scores) - counts) / len(scores)


print(format_text(check(forgetful_loss, scores, counts, constants=("counts",))))

# %% [markdown]
# What the minimum is
# -------------------
# Suppose all documents share one row of scores. The gradient of the sum is zero where
# (sum T) p_i = sum t_i: the best p are the words' shares of the corpus, and the scores are their
# logarithms. Gradient descent finds it. A model that knows more than the average document starts here,
# which is why the decoder's bias of Doc2hash is set to the log shares before training.

# %%
s = np.zeros((1, len(vocabulary)))
for step in range(201):
    loss, back = word_loss(np.repeat(s, len(counts), axis=0), counts)
    if step in (0, 10, 50, 200):
        print(f"step {step:3}  loss {loss:.4f}")
    s -= back(1.0).sum(axis=0, keepdims=True)
share = counts.sum(axis=0) / counts.sum()
print("softmax(s)", softmax(s).round(3))
print("shares    ", share.round(3))

# %% [markdown]
# In the library
# --------------
# `nphash.nn.losses.reconstruction` is the same function for sparse documents: its targets stay sparse, and
# only the gradient, which is dense by nature, has B x V numbers.

# %%
from nphash.nn.losses import reconstruction  # noqa: E402

library_loss, library_back = reconstruction(scores, csr_array(counts))
own_loss, own_back = word_loss(scores, counts)
print(f"difference of the losses {abs(own_loss - library_loss):.0e}", end=", ")
print(f"of the gradients {np.abs(own_back(1.0) - library_back()).max():.0e}")

# %% [markdown]
# Things to break
# ---------------
# * Leave the division by B out of the gradient, then out of the loss: what does the checker say?
# * softmax over axis 0: each *word* is then distributed over the documents.
# * Compute log_p as np.log(softmax(scores)) and give it scores of a thousand.
#
# Exercise
# --------
# `exercise_1_bag_of_words.py` asks for `softmax` and `word_loss` from memory:
#
#     nphash gradcheck --exercise exercise_1_bag_of_words.py
