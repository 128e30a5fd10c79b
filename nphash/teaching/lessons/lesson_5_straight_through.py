# %% [markdown]
# Lesson 5: straight-through against relaxation
# =============================================
#
# Lesson 3 made a smooth stand-in of a drawn bit. There is a second way, older and bolder: draw hard bits
# forward, and pretend backward that they had been soft. The paper says that Gumbel-softmax "produces
# low-variance biased gradients" and does better than straight-through, Eq. (5). To check such a sentence
# one has to know the true gradient. For codes of a few bits we do: it is a sum over all codes.

# %%
import numpy as np

from nphash.gradcheck import check, format_text
from nphash.teaching.lessons import draw
from nphash.teaching.study.estimators import moments

rng = np.random.default_rng(0)

# %% [markdown]
# The exact gradient
# ------------------
# The bits of a document are independent, p_i = sigmoid(a_i). We want the gradient by a of E_q[f(z)], where
# f(z) = -log p(x|z) is the loss of the words given the code. With q(z) = prod p_i^z_i (1 - p_i)^(1 - z_i),
#
#     d(log q(z)) / da_i = z_i - p_i      so      dE_q[f] / da = sum_z q(z) f(z) (z - p)
#
# For L = 8 these are 256 terms. The model is a small one: random decoder, one document.

# %%
L, V = 8, 30
W, b = 0.7 * rng.normal(size=(L, V)), rng.normal(size=V)
x = rng.integers(0, 3, V).astype(float)
x /= x.sum() / 6  # about the mass of a TF-IDF row
codes = (np.arange(2**L)[:, None] >> np.arange(L) & 1).astype(float)  # (256, L)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def f(z):
    """Return the loss of each code, (S,), and the backward pass to (S, L)."""
    s = z @ W + b  # (S, V)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p) @ x, lambda d: d[:, None] * ((x.sum() * p - x) @ W.T)


def exact(a):
    p = sigmoid(a)
    q = np.prod(np.where(codes == 1, p, 1 - p), axis=1)  # (256,)
    values, _ = f(codes)
    return q @ values, (q * values) @ (codes - p)


a = rng.normal(size=L)
value, gradient = exact(a)
numeric = [(exact(a + 1e-5 * e)[0] - exact(a - 1e-5 * e)[0]) / 2e-5 for e in np.eye(L)]
print(f"E[f] = {value:.4f}; exact gradient {gradient.round(3)}")
print(f"largest difference from the numeric one {np.abs(gradient - numeric).max():.0e}")

# %% [markdown]
# Three estimators of it, each one draw and one backward pass
# -----------------------------------------------------------
# **Relaxed.** Everything soft: y = sigmoid((a + l)/tau), f(y), backpropagated. It is an exact gradient - of
# E[f(y)], the loss of a decoder that sees no bits. But the codes that are stored have bits.
#
# **Straight-through Gumbel**, Doc2hash's: Eq. (7) forward, Eq. (8) backward. f and its slope are taken at
# hard bits z = [a + l > 0], the derivative of the bit is borrowed: y(1 - y)/tau.
#
# **Straight-through Bernoulli**, NASH's: z = [p > u], and
#
#     Eq. (5)    dz/dp ~ 1
#
# The step z = [p > u] has the derivative 0; the identity stands in for it. Only for the step! The
# derivative of the sigmoid, dp/da = p(1 - p), remains: da = dz p (1 - p).


# %%
def relaxed(a, noise, tau):
    y = sigmoid((a + noise) / tau)
    return y, lambda dy: dy * y * (1 - y) / tau


def straight_through_gumbel(a, noise, tau):
    _, back = relaxed(a, noise, tau)
    return (a + noise > 0).astype(float), back


def straight_through_bernoulli(a, uniform):
    p = sigmoid(a)
    return (p > uniform).astype(float), lambda dz: dz * p * (1 - p)


def estimate(sample, *arguments):
    z, back = sample(*arguments)  # (S, L)
    _, back_f = f(z)
    return back(back_f(np.ones(len(z))))


