"""Is Gumbel-softmax a low-variance biased estimator, and straight-through a worse one? Measured exactly.

    python benchmarks/estimators.py run      # some minutes; writes benchmarks/results/estimators.json
    python benchmarks/estimators.py table    # prints what was measured

The exact gradient of the expected reconstruction loss is a sum over all codes (10 bits here), so that bias,
variance and direction of every estimator can be measured. The problems are two toys and a small Doc2hash on
the docstrings of the installed packages, before training and at several points of it. Bias and
variance are means over the instances of a problem, relative to the mean square of the exact gradient, with
95 % bootstrap intervals over the instances; of saturated codes, whose gradients are tiny, this makes little.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

import nphash
from nphash import estimators
from nphash.adam import Adam
from nphash.corpus import ReadOptions, read_documents
from nphash.estimators import Objective, exact_gradient
from nphash.gumbel import logistic_noise, straight_through_bits
from nphash.losses import bernoulli_kl, reconstruction
from nphash.ops import Array, dense, relu, sparse_dense
from nphash.text.settings import VectorizerSettings
from nphash.text.vectorizer import Vectorizer

RESULTS = Path(__file__).parent / "results" / "estimators.json"
BITS, HIDDEN, WORDS, BATCH = 10, 100, 1000, 100
DRAWS, INSTANCES = 1000, 24
TEMPERATURES = (0.1, 0.3, 0.5, 1.0, 2.0)
SNAPSHOTS = (0, 100, 1000, 4000)
FIGURES = ("bias", "variance", "mean_squared_error", "cosine", "cosine_of_mean")


@dataclass(frozen=True)
class Instance:
    """One document (or toy): its logits, what is minimised, and the exact value and gradient."""

    logits: Array
    objective: Objective
    value: float
    exact: Array


Draw = Callable[[Instance, np.random.Generator], Array]


def instance(logits: Array, objective: Objective) -> Instance:
    """Return the instance with its exact value and gradient."""
    return Instance(logits, objective, *exact_gradient(logits, objective))


def methods() -> dict[str, Draw]:
    """Return every estimator as a function that draws its own noise."""
    shape = (DRAWS, BITS)

    def straight_through(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.straight_through(one.logits, one.objective, rng.random(shape))

    def deterministic(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.straight_through(one.logits, one.objective, np.full(shape, 0.5))

    def reinforce(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.reinforce(one.logits, one.objective, rng.random(shape))

    def with_baseline(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.reinforce(one.logits, one.objective, rng.random(shape), baseline=one.value)

    def arm(one: Instance, rng: np.random.Generator) -> Array:
        return estimators.arm(one.logits, one.objective, rng.random(shape))

    def tempered(
        estimator: Callable[..., Array], tau: float, one: Instance, rng: np.random.Generator
    ) -> Array:
        return estimator(one.logits, one.objective, logistic_noise(rng, shape), tau)

    found: dict[str, Draw] = {
        "straight-through, deterministic": deterministic,
        "straight-through, stochastic": straight_through,
        "REINFORCE": reinforce,
        "REINFORCE, exact mean as baseline": with_baseline,
        "ARM": arm,
    }
    for tau in TEMPERATURES:
        found[f"Gumbel-softmax, tau {tau:g}"] = partial(tempered, estimators.gumbel_softmax, tau)
    for tau in TEMPERATURES:
        found[f"straight-through Gumbel, tau {tau:g}"] = partial(
            tempered, estimators.straight_through_gumbel, tau
        )
    return found


def problems(seed: int) -> Iterator[tuple[str, list[Instance]]]:
    """Yield the toys, then the model at each point of its training."""
    rng = np.random.default_rng(seed)
    near = estimators.quadratic(np.full(BITS, 0.45))
    yield "toy: squared distance to 0.45", [instance(rng.normal(size=BITS), near) for _ in range(INSTANCES)]
    decoders = [
        estimators.document_loss(rng.normal(size=(BITS, 50)), rng.normal(size=50), rng.random(50))
        for _ in range(INSTANCES)
    ]
    yield "toy: random decoder", [instance(rng.normal(size=BITS), f) for f in decoders]
    X = documents()
    for step, params in train(X, seed):
        chosen = X[rng.choice(X.shape[0], INSTANCES, replace=False)]
        W, b, rows = params["W3"], params["b3"], chosen.toarray()
        found = zip(encode(params, chosen)[0], rows, strict=True)
        yield f"model after {step} steps", [instance(a, estimators.document_loss(W, b, t)) for a, t in found]


def documents() -> Any:
    """Return TF-IDF rows of the docstrings of NumPy and SciPy, float64."""
    texts = [document.text for document in read_documents("docstrings:numpy,scipy", ReadOptions())]
    return Vectorizer(VectorizerSettings(max_words=WORDS)).fit_transform(texts).astype(np.float64)


def encode(params: dict[str, Array], X: Any) -> tuple[Array, Callable[[Array], dict[str, Array]]]:
    """Return the logits of documents and the way back."""
    h, first_back = sparse_dense(X, params["W1"], params["b1"])  # (B, H)
    h, relu_back = relu(h)
    logits, second_back = dense(h, params["W2"], params["b2"])  # (B, L)

    def back(dlogits: Array) -> dict[str, Array]:
        dh, dW2, db2 = second_back(dlogits)
        dW1, db1 = first_back(relu_back(dh))
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    return logits, back


def train(X: Any, seed: int) -> Iterator[tuple[int, dict[str, Array]]]:
    """Train Doc2hash with straight-through Gumbel bits and yield its parameters at the snapshots."""
    rng = np.random.default_rng(seed)
    sizes = {"1": (X.shape[1], HIDDEN), "2": (HIDDEN, BITS), "3": (BITS, X.shape[1])}
    params: dict[str, Array] = {}
    for layer, (inputs, outputs) in sizes.items():
        params[f"W{layer}"] = rng.uniform(-1, 1, (inputs, outputs)) / np.sqrt(inputs)
        params[f"b{layer}"] = np.zeros(outputs)
    frequency = np.asarray(X.sum(axis=0)).reshape(-1)
    params["b3"] = np.log((frequency + 1) / (frequency + 1).sum())
    optimiser = Adam(learning_rate=1e-3)
    for step in range(SNAPSHOTS[-1] + 1):
        if step in SNAPSHOTS:
            yield step, {name: value.copy() for name, value in params.items()}
        batch = X[np.sort(rng.choice(X.shape[0], BATCH, replace=False))]
        logits, encoder_back = encode(params, batch)
        z, sample_back = straight_through_bits(logits, logistic_noise(rng, logits.shape), 0.5)
        scores, decoder_back = dense(z, params["W3"], params["b3"])
        _, loss_back = reconstruction(scores, batch)
        _, kl_back = bernoulli_kl(logits)
        dz, dW3, db3 = decoder_back(loss_back())
        grads = encoder_back(sample_back(dz) + kl_back(0.01))
        optimiser.step(params, {**grads, "W3": dW3, "b3": db3})


def measure(instances: list[Instance], draw: Draw, seed: int) -> dict[str, list[float]]:
    """Return each figure over all instances as [value, low, high]."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in instances:
        rows.append([float(one.exact @ one.exact), *estimators.moments(draw(one, rng), one.exact)])
    table = np.array(rows)  # (instances, 5)
    resampled = table[rng.integers(0, len(table), (1000, len(table)))].mean(axis=1)  # (1000, 5)
    low, high = np.quantile(_relative(resampled), (0.025, 0.975), axis=0)
    columns = zip(FIGURES, _relative(table.mean(axis=0)), low, high, strict=True)
    return {name: [float(value), float(lo), float(hi)] for name, value, lo, hi in columns}


