"""Operations as others write them: functions with a cache, layers with a state, gradients in a dictionary.

None of them comes from this package: normalisations, recurrent cells, convolutions, attention, pooling,
losses. `benchmarks.foreign_planted` plants mistakes in them and `benchmarks.gradients` counts what the
checker finds, names, and finds although there is none. Shapes stand where arguments are drawn, in
`OPERATIONS`.
"""

# The names are those of the field: Wx and dWx, N for the batch.
# ruff: noqa: ANN001, ANN202

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nphash.core.typing import Rng

__all__ = ["OPERATIONS", "Foreign"]


# ---------------------------------------------------------------------- normalisations


def layernorm_forward(x, gamma, beta):
    mean = x.mean(axis=1, keepdims=True)
    std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, std, gamma)


def layernorm_backward(dout, cache):
    xhat, std, gamma = cache
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=1, keepdims=True) - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)) / std
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def batchnorm_forward(x, gamma, beta):
    xhat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    return gamma * xhat + beta, (xhat, x.var(axis=0) + 1e-5, gamma)


def batchnorm_backward(dout, cache):
    xhat, var, gamma = cache
    N = len(dout)
    dxhat = dout * gamma
    dx = (N * dxhat - dxhat.sum(axis=0) - xhat * (dxhat * xhat).sum(axis=0)) / (N * np.sqrt(var))
    return {"x": dx, "gamma": (dout * xhat).sum(axis=0), "beta": dout.sum(axis=0)}


class RMSNorm:
    def forward(self, x, scale):
        self.x, self.scale = x, scale
        self.rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
        return scale * x / self.rms

    def backward(self, dout):
        g = dout * self.scale
        n = self.x.shape[-1]
        dx = g / self.rms - self.x * (g * self.x).sum(axis=-1, keepdims=True) / (n * self.rms**3)
        return dx, (dout * self.x / self.rms).sum(axis=0)


def l2_normalise(x):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    y = x / norm
    return y, lambda dy: (dy - y * (y * dy).sum(axis=1, keepdims=True)) / norm


def weight_norm(v, g):
    norm = np.sqrt((v * v).sum(axis=0))
    w = g * v / norm

    def back(dw):
        dg = (dw * v).sum(axis=0) / norm
        dv = g / norm * dw - g * dg / norm**2 * v
        return dv, dg

    return w, back


# ---------------------------------------------------------------------- recurrent cells


def rnn_forward(x, h0, Wx, Wh, b):
    hs = [h0]
    for x_t in x:  # (T, N, I)
        hs.append(np.tanh(x_t @ Wx + hs[-1] @ Wh + b))
    return np.stack(hs[1:]), (x, hs, Wx, Wh)


def rnn_backward(dout, cache):
    x, hs, Wx, Wh = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    db, dh = np.zeros(Wh.shape[1], dtype=x.dtype), np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        da = (dout[t] + dh) * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t].T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
    return dx, dh, dWx, dWh, db


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


class GRUCell:
    def forward(self, x, h, W, U, b):
        n = h.shape[1]
        self.x, self.h, self.W, self.U, self.n = x, h, W, U, n
        a = x @ W + b
        self.z = _sigmoid(a[:, :n] + h @ U[:, :n])
        self.r = _sigmoid(a[:, n : 2 * n] + h @ U[:, n : 2 * n])
        self.c = np.tanh(a[:, 2 * n :] + (self.r * h) @ U[:, 2 * n :])
        return (1 - self.z) * h + self.z * self.c

    def backward(self, dout):
        n, U, h = self.n, self.U, self.h
        dh = dout * (1 - self.z)
        dz = dout * (self.c - h) * self.z * (1 - self.z)
        dc = dout * self.z * (1 - self.c**2)
        drh = dc @ U[:, 2 * n :].T
        dr = drh * h * self.r * (1 - self.r)
        dh = dh + drh * self.r
        dh = dh + dz @ U[:, :n].T + dr @ U[:, n : 2 * n].T
        da = np.hstack([dz, dr, dc])
        dU = np.hstack([h.T @ dz, h.T @ dr, (self.r * h).T @ dc])
        return da @ self.W.T, dh, self.x.T @ da, dU, da.sum(axis=0)


