# %% [markdown]
# Lesson 3: the Gumbel-max trick and the Gumbel-softmax Jacobian
# ==============================================================
#
# A code is discrete: each bit is drawn from a distribution that the encoder computes. Drawing is not
# differentiable - a small change of a probability changes either nothing or everything. This lesson moves
# the randomness out of the way, Eq. (6) and Eq. (7), and then makes the rest smooth, Eq. (8).

# %%
import numpy as np

from nphash.gradcheck import check, format_text
from nphash.teaching.lessons import draw

rng = np.random.default_rng(0)

# %% [markdown]
# Noise with a maximum
# --------------------
# The standard Gumbel distribution has P(G <= g) = exp(-exp(-g)). To draw from a distribution with
# distribution function F, solve F(g) = u for a uniform u:
#
#     exp(-exp(-g)) = u   =>   exp(-g) = -log u   =>   g = -log(-log u)
#
# (The paper prints log(-log U), without the outer minus. That is a draw of -G. For two categories the
# slip does no harm, since the difference of two such draws is symmetric; for three it is wrong, as
# you will see below.)


# %%
def gumbel_noise(u):
    return -np.log(-np.log(u))


g = gumbel_noise(rng.random(200_000))
print(f"mean {g.mean():.3f} (Euler's constant 0.577), variance {g.var():.3f} (pi^2 / 6 = {np.pi**2 / 6:.3f})")

# %% [markdown]
# Eq. (6): the Gumbel-max trick
# -----------------------------
# Let h_1, ..., h_K be probabilities and g_k independent Gumbel draws. Then
#
#     k = argmax_i (log h_i + g_i)        is a draw from h.
#
# Proof. Let X_i = log h_i + g_i. Given X_k = x, all others are smaller with probability
# prod_{i != k} exp(-exp(-(x - log h_i))) = prod_{i != k} exp(-h_i e^-x). The density of X_k at x is
# h_k e^-x exp(-h_k e^-x), the derivative of exp(-h_k e^-x). Multiply and integrate:
#
#     P(k wins) = int h_k e^-x exp(-h_k e^-x) prod_{i != k} exp(-h_i e^-x) dx
#               = int h_k e^-x exp(-e^-x sum_i h_i) dx = h_k
#
# with sum h = 1 (the integrand is h_k times the derivative of exp(-e^-x)). If the h do not add up to 1,
# their sum divides: so *logits*, log h up to a constant, are enough, and no softmax is needed.

# %%
logits = np.array([1.0, 0.0, -1.0])
h = np.exp(logits) / np.exp(logits).sum()
n = 200_000
u = rng.random((n, 3))
for name, noise in (("-log(-log u)", gumbel_noise(u)), ("as printed  ", -gumbel_noise(u))):
    share = np.bincount(np.argmax(logits + noise, axis=1), minlength=3) / n
    print(f"{name} drew {share.round(3)}, wanted {h.round(3)}, standard error {np.sqrt(0.25 / n):.3f}")

# %% [markdown]
# Eq. (7) is the same as a vector, z = one_hot(k): what the decoder is given. What has been gained? The
# random numbers do not depend on the parameters any more: z is a *function* of logits and noise. Now the
# derivative may be asked for. The answer is disappointing:

# %%
noise = gumbel_noise(rng.random(3))
for step in (0.0, 0.001, 0.2, 0.3):
    z = np.eye(3)[np.argmax(logits + noise - np.array([0, step, 0]))]
    print(f"second logit - {step:5}: z = {z}")

# %% [markdown]
# Almost everywhere the derivative is zero, and where it is not there is none.
#
# Eq. (8): the relaxation
# -----------------------
# Replace argmax by a softmax with temperature tau:
#
#     y_k = exp((log h_k + g_k) / tau) / sum_j exp((log h_j + g_j) / tau)
#
# For tau -> 0 the largest entry takes all, and y becomes z; for a large tau y becomes uniform. In between it
# is smooth in the logits.


# %%
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


for tau in (5.0, 1.0, 0.3, 0.05):
    print(f"tau {tau:4}: y = {softmax((logits + noise) / tau).round(4)}")
taus = np.geomspace(0.05, 10, 50)
y = softmax((logits + noise) / taus[:, None])
curves = {f"category {k}": (taus, y[:, k]) for k in range(3)}
draw("lesson_3_temperature.png", curves, "temperature", "y", logarithmic="x")

# %% [markdown]
# The Jacobian
# ------------
# Write x_k = (logits_k + g_k) / tau and y = softmax(x). By the quotient rule, for the numerator's own index
# and for the sum in the denominator,
#
#     dy_k/dx_j = y_k [k = j] - y_k y_j = y_k ([k = j] - y_j)
#
# and dx_j/dlogits_j = 1/tau. So the Jacobian, a (K, K) matrix for each bit, is
#
#     dy_k/dlogits_j = y_k ([k = j] - y_j) / tau
#
# It is symmetric; its rows and columns add up to zero (y stays on the simplex; adding a constant to all
# logits changes nothing); and it grows with 1/tau, unless y is nearly one-hot, where it vanishes.


