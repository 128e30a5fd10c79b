"""Claims about gradient estimators, measured: `run` a study, read its `answer`.

The exact gradient of the expected reconstruction loss is a sum over all codes, for codes short enough, so
that bias, variance and direction of every estimator can be measured against it: on two toys, and on a small
Doc2hash fitted on the docstrings of installed packages, at several points of its training. The answer to the
paper's sentence is made of the figures alone.

Bias and variance are means over the instances of a problem, relative to the mean square of the exact
gradient, with 95 % bootstrap intervals over the instances; of saturated codes, whose gradients are tiny, this
makes little.

Shapes: B documents of a batch, V words, H hidden units, L bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from nphash.core.typing import Array, Params, Rng
from nphash.corpus import ReadOptions, read_documents
from nphash.errors import InputError
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.networks import encoder
from nphash.hashers.training.settings import Training
from nphash.hashers.training.trainer import Batch
from nphash.nn.gumbel import logistic_noise
from nphash.nn.losses import NUMPY
from nphash.nn.optim import Adam
from nphash.teaching.study import estimators
from nphash.teaching.study.estimators import MAX_EXACT_BITS, Objective, exact_gradient
from nphash.text.settings import VectorizerSettings
from nphash.text.vectorizer import Vectorizer

FIGURES = (
    "bias",
    "variance",
    "mean_squared_error",
    "cosine",
    "cosine_of_mean",
    "variance_ratio",  # to that of ARM
    "error_ratio",  # to that of straight-through, on the same instances
)
UNBIASED = "ARM"
RIVAL = "straight-through, stochastic"
FAMILIES = ("Gumbel-softmax", "straight-through Gumbel")
RESAMPLES = 1000
BATCH = 100

Interval = list[float]  # value, low, high
Row = dict[str, Interval]  # by figure
StudyResults = dict[str, dict[str, Row]]  # by problem and estimator
Estimator = Callable[["Instance", Rng], Array]  # draws its own noise


@dataclass(frozen=True)
class StudySettings:
    """How large a study is; the defaults take well under a minute."""

    bits: int = 8  # of a code; the exact gradient adds up 2**bits terms
    hidden: int = 50  # units of the model
    words: int = 500
    draws: int = 400  # estimates of each instance's gradient
    instances: int = 16  # documents (or toys) of each problem: intervals are over these
    temperatures: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0)  # of the Gumbel estimators
    snapshots: tuple[int, ...] = (0, 100, 1000)  # training steps at which the model is studied
    corpus: str = "docstrings:numpy"  # what it learns from; this needs no data

    def check(self) -> None:
        """Raise `InputError` for settings that cannot be."""
        if not 1 <= self.bits <= MAX_EXACT_BITS:
            found = f"bits is {self.bits}, but the exact gradient adds up 2**bits terms"
            raise InputError(found, f"give 1 to {MAX_EXACT_BITS}")
        if self.draws < 2 or self.instances < 2:
            found = f"{self.draws} draws of {self.instances} instances have no variance"
            raise InputError(found, "give 2 or more of each")


@dataclass(frozen=True)
class Instance:
    """One document (or toy): its logits, what is minimised, and the exact value and gradient."""

    logits: Array
    objective: Objective
    value: float
    exact: Array


def instance(logits: Array, objective: Objective) -> Instance:
    """Return the instance with its exact value and gradient."""
    return Instance(logits, objective, *exact_gradient(logits, objective))


def problems(settings: StudySettings, seed: int) -> Iterator[tuple[str, list[Instance]]]:
    """Yield the toys, then the model at each point of its training."""
    rng = np.random.default_rng(seed)
    bits, n = settings.bits, settings.instances
    near = estimators.quadratic(np.full(bits, 0.45))
    yield "toy: squared distance to 0.45", [instance(rng.normal(size=bits), near) for _ in range(n)]
    decoders = [
        estimators.document_loss(rng.normal(size=(bits, 50)), rng.normal(size=50), rng.random(50))
        for _ in range(n)
    ]
    yield "toy: random decoder", [instance(rng.normal(size=bits), f) for f in decoders]
    X = documents(settings)
    for step, params in train(X, settings, seed):
        chosen = X[rng.choice(X.shape[0], n, replace=False)]
        found = zip(logits(params, chosen), chosen.toarray(), strict=True)
        yield f"model after {step} steps", [instance(a, code_loss(params, t)) for a, t in found]


def documents(settings: StudySettings) -> csr_array:
    """Return TF-IDF rows of the corpus, float64 CSR (n, V)."""
    texts = [document.text for document in read_documents(settings.corpus, ReadOptions())]
    words = VectorizerSettings(max_words=settings.words)
    return Vectorizer(words).fit_transform(texts).astype(np.float64)


def logits(params: Params, X: csr_array) -> Array:
    """Return the logits of documents by the library's encoder, shape (B, L)."""
    h, _ = encoder(params, X, None, NUMPY)  # (B, H)
    return np.asarray(h @ params["W_a"] + params["b_a"])


