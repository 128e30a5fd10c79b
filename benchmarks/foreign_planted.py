"""Mistakes in the operations of `benchmarks.foreign`: (operation, its text, the mistake, the cause to name).

``None`` as cause: the figures do not tell which mistake it is, and the report says where it is.
"""

from __future__ import annotations

import numpy as np

from benchmarks.foreign import OPERATIONS
from benchmarks.planted import APPLIED
from nphash import gradcheck
from nphash.gradcheck import Report

__all__ = ["FOREIGN", "find_foreign", "named"]

MEAN, VARIANCE = (f"{path} path of a normalisation wrong" for path in ("mean", "variance"))
BOTH, NORM = "mean and variance path of a normalisation wrong", "norm path of a normalisation wrong"
BLOCK, STEPS = "one block of rows or columns wrong", "backward pass through the steps wrong"
ROOT, EACH = "square root of a size", "one factor for each row or column"
OVERWRITTEN, DEVIATION = "rows overwritten, not added", "log-variance taken for variance"
MASK, OTHER_MASK = "mask missing in back", "another mask in back"
WRONG, MISSING = "activation derivative wrong", "activation derivative missing"

FOREIGN: list[tuple[str, str, str, str | None]] = [
    # normalisations
    ("layernorm", "dxhat - dxhat.mean(axis=1, keepdims=True) - xhat", "dxhat - xhat", MEAN),
    ("layernorm", " - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)", "", VARIANCE),
    (
        "layernorm",
        " - dxhat.mean(axis=1, keepdims=True) - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)",
        "",
        BOTH,
    ),
    ("layernorm", "dxhat = dout * gamma", "dxhat = dout", "gamma" + APPLIED),
    (
        "layernorm",
        "(dout * xhat).sum(axis=0), dout.sum(axis=0)",
        "dout.sum(axis=0), (dout * xhat).sum(axis=0)",
        "gradients swapped",
    ),
    ("layernorm", "keepdims=True)) / std", "keepdims=True))", EACH),
    ("batchnorm", " - dxhat.sum(axis=0)", "", MEAN),
    ("batchnorm", " - xhat * (dxhat * xhat).sum(axis=0)", "", VARIANCE),
    ("batchnorm", "N * dxhat", "dxhat", None),
    ("batchnorm", "dxhat = dout * gamma", "dxhat = dout", "gamma" + APPLIED),
    ("batchnorm", "(N * np.sqrt(var))", "np.sqrt(var)", "sum instead of mean"),
    ("batchnorm", "np.sqrt(var))", "var)", EACH),
    ("rmsnorm", " - self.x * (g * self.x).sum(axis=-1, keepdims=True) / (n * self.rms**3)", "", NORM),
    ("rmsnorm", "(n * self.rms**3)", "self.rms**3", NORM),
    ("rmsnorm", "g = dout * self.scale", "g = dout", "scale" + APPLIED),
    ("l2_normalise", "(dy - y * (y * dy).sum(axis=1, keepdims=True))", "dy", NORM),
    ("l2_normalise", "keepdims=True)) / norm", "keepdims=True))", EACH),
    ("weight_norm", " - g * dg / norm**2 * v", "", NORM),
    ("weight_norm", "return dv, dg", "return dv * norm, dg", EACH),
    # recurrent cells
    ("rnn", "(dout[t] + dh)", "dout[t]", STEPS),
    ("rnn", "dh = da @ Wh.T", "dh = da @ Wh", STEPS),
    ("rnn", "dWx += x", "dWx = x", None),
    ("rnn", "hs[t].T @ da", "hs[t + 1].T @ da", None),
    ("rnn", "(1 - hs[t + 1] ** 2)", "1", None),
    ("gru", "drh * h * self.r * (1 - self.r)", "drh * h", BLOCK),
    ("gru", "(self.c - h) * self.z * (1 - self.z)", "(self.c - h)", BLOCK),
    ("gru", "dout * self.z * (1 - self.c**2)", "dout * self.z", None),
    ("gru", "dh = dh + drh * self.r", "pass", None),
    ("gru", "h.T @ dr, (self.r * h).T @ dc", "h.T @ dr, h.T @ dc", BLOCK),
    ("lstm", "dc * c * self.f * (1 - self.f)", "dc * c", BLOCK),
    ("lstm", "dh_new * self.t * self.o", "dh_new * self.o", BLOCK),
    ("lstm", '"c": dc * self.f', '"c": dc', None),
    ("lstm", '"W": x.T @ da', '"W": 0 * W', "branch not propagated"),
    # convolution and pooling
    ("conv2d", "return dx, dw,", "return dx, dw[:, :, ::-1, ::-1],", "flipped"),
    ("conv2d", "return dx, dw,", "return dx, dw[:, :, :, ::-1],", "flipped"),
    ("conv2d", "return dx, dw,", "return dx, dw.swapaxes(2, 3),", "transposed"),
    ("conv2d", "w[:, :, ::-1, ::-1]", "w", "flipped"),
    (
        "conv2d",
        "dpad = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))",
        "dpad = np.pad(dout, ((0, 0), (0, 0), (p + 1, p - 1), (p, p)))",
        "shifted",
    ),
    ("conv2d", "dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))", "divided twice"),
    ("conv1d", "+= w[i] * dout", "+= w[k - 1 - i] * dout", "flipped"),
    ("conv1d", "return dx, dw", "return dx, dw[::-1]", "flipped"),
    ("conv1d", "+= w[i] * dout", "= w[i] * dout", None),
    ("maxpool", "(self.mask * dout", "((self.mask | True) * dout", MASK),
    ("mean_pool", "axis=1) / 3", "axis=1)", "sum instead of mean"),
    (
        "masked_mean",
        "* mask / lengths[:, None, None].astype(x.dtype)",
        "* mask / x.shape[1]",
        "mean over the padded length",
    ),
    ("masked_mean", "dout[:, None, :] * mask", "dout[:, None, :] * np.ones_like(mask)", MASK),
    # attention and embeddings
    ("embedding", "np.add.at(dW, ids, dout)", "dW[ids] = dout", OVERWRITTEN),
    ("embedding", "np.add.at(dW, ids, dout)", "dW[ids] += dout", OVERWRITTEN),
    ("embedding", "return dW", "dW[1] = 0; return dW", "one row or column wrong"),
    ("scaled_embedding", "+= row * root", "+= row", ROOT),
    ("scaled_embedding", "+= row * root", "= row * root", OVERWRITTEN),
    ("attention", "return dS @ K / np.sqrt(d)", "return dS @ K", ROOT),
    ("attention", "@ Q / np.sqrt(d)", "@ Q / d", ROOT),
    (
        "attention",
        "dS @ K / np.sqrt(d), dS.swapaxes(-1, -2) @ Q / np.sqrt(d)",
        "dS.swapaxes(-1, -2) @ Q / np.sqrt(d), dS @ K / np.sqrt(d)",
        "gradients swapped",
    ),
    ("attention", "dS = P", "dS = 0 * P", "branch not propagated"),
    ("attention", "dS.swapaxes(-1, -2) @ Q", "dS @ Q", None),
    (
        "causal_softmax",
        "return self.p @",
        "p, self.p = self.p, np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)\n        return p @",
        "causal mask missing in back",
    ),
    # activations and blocks
    ("gelu", " + 0.5 * x * (1 - t**2) * du", "", WRONG),
    ("gelu", "(1 - t**2)", "(1 - x**2)", WRONG),
    ("silu", "(s + x * s * (1 - s))", "s", WRONG),
    ("silu", "dy * (s + x * s * (1 - s))", "dy", WRONG),
    ("leaky_relu", "np.where(x > 0, 1, 0.1)", "np.where(x > 0, 1, 0.0)", WRONG),
    ("elu", "y + 1)", "y)", WRONG),
    ("residual", '"x": dout + dh', '"x": dh', "branch not propagated"),
    ("residual", '"x": dout + dh', '"x": 2 * dout + dh', "branch counted twice"),
    ("residual", "self.h.T @ dout", "dout.T @ self.h", "transposed"),
    ("residual", " * (self.h > 0)", "", MISSING),
    ("glu", "dy * a * g * (1 - g)", "dy * a", None),
    ("dropout", "dy * mask", "dy * (np.random.default_rng(4).random(x.shape) < 0.6) / 0.6", OTHER_MASK),
    ("dropout", "lambda dy: dy * mask", "lambda dy: dy", MASK),
    # losses and samples
    ("softmax_cross_entropy", "dscores * dloss / N", "dscores * dloss", "sum instead of mean"),
    ("softmax_cross_entropy", "dscores[np.arange(N), y] -= 1", "pass", "y" + APPLIED),
    ("softmax_cross_entropy", "* dloss / N", "/ N", "upstream gradient ignored"),
    (
        "logsumexp",
        "np.exp(x - out[:, None])",
        "np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)",
        "not finite",
    ),
    ("logsumexp", "np.exp(x - out[:, None])", "np.exp(x - m)", EACH),
    ("hinge_loss", "-dscores.sum(axis=1)", "-1", "y" + APPLIED),
    ("hinge_loss", "dloss * dscores / len(y)", "dloss * dscores", "sum instead of mean"),
    ("mse", "2 * diff / diff.size", "2 * diff / len(diff)", "sum instead of mean"),
    ("mse", "2 * diff / diff.size", "diff / diff.size", "constant factor"),
    ("mse", "dloss * 2 * diff", "dloss * -2 * diff", "sign"),
    ("huber", "np.where(small, diff, np.sign(diff))", "np.sign(diff)", None),
    ("gaussian_kl", "0.5 * (np.exp(logvar) - 1)", "(np.exp(logvar) - 1)", "constant factor"),
    ("gaussian_kl", "0.5 * (np.exp(logvar) - 1)", "0.5 * (1 - np.exp(-logvar))", DEVIATION),
    ("gaussian_kl", "(d * mu / len(mu)", "(d * mu", "sum instead of mean"),
    ("reparametrise", "dz * eps * std * 0.5", "dz * eps", DEVIATION),
    ("reparametrise", "dz * eps * std", "dz * std", "eps" + APPLIED),
    ("reparametrise", "dz * eps * std", "dz * np.random.normal(size=mu.shape) * std", "noise redrawn"),
    ("info_nce", "/ N / 0.2", "/ N", "constant factor"),
    ("info_nce", "dS.T @ u", "dS @ u", None),
    ("bilinear", "x.T @ (d", "-x.T @ (d", "sign"),
]
_KNOWN = {operation.name: operation for operation in OPERATIONS}


def find_foreign(name: str, text: str, mistake: str, seed: int = 0) -> list[Report]:
    """Return the reports on an operation with one piece of its text replaced."""
    operation = _KNOWN[name]
    assert operation.source.count(text) == 1, f"{name}: {text!r} occurs {operation.source.count(text)} times"
    args = operation.draw(np.random.default_rng(seed))
    settings = gradcheck.Settings(seed=seed, sweep=False)
    function = operation.function(operation.source.replace(text, mistake))
    return gradcheck.check(function, *args, constants=operation.constants, name=name, settings=settings)


def named(reports: list[Report], cause: str | None) -> bool:
    """Return whether a mistake is named for an argument, and no other one for another."""
    causes = {report.cause for report in reports if not report.passed} - {"not recognised"}
    return causes == {cause}