# %% [markdown]
# What can a gradient checker say of them? The relaxed bit is an ordinary function. The hard bits have no
# numeric gradient to compare with - it is zero - so what is checked is the relaxed path that their back
# claims to borrow, and the report says so.

# %%
small = rng.normal(size=(3, 4)), rng.logistic(size=(3, 4)), 0.7
print(format_text(check(relaxed, *small, constants=("noise",))))
print(format_text(check(straight_through_gumbel, *small, constants=("noise",), relaxed=relaxed)))

# %% [markdown]
# Bias and variance
# -----------------
# An estimator g has two errors: the bias, E[g] - exact, which no number of draws removes, and the
# variance, which averaging does remove. E|g - exact|^2 = bias^2 + variance. A gradient step is harmed by
# both, but over thousands of steps variance averages out and bias does not. A bias along the gradient
# only changes the step size, so look at the direction of the mean estimate as well: its cosine with the
# exact gradient. All figures are relative to the length of the exact gradient: 10 points a, 2000 draws
# each, for the decoder above and for one with weights three times as large, whose f is far from linear.
#
# One more for comparison: REINFORCE, (f(z) - baseline)(z - p), needs no derivative of f and has no bias,
# since E[z - p] = 0. The baseline only lowers the noise; here it is E[f], exactly.

# %%
S = 2000
points = rng.normal(size=(10, L))
temperatures = (2.0, 1.0, 0.5, 0.3, 0.1)


def logistic(shape):
    return rng.logistic(size=shape)


def judge(estimator):
    found = []
    for a in points:
        value, gradient = exact(a)
        bias2, variance, _, cosine = moments(estimator(np.broadcast_to(a, (S, L)), value), gradient)
        found.append((*np.sqrt([max(0, bias2), variance]) / np.linalg.norm(gradient), cosine))
    return np.mean(found, axis=0)


def reinforce(a, baseline):
    z = (sigmoid(a) > rng.random(a.shape)).astype(float)
    return (f(z)[0] - baseline)[:, None] * (z - sigmoid(a))


def compare():
    table = {
        "REINFORCE, exact mean as baseline": judge(reinforce),
        "straight-through Bernoulli": judge(
            lambda a, _: estimate(straight_through_bernoulli, a, rng.random(a.shape))
        ),
    }
    for name, sample in (("relaxed", relaxed), ("straight-through Gumbel", straight_through_gumbel)):
        for tau in temperatures:
            table[f"{name}, tau {tau}"] = judge(
                lambda a, _, sample=sample, tau=tau: estimate(sample, a, logistic(a.shape), tau)
            )
    print(f"{'':34}  bias  noise  cosine of the mean")
    for name, (bias, noise, cosine) in table.items():
        print(f"{name:34} {bias:5.2f} {noise:6.2f}  {cosine:.3f}")
    return table


print("\nthe decoder above")
table = compare()
W = 3 * W
print("\nweights three times as large")
compare()

curves = {}
for name in ("relaxed", "straight-through Gumbel"):
    rows = np.array([table[f"{name}, tau {tau}"] for tau in temperatures])
    curves |= {f"{name}: bias": (temperatures, rows[:, 0]), f"{name}: noise": (temperatures, rows[:, 1])}
draw("lesson_5_bias_and_noise.png", curves, "temperature", "relative to the gradient", "xy", "o-")

# %% [markdown]
# What the figures say, and the sentence with them:
#
# * *Biased*: yes, all but REINFORCE. Lower temperature, less bias: y comes closer to a bit.
# * *Low variance*: only at high temperature. At 0.1, where the published code stays after 57 steps, a single
#   draw is as noisy as REINFORCE, which needs no derivative at all.
# * *Straight-through is worse*: not as an estimate. With the first decoder NASH's has less bias than
#   straight-through Gumbel at temperatures of 0.5 and more, and less noise than at 1 and below: no
#   temperature beats it in both. For a document f is almost linear in each bit; for a linear f it is exact.
# * All means point in the right direction (cosine 0.98 and more): much of the bias is a matter of length.
#
# Which one trains best?
# ----------------------
# Errors of a gradient are a means to an end. Here 60 documents of six subjects are learned, each with free
# logits (no encoder: what is compared is the estimator alone), together with the decoder, by Adam. The
# loss that is reported is exact: summed over all 256 codes.