def code_loss(params: Params, target: Array) -> Objective:
    """Return the loss of one document by its code: the library's decoder sees bits as signs 2z - 1."""
    W, b = params["W_s"], params["b_s"]
    return estimators.document_loss(2 * W, b - W.sum(axis=0), target)


def train(X: csr_array, settings: StudySettings, seed: int) -> Iterator[tuple[int, Params]]:
    """Train Doc2hash with straight-through Gumbel bits and yield its parameters at the snapshots."""
    rng = np.random.default_rng(seed)
    training = Training(dtype="float64")
    hasher = Doc2Hash(settings.bits, hidden=(settings.hidden,), dropout=0.0, training=training)
    params = hasher.initial_params(X, X, seed)
    optimiser = Adam(learning_rate=1e-3)
    for step in range(max(settings.snapshots) + 1):
        if step in settings.snapshots:
            yield step, {name: value.copy() for name, value in params.items()}
        x = X[np.sort(rng.choice(X.shape[0], min(BATCH, X.shape[0]), replace=False))]
        _, back = hasher.loss(params, Batch(x, x, rng=rng, tau=0.5, beta=0.1))
        optimiser.step(params, back())


# ---------------------------------------------------------------------- figures


def methods(settings: StudySettings) -> dict[str, Estimator]:
    """Return every estimator as a function that draws its own noise."""
    shape = (settings.draws, settings.bits)

    def with_noise(estimator: Callable[..., Array], draw: Callable[[Rng], Array], *tau: float) -> Estimator:
        return lambda one, rng: estimator(one.logits, one.objective, draw(rng), *tau)

    def uniform(rng: Rng) -> Array:
        return rng.random(shape)

    found: dict[str, Estimator] = {
        "straight-through, deterministic": with_noise(
            estimators.straight_through, lambda rng: np.full(shape, 0.5)
        ),
        RIVAL: with_noise(estimators.straight_through, uniform),
        "REINFORCE": with_noise(estimators.reinforce, uniform),
        "REINFORCE, exact mean as baseline": lambda one, rng: estimators.reinforce(
            one.logits, one.objective, uniform(rng), baseline=one.value
        ),
        UNBIASED: with_noise(estimators.arm, uniform),
    }
    pathwise = estimators.gumbel_softmax, estimators.straight_through_gumbel
    for family, estimator in zip(FAMILIES, pathwise, strict=True):
        for tau in settings.temperatures:
            draw = with_noise(estimator, lambda rng: logistic_noise(rng, shape), tau)
            found[f"{family}, tau {tau:g}"] = draw
    return found


def run(
    settings: StudySettings | None = None, seed: int = 0, callback: Callable[[str], None] | None = None
) -> StudyResults:
    """Measure every estimator on every problem; return each of `FIGURES` as [value, low, high].

    The seed draws toys, weights, documents, noise and bootstrap samples; ``callback`` receives the name of
    each problem when it is done. Settings that cannot be raise `InputError`.
    """
    settings = StudySettings() if settings is None else settings
    settings.check()
    found: StudyResults = {}
    for name, instances in problems(settings, seed):
        found[name] = measure(instances, methods(settings), seed + 1)
        if callback is not None:
            callback(name)
    return found


def measure(instances: list[Instance], draws: dict[str, Estimator], seed: int) -> dict[str, Row]:
    """Return the figures of every estimator over the instances of one problem."""
    names, n = list(draws), len(instances)
    rows = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    moments = np.array([_moments(instances, draws[name], seed) for name in names])  # (methods, n, 5)
    value = _figures(moments.mean(axis=1), names)  # (methods, 7)
    resampled = _figures(moments[:, rows].mean(axis=2).swapaxes(0, 1), names)  # (resamples, methods, 7)
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    figures = np.stack([value, low, high], axis=-1)  # (methods, 7, 3)
    return {
        name: dict(zip(FIGURES, row.tolist(), strict=True)) for name, row in zip(names, figures, strict=True)
    }


def _moments(instances: list[Instance], draw: Estimator, seed: int) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    return [
        (float(one.exact @ one.exact), *estimators.moments(draw(one, rng), one.exact)) for one in instances
    ]


def _figures(means: Array, names: list[str]) -> Array:
    """Turn mean moments (..., methods, 5) into the figures (..., methods, 7)."""
    square, bias, variance, cosine, cosine_of_mean = np.moveaxis(means, -1, 0)
    error = np.maximum(bias, 0) + variance
    rival, unbiased = [names.index(RIVAL)], [names.index(UNBIASED)]
    relative = [np.sqrt(np.maximum(bias, 0) / square), variance / square, error / square]
    ratios = [variance / variance[..., unbiased], error / error[..., rival]]
    return np.stack([*relative, cosine, cosine_of_mean, *ratios], axis=-1)


# ---------------------------------------------------------------------- what they say