# %%
def jacobian(y, tau):
    return (np.diag(y) - np.outer(y, y)) / tau


tau, h = 0.7, 1e-6
y = softmax((logits + noise) / tau)
numeric = np.empty((3, 3))
for j in range(3):
    step = h * np.eye(3)[j]
    numeric[:, j] = softmax((logits + step + noise) / tau) - softmax((logits - step + noise) / tau)
numeric /= 2 * h
print("Jacobian by formula\n", jacobian(y, tau).round(4))
print(f"largest difference from the numeric one {np.abs(numeric - jacobian(y, tau)).max():.0e}")
print("its columns add up to", jacobian(y, tau).sum(axis=0).round(12) + 0.0)

# %% [markdown]
# Nobody builds these matrices: back needs only the product dy^T J. Put the formula in:
#
#     dlogits_j = sum_k dy_k y_k ([k = j] - y_j) / tau = y_j (dy_j - sum_k y_k dy_k) / tau
#
# These are K numbers in place of K^2. In words: what counts is by how much a category's gradient is above the
# average, weighted by y; a step downhill lowers the logits of those above it and raises the others.


# %%
def gumbel_softmax(logits, noise, temperature):
    y = softmax((logits + noise) / temperature)  # (B, L, K)

    def back(dy):
        return y * (dy - (y * dy).sum(axis=-1, keepdims=True)) / temperature

    return y, back


B, L, K = 4, 3, 3
batch = rng.normal(size=(B, L, K))
noises = gumbel_noise(rng.random((B, L, K)))
print(format_text(check(gumbel_softmax, batch, noises, 0.7, constants=("noise",))))


# %% [markdown]
# Two typical mistakes, and what the checker makes of them. First the temperature, then noise that is
# drawn inside - the reason why in this course noise is always an argument:


# %%
def without_temperature(logits, noise, temperature):
    y, back = gumbel_softmax(logits, noise, temperature)
    return y, lambda dy: temperature * back(dy)


def with_own_noise(logits, temperature):
    return gumbel_softmax(logits, gumbel_noise(rng.random(logits.shape)), temperature)


print(format_text(check(without_temperature, batch, noises, 0.7, constants=("noise",))))
print(format_text(check(with_own_noise, batch, 0.7)))

# %% [markdown]
# Two categories: one logit is enough
# -----------------------------------
# Doc2hash has K = 2. A softmax depends on differences only: y_1 = sigmoid((a + l) / tau) with
# a = logits_1 - logits_0 and l = g_1 - g_0. The difference of two Gumbel draws has the logistic
# distribution, P(l <= x) = sigmoid(x). So a bit needs one logit, one logistic draw and one sigmoid, and
# the library's models use this form. (Both forms are in `nphash/nn/gumbel.py`.)

# %%
two = rng.normal(size=(1, 1, 2))
pair = gumbel_noise(rng.random((100_000, 1, 2)))
y_two = softmax((two + pair) / tau)[..., 1]
a, logistic = two[..., 1] - two[..., 0], pair[..., 1] - pair[..., 0]
y_one = 0.5 * (1 + np.tanh((a + logistic) / tau / 2))
print(f"largest difference of the two forms {np.abs(y_two - y_one).max():.0e}")
print(f"variance of the difference of noises {logistic.var():.3f} (pi^2 / 3 = {np.pi**2 / 3:.3f})")
print(f"share of ones {(a + logistic > 0).mean():.3f}, wanted sigmoid(a) = {1 / (1 + np.exp(-a[0, 0])):.3f}")

# %% [markdown]
# How much gradient is there at a temperature? The derivative of a relaxed bit is y(1 - y)/tau. As tau falls
# its mean over the noise approaches p(1 - p), the derivative of the probability of a one (0.235 for a = 0.5).
# But it gets there in an ugly way: almost always zero, and now and then enormous. That is the price of y
# being close to a bit (lesson 5 weighs it).

# %%
for tau in (2.0, 1.0, 0.3, 0.1, 0.03):
    y = 0.5 * (1 + np.tanh((0.5 + logistic) / tau / 2))
    slope = y * (1 - y) / tau
    middle = ((y > 0.05) & (y < 0.95)).mean()
    print(f"tau {tau:4}: mean slope {slope.mean():.3f}, standard deviation {slope.std():.3f}", end="")
    print(f", {middle:.0%} of the draws are not nearly a bit")

# %% [markdown]
# Things to break
# ---------------
# * Use the printed noise in the last cell but one: why does nothing change for two categories?
# * back with only the diagonal, dy y (1 - y) / tau: right for one sigmoid, wrong for a softmax.
# * Divide the noise by tau but not the logits. Is Eq. (6) its limit?
#
# Exercise
# --------
# `exercise_3_gumbel.py`: the noise, the relaxed sample, the Jacobian.
#
#     nphash gradcheck --exercise exercise_3_gumbel.py