class LSTMCell:
    def forward(self, x, h, c, W, U, b):
        self.args = x, h, c, W, U
        a = x @ W + h @ U + b
        n = h.shape[1]
        self.i, self.f, self.o = (_sigmoid(a[:, k * n : (k + 1) * n]) for k in range(3))
        self.g = np.tanh(a[:, 3 * n :])
        self.c_new = self.f * c + self.i * self.g
        self.t = np.tanh(self.c_new)
        return self.o * self.t

    def backward(self, dh_new):
        x, h, c, W, U = self.args
        dc = dh_new * self.o * (1 - self.t**2)
        di = dc * self.g * self.i * (1 - self.i)
        df = dc * c * self.f * (1 - self.f)
        do = dh_new * self.t * self.o * (1 - self.o)
        dg = dc * self.i * (1 - self.g**2)
        da = np.concatenate([di, df, do, dg], axis=1)
        return {"x": da @ W.T, "h": da @ U.T, "c": dc * self.f, "W": x.T @ da, "U": h.T @ da, "b": da.sum(0)}


# ---------------------------------------------------------------------- convolution and pooling


def conv2d(x, w, b):
    """Convolve (N, C, H, W) with (F, C, k, k), "same" padding, stride 1."""
    k = w.shape[2]
    p = k // 2
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))  # (N, C, H, W, k, k)
    out = np.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None]

    def back(dout):
        dw = np.einsum("nfhw,nchwij->fcij", dout, windows)
        dpad = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
        dwin = np.lib.stride_tricks.sliding_window_view(dpad, (k, k), axis=(2, 3))
        dx = np.einsum("nfhwij,fcij->nchw", dwin, w[:, :, ::-1, ::-1])
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, back


def conv1d(x, w):
    """Convolve (N, L) with a kernel (k,), without padding."""
    k = len(w)
    n = x.shape[1] - k + 1
    out = sum(w[i] * x[:, i : i + n] for i in range(k))

    def back(dout):
        dx = np.zeros_like(x)
        for i in range(k):
            dx[:, i : i + n] += w[i] * dout
        dw = np.array([(x[:, i : i + n] * dout).sum() for i in range(k)], dtype=x.dtype)
        return dx, dw

    return out, back


class MaxPool:
    def forward(self, x):
        N, H, W = x.shape
        self.blocks = x.reshape(N, H // 2, 2, W // 2, 2)
        out = self.blocks.max(axis=(2, 4))
        self.mask = self.blocks == out[:, :, None, :, None]
        return out

    def backward(self, dout):
        return (self.mask * dout[:, :, None, :, None]).reshape(len(dout), -1, 2 * dout.shape[2])


def mean_pool(x):
    blocks = x.reshape(len(x), -1, 3)
    return blocks.mean(axis=2), lambda dout: np.repeat(dout, 3, axis=1) / 3


def masked_mean(x, lengths):
    """Average (N, T, D) over the first ``lengths[n]`` of the T steps."""
    mask = (np.arange(x.shape[1]) < lengths[:, None]).astype(x.dtype)[:, :, None]
    out = (x * mask).sum(axis=1) / lengths[:, None].astype(x.dtype)

    def back(dout):
        return dout[:, None, :] * mask / lengths[:, None, None].astype(x.dtype)

    return out, back


# ---------------------------------------------------------------------- attention and embeddings


def embedding_forward(ids, W):
    return W[ids], (ids, W.shape)


def embedding_backward(dout, cache):
    ids, shape = cache
    dW = np.zeros(shape, dtype=dout.dtype)
    np.add.at(dW, ids, dout)
    return dW


def scaled_embedding(W, ids):
    root = W.shape[1] ** 0.5
    out = W[ids] * root

    def back(dout):
        dW = np.zeros_like(W)
        for i, row in zip(ids.ravel(), dout.reshape(-1, W.shape[1]), strict=True):
            dW[i] += row * root
        return dW

    return out, back


def attention(Q, K, V):
    d = Q.shape[-1]
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(d)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)

    def back(dO):
        dV = P.swapaxes(-1, -2) @ dO
        dP = dO @ V.swapaxes(-1, -2)
        dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
        return dS @ K / np.sqrt(d), dS.swapaxes(-1, -2) @ Q / np.sqrt(d), dV

    return P @ V, back


class CausalSoftmax:
    def forward(self, scores):
        T = scores.shape[-1]
        self.mask = np.tril(np.ones((T, T), dtype=bool))
        e = np.where(self.mask, np.exp(scores), 0)
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p @ np.vander(np.linspace(0.5, 1.5, T), 3).astype(scores.dtype)

    def backward(self, dout):
        dp = dout @ np.vander(np.linspace(0.5, 1.5, self.p.shape[-1]), 3).astype(dout.dtype).T
        ds = self.p * (dp - (dp * self.p).sum(axis=-1, keepdims=True))
        return ds


# ---------------------------------------------------------------------- activations and blocks


