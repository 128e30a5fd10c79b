# %% [markdown]
# Lesson 4: the bound and the categorical KL divergence
# =====================================================
#
# Lesson 1 predicted the words of a document from scores. Now the scores come from a code z of L bits that
# nobody has observed. This lesson derives what to maximise instead of the likelihood, Eq. (2) and Eq. (3),
# and the divergence in it, Eq. (4), with its gradient. For short codes everything can be computed
# exactly, so nothing has to be believed.

# %%
import numpy as np

from nphash.gradcheck import check, format_text
from nphash.teaching.lessons import draw

rng = np.random.default_rng(0)

# %% [markdown]
# A model with a hidden code
# --------------------------
# A document comes about in two steps: a code z is drawn from the prior p(z), L fair coins; then the words
# are drawn from p(x|z), a softmax of the scores z W + b. What we see is x alone:
#
#     p(x) = sum_z p(z) p(x|z)            2^L terms
#
# Here is a small model with L = 6, so 64 codes, and its exact likelihood of one document.

# %%
L, V = 6, 12
W, b = rng.normal(size=(L, V)), rng.normal(size=V)
x = rng.integers(0, 3, V).astype(float)
codes = (np.arange(2**L)[:, None] >> np.arange(L) & 1).astype(float)  # (64, L), all of them


def log_softmax(s):
    shifted = s - s.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_sum_exp(values):
    return values.max() + np.log(np.exp(values - values.max()).sum())


log_likelihood = log_softmax(codes @ W + b) @ x  # (64,), log p(x|z) of every code
log_joint = log_likelihood - L * np.log(2)  # (64,), log p(x, z)
log_evidence = log_sum_exp(log_joint)
posterior = np.exp(log_joint - log_evidence)  # (64,), p(z|x) by Bayes
print(f"log p(x) = {log_evidence:.4f}; the best code has posterior {posterior.max():.2f}")

# %% [markdown]
# Eq. (2): the bound
# ------------------
# With 32 bits there are four billion terms, and the posterior p(z|x) is out of reach as well. So take any
# other distribution q(z|x) that is easy to handle - the encoder's - and multiply and divide by it:
#
#     log p(x) = log sum_z q(z|x) p(x, z) / q(z|x)
#             >= sum_z q(z|x) log [p(x, z) / q(z|x)]                       (Jensen: log is concave)
#              = E_q[log p(x|z)] - KL(q(z|x) || p(z))                      Eq. (2)
#
# with KL(q || p) = sum q log(q / p), which is never negative. How much is lost? Exactly
# KL(q(z|x) || p(z|x)): put p(x, z) = p(z|x) p(x) into the second line and see. So raising the bound does two
# things at once: it makes documents likely, and q like the true posterior.
#
# The encoder's q treats the bits as independent: probability sigmoid(a_i) of a one in bit i.


# %%
def bound(a):
    p = 1 / (1 + np.exp(-a))
    q = np.prod(np.where(codes == 1, p, 1 - p), axis=1)  # (64,)
    reconstruction = q @ log_likelihood
    kl = (p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))).sum()
    to_posterior = (q * (np.log(q) - np.log(posterior))).sum()
    return reconstruction - kl, reconstruction, kl, to_posterior


for name, a in (("fair coins", np.zeros(L)), ("some guess", rng.normal(size=L))):
    value, reconstruction, kl, to_posterior = bound(a)
    print(f"{name}: {reconstruction:.4f} - {kl:.4f} = {value:.4f} <= {log_evidence:.4f}", end="")
    print(f", lost {log_evidence - value:.4f} = KL to the posterior {to_posterior:.4f}")

# %% [markdown]
# Let us make q as good as independent bits can be, by gradient ascent with numeric derivatives (six
# parameters are few). What is left at the end is what independence costs.

# %%
a, history = np.zeros(L), []
for _ in range(150):
    history.append(bound(a)[0])
    slope = [(bound(a + 1e-5 * e)[0] - bound(a - 1e-5 * e)[0]) / 2e-5 for e in np.eye(L)]
    a = a + 0.5 * np.array(slope)
print(f"bound {history[0]:.4f} -> {history[-1]:.4f} of {log_evidence:.4f}")
print(f"q's code {(a > 0).astype(int)}, the posterior's {codes[posterior.argmax()].astype(int)}")
ascent = np.arange(len(history))
both = {"bound": (ascent, history), "log p(x)": (ascent, np.full(len(history), log_evidence))}
draw("lesson_4_bound.png", both, "step", "nats")