# %%
n, V = 60, 40
topics = rng.dirichlet(np.full(V, 0.1), size=6)
X = np.array([rng.multinomial(30, topics[i % 6]) for i in range(n)], dtype=float)
X *= 6 / X.sum(axis=1, keepdims=True)


def words(z, W, b):
    s = z @ W + b
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    ds = 6 * p - X
    return ds @ W.T, z.T @ ds / n, ds.mean(axis=0)  # dz for each document, dW and db for the mean


def exact_loss(A, W, b):
    s = codes @ W + b
    s = s - s.max(axis=1, keepdims=True)
    log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    P = sigmoid(A)[:, None, :]
    q = np.prod(np.where(codes == 1, P, 1 - P), axis=2)  # (n, 256)
    return -(q * (X @ log_p.T)).sum() / n


def learn(sample, draw_noise, first, last, steps=400, seed=0):
    local = np.random.default_rng(seed)
    w = [
        0.1 * local.normal(size=(n, L)),
        0.1 * local.normal(size=(L, V)),
        np.log(X.sum(axis=0) / X.sum() + 1e-3),
    ]
    m, v = [0 * array for array in w], [0 * array for array in w]
    for t in range(1, steps + 1):
        tau = first + (last - first) * t / steps
        z, back = sample(w[0], draw_noise(local, (n, L)), tau)
        dz, dW, db = words(z, w[1], w[2])
        for i, g in enumerate((back(dz), dW, db)):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            w[i] = w[i] - 0.05 * (m[i] / (1 - 0.9**t)) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    return exact_loss(*w)


def run(name, *arguments):
    losses = [learn(*arguments, seed=seed) for seed in range(5)]
    print(f"{name:38} {np.mean(losses):.3f} +- {np.std(losses):.3f} nats a document")


def uniform_noise(local, shape):
    return local.random(shape)


def logistic_noise(local, shape):
    return local.logistic(size=shape)


run("straight-through Bernoulli", lambda a, u, tau: straight_through_bernoulli(a, u), uniform_noise, 1, 1)
for first, last in ((1, 1), (0.3, 0.3), (0.1, 0.1), (1, 0.3)):
    which = f"tau {first}" if first == last else f"tau {first} to {last}"
    run(f"relaxed, {which}", relaxed, logistic_noise, first, last)
    run(f"straight-through Gumbel, {which}", straight_through_gumbel, logistic_noise, first, last)

# %% [markdown]
# So the paper's *practice* is right here: with a temperature that falls from 1 to 0.3 Gumbel beats NASH's
# estimator by far more than the spread of seeds - although each of its gradients is the worse estimate. (Why?
# A good project: begin with how certain the bits become.) A constant 0.1 is the worst choice of all. And the
# relaxed sample, which lets the decoder see values between 0 and 1, is best with these 8 bits. That need not
# carry over: with an encoder and 32 bits, on Reuters, all three find documents about equally well
# (`benchmarks/samplers.py` in the repository; `docs/methods.rst` has the figures).
#
# A figure about gradients does not replace one about training, nor the other way round.
# `nphash study estimators` compares them with each other and with estimators that have no bias at all
# (REINFORCE, ARM), on toys and on a model at several points of its training; the code is in
# `nphash/teaching/study/estimators.py`.
#
# Things to break
# ---------------
# * Is E[f] the best baseline? Show that the variance of (f - b)(z_i - p_i) is least for
#   b_i = E[f (z_i - p_i)^2] / E[(z_i - p_i)^2], one for each bit, and compute it by the sum over codes. (It
#   gains little here: with the first decoder the noise falls from 2.73 to 2.63, exactly.) And b = 0?
# * The sigmoid left out of Eq. (5), da = dz: what becomes of bits that are nearly certain?
# * Use the true derivative of the step. What does `learn` do then?
# * tau 0.3 to 1, the wrong way round.
#
# Exercise
# --------
# `exercise_5_straight_through.py`: both straight-through samples.
#
#     nphash gradcheck --exercise exercise_5_straight_through.py