def gelu(x):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)

    def back(dy):
        du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)

    return 0.5 * x * (1 + t), back


def silu(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, lambda dy: dy * (s + x * s * (1 - s))


def leaky_relu(x):
    return np.where(x > 0, x, 0.1 * x), lambda dy: dy * np.where(x > 0, 1, 0.1).astype(x.dtype)


def elu(x):
    y = np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)
    return y, lambda dy: dy * np.where(x > 0, 1, y + 1)


class Residual:
    def forward(self, x, W1, W2):
        self.x, self.W1, self.W2 = x, W1, W2
        self.h = np.maximum(x @ W1, 0)
        return x + self.h @ W2

    def backward(self, dout):
        dh = dout @ self.W2.T * (self.h > 0)
        return {"x": dout + dh @ self.W1.T, "W1": self.x.T @ dh, "W2": self.h.T @ dout}


def glu(x, W, V):
    a, g = x @ W, 1 / (1 + np.exp(-(x @ V)))

    def back(dy):
        da, dv = dy * g, dy * a * g * (1 - g)
        return da @ W.T + dv @ V.T, x.T @ da, x.T @ dv

    return a * g, back


def dropout(x):
    mask = (np.random.default_rng(3).random(x.shape) < 0.6) / np.asarray(0.6, dtype=x.dtype)
    return x * mask, lambda dy: dy * mask


# ---------------------------------------------------------------------- losses and samples


def softmax_cross_entropy(scores, y):
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    N = len(y)

    def back(dloss=1.0):
        dscores = np.exp(log_p)
        dscores[np.arange(N), y] -= 1
        return dscores * dloss / N

    return -log_p[np.arange(N), y].mean(), back


def logsumexp(x):
    m = x.max(axis=1, keepdims=True)
    out = m[:, 0] + np.log(np.exp(x - m).sum(axis=1))
    return out, lambda d: d[:, None] * np.exp(x - out[:, None])


def hinge_loss(scores, y):
    rows = np.arange(len(y))
    margins = np.maximum(0, scores - scores[rows, y][:, None] + 1)
    margins[rows, y] = 0

    def back(dloss):
        dscores = (margins > 0).astype(scores.dtype)
        dscores[rows, y] = -dscores.sum(axis=1)
        return dloss * dscores / len(y)

    return margins.sum() / len(y), back


def mse(pred, target):
    diff = pred - target
    return (diff**2).mean(), lambda dloss: dloss * 2 * diff / diff.size


def huber(pred, target):
    diff = pred - target
    small = np.abs(diff) < 1
    return np.where(
        small, diff**2 / 2, np.abs(diff) - 0.5
    ).sum(), lambda d: d * np.where(small, diff, np.sign(diff))


def gaussian_kl(mu, logvar):
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).sum() / len(mu)
    return kl, lambda d: (d * mu / len(mu), d * 0.5 * (np.exp(logvar) - 1) / len(mu))


def reparametrise(mu, logvar, eps):
    std = np.exp(0.5 * logvar)
    return mu + std * eps, lambda dz: (dz, dz * eps * std * 0.5)


def info_nce(u, v):
    S = u @ v.T / 0.2
    shifted = S - S.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    N = len(u)

    def back(dloss):
        dS = dloss * (p - np.eye(N, dtype=u.dtype)) / N / 0.2
        return dS @ v, dS.T @ u

    return -np.log(np.diag(p)).mean(), back


def bilinear(x, A, y):
    return ((x @ A) * y).sum(axis=1), lambda d: (
        d[:, None] * (y @ A.T),
        x.T @ (d[:, None] * y),
        d[:, None] * (x @ A),
    )


# ---------------------------------------------------------------------- how they are called