# %% [markdown]
# Eq. (3): what is minimised
# --------------------------
# Minus the bound is a loss, with a weight beta that the paper sets to 1:
#
#     L = -E_q[log p(x|z)] + beta KL(q(z|x) || p(z))                        Eq. (3)
#
# The expectation is replaced by one draw of z per document and step (lessons 3 and 5). The KL needs no
# draw, since it has a closed form. It is a price for telling: a bit that is certain costs log 2, a fair
# coin nothing. Where beta is large, telling is too expensive: q is fair coins for every document
# ("collapse").
#
# In which unit is beta? The likelihood is multiplied by the mass of the targets (lesson 1): about 100 for
# the counts of a page, 5 or 6 for a TF-IDF row of length 1. So the same beta means something else for
# other targets. Here the same document, its counts scaled:

# %%
best = {}
for scale in (0.05, 0.2, 1.0):
    a = np.full(L, 0.1)
    for _ in range(300):
        p = 1 / (1 + np.exp(-a))
        q = np.prod(np.where(codes == 1, p, 1 - p), axis=1)
        gradient = (q * (scale * log_likelihood)) @ (codes - p) - p * (1 - p) * a  # beta = 1
        a = a + gradient
    p = 1 / (1 + np.exp(-a))
    best[scale] = p
    print(f"mass {scale * x.sum():4.1f}: probabilities of a one {p.round(2)}")

# %% [markdown]
# Where the document weighs little, the bits stay near 1/2: what they could tell is not worth its price.
# (The gradient in that loop is the exact one: E_q[f(z)] has the derivative sum_z q(z) f(z) (z - p) by a; the
# KL's is derived next.)
#
# Eq. (4): the categorical KL and its gradient
# --------------------------------------------
# Both q and the prior are products over bits, so the logarithm of their quotient is a sum, and so is the KL:
#
#     KL(q || p) = sum over bits of D,   D = sum_k q_k log(q_k / p_k),   q = softmax(logits of the bit)
#
# For the gradient, dD/dq_k = log(q_k / p_k) + 1, and through the softmax (lesson 3, tau = 1)
#
#     dD/dlogits_j = q_j (dD/dq_j - sum_k q_k dD/dq_k) = q_j (log(q_j / p_j) - D)
#
# The +1 cancels. It adds up to zero over j, as every gradient through a softmax does.


# %%
def categorical_kl(logits):
    log_q = log_softmax(logits)  # (B, L, K)
    q = np.exp(log_q)
    log_ratio = log_q + np.log(logits.shape[-1])  # the prior is 1 / K
    D = (q * log_ratio).sum(axis=-1, keepdims=True)  # (B, L, 1)

    def back(dloss):
        return dloss * q * (log_ratio - D) / len(logits)

    return D.sum() / len(logits), back


logits = rng.normal(size=(5, 4, 3))
print(format_text(check(categorical_kl, logits)))

# %% [markdown]
# For two categories with one logit a, p = sigmoid(a), it becomes
#
#     KL = p log 2p + (1 - p) log 2(1 - p) = p a - log(1 + e^a) + log 2,      dKL/da = a p (1 - p)
#
# The second form needs no logarithm of a p that may have rounded to 0.

# %%
a = np.array([0.0, 2.0, 50.0, -800.0])
p = 0.5 * (1 + np.tanh(a / 2))
with np.errstate(all="ignore"):
    print("p log 2p + ...      ", (p * np.log(2 * p) + (1 - p) * np.log(2 - 2 * p)).round(6))
print("p a - log(1 + e^a)..", (p * a - np.logaddexp(0, a) + np.log(2)).round(6), f"(log 2 = {np.log(2):.6f})")


# %% [markdown]
# A bug worth knowing
# -------------------
# The published code calls softmax without an axis on a (B, 2L) array, so it runs over *all* logits of a
# document. With w these probabilities over 2L entries it computes sum w log(2w), which is the KL averaged
# over the bits (with weights w), minus the entropy of the shares of the bits:


# %%
def pooled(logits):
    w = np.exp(log_softmax(logits.reshape(len(logits), -1)))
    return (w * np.log(logits.shape[-1] * w)).sum() / len(logits)


balanced = rng.normal(size=(5, 8, 2))
balanced -= np.log(np.exp(balanced).sum(axis=-1, keepdims=True))  # every bit gets the same share
true, _ = categorical_kl(balanced)
print(
    f"true KL {true:.4f}, pooled {pooled(balanced):.4f} = {true:.4f} / 8 - log 8 = {true / 8 - np.log(8):.4f}"
)

# %% [markdown]
# It can be negative, and its weight of 2 is in truth 2/L a bit: 1/16 for 32 bits. Whoever writes Eq. (4) as
# printed and takes the weight from the code gets 32 times the divergence, and bits that are coins.
# Replicating means reading both.
#
# Things to break
# ---------------
# * Replace log_ratio - D by log_ratio, and by log_ratio + 1: what does the checker find?
# * KL(p || q) in place of KL(q || p): what does it do when a bit is certain?
# * In the collapse cell, set beta to 0: what do the probabilities become, and is that a good code?
#
# Exercise
# --------
# `exercise_4_bound.py`: both divergences with their gradients.
#
#     nphash gradcheck --exercise exercise_4_bound.py