SENTENCE = (
    "Gumbel-softmax 'produces low-variance biased gradients' (Zhang & Zhu 2019) and straight-through is worse"
)

# Smaller biases are taken for none: a twentieth of the gradient's length turns its direction by 3 degrees.
_BIASED = 0.05
_HEADER = f"{'bias':>25}{'variance':>30}{'error':>10}{'cosine':>7}{'of mean':>8}"  # 80 columns


def format_table(results: StudyResults) -> str:
    """Return one table for each problem, and its best estimator of one draw."""
    lines = []
    for problem, rows in results.items():
        lines += [f"\n{problem}", _HEADER]
        for name, row in rows.items():
            bias, variance = (_interval(*row[key]) for key in ("bias", "variance"))
            error, cosine, of_mean = (row[key][0] for key in FIGURES[2:5])
            lines += [name, f"{bias:>25}{variance:>30}{error:10.3g}{cosine:7.3f}{of_mean:8.3f}"]
        best = min(rows, key=lambda name: rows[name]["mean_squared_error"][0])
        lines.append(f"smallest mean squared error: {best}")
    return "\n".join(lines).lstrip("\n")


def records(results: StudyResults) -> Iterator[dict[str, object]]:
    """Yield one flat record for each problem and estimator: each figure with its interval."""
    for problem, rows in results.items():
        for name, row in rows.items():
            yield {"problem": problem, "estimator": name, **row}


def answer(results: StudyResults) -> str:
    """Return what the figures say about the paper's sentence, for both forms of Gumbel-softmax."""
    lines = [f"{SENTENCE}.", "What the figures say:"]
    for family in FAMILIES:
        lines += ["", *_about(family, results)]
    return "\n".join(lines)


def _about(family: str, results: StudyResults) -> list[str]:
    cases = [
        (problem, row)
        for problem, rows in results.items()
        for name, row in rows.items()
        if name.startswith(f"{family}, tau ")
    ]
    rows = [row for _, row in cases]
    best: dict[str, Row] = {}  # at the temperature that suits a problem best
    for problem, row in sorted(cases, key=lambda case: -case[1]["mean_squared_error"][0]):
        best[problem] = row
    n, most = len(rows), len(best)
    biased = sum(row["bias"][1] > _BIASED for row in rows)
    low = sum(row["variance_ratio"][2] < 1 for row in rows)
    worse = sum(row["error_ratio"][2] < 1 for row in rows)
    better = sum(row["error_ratio"][1] > 1 for row in rows)
    best_worse = sum(row["error_ratio"][2] < 1 for row in best.values())
    rival_biased = sum(results[problem][RIVAL]["bias"][1] > row["bias"][2] for problem, row in cases)
    bias, variance, error = (
        _range([row[key][0] for row in rows]) for key in ("bias", "variance_ratio", "error_ratio")
    )
    return [
        f"{family}, {n} cases: {most} problems, each at {n // most} temperatures",
        f"  biased: in {biased} of {n} cases; the bias is {bias} of the gradient's length",
        f"  low-variance: in {low} of {n} cases below {UNBIASED}, which has no bias;",
        f"    the variance is {variance} times as large as that of {UNBIASED}",
        f"  straight-through is worse: in {worse} of {n} cases by its error in one draw, in {better} better;",
        f"    the error of {family} is {error} times that of straight-through;",
        f"    at the temperature that suits each problem best, worse in {best_worse} of {most};",
        f"    by its bias, which is what many draws leave, in {rival_biased} of {n}",
        f"  so: biased, {_verdict(biased, n)}; low-variance, {_verdict(low, n)}; "
        f"straight-through worse, {_verdict(worse, n)}",
    ]


def _range(values: list[float]) -> str:
    least, most, median = (
        f"{value:.2g}" if value < 100 else f"{value:,.0f}"
        for value in (min(values), max(values), float(np.median(values)))
    )
    return f"{least} to {most} (median {median})"


def _verdict(part: int, whole: int) -> str:
    if part >= 0.9 * whole:
        return "yes"
    return "no" if part <= 0.1 * whole else ("mostly" if 2 * part > whole else "in the smaller part of cases")


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3g} ({low:.2g} to {high:.2g})" if value > 1e-12 else "0"


def draw(results: StudyResults, path: Path) -> None:
    """Draw variance against bias, one panel a problem, into a picture file; matplotlib must be there."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(results), 3.6), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (problem, rows) in zip(panels, results.items(), strict=True):
        for family, style in (*((family, "o-") for family in FAMILIES), (RIVAL, "s"), (UNBIASED, "^")):
            chosen = [row for name, row in rows.items() if name.partition(", tau ")[0] == family]
            bias = [max(row["bias"][0], 1e-2) for row in chosen]
            axes.plot(bias, [row["variance"][0] for row in chosen], style, label=family, markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="bias (0.01 or less at the left)", title=problem)
        axes.title.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("variance")
    panels[0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)
