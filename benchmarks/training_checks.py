"""How far the engines' gradients are from the equations, and how long the first step takes.

    python -m benchmarks.training_checks gradients     # a minute
    python -m benchmarks.training_checks first-step    # a minute: compiles every kernel of a step anew
    python -m benchmarks.training_checks table

Gradients: Doc2hash on 10,000 words, with the first weights and after some hundred steps; the error of an
entry is its distance from float64, from the same weights and noise, relative to the largest entry of its
tensor. First step: a process of its own, with an empty cache of kernels and with a full one; the seconds
begin when NumPy and SciPy are imported and end with the step.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import click
import numpy as np
import scipy.sparse

from benchmarks.records import RESULTS, environment, read, write
from benchmarks.tables import simple_table
from benchmarks.training_data import zipf_documents

RESULT = RESULTS / "training_checks.json"
ENGINES = ("numba", "numpy")
SAMPLINGS = ("relaxed", "straight-through")
BATCH = 100

Params = dict[str, Any]


def keep(**figures: Any) -> None:
    """Write what has been measured beside the rest, and on what."""
    write(RESULT, {**read(RESULT), **figures, **environment()})


@click.group()
def main() -> None:
    """Check the training engines."""


def gradients_of(hasher: Any, params: Params, x: Any, engine: str, dtype: Any) -> Params:
    """Return the gradients of a batch by name, in float64."""
    from nphash.engine.select import create_engine
    from nphash.hashers.training.trainer import Batch
    from nphash.nn.schedules import values_at

    own = {name: array.astype(dtype) for name, array in params.items()}
    x, rng = x.astype(dtype), np.random.default_rng(0)
    operations, numbers = create_engine(engine, threads=1).operations, values_at(hasher.schedules(), 0.0)
    _, back = hasher.loss(own, Batch(x, x, rng=rng, operations=operations, **numbers))
    return {name: np.asarray(gradient, dtype=np.float64) for name, gradient in back().items()}


def errors(hasher: Any, params: Params, x: Any) -> dict[str, dict[str, float]]:
    """Return for each engine the largest error of each tensor's gradient in float32."""
    exact = gradients_of(hasher, params, x, "numpy", np.float64)
    found: dict[str, dict[str, float]] = {}
    for engine in ENGINES:
        gradients = gradients_of(hasher, params, x, engine, np.float32)
        found[engine] = {
            name: float(np.abs(gradients[name] - exact[name]).max() / np.abs(exact[name]).max())
            for name in exact
        }
    return found


def trained(hasher: Any, X: Any, steps: int) -> Params:
    """Return the weights after so many steps of Adam."""
    from nphash.engine.select import create_engine
    from nphash.hashers.training.trainer import Batch
    from nphash.nn.schedules import values_at

    params, engine = hasher.initial_params(X, X, 0), create_engine("numba", threads=1)
    adam, numbers = engine.optimiser(), values_at(hasher.schedules(), 0.0)

    def batches() -> Iterator[Batch]:
        for step in range(steps):
            rng = np.random.default_rng([0, step])
            x = X[np.sort(rng.choice(X.shape[0], BATCH, replace=False))]
            yield Batch(x, x, rng=rng, operations=engine.operations, learning_rate=1e-3, **numbers)

    for batch in adam.prepare(batches(), 1_000):
        _, back = hasher.loss(params, batch)
        adam.step(params, back(), batch.learning_rate)
    adam.flush()
    return dict(params)


@main.command()
@click.option("--words", default=10_000)
@click.option("--bits", default="64,128")
@click.option("--steps", default="0,300")
def gradients(words: int, bits: str, steps: str) -> None:
    """Compare every tensor's gradient with float64."""
    from nphash.core.threads import single_threaded_blas
    from nphash.hashers.doc2hash import Doc2Hash

    X = zipf_documents(4_000, words)
    found = []
    for length in map(int, bits.split(",")):
        for done in map(int, steps.split(",")):
            for sampling in SAMPLINGS:
                hasher = Doc2Hash(length, sampling=sampling)
                with single_threaded_blas():
                    params = trained(hasher, X, done)
                    figures = errors(hasher, params, X[:BATCH])
                found.append({"bits": length, "steps": done, "sampling": sampling, "errors": figures})
    keep(gradients={"words": words, "cases": found})
    click.echo(precision())


@main.command()
def one_step() -> None:
    """Do a first step and print its seconds; `first-step` runs this in processes of their own."""
    X = scipy.sparse.random(200, 3_000, 0.01, format="csr", dtype=np.float32, random_state=0)
    start = time.perf_counter()
    from nphash.engine.select import create_engine
    from nphash.hashers.doc2hash import Doc2Hash
    from nphash.hashers.training.trainer import Batch
    from nphash.nn.schedules import values_at

    hasher, engine = Doc2Hash(64), create_engine("auto", threads=1)
    params, adam = hasher.initial_params(X, X, 0), engine.optimiser()
    batch = Batch(X, X, rng=np.random.default_rng(0), operations=engine.operations)
    _, back = hasher.loss(params, replace(batch, **values_at(hasher.schedules(), 0.0)))
    adam.step(params, back())
    click.echo(f"{time.perf_counter() - start:.3f}")


@main.command()
@click.option("--runs", default=3, help="With an empty cache; with a full one three times as many.")
def first_step(runs: int) -> None:
    """Time the first step with an empty cache of kernels and with a full one."""
    command = [sys.executable, "-m", "benchmarks.training_checks", "one-step"]
    fresh, cached = list[float](), list[float]()
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            environ = {**os.environ, "NUMBA_CACHE_DIR": folder}
            for times in (fresh, cached, cached, cached):
                done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
                times.append(float(done.stdout))
    keep(**{"first step": {"empty": fresh, "full": cached}})
    click.echo(waiting())


def precision() -> str:
    """Return a table of the worst tensor of each case."""
    found = read(RESULT)["gradients"]["cases"]
    rows = [["bits", "sampling", "steps done", *(f'``engine="{engine}"``' for engine in ENGINES)]]
    for case in found:
        worst = []
        for engine in ENGINES:
            name, error = max(case["errors"][engine].items(), key=lambda item: item[1])
            worst.append(f"{error:.1e} ({name})")
        rows.append([str(case["bits"]), case["sampling"], str(case["steps"]), *worst])
    return simple_table(rows)


def waiting() -> str:
    """Return the seconds of the first step in words."""
    found = read(RESULT)["first step"]
    fresh, cached = (
        f"{median(times):.{digits}f} s ({min(times):.{digits}f} to {max(times):.{digits}f})"
        for times, digits in ((found["empty"], 1), (found["full"], 2))
    )
    return f"The first step takes {fresh} where kernels have to be compiled, and {cached} afterwards."


@main.command()
def table() -> None:
    """Print both."""
    click.echo(precision())
    click.echo(waiting())


if __name__ == "__main__":
    main()