def _relative(means: Array) -> Array:
    """Divide squared bias and variance by the mean square of the gradient: (..., 5) to the five figures."""
    square, bias, variance, cosine, cosine_of_mean = np.moveaxis(means, -1, 0)
    error = (bias + variance) / square
    return np.stack(
        [np.sqrt(np.maximum(bias, 0) / square), variance / square, error, cosine, cosine_of_mean], axis=-1
    )


@click.group()
def main() -> None:
    """Measure gradient estimators against the exact gradient."""


@main.command()
@click.option("--seed", default=0, show_default=True)
def run(seed: int) -> None:
    """Measure everything and write the results file."""
    start = time.perf_counter()
    found: dict[str, Any] = {}
    for problem, instances in problems(seed):
        found[problem] = {name: measure(instances, draw, seed + 1) for name, draw in methods().items()}
        click.echo(f"{time.perf_counter() - start:6.1f} s  {problem}", err=True)
    about = {
        "command": f"python benchmarks/estimators.py run --seed {seed}",
        "nphash": nphash.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "bits": BITS,
        "draws": DRAWS,
        "instances": INSTANCES,
        "seconds": round(time.perf_counter() - start, 1),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"about": about, "problems": found}, indent=1) + "\n", encoding="utf-8")
    show(found)


@main.command()
def table() -> None:
    """Print the results file."""
    show(json.loads(RESULTS.read_text(encoding="utf-8"))["problems"])


def show(found: dict[str, Any]) -> None:
    """Print one table for each problem, and its best estimator of one draw."""
    for problem, rows in found.items():
        click.echo(f"\n{problem}")
        click.echo(f"{'':35}{'bias':>24}{'variance':>26}{'error':>10}{'cosine':>9}{'of mean':>9}")
        for name, row in rows.items():
            bias, variance = (_interval(*row[key]) for key in ("bias", "variance"))
            error, cosine, of_mean = (row[key][0] for key in FIGURES[2:])
            click.echo(f"{name:35}{bias:>24}{variance:>26}{error:10.3g}{cosine:9.3f}{of_mean:9.3f}")
        best = min(rows, key=lambda name: rows[name]["mean_squared_error"][0])
        click.echo(f"smallest mean squared error: {best}")


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3g} ({low:.2g} to {high:.2g})" if value > 1e-12 else "0"


if __name__ == "__main__":
    main()
