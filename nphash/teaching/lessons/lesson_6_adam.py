# %% [markdown]
# Lesson 6: Adam by hand
# ======================
#
# A gradient says in which direction the loss grows, and nothing about how far to go against it. This lesson
# builds the optimiser that all networks of this package are trained with, Adam (Kingma & Ba, 2015), in the
# order in which its problems turn up: scale, noise, and a bias at the start.

# %%
import numpy as np

from nphash.nn.optim import Adam
from nphash.teaching.lessons import draw

rng = np.random.default_rng(0)

# %% [markdown]
# The problem: a valley
# ---------------------
# f(w) = (100 w_1^2 + w_2^2) / 2. Along w_1 the slope is a hundred times that along w_2. Gradient descent
# w <- w - eta g multiplies w_1 by 1 - 100 eta and w_2 by 1 - eta in every step. The first must not exceed 1
# in size, so eta < 0.02; with that w_2 crawls.
#
# In a model of words this is everyday life: the weights of a frequent word get a gradient in every batch,
# those of a rare one now and then.

# %%
curvature = np.array([100.0, 1.0])


def gradient(w):
    return curvature * w


for eta in (0.021, 0.019, 0.002):
    w = np.array([1.0, 1.0])
    for _ in range(100):
        w = w - eta * gradient(w)
    print(f"gradient descent, eta {eta}: after 100 steps w = ({w[0]:9.2e}, {w[1]:.3f})")

# %% [markdown]
# Two averages
# ------------
# Adam keeps, for each parameter on its own, two exponential averages of what it has seen:
#
#     m <- beta1 m + (1 - beta1) g            the mean gradient,          beta1 = 0.9:   about 10 steps
#     v <- beta2 v + (1 - beta2) g^2          the mean squared gradient,  beta2 = 0.999: about 1000 steps
#
# and goes m / sqrt(v). Noise in g averages out in m. And the scale of g cancels: multiply the loss by
# 1000, and the step stays the same. Where the gradient always has the same sign, m / sqrt(v) is near 1
# and the step near eta; where it is mostly noise, m is small against sqrt(v), and so is the step.
#
# The bias at the start
# ---------------------
# Both averages start at zero. After t steps with the same g,
#
#     m = (1 - beta1) (g + beta1 g + ... + beta1^(t-1) g) = (1 - beta1^t) g
#
# by the geometric series; likewise v = (1 - beta2^t) g^2. So they are too small by known factors, and
#
#     mhat = m / (1 - beta1^t),    vhat = v / (1 - beta2^t)
#
# are free of the bias. How much does it matter? Without the correction the first step is
# (1 - beta1) g / sqrt((1 - beta2) g^2) = 0.1 / sqrt(0.001) = 3.2 times eta, and the next ones are larger
# still:

# %%
t = np.arange(1, 3001)
m_share, v_share = 1 - 0.9**t, 1 - 0.999**t
uncorrected = m_share / np.sqrt(v_share)
for step in (1, 10, 100, 1000, 3000):
    print(f"step {step:4}: without correction {uncorrected[step - 1]:.2f} eta, with it 1.00 eta")
draw(
    "lesson_6_bias.png",
    {"uncorrected": (t, uncorrected), "corrected": (t, 0 * t + 1)},
    "step",
    "steps of eta",
    "x",
)


# %% [markdown]
# The step
# --------
# epsilon keeps a parameter without any gradient from dividing 0 by 0. It stands outside the root: inside,
# 1e-8 would act as 1e-4, and gradients of that size are common when a loss is a mean.


