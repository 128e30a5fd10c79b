"""Real operations with one mistake each: (operation, its text, the mistake, the cause to be named).

``None`` as cause: the checker has to find the mistake, but nobody could name it from the figures alone.
`benchmarks.gradients` counts them; the tests hold every one of them.
"""

from __future__ import annotations

import inspect
from typing import Any

from nphash import gradcheck
from nphash.gradcheck import Report
from nphash.gradcheck.check import check_problem

__all__ = ["APPLIED", "CASES", "PLANTED", "find", "mutant"]

APPLIED = " not applied the same way"

PLANTED = [
    # layers
    ("ops.dense (square)", "dy @ W.T", "dy @ W", "transposed"),
    ("ops.dense (square)", "x.T @ dy", "dy.T @ x", "transposed"),
    ("ops.dense", "x.T @ dy", "dy.T @ x", "transposed"),
    ("ops.dense", "x.T @ dy", "x.T @ dy / len(x)", "divided twice"),
    ("ops.dense", "dy.sum(axis=0)", "dy.mean(axis=0)", "divided twice"),
    ("ops.dense", "dy.sum(axis=0)", "dy", "sum over the batch missing"),
    ("ops.dense", "dy @ W.T", "0 * x", "branch not propagated"),
    ("ops.dense", "x.T @ dy", "-x.T @ dy", "sign"),
    ("ops.dense", "x.T @ dy", "x.T @ dy * (np.arange(len(W)) > 0)[:, None]", "one row or column wrong"),
    ("ops.dense", "x.T @ dy", "x[1:].T @ dy[1:]", None),
    ("ops.dense", "dy.sum(axis=0)", "dy.sum(axis=0) * (np.arange(len(b)) != 1)", "one row or column wrong"),
    ("ops.sparse_dense", "+ b, back", "+ b, lambda dh: (back(dh)[0], -back(dh)[1])", "sign"),
    (
        "ops.sparse_dense",
        "+ b, back",
        "+ b, lambda dh: (len(dh) * back(dh)[0], back(dh)[1])",
        "sum instead of mean",
    ),
    ("ops.sparse_dense", "+ b, back", "+ b, lambda dh: (0 * W, back(dh)[1])", "branch not propagated"),
    ("ops.relu", "dy * (y > 0)", "dy", "activation derivative missing"),
    ("ops.relu", "dy * (y > 0)", "dy * (y <= 0)", "activation derivative wrong"),
    ("ops.sigmoid", "dy * (e / (1 + e) ** 2)", "dy", "activation derivative missing"),
    ("ops.sigmoid", "dy * (e / (1 + e) ** 2)", "dy * y", "activation derivative wrong"),
    ("ops.sigmoid", "(e / (1 + e) ** 2)", "(e / (1 + e) ** 2) ** 2", "activation derivative twice"),
    ("ops.tanh", "dy * (1 - y * y)", "dy", "activation derivative missing"),
    ("ops.tanh", "(1 - y * y)", "(1 - y)", "activation derivative wrong"),
    ("ops.tanh", "(1 - y * y)", "(1 - x * x)", "activation derivative wrong"),
    ("ops.softplus", "dy * sigmoid(x)[0]", "dy", "activation derivative missing"),
    ("ops.softplus", "sigmoid(x)[0]", "sigmoid(-x)[0]", "activation derivative wrong"),
    (
        "ops.softmax",
        "y * (dy - (y * dy).sum(axis=-1, keepdims=True))",
        "y * dy",
        "sum over the categories wrong",
    ),
    ("ops.softmax", "(y * dy).sum(axis=-1", "(y * dy).sum(axis=0", "softmax over the wrong axis"),
    ("ops.softmax", "(y * dy).sum", "dy.sum", "sum over the categories wrong"),
    ("ops.log_softmax", " * dy.sum(axis=-1, keepdims=True)", "", "sum over the categories wrong"),
    ("ops.log_softmax", "dy.sum(axis=-1", "dy.sum(axis=0", "softmax over the wrong axis"),
    ("ops.dropout", "lambda dy: dy * mask", "lambda dy: dy", "mask" + APPLIED),
    ("ops.dropout", "dy * mask", "dy * mask * mask", "mask" + APPLIED),
    ("ops.dropout", "dy * mask", "dy * dropout_mask(np.random.default_rng(), x.shape, 0.4)", "noise redrawn"),
    ("ops.gaussian_sample", "dy * spread / 2", "dy * spread", "constant factor"),
    ("ops.gaussian_sample", "dy * spread / 2", "dy * np.exp(log_variance / 2) / 2", "noise" + APPLIED),
    ("ops.gaussian_sample", "(dy, dy * spread / 2)", "(dy, 0 * dy)", "branch not propagated"),
    (
        "ops.gaussian_sample",
        "spread = np",
        "noise = np.random.normal(size=mu.shape); spread = np",
        "noise redrawn",
    ),
    ("ops.gaussian_sample", "(dy, dy * spread / 2)", "(dy * spread / 2, dy)", "gradients swapped"),
    ("ops.dense (square)", "return dy @ W.T, x.T @ dy,", "return x.T @ dy, dy @ W.T,", "gradients swapped"),
    ("ops.sparse_dense", "+ b, back", "+ b, real.sparse_dense(X * 2, W, b)[1]", "constant factor"),
    (
        "ops.sparse_dense",
        "+ b, back",
        "+ b, real.sparse_dense((X > 0).astype(float), W, b)[1]",
        "X" + APPLIED,
    ),
    # samples
    ("gumbel.gumbel_softmax", "softmax_back(dy) / temperature", "softmax_back(dy)", "temperature" + APPLIED),
    ("gumbel.gumbel_softmax", "(dy) / temperature", "(dy) * temperature", "temperature" + APPLIED),
    (
        "gumbel.straight_through_gumbel",
        "gumbel_softmax(logits, noise",
        "gumbel_softmax(logits, 0 * noise",
        "noise" + APPLIED,
    ),
    ("gumbel.logit_difference", "[-da, da]", "[da, da]", "sign"),
    ("gumbel.logit_difference", "[-da, da]", "[0 * da, da]", "one row or column wrong"),
    ("gumbel.relaxed_bits", "sigmoid_back(dz) / temperature", "sigmoid_back(dz)", "temperature" + APPLIED),
    (
        "gumbel.straight_through_bits",
        "logits.dtype), back",
        "logits.dtype), lambda dz: dz",
        "activation derivative missing",
    ),
    (
        "gumbel.straight_through_bits",
        "relaxed_bits(logits, noise, temp",
        "relaxed_bits(logits, 0 * noise, temp",
        "noise" + APPLIED,
    ),
    (
        "gumbel.straight_through_bernoulli",
        "logits.dtype), back",
        "logits.dtype), lambda dz: dz",
        "activation derivative missing",
    ),
    # forward, where a step has no derivative that would show it
    ("gumbel.straight_through_bits", "logits + noise > 0", "logits - noise > 0", "noise" + APPLIED),
    ("gumbel.straight_through_bits", "logits + noise > 0", "logits + noise < 0", "sample turned round"),
    ("gumbel.straight_through_bits", "logits + noise > 0", "logits > 0", "noise" + APPLIED),
    ("gumbel.straight_through_bernoulli", "p > uniform", "p < uniform", "sample turned round"),
    ("gumbel.straight_through_bernoulli", "p > uniform", "p > 0.5", "uniform" + APPLIED),
    (
        "gumbel.straight_through_gumbel",
        "max_one_hot(logits, noise)",
        "max_one_hot(logits, -noise)",
        "noise" + APPLIED,
    ),
    (
        "gumbel.straight_through_gumbel",
        "max_one_hot(logits, noise)",
        "max_one_hot(-logits, -noise)",
        "sample turned round",
    ),
    # losses
    ("losses.reconstruction", "scale = dloss / len(scores)", "scale = dloss", "sum instead of mean"),
    (
        "losses.reconstruction",
        "scale = dloss / len(scores)",
        "scale = dloss / len(scores) ** 2",
        "divided twice",
    ),
    (
        "losses.reconstruction",
        "scale = dloss / len(scores)",
        "scale = dloss / scores.shape[1]",
        "mean over the wrong axis",
    ),
    ("losses.reconstruction", "scale = dloss", "scale = 1.0", "upstream gradient ignored"),
    ("losses.reconstruction", "scale * mass / total", "scale / total", "target mass forgotten"),
    ("losses.reconstruction", "-= (scale * target.data)", "-= (0 * target.data)", "target" + APPLIED),
    ("losses.reconstruction", "-= (scale * target.data)", "+= (scale * target.data)", "target" + APPLIED),
    ("losses.reconstruction", "-= (scale * target.data)", "-= (scale * np.sign(target.data))", None),
    (
        "losses.reconstruction",
        "dscores: Array = e * (",
        "dscores = e; dscores *= (",
        "back is not repeatable",
    ),
    (
        "losses.categorical_kl",
        "= q * (log_ratio - divergence)",
        "= (log_ratio - divergence)",
        "activation derivative missing",
    ),
    ("losses.categorical_kl", "(log_ratio - divergence)", "log_ratio", "sum over the categories wrong"),
    ("losses.categorical_kl", "dloss / n", "dloss", "sum instead of mean"),
    (
        "losses.categorical_kl (prior)",
        "return dlogits",
        "return real.categorical_kl(logits)[1](dloss)",
        "prior" + APPLIED,
    ),
    (
        "losses.categorical_kl",
        "return dlogits",
        "return real.categorical_kl(logits.swapaxes(1, 2))[1](dloss).swapaxes(1, 2)",
        "softmax over the wrong axis",
    ),
    (
        "losses.categorical_kl",
        "return dlogits",
        "return real.pooled_categorical_kl(logits)[1](dloss)",
        "softmax over the wrong axis",
    ),
    ("losses.pooled_categorical_kl", "(log_w + entropy)", "log_w", "sum over the categories wrong"),
    ("losses.bernoulli_kl", "return sigmoid_back(", "return (", "activation derivative missing"),
    (
        "losses.bernoulli_kl",
        "(logits - prior_logit) * logits.dtype.type(dloss",
        "logits * logits.dtype.type(dloss",
        "prior" + APPLIED,
    ),
    ("losses.bernoulli_kl", "logits.dtype.type(dloss / n)", "logits.dtype.type(-dloss / n)", "sign"),
    ("losses.gaussian_kl", "scale / 2 * excess", "scale * excess", "constant factor"),
    (
        "losses.gaussian_kl",
        "scale / 2 * excess",
        "scale / 2 * np.exp(log_variance)",
        "constant term wrong",
    ),
    ("losses.gaussian_kl", "scale * mu", "0 * mu", "branch not propagated"),
    ("losses.bound_loss", "kl_weight * dloss)", "dloss)", "kl_weight" + APPLIED),
    ("losses.bound_loss", "kl_weight * dloss)", "kl_weight**2 * dloss)", "kl_weight" + APPLIED),
    ("losses.bound_loss", "kl_weight * dloss)", "0.0)", "branch not propagated"),
    ("losses.lower_bound", "(-dbound, -dbound)", "(-dbound, dbound)", "sign"),
    ("losses.supervised_loss", "alpha * dloss", "dloss", "alpha" + APPLIED),
    ("losses.logistic_loss", "dloss / n", "dloss", "sum instead of mean"),
    ("losses.logistic_loss", "(sigmoid(scores)[0] - y)", "sigmoid(scores)[0]", "labels" + APPLIED),
    (
        "losses.logistic_loss",
        "= (sigmoid(scores)[0] - y)",
        "= sigmoid(scores)[1](sigmoid(scores)[0] - y)",
        "activation derivative twice",
    ),
    ("losses.cross_entropy", "dscores[rows, classes] -= 1", "pass", "classes" + APPLIED),
    (
        "losses.cross_entropy",
        "= np.exp(log_p)",
        "= np.exp(log_softmax(scores.T)[0].T)",
        "softmax over the wrong axis",
    ),
    ("losses.cross_entropy", "dloss / n", "dloss / scores.size", "divided twice"),
    (
        "losses.cross_entropy",
        "dscores[rows, classes] -= 1",
        "dscores[rows[1:], classes[1:]] -= 1",
        "one row or column wrong",
    ),
    ("losses.similarity_distillation", "(G + G.T) @ z", "G @ z", None),
    ("losses.similarity_distillation", "(G + G.T) @ z", "2 * (G + G.T) @ z", "constant factor"),
    (
        "losses.similarity_distillation",
        "n * n_bits * temperature))",
        "n * n_bits))",
        "temperature" + APPLIED,
    ),
    ("losses.similarity_distillation", "n * n_bits * temp", "n_bits * temp", "sum instead of mean"),
    ("losses.l2_penalty", "weight * dloss)", "dloss)", "weight" + APPLIED),
    ("losses.l2_penalty", "weight * dloss) * W", "weight * dloss) * 2 * W", "constant factor"),
]
CASES = {case.title: case for case in gradcheck.operations()}


def mutant(title: str, text: str, mistake: str) -> Any:
    """Return the function of a case with ``text`` replaced by ``mistake`` in its source."""
    function = CASES[title].function
    source = inspect.getsource(function)
    assert source.count(text) == 1, f"{title}: {text!r} occurs {source.count(text)} times"
    module = inspect.getmodule(function)
    namespace = {**vars(module), "real": module}
    exec(compile(source.replace(text, mistake), f"<{title}>", "exec"), namespace)
    return namespace[function.__name__]


def find(title: str, text: str, mistake: str, seed: int = 0) -> list[Report]:
    """Return the reports on a mutant."""
    problem = CASES[title].problem(seed, function=mutant(title, text, mistake))
    return check_problem(problem, gradcheck.Settings(seed=seed, sweep=False))