@dataclass(frozen=True)
class Foreign:
    """An operation: what it is made of, how it is made a function ``(out, back)``, and its arguments."""

    name: str
    parts: tuple[Any, ...]
    draw: Callable[[Rng], tuple[Any, ...]]
    constants: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The text of all its parts."""
        return "\n".join(inspect.getsource(part) for part in self.parts)

    def function(self, source: str = "") -> Callable[..., tuple[Any, Any]]:
        """Return it as ``(out, back)`` of its arguments; ``source`` is another text of it."""
        names = dict(globals())
        if source:
            exec(compile(source, f"<{self.name}>", "exec"), names)
        first, *others = (names[part.__name__] for part in self.parts)
        if inspect.isclass(first):
            parameters = list(inspect.signature(first.forward).parameters)[1:]
            text = f"def call({', '.join(parameters)}):\n    layer = made()\n"
            text += f"    return layer.forward({', '.join(parameters)}), layer.backward\n"
        elif others:
            parameters = list(inspect.signature(first).parameters)
            text = f"def call({', '.join(parameters)}):\n    out, cache = made({', '.join(parameters)})\n"
            text += "    return out, lambda dout: backward(dout, cache)\n"
        else:
            return first  # type: ignore[no-any-return]
        space: dict[str, Any] = {"made": first, "backward": others[0] if others else None}
        exec(compile(text, f"<{self.name}>", "exec"), space)
        return space["call"]  # type: ignore[no-any-return]


def _normals(*shapes: tuple[int, ...], scale: float = 1.0) -> Callable[[Rng], tuple[Any, ...]]:
    return lambda rng: tuple(scale * rng.normal(size=shape) for shape in shapes)


def _classes(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=(6, 4)), rng.integers(0, 4, 6)


def _positive(rng: Rng) -> tuple[Any, ...]:
    return rng.normal(size=(5, 3)), 0.5 + rng.random(3)


_IDS = np.array([[2, 5, 1], [5, 2, 5]])  # 2 and 5 more than once

OPERATIONS = [
    Foreign("layernorm", (layernorm_forward, layernorm_backward), _normals((5, 7), (7,), (7,))),
    Foreign("batchnorm", (batchnorm_forward, batchnorm_backward), _normals((8, 3), (3,), (3,))),
    Foreign("rmsnorm", (RMSNorm,), _normals((5, 7), (7,))),
    Foreign("l2_normalise", (l2_normalise,), _normals((5, 4))),
    Foreign("weight_norm", (weight_norm,), _positive),
    Foreign("rnn", (rnn_forward, rnn_backward), _normals((4, 3, 5), (3, 2), (5, 2), (2, 2), (2,))),
    Foreign("gru", (GRUCell,), _normals((3, 5), (3, 4), (5, 12), (4, 12), (12,), scale=0.7)),
    Foreign("lstm", (LSTMCell,), _normals((3, 5), (3, 4), (3, 4), (5, 16), (4, 16), (16,), scale=0.7)),
    Foreign("conv2d", (conv2d,), _normals((2, 3, 5, 5), (4, 3, 3, 3), (4,))),
    Foreign("conv1d", (conv1d,), _normals((4, 9), (3,))),
    Foreign("maxpool", (MaxPool,), _normals((3, 4, 6))),
    Foreign("mean_pool", (mean_pool,), _normals((4, 9))),
    Foreign("masked_mean", (masked_mean,), lambda rng: (rng.normal(size=(4, 6, 3)), np.array([2, 6, 3, 5]))),
    Foreign(
        "embedding", (embedding_forward, embedding_backward), lambda rng: (_IDS, rng.normal(size=(7, 4)))
    ),
    Foreign("scaled_embedding", (scaled_embedding,), lambda rng: (rng.normal(size=(7, 5)), _IDS)),
    Foreign("attention", (attention,), _normals((2, 4, 5), (2, 4, 5), (2, 4, 3))),
    Foreign("causal_softmax", (CausalSoftmax,), _normals((3, 5, 5))),
    Foreign("gelu", (gelu,), _normals((4, 5))),
    Foreign("silu", (silu,), _normals((4, 5))),
    Foreign("leaky_relu", (leaky_relu,), _normals((4, 5))),
    Foreign("elu", (elu,), _normals((4, 5))),
    Foreign("residual", (Residual,), _normals((5, 4), (4, 6), (6, 4))),
    Foreign("glu", (glu,), _normals((5, 4), (4, 3), (4, 3))),
    Foreign("dropout", (dropout,), _normals((6, 5))),
    Foreign("softmax_cross_entropy", (softmax_cross_entropy,), _classes),
    Foreign("logsumexp", (logsumexp,), lambda rng: (900 + rng.normal(size=(5, 4)),)),
    Foreign("hinge_loss", (hinge_loss,), _classes),
    Foreign("mse", (mse,), _normals((5, 3), (5, 3)), ("target",)),
    Foreign("huber", (huber,), _normals((5, 3), (5, 3)), ("target",)),
    Foreign("gaussian_kl", (gaussian_kl,), _normals((5, 3), (5, 3))),
    Foreign("reparametrise", (reparametrise,), _normals((5, 3), (5, 3), (5, 3)), ("eps",)),
    Foreign("info_nce", (info_nce,), _normals((6, 3), (6, 3), scale=0.5)),
    Foreign("bilinear", (bilinear,), _normals((5, 3), (3, 4), (5, 4))),
]