# %%
def adam_step(w, g, m, v, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mhat = m / (1 - beta1**t)
    vhat = v / (1 - beta2**t)
    return w - learning_rate * mhat / (np.sqrt(vhat) + epsilon), m, v


for scale in (1e-3, 1.0, 1e3):
    w, m, v = adam_step(np.zeros(1), np.array([scale]), np.zeros(1), np.zeros(1), 1, 0.01)
    print(f"gradient {scale:6}: first step {w[0]:.6f}")

# %% [markdown]
# Now the valley again. With a constant rate Adam dances around the minimum at a distance of about eta, so its
# rate is lowered linearly to zero: both directions arrive at the same time.

# %%
paths = {}
for name in ("gradient descent", "Adam"):
    w, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    losses = []
    for t in range(1, 201):
        losses.append((curvature * w * w).sum() / 2)
        if name == "Adam":
            w, m, v = adam_step(w, gradient(w), m, v, t, 0.05 * (1 - t / 201))
        else:
            w = w - 0.019 * gradient(w)
    paths[name] = (np.arange(1, 201), losses)
    print(f"{name:16}: f = {losses[0]:.1f} -> {losses[-1]:.1e}, w = ({w[0]:.1e}, {w[1]:.1e})")
draw("lesson_6_valley.png", paths, "step", "f", logarithmic="y")

# %% [markdown]
# Noise
# -----
# Batches make gradients noisy. The same valley, a lot of noise added to every gradient, the rate lowered to
# zero for both, and three rates each:


# %%
def noisy_end(name, rate, seed):
    noise = np.random.default_rng(seed)
    w, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    for t in range(1, 201):
        g = gradient(w) + 10 * noise.normal(size=2)
        now = rate * (1 - t / 201)
        if name == "Adam":
            w, m, v = adam_step(w, g, m, v, t, now)
        else:
            w = w - now * g
    return (curvature * w * w).sum() / 2


for name, rates in (("gradient descent", (0.0019, 0.019, 0.19)), ("Adam", (0.005, 0.05, 0.5))):
    with np.errstate(all="ignore"):
        ends = [np.mean([noisy_end(name, rate, seed) for seed in range(10)]) for rate in rates]
    print(f"{name:16}", ", ".join(f"rate {r}: f = {end:.2g}" for r, end in zip(rates, ends, strict=True)))

# %% [markdown]
# With the right rate, which we know because we know the curvature, plain descent is as good or better.
# Ten times the right rate destroys it, while Adam's steps stay of the size of the rate whatever happens.
# (Too small a rate and Adam does not arrive: 200 steps of 0.005, lowered to zero, cover half the way.) In
# a model with millions of curvatures that nobody knows, that is the reason to use Adam: not that it is
# the best, but that its rate has a meaning, how far a parameter moves in a step.
#
# Clipping
# --------
# A rare batch may have an enormous gradient. Clipping scales all gradients down by *one* factor, so that
# the norm over all parameters together is at most c: the direction stays. Adam needs it less than plain
# descent (its step is bounded anyhow), but v remembers such a batch for a thousand steps:

# %%
for limit in (np.inf, 5.0):
    w, m, v = np.zeros(1), np.zeros(1), np.zeros(1)
    for t in range(1, 201):
        g = np.array([1000.0 if t == 50 else 1.0])
        g = g * min(1.0, limit / abs(g[0]))
        w, m, v = adam_step(w, g, m, v, t, 0.01)
    print(f"one gradient of 1000 among ones, limit {limit}: after 200 steps w = {w[0]:.3f}, wanted about -2")

# %% [markdown]
# In the library
# --------------
# `nphash.nn.optim.adam_step` is this function; `nphash.nn.optim.Adam` does the same in place for a
# dictionary of parameters. In place matters: a vocabulary of 10,000 words times 500 units has 5 million
# weights, and each array written once too often costs more than the arithmetic.

# %%
params = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
own = {name: (w.copy(), 0 * w, 0 * w) for name, w in params.items()}
optimiser = Adam(learning_rate=0.01)
for t in range(1, 51):
    grads = {name: rng.normal(size=w.shape) for name, w in params.items()}
    own = {name: adam_step(w, grads[name], m, v, t, 0.01) for name, (w, m, v) in own.items()}
    optimiser.step(params, grads)
gap = max(np.abs(own[name][0] - params[name]).max() for name in params)
print(f"largest difference after 50 steps {gap:.0e}")

# %% [markdown]
# Things to break
# ---------------
# * beta2 = 0.9, beta1 = 0.999: what becomes of the valley?
# * Count t from 0. And from 2: does anybody notice?
# * Rescale the loss by 1e-10. Which epsilon would you need?
#
# Exercise
# --------
# `exercise_6_adam.py`: the step and clipping. It has no gradients; it is compared with a reference.
#
#     nphash gradcheck --exercise exercise_6_adam.py
